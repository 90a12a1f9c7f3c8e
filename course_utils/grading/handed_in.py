"""What an LMS leaves: every file of a folder and of the zips in it, as one that is graded, a reason, or junk.

Nothing is unpacked: an archive's files are read one at a time, in memory, and no name of an archive becomes a path.
"""

from __future__ import annotations

import io
import lzma
import os
import re
import stat
import time
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from course_utils.authoring.homework import HomeworkError
from course_utils.grading.reading import LARGEST, SubmissionError, kind_of, read_notebook, which_homework

INSIDE = " › "  # between an archive and what is in it
LARGEST_INNER = 100_000_000  # bytes of an archive in an archive
LARGEST_ARCHIVE = 4_000_000_000  # bytes that the files of an archive have when they are read
MOST_FILES = 20_000  # in an archive
MOST_NAME = 1000  # characters
TIGHTEST = 200  # bytes that one of a large entry unpacks to; notebooks come to twenty
JUNK_FOLDERS = {
    "__MACOSX", "__pycache__", ".git", ".venv", "venv", "node_modules", ".idea", ".vscode", ".virtual_documents",
}  # fmt: skip
JUNK_FILES = {".ds_store", "thumbs.db", "desktop.ini", ".gitignore", ".gitattributes"}
CHECKPOINTS = ".ipynb_checkpoints"
NOTEBOOK = re.compile(r"\.ipynb(\.|$)", re.IGNORECASE)
BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError, ValueError, OSError,
)  # fmt: skip


@dataclass(frozen=True)
class File:
    """A file that was handed in.

    Attributes:
        name: where the teacher finds it, `hw03.zip › kim/hw03.ipynb`, in composed letters (NFC); unique.
        problem: why it is not graded; "" if it may be.
        changed: when, in seconds.
        read: gives its bytes, at most `LARGEST`.
    """

    name: str
    problem: str
    changed: float = 0.0
    read: Callable[[], bytes] = field(default=lambda: b"", compare=False, repr=False)


@dataclass(frozen=True)
class HandedIn:
    """The files that get a row, in the order of their names, and the names of those that are nobody's work."""

    files: list[File]
    junk: list[str]


def handed_in(folder: Path) -> HandedIn:
    """All that lies below a folder.

    Each file is in `files` or in `junk`. Left aside as junk is what a Mac, Windows, git, Python or Jupyter leaves
    beside the files, a checkpoint only where its notebook is there too. Of the notebooks of one student for one
    homework the newest counts (`_rank`); the others have the problem "superseded by …".
    """
    files, junk = _unique(_walk(folder)), list[str]()
    kept: list[File] = []
    for file in files:
        (junk.append(file.name) if _is_junk(file) else kept.append(file))
    old = _superseded(kept)
    rows = [replace(file, problem=old.get(file.name, file.problem)) for file in kept]
    checkpoints = {file.name for file in rows if file.name in old and CHECKPOINTS in _parts(file.name)}
    return HandedIn([file for file in rows if file.name not in checkpoints], sorted({*junk, *checkpoints}))


# --- Finding ------------------------------------------------------------------------------------------------


def _walk(folder: Path) -> Iterator[File]:
    """The files of a folder and of the archives in it; what cannot be looked at has a problem."""
    unread: list[OSError] = []
    for root, folders, names in os.walk(folder, onerror=unread.append):
        folders.sort()
        for name in sorted([*names, *(n for n in folders if (Path(root) / n).is_symlink())]):
            path = Path(root) / name
            yield from _on_disk(path, path.relative_to(folder).as_posix())
    for error in unread:
        name = Path(error.filename).relative_to(folder).as_posix()
        yield File(name, f"could not be read: {error.strerror}")


def _on_disk(path: Path, name: str) -> Iterator[File]:
    try:
        status = path.lstat()
    except OSError as error:
        yield File(name, f"could not be read: {error.strerror}")
        return
    if stat.S_ISLNK(status.st_mode):
        yield File(name, "is a symbolic link; hand in the file itself")
    elif not stat.S_ISREG(status.st_mode):
        yield File(name, "is not a file")
    elif _is_zip(name):
        yield from _in_zip(name, path, 1)
    else:
        problem = _too_large(status.st_size)
        yield File(name, problem, status.st_mtime, _reader_of(path))


def _reader_of(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)

    return read


