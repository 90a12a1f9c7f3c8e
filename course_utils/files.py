"""Files: digests, and replacing a file as a whole."""

from __future__ import annotations

import glob
import hashlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_DAY = 24 * 60 * 60


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_writable(**paths: Path) -> None:
    """Raise OSError, naming it, for a path where no file can be written; makes nothing."""
    for name, path in paths.items():
        try:
            if path.is_dir():
                raise OSError(None, "it is a folder")
            if path.exists():
                path.open("r+b").close()
            folder = path.parent
            while not folder.exists():
                folder = folder.parent
            for part in path.parts[len(folder.parts) :]:  # too long a name, or something below a file
                with suppress(FileNotFoundError):
                    (folder / part).lstat()
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as reason:
            raise OSError(f"{name}: {path} cannot be written ({reason.strerror})") from reason


@contextmanager
def making(folder: Path) -> Iterator[None]:
    """A folder, and those above it, for the block to write into; of those that it makes the empty ones go again."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for path in made:
            with suppress(OSError):  # something is in it
                path.rmdir()


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Write a file as a whole: `with replacing(path) as scratch: scratch.write_text(…)`.

    The scratch file lies beside `path`, hidden, with the same suffix. When the block ends it is synced and takes the
    place, and the permissions, of `path`; when the block fails it is removed. So at any moment, also after a kill,
    `path` is the old file or the whole new one. The folder is made where it is missing.

    Raises:
        OSError: nothing can be written there; raised before the block begins where that can be known.
    """
    path = Path(os.path.realpath(path))  # a link stays a link
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.open("r+b").close()  # a folder, or a file that may not be written
    begin, end = f".part-{path.stem[:40].strip('.')}-", path.suffix
    for left in path.parent.glob(glob.escape(begin) + "????????" + glob.escape(end)):
        with suppress(OSError):  # another process may be quicker
            if left.stat().st_mtime < time.time() - _DAY:  # a process was killed while it wrote
                left.unlink()
    scratch = path.with_name(begin + secrets.token_hex(4) + end)
    try:
        scratch.touch()
        yield scratch
        with scratch.open("r+b") as file:
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, scratch)
        os.replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
