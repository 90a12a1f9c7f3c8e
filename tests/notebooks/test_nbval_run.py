"""The run that judges the notebooks tells what it must: another output, an error, a dead kernel, a network."""

from pathlib import Path

import nbformat
from nbval_run import run_nbval

from course_utils.authoring import kernel, notebooks, offline

NETWORK = """\
import socket

try:
    socket.create_connection(("192.0.2.1", 80), timeout=3)
    print("connected")
except OSError as error:
    print("cut off" in str(error))
server = socket.create_server(("127.0.0.1", 0))
print(socket.create_connection(server.getsockname()).getpeername()[0])
"""
DEVICES = """\
from pathlib import Path

print([line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]])
"""


def notebook(folder: Path, *cells: tuple[str, str]) -> Path:
    """An executed notebook, made by hand, of cells and the text each has printed."""
    nb = nbformat.v4.new_notebook()
    for count, (source, text) in enumerate(cells, 1):
        outputs = [nbformat.v4.new_output("stream", text=text)] if text else []
        nb.cells.append(nbformat.v4.new_code_cell(source, execution_count=count, outputs=outputs))
    nbformat.write(nb, folder / "made.ipynb")
    return folder / "made.ipynb"


def test_only_what_prints_the_same_without_a_network_passes(tmp_path: Path):
    cells = [(NETWORK, "True\n127.0.0.1\n"), ("print(3)", "4\n"), ("1 / 0", ""), ("x = 1", "")]
    if offline.without_network([]):
        cells.append((DEVICES, "['lo']\n"))
    run = run_nbval(notebook(tmp_path, *cells), cell_timeout=30)
    assert [cell.source for cell in run.cells] == [source for source, _ in cells]
    assert [cell.passed for cell in run.cells] == [True, False, False, True, True][: len(cells)]
    assert "Cell outputs differ" in run.failures[0]
    assert "ZeroDivisionError" in run.failures[1]
    ended = [cell.ended for cell in run.cells]
    assert ended == sorted(ended)
    assert 0 < ended[0] < run.seconds == ended[-1] < 60


def test_the_first_cell_that_shows_something_is_found(tmp_path: Path):
    nb = nbformat.read(notebook(tmp_path, ("print(2)", "2\n"), ("plot", "")), as_version=4)
    nb.cells[1].source = "from IPython.display import Image\nImage(data=b'GIF89a', format='png')"
    data = {"image/png": "R0lGODlh\n", "text/plain": "<IPython.core.display.Image object>"}
    nb.cells[1].outputs = [nbformat.v4.new_output("execute_result", data, execution_count=2)]
    nbformat.write(nb, tmp_path / "made.ipynb")
    run = run_nbval(tmp_path / "made.ipynb", cell_timeout=30)
    assert [cell.has_image for cell in run.cells] == [False, True]
    assert run.failures == []


def test_nothing_passes_after_a_cell_that_takes_too_long_or_ends_the_kernel(tmp_path: Path):
    loop = ("x = 0\nwhile True:\n    x += 1", "")
    run = run_nbval(notebook(tmp_path, ("x = 1", ""), loop, ("y = 1", "")), cell_timeout=2)
    assert [cell.passed for cell in run.cells] == [True, False, False]
    run = run_nbval(notebook(tmp_path, ("import os\nos._exit(1)", ""), ("y = 1", "")), cell_timeout=2)
    assert [cell.passed for cell in run.cells] == [False, False]


WATCHED = """
import torch
from course_utils.progress import Watch, counted
from course_utils.viz import show_images

with Watch(40, lambda ax: show_images(torch.zeros(5, 1, 8, 8), ax=ax)) as step_done:
    for step in counted(range(40), "steps"):
        step_done(1 / (1 + step))
"""


def test_a_watched_training_is_stored_the_same_twice_and_passes(tmp_path: Path):
    """One picture, the last; the line that counts, at its end; no time."""
    stored = []
    for _ in range(2):
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(WATCHED.strip())])
        nb.cells[0].id = "watched"
        kernel.run(nb, tmp_path / "made.ipynb")
        notebooks.save(nb, tmp_path / "made.ipynb")
        stored.append((tmp_path / "made.ipynb").read_bytes())
    assert stored[0] == stored[1]
    picture, line = sorted(nb.cells[0].outputs, key=lambda output: output.output_type)
    assert set(picture.data) == {"image/png", "text/plain"}
    assert line.text.rstrip() == "steps: 40 of 40 done"
    assert run_nbval(tmp_path / "made.ipynb", cell_timeout=60).failures == []
