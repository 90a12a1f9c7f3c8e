"""Every notebook and homework: the pair agrees, it runs offline and in time, and shows what it claims."""

import ast
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
import torch
from limits import SECONDS_A_NOTEBOOK, SECONDS_LONGER, SECONDS_TO_FIRST_IMAGE
from nbformat import NotebookNode
from nbval_run import NbvalRun

from course_utils.authoring import homework
from course_utils.authoring import notebooks as notebook
from course_utils.authoring.controls import asserts, claim_cells, controls_of
from course_utils.authoring.pages import to_html

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.py"))
HOMEWORKS = sorted((ROOT / "notebooks" / "homework" / "source").glob("hw[0-9][0-9].py"))

# The lecture's claims, by notebook. Each stands in a heading and in the tag of a cell that checks it.
CLAIMS = {
    "01_generative_vs_discriminative": ["G1", "G2", "G3", "G4", "D1", "D2", "D3"],
    "02_evaluation_metrics": ["M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8", "M9"],
    "03_autoencoders": ["A1", "A2", "A3"],
    "04_vae": ["V1", "V2", "V3"],
    "05_gan": ["N1", "N2", "N3"],
    "06_conditional_gan": ["C1", "C2", "C3", "G4-augmentation"],
    "07_diffusion": ["P1", "P2", "P3", "Q1", "Q2", "Q3", "G4-super-resolution", "G4-inpainting"],
    "08_latent_diffusion": ["L1", "L2", "L3", "G4-style-transfer"],
}

RUNAWAY = 3  # times the limits: two notebooks run at once here, one thread each, which says nothing of a reader's time
MEGABYTES = 3

pytestmark = pytest.mark.timeout(
    3600
)  # a guard: with other programs at work the longest takes a quarter of an hour
each_notebook = pytest.mark.parametrize("py", NOTEBOOKS, ids=lambda path: path.stem)
each_homework = pytest.mark.parametrize("source", HOMEWORKS, ids=lambda path: path.stem)


def slowdown() -> float:
    """How many times slower this machine is now than the two quiet cores the limits are for (330 GFLOP/s)."""
    a, seconds = torch.randn(2048, 2048), []
    for _ in range(9):
        began = time.perf_counter()
        torch.mm(a, a)
        seconds.append(time.perf_counter() - began)
    return max(1.0, 330e9 * statistics.median(seconds) / (2 * 2048**3))


def code_cells(py: Path) -> list[NotebookNode]:
    return [cell for cell in notebook.parse(py.read_text(encoding="utf-8")).cells if cell.cell_type == "code"]


def lines_of_code(cell: NotebookNode) -> int:
    lines = [line.strip() for line in cell.source.splitlines()]
    return sum(bool(line) and not line.startswith("#") for line in lines)


# --- All notebooks ------------------------------------------------------------------------------------------


def test_every_notebook_is_a_pair_and_has_its_claims_listed() -> None:
    sources = {path.stem for path in NOTEBOOKS}
    built = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert sources == built
    assert sources <= set(CLAIMS)


def test_every_homework_has_its_wrong_answers_and_both_notebooks() -> None:
    folder = ROOT / "notebooks" / "homework"
    for kind in ("student", "solution"):
        built = {path.stem for path in (folder / kind).glob("*.ipynb")}
        assert built == {path.stem for path in HOMEWORKS}
    wrong = {path.stem for path in (folder / "source").glob("*_wrong.py")}
    assert wrong == {f"{path.stem}_wrong" for path in HOMEWORKS}


@each_notebook
def test_the_pair_agrees_is_executed_and_has_its_links(py: Path) -> None:
    assert notebook.check(py) == []


# Where people and systems keep their files; what was built by somebody must not show it.
SOMEBODYS = re.compile(
    r"(?<![\w.:/])/(?:home|root|Users|tmp|var|opt|usr|work|workspace|content|mnt)/\w|\b[A-Z]:\\\\\w"
)


@each_notebook
def test_the_file_is_valid_small_and_shows_no_path_of_a_machine(py: Path) -> None:
    ipynb = py.with_suffix(".ipynb")
    nb = nbformat.read(ipynb, as_version=4)
    nbformat.validate(nb)
    assert ipynb.stat().st_size < MEGABYTES * 1e6
    texts = [
        text
        for cell in nb.cells
        for output in cell.get("outputs", [])
        for text in [
            output.get("text", ""),
            *output.get("traceback", []),
            *map(str, output.get("data", {}).values()),
        ]
        if len(text) < 20_000 or " " in text[:200]  # not an encoded picture
    ]
    assert [match[0] for text in texts for match in SOMEBODYS.finditer(text)] == []


