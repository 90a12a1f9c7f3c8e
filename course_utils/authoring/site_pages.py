"""Pages of the site that are made from what the notebooks and other texts already say: nothing is written twice."""

import pkgutil
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote_plus

import course_utils
from course_utils.authoring.site_notebooks import Explorer, Word, slug

LINK = re.compile(r"(?P<words>!?\[[^\]]*\])\((?P<target>[^)\s#]+)(?P<part>#[^)]*)?\)")
TITLE = re.compile(r"(?<!workshop )(?<![*\w])\*(?P<title>[^*]+?)\*(?![*\w])")
CLAIM_ROW = re.compile(
    r"^\| (?P<claim>[A-Z]\d\S*) \| (?P<rest>.+? \| (?P<notebook>\d\d) \| .+) \|$", re.MULTILINE
)
MOVED = {
    "notebooks/homework/README.md": "/homework/index.md",
    "benchmarks/": "/benchmarks/",
    "notebooks/": "/notebooks/",
}


class Page(NamedTuple):
    """What the other pages need to know of a notebook's."""

    name: str
    title: str
    words: Sequence[Word]
    marks: Mapping[str, str]
    claims: Mapping[str, str]
    explorers: Sequence[Explorer]
    reading: str

    @property
    def number(self) -> str:
        return self.name[:2]


def section(text: str, heading: str) -> str:
    """What stands under a heading of the second level, up to the next one.

    Raises:
        ValueError: there is no such heading.
    """
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"there is no heading {heading!r}")
    return found[1].strip()


def with_numbers(plan: str, headlines: Sequence[str]) -> str:
    """A lecture's plan in which each slide's number stands before its headline, as a lecturer types it."""
    for number, headline in enumerate(headlines, 1):
        plan = plan.replace(f"“{headline}”", f"{number} “{headline}”")
    return plan


def with_links(text: str, repository: str, folder: str = "") -> str:
    """A text of the checkout whose links to its files lead to the site's pages, else to the repository."""

    def moved(link: re.Match[str]) -> str:
        target = link["target"]
        if "://" in target or target.startswith("/"):
            return link[0]
        path = f"{folder}{target}"
        new = next((new + path[len(old) :] for old, new in MOVED.items() if path.startswith(old)), None)
        if new is None or not new.endswith((".ipynb", ".md")):
            new = f"{repository}/blob/main/{path}"
        return f"{link['words']}({new}{link['part'] or ''})"

    return LINK.sub(moved, text)


def glossary(pages: Sequence[Page]) -> str:
    """All words of all notebooks by the alphabet; where one is in several lists, each list says what it says."""
    entries: dict[str, list[tuple[Page, Word]]] = {}
    for page in pages:
        for word in page.words:
            entries.setdefault(word.english, []).append((page, word))
    rows = []
    for english in sorted(entries, key=lambda word: word.lower()):
        korean = "; ".join(dict.fromkeys(word.korean for _, word in entries[english]))
        meanings: dict[str, list[str]] = {}
        for page, word in entries[english]:
            mark = page.marks[english]
            name = f"{english} in notebook {page.number}"
            link = f'<a href="notebooks/{page.name}.html#{mark}" aria-label="{name}">{page.number}</a>'
            meanings.setdefault(word.meaning, []).append(link)
        said = "; ".join(f"{meaning} ({', '.join(links)})" for meaning, links in meanings.items())
        rows.append(f'| <span id="{slug(english)}"></span>{english} | {korean} | {said} |')
    return (
        "# Glossary 용어집\n\n"
        f"The {len(rows)} terms of the notebooks' word lists. A number leads to the place in that notebook where the "
        "term is explained.\n\n"
        "| English | Korean | meaning, and where it is explained |\n| --- | --- | --- |\n"
        + "\n".join(rows)
        + "\n"
    )


def references(pages: Sequence[Page], known: Mapping[str, str]) -> str:
    """What each notebook ends with under "Read on"; each title leads to the paper.

    Args:
        pages: the notebooks.
        known: addresses of papers by title; the others are looked for by their title.
    """

    def linked(found: re.Match[str]) -> str:
        title = " ".join(found["title"].split())
        address = (
            known.get(title)
            or f"https://scholar.google.com/scholar?q={quote_plus(chr(34) + title + chr(34))}"
        )
        return f"[*{title}*]({address})"

    parts = [
        "# References\n\nWhat the notebooks ask you to read, and why. A title leads to its paper, or to a search for "
        "it where we had no address to trust; both need a network."
    ]
    for page in pages:
        parts.append(f"## [{page.title}](/notebooks/{page.name}.ipynb)\n\n{TITLE.sub(linked, page.reading)}")
    return "\n\n".join(parts) + "\n"


def claims(readme: str, pages: Sequence[Page]) -> str:
    """The README's table of claims, each with a link to where it is shown."""
    text = section(readme, "What the notebooks claim can fail")
    text = re.sub(r"<details><summary>.*?</summary>\n|</details>", "", text)
    by_number = {page.number: page for page in pages}

    def linked(row: re.Match[str]) -> str:
        page = by_number[row["notebook"]]
        address = f"notebooks/{page.name}.html#{page.claims[row['claim']]}"
        return f'| <a href="{address}">{row["claim"]}</a> | {row["rest"]} |'

    return "# What the notebooks claim can fail\n\n" + CLAIM_ROW.sub(linked, text) + "\n"


def explorers(pages: Sequence[Page]) -> str:
    """A table of all that a lecturer can drag, in the order of the notebooks."""
    rows = [
        f'| {page.title} | <a href="notebooks/{page.name}.html#{one.place}">{one.title}</a> |'
        for page in pages
        for one in page.explorers
    ]
    return "| notebook | explorer |\n| --- | --- |\n" + "\n".join(rows)


def reference() -> dict[str, str]:
    """A page for each room of the package, by its name, and the page that lists them."""
    top = [info.name for info in pkgutil.iter_modules(course_utils.__path__) if not info.name.startswith("_")]
    pages = {}
    for room in top:
        modules = [f"course_utils.{room}", *(f"course_utils.{name}" for name in _inside(room))]
        body = "\n".join(
            _automodule(name, members=name != modules[0] or len(modules) == 1) for name in modules
        )
        pages[room] = f"# {room}\n\n```{{eval-rst}}\n{body}```\n"
    pages["index"] = (
        "# The package\n\n`course_utils` is what the notebooks import: each model beside its loss and its sampling, "
        "the metrics, the explorers, and what builds and grades the course. These pages are made from its docstrings. "
        "[ARCHITECTURE.md](../ARCHITECTURE.md) says which part is for what.\n\n"
        "```{toctree}\n:maxdepth: 1\n\n" + "\n".join(top) + "\n```\n"
    )
    return pages


def _inside(room: str) -> list[str]:
    folder = Path(course_utils.__path__[0]) / room
    names = [info.name for info in pkgutil.iter_modules([str(folder)])] if folder.is_dir() else []
    return [f"{room}.{name}" for name in names if not name.startswith("_")]


def _automodule(name: str, *, members: bool) -> str:
    head = f"{name}\n{'-' * len(name)}\n\n" if members and name.count(".") > 1 else ""
    options = "   :members:\n   :member-order: bysource\n" if members else ""
    return f"{head}.. automodule:: {name}\n{options}\n"
