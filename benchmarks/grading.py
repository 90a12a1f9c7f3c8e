"""How long a hundred submissions take to grade, and how much memory.

    python benchmarks/grading.py           # a few minutes on two cores; writes benchmarks/grading.md
    python benchmarks/grading.py --quick   # eight submissions, to try it out; prints the report and writes nothing

Three classes, each of a hundred students: one in which everybody hands in the solution, one in which each exercise of
each student is right, plausibly wrong (one of `hwNN_wrong.py`) or untouched with chances of 6 : 3 : 1, and one in
which everything is wrong. In each the homeworks take turns. An exercise that uses a function of an earlier one
fails with it, as in the student's own notebook. `course homework grade` is run as its README says; the time is that of
the whole command. Memory is the proportional share of every process (PSS), summed, looked at twice a second.
"""

from __future__ import annotations

import argparse
import csv
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
from machine import header

from course_utils.authoring.homework import wrong_answers

FOLDER = Path(__file__).parents[1] / "notebooks" / "homework"
OUT = Path(__file__).with_suffix(".md")
CLASSES = {"everything right": (1.0, 0.0), "as a class might": (0.6, 0.3), "everything wrong": (0.0, 1.0)}
AIM = 8 * 60  # seconds


def hand_in(folder: Path, students: int, right: float, wrong: float, draw: random.Random) -> int:
    """Write a class's notebooks; gives the number of right answers."""
    count = 0
    for student in range(students):
        name = f"hw{student % 8 + 1:02d}"
        nb = nbformat.read(FOLDER / "student" / f"{name}.ipynb", as_version=4)
        solved = nbformat.read(FOLDER / "solution" / f"{name}.ipynb", as_version=4)
        solution = {cell.metadata.get("key"): cell.source for cell in solved.cells}
        mistakes = wrong_answers(FOLDER / "source" / f"{name}.py")
        for cell in nb.cells:
            if (key := cell.metadata.get("key")) in mistakes:
                (kind,) = draw.choices(["right", "wrong", "untouched"], [right, wrong, 1 - right - wrong])
                if kind == "right":
                    cell.source, count = solution[key], count + 1
                elif kind == "wrong":
                    cell.source = draw.choice(mistakes[key])[1]
        nbformat.write(nb, folder / f"student{student:03d}_{name}.ipynb")
    return count


def memory(process: psutil.Process) -> int:
    """Bytes that a process and all that came from it hold, what they share counted once."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_full_info().pss
        except psutil.AccessDenied:  # it lets nobody look: what it holds, shared or not
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            pass
    return total


def graded(folder: Path, out: Path) -> tuple[float, float, list[dict[str, str]]]:
    """Seconds, gigabytes at most, and the rows."""
    command = [sys.executable, "-m", "course_utils", "homework", "grade", str(folder), "--out", str(out)]
    began, most = time.monotonic(), 0
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, memory(psutil.Process(process.pid)))
            time.sleep(0.5)
    seconds = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"the command ended with status {process.returncode}")
    with out.open(newline="", encoding="utf-8-sig") as file:
        return seconds, most / 1e9, list(csv.DictReader(file))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    students = 8 if parser.parse_args().quick else 100
    lines = [
        "# A hundred submissions",
        "",
        "Made by `python benchmarks/grading.py`, which says how.",
        "",
        *header(["torch"]),
        "",
        f"| class of {students} | seconds | a submission | memory, GB | right answers | points |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for number, (what, (right, wrong)) in enumerate(CLASSES.items()):
        with tempfile.TemporaryDirectory() as folder:
            (submissions := Path(folder, "submissions")).mkdir()
            count = hand_in(submissions, students, right, wrong, random.Random(number))
            seconds, most, rows = graded(submissions, Path(folder, "grades.csv"))
            if notes := [row["note"] for row in rows if row["note"]]:
                raise SystemExit(f"not graded: {notes[0]}")
            points = sum(int(row["points"]) for row in rows)
            lines.append(
                f"| {what} | {seconds:.0f} | {seconds / students:.1f} | {most:.1f} | {count} | {points} |"
            )
            print(lines[-1], flush=True)
    print("\n".join(lines))
    if students == 100:
        OUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