def test_paths_of_machines_are_known() -> None:
    for text in ("in /home/kim/course", "/tmp/x", "at C:\\\\Users", '"/root/a.py"', "(/Users/lee/x.py:3)"):
        assert SOMEBODYS.search(text), text
    for text in ("3/4 and/or", "https://github.com/home/x", "notebooks/tmp/a", "<site-packages>/torch"):
        assert not SOMEBODYS.search(text), text


@each_notebook
def test_cells_are_short(py: Path) -> None:
    cells = code_cells(py)
    sizes = [lines_of_code(cell) for cell in cells]
    assert statistics.median(sizes) <= 8
    assert [cell.source for cell, size in zip(cells, sizes, strict=True) if size > 25] == []
    for cell in cells:
        if "install" in cell.metadata.get("tags", []):
            continue  # holds a magic, which is not Python
        imports = [s for s in ast.parse(cell.source).body if isinstance(s, ast.Import | ast.ImportFrom)]
        assert sum((s.end_lineno or s.lineno) - s.lineno + 1 for s in imports) <= 8, cell.source


@each_notebook
def test_each_claim_has_a_heading_and_a_cell_that_checks_it(py: Path) -> None:
    cells = notebook.parse(py.read_text(encoding="utf-8")).cells
    headings = [
        line
        for cell in cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if re.match(r"#{1,6} ", line)
    ]
    checked = {
        tag
        for cell in cells
        if cell.cell_type == "code" and any(isinstance(node, ast.Assert) for node in ast.walk(_tree(cell)))
        for tag in cell.metadata.get("tags", [])
    }
    for claim in CLAIMS[py.stem]:
        assert any(re.search(rf"(?<![\w-]){claim}(?![\w-])", line) for line in headings), (
            f"{claim}: no heading"
        )
        assert claim in checked, f"{claim}: no code cell has this tag and an assert"


def _tree(cell: NotebookNode) -> ast.Module:
    install = "install" in cell.metadata.get("tags", [])
    return ast.parse("" if install else cell.source)


@each_notebook
def test_each_korean_term_is_in_the_list_of_words(py: Path) -> None:
    """Terms stand in brackets: (손실), (VAE, 변분 오토인코더)."""
    cells = notebook.parse(py.read_text(encoding="utf-8")).cells
    text = "\n".join(cell.source for cell in cells[1:] if cell.cell_type == "markdown")
    before, words = text.split("\n## Words\n")
    said = " ".join(re.findall(r"\([^()]*\)", before)).split()
    terms = set(re.findall(r"[가-힣]+(?: [가-힣]+)*", " ".join(said)))
    assert [term for term in sorted(terms) if term not in words] == []


@each_notebook
def test_no_cell_is_skipped(py: Path) -> None:
    for cell in code_cells(py):
        assert "nbval-skip" not in cell.metadata.get("tags", []), cell.source
        assert "NBVAL_SKIP" not in cell.source, cell.source


@each_notebook
def test_measured_tables_are_not_compared(py: Path) -> None:
    """Training ends in other digits on another processor; the cell's asserts bound what the table shows."""
    for cell in code_cells(py):
        calls = {
            node.func.id
            for node in ast.walk(_tree(cell))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert ("table" in calls) <= ("nbval-ignore-output" in cell.metadata.get("tags", [])), cell.source


# Loops that train and that nobody sees, because they end within five seconds on a plain laptop or are one of several
# that `counted` counts. By the name of the function that holds them, or the cell's first line.
UNSEEN = {
    "01_generative_vs_discriminative": {"logistic = nn.Linear(2, 1)"},
    "05_gan": {"train_discriminator", "slopes"},
    "06_conditional_gan": {"accuracy"},
    "08_latent_diffusion": {"price"},
}


def unseen_trainings(py: Path) -> set[str]:
    """Loops with a gradient step, and calls of `fit`, that report to no `Watch` and are not counted."""
    return {name for cell in code_cells(py) for name in _unseen(_tree(cell), cell.source.splitlines()[0])}


def _unseen(tree: ast.AST, first_line: str) -> Iterator[str]:
    reports = {
        item.optional_vars.id
        for with_ in ast.walk(tree)
        if isinstance(with_, ast.With)
        for item in with_.items
        if _calls(item.context_expr, "Watch") and isinstance(item.optional_vars, ast.Name)
    }
    for holder in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]:
        name, told = first_line, set(reports)
        if isinstance(holder, ast.FunctionDef):
            name = holder.name
            told |= {argument.arg for argument in holder.args.args} & {"step_done", "watch"}
        for node in _own(holder):
            if isinstance(node, ast.For):
                seen = any(_calls(part, "counted") for part in ast.walk(node.iter))
                seen = seen or any(_calls(part, *told) for part in ast.walk(node))
                steps = any(_steps(part) for part in _own(node, ast.For))
                if not seen and (steps or _hides(node.iter)):
                    yield name
            elif isinstance(node, ast.Expr | ast.Assign) and any(_hides(part) for part in ast.walk(node)):
                yield name


