"""What `make lab` does before JupyterLab starts, and the settings that it ships."""

import json
import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.sign import NotebookNotary

from course_utils.authoring import lab

ROOT = Path(__file__).parents[1]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's home for Jupyter, with no signatures."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def test_trust_signs_what_is_not_signed_yet(home: Path):
    paths = [home / "one.ipynb", home / "two.ipynb"]
    for path in paths:
        nbformat.write(nbformat.v4.new_notebook(metadata={"name": path.stem}), path)
    assert not NotebookNotary().check_signature(nbformat.read(paths[0], as_version=4))
    assert lab.trust(paths) == 2
    assert all(NotebookNotary().check_signature(nbformat.read(path, as_version=4)) for path in paths)
    assert lab.trust(paths) == 0
    nbformat.write(nbformat.v4.new_notebook(metadata={"name": "changed"}), paths[0])
    assert lab.trust(paths) == 1


def test_every_notebook_of_the_course_is_among_those_that_are_trusted():
    tracked = {p for p in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts}
    assert {path for pattern in lab.SHIPPED for path in (ROOT / "notebooks").glob(pattern)} == tracked


def test_the_environment_begins_with_the_course_and_keeps_the_rest(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "elsewhere")
    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)
    lab.set_environment()
    assert os.environ["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "elsewhere"]
    assert os.environ["JUPYTER_CONFIG_PATH"] == str(ROOT / "jupyter")


def test_a_folder_that_is_missing_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match="nowhere"):
        lab.open_lab(tmp_path / "nowhere")


def test_the_settings_are_ones_that_jupyterlab_knows():
    """A setting that no schema has would be passed over in silence."""
    schemas = Path(sys.prefix) / "share" / "jupyter" / "lab" / "schemas"
    widgets = (
        Path(sys.prefix) / "share" / "jupyter" / "labextensions" / "@jupyter-widgets" / "jupyterlab-manager"
    )
    overrides = json.loads((ROOT / "jupyter/labconfig/default_setting_overrides.json").read_text())
    for plugin, settings in overrides.items():
        package, name = plugin.split(":")
        places = [schemas / package / f"{name}.json", widgets / "schemas" / package / f"{name}.json"]
        schema = json.loads(next(place for place in places if place.exists()).read_text())
        for key, value in settings.items():
            assert isinstance(value, type(schema["properties"][key]["default"])), f"{plugin}: {key}"
