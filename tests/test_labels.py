"""What notebook 06 quotes of the long games is what `benchmarks/labels.py` measured."""

import re

import pytest
from tables import rows

from course_utils.data import CHECKOUT

NOTEBOOK = CHECKOUT / "notebooks" / "06_conditional_gan.py"
COLUMNS = {
    "FID ↓": "FID ↓",
    "recall ↑": "recall ↑",
    "coverage ↑": "coverage ↑",
    "equal balls ↑": "recall, equal balls ↑",
}
WITHOUT, WITH = "4,000 labels", "4,000 labels, mismatched pairs"


def measured() -> dict[tuple[str, int, str], tuple[float, list[float]]]:
    """By game, turns and column of benchmarks/labels.md: the mean, and the three seeds."""
    found, header = {}, []
    for row in rows((CHECKOUT / "benchmarks" / "labels.md").read_text(encoding="utf-8")):
        if row[0] == "game":
            header = row
        for name, cell in zip(header[2:], row[2:], strict=True):
            if numbers := re.fullmatch(r"(\S+) \((\S+), (\S+), (\S+)\)", cell):
                mean, *seeds = map(float, numbers.groups())
                found[row[0], int(row[1].replace(",", "")), name] = mean, seeds
    return found


MEASURED = measured()


def seeds(game: str, turns: int, name: str) -> list[float]:
    return MEASURED[game, turns, name][1]


def said() -> str:
    """The notebook's text in one line."""
    return " ".join(line.removeprefix("#").strip() for line in NOTEBOOK.read_text("utf-8").splitlines())


def table() -> list[tuple[str, int, str, str]]:
    """Section 7's table: game, turns, column and the number as it is quoted."""
    _, text = NOTEBOOK.read_text("utf-8").split("### With three seeds, and longer")
    header, _, *lines = rows(text.split("# - **It is not only speed**")[0])
    assert header[1:] == [f"{name}, {turns} turns" for name in COLUMNS for turns in ("500", "1,500")]
    places = [(column, turns) for column in COLUMNS.values() for turns in (500, 1500)]
    return [
        ("no labels" if labels == "0" else f"{labels} labels", turns, column, cell)
        for labels, *cells in lines
        for (column, turns), cell in zip(places, cells, strict=True)
    ]


def test_the_table_is_whole() -> None:
    assert {game for game, *_ in table()} == {"no labels", "100 labels", "500 labels", "4,000 labels"}


@pytest.mark.parametrize(("game", "turns", "column", "quoted"), table())
def test_the_table_is_what_was_measured(game: str, turns: int, column: str, quoted: str) -> None:
    assert re.fullmatch(r"\d\.\d\d", quoted)
    assert abs(float(quoted) - MEASURED[game, turns, column][0]) <= 0.005 + 1e-9


def test_what_is_said_of_the_real_images() -> None:
    (quoted,) = re.findall(r"For three different thousands FID was (\S+) to (\S+), see", said())
    real = seeds("real training images, 1,000 of them", 0, "FID ↓")
    assert [float(each) for each in quoted] == [round(f(real), 2) for f in (min, max)]


def test_what_is_said_of_the_discriminator() -> None:
    (quoted,) = re.findall(
        r"for (\d+) to (\d+) % of the test images; at turn 500 it was (\d+) to (\d+) %", said()
    )
    late, early = (seeds(WITHOUT, turns, "right first ↑") for turns in (1500, 500))
    assert [int(each) for each in quoted] == [round(100 * f(s)) for s in (late, early) for f in (min, max)]


def test_what_is_said_of_recall() -> None:
    assert "with mismatched pairs in two of the three after 500 turns, and in all three after 1,500" in said()
    lower = {
        turns: sum(
            b < a for a, b in zip(*(seeds(game, turns, "recall ↑") for game in (WITHOUT, WITH)), strict=True)
        )
        for turns in (500, 1500)
    }
    assert lower == {500: 2, 1500: 3}


@pytest.mark.parametrize("turns", [500, 1500])
def test_what_is_said_of_the_balls(turns: int) -> None:
    assert "smaller balls, and within equal balls ($r = 1$) at least as large a share" in said()
    for name, sign in (("radius", -1), ("recall, equal balls ↑", 1)):
        for a, b in zip(seeds(WITHOUT, turns, name), seeds(WITH, turns, name), strict=True):
            assert sign * (b - a) >= 0


def test_what_is_said_of_labels() -> None:
    text = said()
    fid = {
        (game, turns): MEASURED[f"{game} labels", turns, "FID ↓"][0]
        for game in ("no", "100", "500", "4,000")
        for turns in (500, 1500)
    }
    assert "the first hundred labels bring two thirds of the whole fall in FID" in text
    assert (fid["no", 500] - fid["100", 500]) / (fid["no", 500] - fid["4,000", 500]) == pytest.approx(
        2 / 3, abs=0.02
    )
    assert "the next four hundred that bring most of the fall (2.00 to 0.75)" in text
    assert fid["100", 1500] - fid["500", 1500] > 0.6 * (fid["no", 1500] - fid["4,000", 1500])
    assert "still about five times that with all of them" in text
    assert fid["no", 1500] / fid["4,000", 1500] == pytest.approx(5, abs=0.25)
    assert "balls are larger by a third than those of the game with all labels" in text
    assert MEASURED["no labels", 1500, "radius"][0] / MEASURED["4,000 labels", 1500, "radius"][
        0
    ] == pytest.approx(4 / 3, abs=0.05)
    few, none, all_of_them = (f"{labels} labels" for labels in ("100", "no", "4,000"))

    def at(game: str, turns: int, name: str) -> float:
        return MEASURED[game, turns, name][0]

    assert "far worse in recall. What they still bring is precision (0.79 against 0.60;" in text
    assert at(few, 1500, "recall ↑") < at(none, 1500, "recall ↑") - 0.3
    assert [round(at(game, 1500, "precision ↑"), 2) for game in (few, none)] == [0.79, 0.6]
    assert "the game without labels is behind at 500 turns and slightly ahead at 1,500" in text
    assert at(none, 500, "recall ↑") < at(all_of_them, 500, "recall ↑") - 0.05
    assert 0 < at(none, 1500, "recall ↑") - at(all_of_them, 1500, "recall ↑") < 0.05
