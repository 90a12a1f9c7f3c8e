"""JupyterLab as a reader of the course should meet it: explorers alive, commands at hand, nothing in the way.

python -m course_utils.authoring.lab     # what `make lab` runs, and where there is no make
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("[0-9][0-9]_*.ipynb", "homework/student/*.ipynb", "homework/solution/*.ipynb")


def open_lab(folder: Path | str = ROOT / "notebooks", arguments: Sequence[str] = ()) -> None:
    """Start JupyterLab on a folder of notebooks, and return when it has ended.

    The notebooks that the course ships are trusted, which brings their explorers to life before any cell runs. The
    settings in the checkout's folder `jupyter` hold beside the reader's own; nothing is written into them.

    Args:
        folder: where the notebooks lie.
        arguments: more of JupyterLab's command line.

    Raises:
        ValueError: the folder is not there, as where the course was installed without its checkout.
        ModuleNotFoundError: JupyterLab is not installed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"folder={str(folder)!r} is not there; call this in a checkout of the course")
    try:
        from jupyterlab.labapp import LabApp  # type: ignore[import-untyped]
    except ModuleNotFoundError as reason:
        raise ModuleNotFoundError("JupyterLab is not installed: pip install -e '.[lab]'") from reason
    trust_shipped(folder)
    set_environment()
    LabApp.launch_instance([f"--ServerApp.root_dir={folder.resolve()}", *_flags(), *arguments])


def trust_shipped(folder: Path | str) -> int:
    """`trust` for those notebooks of a folder that the course ships."""
    return trust(path for pattern in SHIPPED for path in sorted(Path(folder).glob(pattern)))


def trust(notebooks: Iterable[Path]) -> int:
    """Sign the notebooks that are not signed yet, as `jupyter trust` does; returns how many those were."""
    import nbformat
    from nbformat.sign import NotebookNotary

    notary, signed = NotebookNotary(), 0
    for path in notebooks:
        notebook = nbformat.read(path, as_version=4)
        if not notary.check_signature(notebook):
            notary.sign(notebook)
            signed += 1
    return signed


def set_environment() -> None:
    """What kernels and terminals inherit: the course's commands and settings."""
    _prepend("PATH", Path(sys.executable).parent)
    _prepend("JUPYTER_CONFIG_PATH", ROOT / "jupyter")


def _prepend(variable: str, folder: Path) -> None:
    rest = os.environ.get(variable)
    os.environ[variable] = str(folder) + (os.pathsep + rest if rest else "")


def _flags() -> list[str]:
    """What JupyterLab refuses to guess: root is allowed, and where no screen is, no browser is opened."""
    flags = []
    if hasattr(os, "getuid"):
        if os.getuid() == 0:
            flags.append("--allow-root")
        if sys.platform != "darwin" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            flags.append("--no-browser")
    return flags


if __name__ == "__main__":
    open_lab(arguments=sys.argv[1:])
