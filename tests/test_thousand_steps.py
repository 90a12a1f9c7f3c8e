"""What notebook 07 quotes of the original sampler's thousand steps is what `benchmarks/thousand_steps.py` measured."""

import ast
import re

from tables import rows

from course_utils.data import CHECKOUT

NOTEBOOK = (CHECKOUT / "notebooks" / "07_diffusion.py").read_text(encoding="utf-8")
TABLE = (CHECKOUT / "benchmarks" / "thousand_steps.md").read_text(encoding="utf-8")


def scores(text: str) -> dict[tuple[str, str], list[list[float]]]:
    """By sampler and steps: what each column says, a mean, and its spread where there are several sets."""
    return {
        (sampler, steps): [[float(number) for number in cell.split(" ± ")] for cell in more[-4:]]
        for sampler, steps, *more in rows(text)
        if re.match(r"\d", more[-1])
    }


QUOTED, MEASURED = (
    scores(NOTEBOOK.split("### And the original thousand steps?")[1].split("# %%")[0]),
    scores(TABLE),
)


def test_the_table_is_what_was_measured() -> None:
    assert len(QUOTED) >= 10
    assert QUOTED.keys() == MEASURED.keys()
    for way, columns in MEASURED.items():
        for quoted, measured in zip(QUOTED[way], columns, strict=True):
            assert len(quoted) == len(measured)
            assert all(abs(a - b) <= 0.005 + 1e-9 for a, b in zip(quoted, measured, strict=True)), way


def test_the_cell_takes_its_numbers_from_it() -> None:
    (values,) = re.findall(r"^thousand = (\{.*\})", NOTEBOOK, re.MULTILINE)
    fids = {
        f"{name}": MEASURED[f"DDPM, {name}", "1,000"][1][0] for name in ("small variance", "large variance")
    }
    assert ast.literal_eval(values) == fids


def test_what_is_said_of_ten_steps() -> None:
    """In FID, a thousand steps are no better than ten of three samplers, as far as the spread can tell."""
    for way in ("DDPM, small variance", "DDIM", "DPM-Solver++"):
        fid, spread = MEASURED[way, "10"][1]
        for name in ("small", "large"):
            assert abs(MEASURED[f"DDPM, {name} variance", "1,000"][1][0] - fid) < 2 * spread, way
