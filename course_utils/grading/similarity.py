"""Which answers share more with each other than chance explains: a hint for a person to look at, never a verdict.

An answer becomes the set of its runs of tokens, six of code or three words. Comments, docstrings, white space and the
names that a student may choose do not count. What the solution has, too, is set aside, since every right answer may
have it; what many submissions share counts less.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

OPEN, ALL = "open answer", "all exercises"
LEAST, SHARE = (
    15.0,
    0.6,
)  # runs in common, and their share of the shorter answer, from which on a pair is named
MOST = 20_000  # characters of an answer that are compared

Token = tuple[int, int, str]  # from, to, and what is compared
Runs = frozenset[tuple[str, ...]]


@dataclass(frozen=True)
class Pair:
    """Two answers that are much alike.

    Attributes:
        first: the number of the one.
        second: the number of the other, larger.
        share: how much of the shorter one is in the other, 0 to 1, apart from what the solution has too.
        amount: how many runs of tokens they share; those that others have count less.
    """

    first: int
    second: int
    share: float
    amount: float


TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<string>[rbufRBUF]{0,2}(?:"{3}.*?(?:"{3}|\Z)|'{3}.*?(?:'{3}|\Z)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))
    |(?P<number>\.?\d[\w.]*)
    |(?P<name>[^\W\d]\w*)
    |(?P<line>\n)
    |(?P<sign>[^\s\w])""",
    re.VERBOSE | re.DOTALL,
)
KEPT = {*keyword.kwlist, *dir(builtins)}


def code_tokens(source: str) -> Iterator[Token]:
    """The tokens of code, whole or broken, without what a copyist changes with no effort.

    A name is kept where it is Python's own or stands behind a dot (`x.mean`); all others are one.
    """
    fresh, before = True, ""
    for match in TOKEN.finditer(source[:MOST]):
        kind, text = match.lastgroup, match[0]
        if kind in ("line", "comment"):
            fresh = fresh or kind == "line"
            continue
        if kind == "string":
            token = "" if fresh else '""'  # a docstring, or a text
        else:
            token = "name" if kind == "name" and text not in KEPT and before != "." else text
        if token:
            yield *match.span(), token
        fresh, before = False, text


def word_tokens(text: str) -> Iterator[Token]:
    """The words of a text in small letters."""
    for match in re.finditer(r"\w+", text[:MOST]):
        yield *match.span(), match[0].casefold()


def _runs(found: Sequence[Token], size: int) -> list[tuple[str, ...]]:
    plain = [token for _, _, token in found]
    return list(zip(*(plain[n:] for n in range(size)), strict=False))


def runs(text: str, part: str) -> Runs:
    """All runs of tokens of an answer to an exercise, or of words if `part` is `OPEN`."""
    tokens, size = _way(part)
    return frozenset(_runs(list(tokens(text)), size))


def _way(part: str) -> tuple[Callable[[str], Iterator[Token]], int]:
    return (word_tokens, 3) if part == OPEN else (code_tokens, 6)


def pairs(answers: Sequence[Runs]) -> list[Pair]:
    """The pairs that share more than chance explains.

    A run weighs log(n / others that have it) / log(n): 1 if nobody else of the n has it, 0 if all have.

    Args:
        answers: the runs of each answer, without those of the solution and of what was handed out, which say nothing.
    """
    n, held = len(answers), Counter(run for answer in answers for run in answer)
    if n < 2 or not held:
        return []
    number = {run: k for k, run in enumerate(held)}
    columns = [number[run] for answer in answers for run in answer]
    ends = np.cumsum([0, *map(len, answers)])
    has = csr_array((np.ones(len(columns)), columns, ends), shape=(n, len(number)))
    counts = np.array([*held.values()])
    one, two = np.log(n / counts) / np.log(n), np.log(n / np.maximum(counts - 1, 1)) / np.log(n)
    amount = (has * two @ has.T).toarray()
    rest = (has @ one)[:, None] - (has * one @ has.T).toarray()  # [i, j]: what i has and j has not
    length = np.diff(ends)
    found = []
    for i, j in zip(*np.nonzero(np.triu(amount >= LEAST, k=1)), strict=True):
        shorter, longer = (i, j) if length[i] <= length[j] else (j, i)
        share = amount[i, j] / (amount[i, j] + max(rest[shorter, longer], 0))
        if share >= SHARE:
            found.append(Pair(int(i), int(j), float(share), float(amount[i, j])))
    return found


def alike(
    answers: Sequence[Mapping[str, str]], known: Mapping[str, str]
) -> list[tuple[int, int, dict[str, Pair]]]:
    """The pairs of submissions to one homework that are much alike, the most striking first, and in what.

    Args:
        answers: of each submission by exercise, and `OPEN`.
        known: the same of the solution and of what was handed out.

    Returns:
        Numbers of two submissions, and by exercise, `OPEN` or `ALL` (the exercises taken together) how they are alike.
    """
    found: dict[tuple[int, int], dict[str, Pair]] = {}
    together: list[set[tuple[str, ...]]] = [set() for _ in answers]
    for part in sorted({part for answer in answers for part in answer}):
        set_aside = runs(known.get(part, ""), part)
        each = [runs(answer.get(part, ""), part) - set_aside for answer in answers]
        for pair in pairs(each):
            found.setdefault((pair.first, pair.second), {})[part] = pair
        if part != OPEN:
            for whole, one in zip(together, each, strict=True):
                whole |= {(part, *run) for run in one}
    for pair in pairs([frozenset(whole) for whole in together]):
        found.setdefault((pair.first, pair.second), {})[ALL] = pair
    order = sorted(found, key=lambda two: -max(pair.amount * pair.share for pair in found[two].values()))
    return [(*two, found[two]) for two in order]


def shared(text: str, other: str, part: str) -> list[tuple[int, int]]:
    """Which characters of an answer stand in runs that the other has too: from, to."""
    tokens, size = _way(part)
    found, theirs = list(tokens(text)), runs(other, part)
    spans: list[tuple[int, int]] = []
    for n, run in enumerate(_runs(found, size)):
        if run in theirs:
            begin, end = found[n][0], found[n + size - 1][1]
            if spans and begin <= spans[-1][1]:
                begin = spans.pop()[0]
            spans.append((begin, end))
    return spans
