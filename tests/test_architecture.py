"""The rooms of the package, as ARCHITECTURE.md shows them; that imports go one way, `make lint` sees."""

from pathlib import Path

from course_utils.authoring import architecture

ROOT = Path(__file__).parents[1]


def test_the_page_shows_the_imports_as_they_are_on_at_most_two_screens() -> None:
    page = architecture.PAGE.read_text(encoding="utf-8")
    assert architecture.written(page) == page, "run: .venv/bin/python -m course_utils.authoring.architecture"
    beside = page.split("```mermaid")[0] + page.split("```\n")[-1]
    assert len(beside.splitlines()) <= 80


def test_every_room_is_in_the_order_and_on_the_page() -> None:
    rooms = {path.stem for path in (ROOT / "course_utils").iterdir()
             if path.suffix == ".py" or (path / "__init__.py").exists()} - {"__init__"}  # fmt: skip
    ordered = [room for layer in architecture.layers() for room in layer]
    assert sorted(ordered) == sorted(rooms)
    table = architecture.PAGE.read_text(encoding="utf-8").split("```\n")[-1]
    assert [room for room in ordered if f"`{room}`" not in table] == []


def test_no_file_is_longer_than_five_hundred_lines() -> None:
    long = {path.relative_to(ROOT).as_posix(): lines for path in (ROOT / "course_utils").rglob("*.py")
            if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500}  # fmt: skip
    assert long == {}