def _own(holder: ast.AST, *without: type[ast.AST]) -> Iterator[ast.AST]:
    """What stands in a cell, function or loop, but not in functions, classes (and what else is named) in it."""
    for child in ast.iter_child_nodes(holder):
        if not isinstance(child, (ast.FunctionDef, ast.ClassDef, *without)):
            yield child
            yield from _own(child, *without)


def _calls(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def _steps(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "backward"
    )


def _hides(node: ast.AST) -> bool:
    """A call of `fit` that shows nothing."""
    return _calls(node, "fit") and any(
        keyword.arg == "progress" and isinstance(keyword.value, ast.Constant) and not keyword.value.value
        for keyword in node.keywords  # type: ignore[attr-defined]
    )


@each_notebook
def test_every_training_can_be_watched(py: Path) -> None:
    assert unseen_trainings(py) == UNSEEN.get(py.stem, set())


def test_a_training_that_nobody_sees_is_found() -> None:
    loop = "for x in data:\n    loss(x).backward()\n    adam.step()\n"
    inner = loop.replace("\n", "\n    ").rstrip(" ")
    hidden = [
        loop,
        f"def learn(data):\n    {inner}",
        f"with Watch(9) as done:\n    {inner}",  # it is never told
        "list(fit(o, data, progress=False))",
        "losses = [r.loss for r in fit(o, data, progress=False)]",
        "for record in fit(o, data, progress=False):\n    losses.append(record.loss)",
    ]
    seen = [
        f"with Watch(9) as done:\n    {inner}        done(1)\n",
        f"def learn(data, watch):\n    {inner}        watch(1)\n",
        loop.replace("in data", "in counted(data, 'steps')"),
        "list(fit(o, data))",
        "for record in fit(o, data, picture=draw):\n    losses.append(record.loss)",
        "for record in fit(o, data, progress=False):\n    step_done(record.losses)",
    ]
    for source in hidden:
        assert list(_unseen(ast.parse(source), "the cell")) in (["the cell"], ["learn"]), source
    for source in seen[:-1]:
        assert list(_unseen(ast.parse(source), "the cell")) == [], source
    assert list(_unseen(ast.parse(seen[-1]), "the cell")) == ["the cell"], "step_done is nobody's"


@each_notebook
def test_nbval_passes_without_a_network(py: Path, run_once: Callable[[Path], NbvalRun]) -> None:
    run = run_once(py.with_suffix(".ipynb"))
    assert len(run.cells) == len(code_cells(py))
    assert not run.failures, "\n\n".join(run.failures)


@each_notebook
def test_each_claim_falls_under_its_controls(py: Path, run_once: Callable[[Path], NbvalRun]) -> None:
    """Each assert of a claim's cell is brought down by what makes the claim false: it could have failed."""
    if controls_of(py):
        assert not (run := run_once(py.with_suffix(".ipynb"))).controls, "\n\n".join(run.controls)


def test_the_readme_counts_asserts_and_controls() -> None:
    """Of the notebooks that have controls."""
    seen_to = [py for py in NOTEBOOKS if controls_of(py)]
    cells = [claim_cells(notebook.parse(py.read_text(encoding="utf-8"))).values() for py in seen_to]
    held = sum(len(asserts(cell.source)) for each in cells for cell in each)
    controls = sum(len(each) for py in seen_to for each in controls_of(py).values())
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    which = f"Notebooks {seen_to[0].stem[:2]} to {seen_to[-1].stem[:2]} hold {held} asserts, and {controls} [controls]"
    assert which in readme, which


def claim_of(cell: str, claims: list[str]) -> str:
    tag = cell.split(".")[0]  # V2.1 is the first of several cells; V2-collapse belongs to V2
    return tag if tag in claims else tag.split("-")[0]


def test_the_readme_lists_each_claim_with_its_asserts_and_controls() -> None:
    counted = []
    for py in NOTEBOOKS:
        claims, held, controls = CLAIMS[py.stem], Counter[str](), Counter[str]()
        for name, cell in claim_cells(notebook.parse(py.read_text(encoding="utf-8"))).items():
            held[claim_of(name, claims)] += len(asserts(cell.source))
        for name, each in controls_of(py).items():
            controls[claim_of(name, claims)] += len(each)
        assert set(held) == set(claims)
        counted += [(c, py.stem[:2], str(held[c]), str(controls[c])) for c in claims]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(
        r"^\| ([A-Z]\d(?:-[a-z-]+)?) \| .+ \| (\d\d) \| (\d+) \| (\d+) \|$", readme, re.MULTILINE
    )
    assert listed == counted


@each_notebook
def test_it_runs_in_time(py: Path, run_once: Callable[[Path], NbvalRun]) -> None:
    limit = SECONDS_LONGER.get(py.stem, SECONDS_A_NOTEBOOK)
    assert run_once(py.with_suffix(".ipynb")).seconds < RUNAWAY * limit * slowdown()


@each_notebook
def test_the_first_image_comes_soon(py: Path, run_once: Callable[[Path], NbvalRun]) -> None:
    images = [cell.ended for cell in run_once(py.with_suffix(".ipynb")).cells if cell.has_image]
    assert images, "no cell shows an image"
    assert images[0] < RUNAWAY * SECONDS_TO_FIRST_IMAGE


@each_notebook
def test_the_page_needs_no_network(py: Path) -> None:
    page = to_html(py.with_suffix(".ipynb"))
    assert re.findall(r"<(?:script|img|iframe)\b[^>]*\bsrc=\"https?:[^>]*>|<link\b[^>]*>", page) == []


# --- All homework -------------------------------------------------------------------------------------------


def built(source: Path, kind: str) -> Path:
    return source.parent.parent / kind / f"{source.stem}.ipynb"


@each_homework
def test_both_notebooks_are_those_of_the_source(source: Path) -> None:
    texts = homework.split(source.read_text(encoding="utf-8"), name=source.name)
    for kind, text in zip(("student", "solution"), texts, strict=True):
        ipynb = built(source, kind)
        assert ipynb.with_suffix(".py").read_text(encoding="utf-8") == notebook.with_links(text, ipynb)
        assert notebook.in_sync(ipynb.with_suffix(".py"), ipynb) == []
    assert notebook.unexecuted(built(source, "solution")) == []


@each_homework
def test_the_student_gets_no_outputs(source: Path) -> None:
    cells = nbformat.read(built(source, "student"), as_version=4).cells
    assert all(
        cell.outputs == [] and cell.execution_count is None for cell in cells if cell.cell_type == "code"
    )


@pytest.mark.parametrize("source", HOMEWORKS, ids=lambda path: path.stem)
def test_the_open_question_is_answered_for_the_teacher_alone(source: Path) -> None:
    """A model answer and a marking scheme in the solution; the student's version gives only the points."""
    teachers, students = (
        "\n".join(cell.source for cell in nbformat.read(built(source, kind), as_version=4).cells)
        for kind in ("solution", "student")
    )
    question = students.partition("Open question")[2]
    assert re.search(r"\*\d points\.\*", question)
    for word in ("**A model answer.**", "**Marking.**"):
        assert word in teachers
        assert word not in students


@each_homework
def test_the_untouched_homework_fails_exactly_at_its_checks(
    source: Path, run_once: Callable[[Path], NbvalRun]
) -> None:
    cells = run_once(built(source, "student")).cells
    failed = [cell.source for cell in cells if not cell.passed]
    assert failed == [cell.source for cell in cells if cell.source.startswith("# CHECK ")]
    assert failed


@each_homework
def test_the_solution_passes_in_time(source: Path, run_once: Callable[[Path], NbvalRun]) -> None:
    run = run_once(built(source, "solution"))
    assert not run.failures, "\n\n".join(run.failures)
    assert run.seconds < SECONDS_A_NOTEBOOK


@each_homework
def test_wrong_answers_are_caught(source: Path) -> None:
    assert homework.uncaught(source) == []
