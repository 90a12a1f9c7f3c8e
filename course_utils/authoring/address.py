"""Move the course to another repository: its address, wherever it stands.

python -m course_utils.authoring.address https://github.com/you/course

Nothing is executed: of the notebooks only the links change, in the .py and the .ipynb.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from course_utils.authoring.kernel import NotebookError
from course_utils.authoring.notebooks import repository_address
from course_utils.files import replacing

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = re.compile(
    r"https://github\.com/(?P<owner>[A-Za-z\d](?:-?[A-Za-z\d]){0,38})/(?P<name>[\w.-]{1,100})"
)
# Who shows or opens a repository, and the words before its owner and name.
HOSTS = (
    "https://github.com/",
    "https://colab.research.google.com/github/",
    "https://mybinder.org/v2/gh/",
    "https://codespaces.new/",
)
PLACES = ("README.md", "notebooks/**/*.py", "notebooks/**/*.ipynb", "pyproject.toml")


def move(address: str, root: Path | str = ROOT) -> list[Path]:
    """Write another address of the repository in place of the one in pyproject.toml; returns the files that changed.

    Args:
        address: such as https://github.com/you/course. Colab, Binder, Codespaces and the site are GitHub's or take
            from there.
        root: the checkout. Of a file nothing else changes; pyproject.toml comes last, so that a call that was stopped
            can be repeated.

    Raises:
        ValueError: one of the two is no address of a repository on GitHub.
        NotebookError: pyproject.toml holds none.
    """
    root = Path(root)
    old, new = _parts(repository_address(root / "pyproject.toml")), _parts(address)
    changed = []
    for path in _files(root):
        before = path.read_bytes()
        after = _moved(before, old, new)
        if path.name == "README.md":
            after = after.replace(f"`cd {old[1]}`".encode(), f"`cd {new[1]}`".encode())
        if after != before:
            with replacing(path) as scratch:
                scratch.write_bytes(after)
            changed.append(path)
    return changed


def _files(root: Path) -> Iterable[Path]:
    return (path for place in PLACES for path in sorted(root.glob(place)))


def _parts(address: str) -> tuple[str, str]:
    found = ADDRESS.fullmatch(address)
    if found is None or found["name"].endswith(".git") or set(found["name"]) == {"."}:
        raise ValueError(
            f"address={address!r} must be that of a repository on GitHub, as https://github.com/you/course, "
            "without .git or a slash at its end"
        )
    return found["owner"], found["name"]


def _moved(text: bytes, old: tuple[str, str], new: tuple[str, str]) -> bytes:
    """Only the whole name is the old one: `course` is not the beginning of `course-2`."""
    hosts = "|".join(map(re.escape, HOSTS))
    pattern = rf"({hosts}){re.escape('/'.join(old))}(?![\w-]|\.\w)"
    return re.sub(pattern.encode(), rb"\g<1>" + "/".join(new).encode(), text)


# --- Command line: python -m course_utils.authoring.address ADDRESS ------------------------------------------

app = typer.Typer(add_completion=False)


@app.command()
def main(address: Annotated[str, typer.Argument(help="Such as https://github.com/you/course.")]) -> None:
    """Write another address of the repository wherever the old one stands; nothing is executed."""
    try:
        changed = move(address)
    except (ValueError, NotebookError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    for path in changed:
        typer.echo(str(path.relative_to(ROOT)))
    typer.echo(f"{len(changed)} files changed" if changed else f"{address} stands there already")


if __name__ == "__main__":
    app()