def _is_zip(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() == ".zip"


def _too_large(size: int, most: int = LARGEST) -> str:
    return f"has {size / 1e6:.0f} MB; at most {most / 1e6:.0f} are read" if size > most else ""


def _in_zip(name: str, source: Path | Callable[[], bytes], depth: int) -> Iterator[File]:
    """The files of an archive, which lies on the disk or in another one; the archive itself where it is unreadable."""
    if _is_junk(File(name, "")):
        yield File(name, "")
        return

    def opened() -> zipfile.ZipFile:
        return zipfile.ZipFile(source if isinstance(source, Path) else io.BytesIO(source()))

    try:
        with opened() as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except PermissionError as error:
        yield File(name, f"could not be read: {error.strerror}")
        return
    except BROKEN as error:
        yield File(name, f"is a damaged archive: {_words(error)}")
        return
    size = sum(entry.file_size for entry in entries if not _name_of(entry).startswith("__MACOSX/"))
    if len(entries) > MOST_FILES:
        yield File(name, f"is an archive of {len(entries)} files; at most {MOST_FILES} are read")
    elif size > LARGEST_ARCHIVE:
        most = LARGEST_ARCHIVE / 1e9
        yield File(name, f"is an archive that unpacks to {size / 1e9:.1f} GB; at most {most:g} are read")
    elif not entries:
        yield File(name, "is an archive without a file in it")
    else:
        for entry in entries:
            yield from _entry(name, entry, opened, depth)


def _entry(
    archive: str, entry: zipfile.ZipInfo, opened: Callable[[], zipfile.ZipFile], depth: int
) -> Iterator[File]:
    inner = _name_of(entry)
    if len(inner) > MOST_NAME:
        problem = f"has a name of {len(inner)} characters; at most {MOST_NAME} are read"
        yield File(f"{archive}{INSIDE}{inner[:100]}…", problem)
        return
    name, changed = archive + INSIDE + inner, 0.0
    with suppress(ValueError, OverflowError):
        changed = time.mktime((*entry.date_time, 0, 0, -1))
    most = LARGEST_INNER if _is_zip(inner) else LARGEST

    def read() -> bytes:
        try:
            with opened() as now, now.open(entry) as file:
                return file.read(most + 1)
        except BROKEN as error:
            raise SubmissionError(f"is damaged in its archive: {_words(error)}") from None

    kind = entry.external_attr >> 16
    unsafe = inner.startswith("/") or ".." in inner.split("/") or re.match(r"[A-Za-z]:", inner)
    if unsafe:
        yield File(name, "has a name in its archive that leads out of the folder")
    elif stat.S_ISLNK(kind):
        yield File(name, "is a symbolic link; hand in the file itself")
    elif entry.flag_bits & 1:
        yield File(name, "is encrypted: hand it in without a password")
    elif problem := _too_large(entry.file_size, most):
        yield File(name, problem)
    elif entry.file_size > 1_000_000 and entry.file_size > TIGHTEST * entry.compress_size:
        yield File(name, f"unpacks to {entry.file_size / max(entry.compress_size, 1):.0f} times its size")
    elif not _is_zip(inner):
        yield File(name, "", changed, read)
    elif depth > 1:
        yield File(name, "is an archive in an archive in an archive: unpack it")
    else:
        try:
            data = read()
        except SubmissionError as error:
            yield File(name, str(error))
            return
        if problem := _too_large(len(data), most):
            yield File(name, problem)
        else:
            yield from _in_zip(name, read, depth + 1)


def _name_of(entry: zipfile.ZipInfo) -> str:
    """An entry's name; one that no flag calls UTF-8 is that all the same, or Korean Windows', where it can be."""
    name = entry.filename
    if not entry.flag_bits & 0x800:
        raw = name.encode("cp437", "replace")
        for encoding in ("utf-8", "cp949"):
            with suppress(UnicodeDecodeError):
                name = raw.decode(encoding)
                break
    return name.replace("\\", "/")


def _words(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:200]


def _unique(files: Iterable[File]) -> list[File]:
    """In the order of their names; where two have the same (in an archive; decomposed letters), the later has [2]."""
    count: dict[str, int] = {}
    unique = []
    for file in files:
        name = unicodedata.normalize("NFC", _readable(file.name))
        count[name] = count.get(name, 0) + 1
        unique.append(replace(file, name=name if count[name] == 1 else f"{name} [{count[name]}]"))
    return sorted(unique, key=lambda file: file.name)


def _readable(name: str) -> str:
    """A name on the disk; one that is not UTF-8 as Korean Windows means it, else with ? for what cannot be read."""
    try:
        name.encode("utf-8")
        return name
    except UnicodeEncodeError:
        raw = os.fsencode(name)
        with suppress(UnicodeDecodeError):
            return raw.decode("cp949")
        return name.encode("utf-8", "replace").decode("utf-8")


def _parts(name: str) -> list[str]:
    return name.replace(INSIDE, "/").split("/")


def _is_junk(file: File) -> bool:
    *folders, name = _parts(file.name)
    if JUNK_FOLDERS & set(folders) or name.lower() in JUNK_FILES or name.endswith(".pyc"):
        return True
    if not name.startswith("._"):
        return False
    with suppress(HomeworkError, OSError):  # a notebook that someone has called so is none of a Mac's
        return not file.read().lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    return True


# --- Whose it is, and which of several counts ---------------------------------------------------------------

MOODLE = re.compile(r"^(?P<who>.+_\d+)_assignsubmission_(?:file|onlinetext)")
CANVAS = re.compile(r"^(?P<who>[^_]+_(?:LATE_)?\d+)_(?P<number>\d+)_")
COPY = re.compile(r"[ _]?\((\d+)\)$|-(\d{1,2})$|[ _-]+(?:copy|checkpoint)(?: ?(\d+))?$", re.IGNORECASE)
TITLE = re.compile(r"(?:hw|homework)[\s_-]*\d{1,2}", re.IGNORECASE)
NO_NAME = re.compile(
    r"\b(?:answers?|draft|final|homework|my|mine|new|notebook|solutions?|submission|untitled|v?\d+)\b"
)


@dataclass(frozen=True)
class _Owner:
    """`who`: the student, "" if unknown; `number`: the LMS's own of this file, 0 if it has none; `copy`: (1), -1."""

    who: str
    number: int
    copy: int


def owner(name: str) -> _Owner:
    """Whose a file is: by Moodle's or Canvas's name for it, else by its folder or archive and the rest of its name.

    A file that lies by itself in the folder that is graded and is called nothing but `hw03.ipynb` is nobody's.
    """
    *folders, last = _parts(name)
    stem = re.split(NOTEBOOK, last, maxsplit=1)[0] if NOTEBOOK.search(last) else PurePosixPath(last).stem
    rest, copy = stem, 0
    while match := COPY.search(rest):
        copy, rest = max(copy, int(next(filter(None, match.groups()), "1"))), rest[: match.start()]
    for part in [*folders, last]:
        if match := MOODLE.match(part):
            return _Owner(match["who"], 0, copy)
        if match := CANVAS.match(part):
            return _Owner(match["who"].replace("_LATE", ""), int(match["number"]), copy)
    place = "/".join(part for part in folders if part != CHECKPOINTS)
    who = NO_NAME.sub(" ", re.sub(r"[\s_.-]+", " ", TITLE.sub(" ", rest)).casefold())
    who = " ".join(who.split())
    return _Owner(f"{place}/{who}" if place or who else "", 0, copy)


def _rank(file: File) -> tuple[bool, int, float, int, str]:
    """The largest counts: by the LMS's own number, else by the time of its last change, else by the copy's."""
    own = owner(file.name)
    return CHECKPOINTS not in _parts(file.name), own.number, file.changed, own.copy, file.name


def _superseded(files: list[File]) -> dict[str, str]:
    """Why files do not count that have a newer one of the same student and homework, by name."""
    groups: dict[str, list[File]] = {}
    for file in files:
        if not file.problem:
            who = owner(file.name).who
            groups.setdefault(who or _beside(file.name), []).append(file)
    found: dict[str, str] = {}
    for several in groups.values():
        if len(several) < 2:
            continue
        of: dict[str, list[File]] = {}
        for file in several:
            homework = _homework_of(file)
            if homework:
                of.setdefault(homework, []).append(file)
        for same in of.values():
            *older, newest = sorted(same, key=_rank)
            found |= {file.name: f"superseded by {newest.name}" for file in older}
    return found


def _beside(name: str) -> str:
    """A file of nobody's belongs with its checkpoint, and with nothing else."""
    *folders, last = _parts(name)
    folders = [part for part in folders if part != CHECKPOINTS]
    return "\0" + "/".join([*folders, re.sub(r"-checkpoint(?=\.|$)", "", last)])


def _homework_of(file: File) -> str | None:
    """The homework of a file that can be read, else None."""
    with suppress(HomeworkError, OSError):
        data = file.read()
        if not _too_large(len(data)) and kind_of(data, file.name) == "":
            return which_homework(file.name, read_notebook(data)[0])
    return None
