"""What README and notebooks say of running times is what `make times` measured, and keeps to the limits."""

import math
from pathlib import Path

import pytest
from limits import SECONDS_A_NOTEBOOK, SECONDS_LONGER, SECONDS_TO_FIRST_IMAGE
from tables import rows

from course_utils.data import CHECKOUT

# The aim is 180 seconds, 240 for 07 and 08. These miss it since their trainings are watched and their charts are drawn
# twice, sharp and for stills (1 to 5 s of those here), and may not become slower still.
LIMITS = SECONDS_LONGER | {"04_vae": 200, "05_gan": 190, "06_conditional_gan": 185, "07_diffusion": 270}
LIMITS |= {"08_latent_diffusion": 280}
WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


def measured(column: str) -> dict[str, float]:
    """Of benchmarks/times.md, by the notebook's number."""
    header, _, *notebooks = rows((CHECKOUT / "benchmarks" / "times.md").read_text(encoding="utf-8"))
    return {row[0]: float(row[header.index(column)]) for row in notebooks}


def source(number: str) -> Path:
    (py,) = (CHECKOUT / "notebooks").glob(f"{number}_*.py")
    return py


TIMED = sorted(measured("on a laptop"))


def test_the_readme_says_which_were_timed() -> None:
    assert [f"{k:02}" for k in range(1, len(TIMED) + 1)] == TIMED
    laptop = measured("on a laptop")
    slowest, of_four = (WORDS[math.ceil(max(laptop[k] for k in some) / 60)] for some in (TIMED, TIMED[:4]))
    readme = " ".join((CHECKOUT / "README.md").read_text(encoding="utf-8").split())
    said = f"01 to {TIMED[-1]} each run from top to bottom in less than {slowest} minutes, the first four of them in"
    assert f"{said} less than {of_four} (" in readme


@pytest.mark.parametrize("number", TIMED)
def test_it_keeps_to_the_limits(number: str) -> None:
    assert measured("on a laptop")[number] < LIMITS.get(source(number).stem, SECONDS_A_NOTEBOOK)
    assert measured("its first picture")[number] < SECONDS_TO_FIRST_IMAGE


@pytest.mark.parametrize("number", TIMED)
def test_the_notebook_says_what_was_measured(number: str) -> None:
    """In its first lines, in minutes rounded up."""
    minutes = WORDS[math.ceil(measured("on a laptop")[number] / 60)]
    first = source(number).read_text(encoding="utf-8").splitlines()[:60]
    text = " ".join(" ".join(line.removeprefix("# ") for line in first).split())
    assert f"on a plain laptop without a GPU in less than {minutes} minutes" in text
