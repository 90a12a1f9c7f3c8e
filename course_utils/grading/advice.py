"""What of a notebook's cell is Python, and what a student should know of the rest before it is graded."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

from IPython.core.inputtransformer2 import classic_prompt, leading_indent

from course_utils.grading.reading import MOST_CODE

MAGIC = re.compile(r"[%!?]|[\w, ]+=\s*[%!]|\S.*\?\s*$")  # behind a line's blanks
MOST_WORK = 2_000_000  # characters that are read again for the lines of magic in a cell
AROUND = re.compile(r"%%(?:time|timeit|capture|prun)\b")  # magics whose cell is Python
THERE = sys.stdlib_module_names | {
    "IPython", "course_utils", "matplotlib", "mpl_toolkits", "numpy", "safetensors", "scipy", "sklearn", "torch",
    "torchvision", "tqdm",
}  # fmt: skip
READS = {
    "open", "read_csv", "read_excel", "read_json", "load", "loadtxt", "genfromtxt", "fromfile", "imread",
    "load_state_dict_from_url", "urlopen", "urlretrieve",
}  # fmt: skip


def plain(source: str) -> tuple[str, list[tuple[int, str]]]:
    """A cell without the lines that only a notebook knows, and these with the reason; "" if it is no Python.

    `%%time` and the like go alone, another `%%` takes its cell. Lines keep their numbers.
    """
    if len(source) > MOST_CODE:
        return "", [(1, f"has {len(source)} characters; at most {MOST_CODE} of a cell are run")]
    try:
        cleaned = "".join(leading_indent(classic_prompt(source.splitlines(keepends=True))))
        lines, left = cleaned.split("\n"), list[tuple[int, str]]()
        first = next((n for n, line in enumerate(lines) if line.strip()), 0)
        if lines[first].startswith("%%"):
            word = lines[first].split()[0]
            if not AROUND.match(lines[first]):
                return "", [(first + 1, f"`{word}`: the cell is not run")]
            left.append((first + 1, f"`{word}` is not run, the cell is"))
            lines[first] = ""
        while True:
            try:
                ast.parse("\n".join(lines))
                return "\n".join(lines), left
            except SyntaxError as error:
                number = error.lineno or 1
                line = lines[number - 1] if number <= len(lines) else ""
                code = line.lstrip()
                if not MAGIC.match(code) or len(left) > 200 or len(left) * len(source) > MOST_WORK:
                    return "", [(number, f"is not plain Python ({error.msg}); lines with % or ! are not run")]
                if not re.match(r"\s*%matplotlib\b", line):  # nothing is drawn to a screen anyway
                    left.append((number, f"`{line.strip()[:40]}` is not run: no line with % or ! is"))
                lines[number - 1] = line[: len(line) - len(code)] + "pass"
                while line.endswith("\\") and number < len(lines):
                    line, lines[number] = lines[number], ""
                    number += 1
    except (ValueError, RecursionError, MemoryError) as error:
        return "", [(1, f"is not plain Python ({str(error) or type(error).__name__}); it is not run")]


def advice(source: str) -> list[tuple[int, str]]:
    """What in a cell, plain Python, works here but may not where it is graded: with its line."""
    tree = ast.parse(source)
    return sorted({found for node in ast.walk(tree) for found in _doubtful(node)})


def _doubtful(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.Import(names=names, lineno=line):
            modules = [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), level=0, lineno=line):
            modules = [module]
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), lineno=line) if name in READS:
            yield line, f"`{name}` reads a file: where this is graded there are no files and no network"
            return
        case _:
            return
    for module in modules:
        if module.partition(".")[0] not in THERE:
            yield line, f"`import {module}`: where this is graded it may not be installed"
