"""The set-up files agree with each other, and what is installed without a checkout works."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.sign import NotebookNotary
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Google Colab's own versions: of August 2026, and where that list says nothing, of June 2026
# (googlecolab/backend-info, pip-freeze.gpu.txt at commit 03a8903).
COLAB = {
    "torch": "2.11", "torchvision": "0.26", "ipywidgets": "7.7.1", "anywidget": "0.9.21", "matplotlib": "3.10",
    "numpy": "2.1.3", "scipy": "1.16.3", "ipython": "7.34",
} | {
    "accelerate": "1.13.0", "mlxtend": "0.23.4", "pillow": "11.3.0", "safetensors": "0.7.0",
    "scikit-learn": "1.6.1", "threadpoolctl": "3.6.0", "tqdm": "4.67.3", "traitlets": "5.7.1", "typer": "0.25.1",
}  # fmt: skip


def requirements(*extras: str) -> dict[str, Requirement]:
    lines = PROJECT["dependencies"] + [line for e in extras for line in PROJECT["optional-dependencies"][e]]
    return {r.name: r for r in map(Requirement, lines) if r.name != "course-utils"}


def test_environment_yml_lists_what_pyproject_lists():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert isinstance(conda[-1], dict), "the last entry is what pip brings"
    *brought, course = conda[-1]["pip"]
    assert course == "-e .", "Binder looks for this before it copies the checkout"
    (python,) = (line for line in conda[:-1] if re.fullmatch(r"python=3\.\d+", line))
    assert f"Programming Language :: Python :: {python[7:]}" in PROJECT["classifiers"]
    lines = [line for line in [*conda[:-1], *brought] if line != python]
    listed = {r.name: str(r.specifier) for r in map(Requirement, lines)}
    listed["torch"] = listed.pop("pytorch")
    assert listed.pop("pip") == ""
    assert listed == {name: str(r.specifier) for name, r in requirements("lab").items()}


# The smallest project that can be installed; the course's own would fetch what builds it.
BACKEND = """
from pathlib import Path
def prepare_metadata_for_build_editable(folder, settings=None):
    made = Path(folder, "x-1.dist-info")
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\\nName: x\\nVersion: 1\\n")
    return made.name
build_editable = build_wheel = prepare_metadata_for_build_editable
"""


def test_pip_reads_its_part_of_environment_yml(tmp_path: Path):
    """Conda gives it to pip as a file of requirements, in which fewer options are allowed than on the command line."""
    lines = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"][-1]["pip"]
    (tmp_path / "requirements.txt").write_text("\n".join(lines))
    (tmp_path / "backend.py").write_text(BACKEND)
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--no-deps"]
    done = subprocess.run([*pip, "-r", "requirements.txt"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Would install x-1" in done.stdout


def test_binder_starts_with_trusted_notebooks_and_the_courses_settings(tmp_path: Path):
    """Binder runs `start` in the checkout, with the command that starts JupyterLab as its arguments."""
    assert not any((ROOT / name).exists() for name in ("binder", ".binder")), (
        "it would read only what is there"
    )
    assert os.access(ROOT / "start", os.X_OK)
    ours = {"JUPYTER_DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_PATH": "/elsewhere"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [str(ROOT / "start"), "sh", "-c", 'echo "$JUPYTER_CONFIG_PATH" "$0" "$@"', "a b", "c"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **ours, "PATH": path}, capture_output=True, text=True
    )
    assert done.stdout == f"{ROOT / 'jupyter'}:/elsewhere a b c\n", done.stderr
    notary = NotebookNotary(data_dir=str(tmp_path))
    for notebook in [*ROOT.glob("notebooks/[0-9]*.ipynb"), *ROOT.glob("notebooks/homework/student/*.ipynb")]:
        assert notary.check_signature(nbformat.read(notebook, as_version=4)), notebook


# The keys of the schema of the Development Containers Specification (devcontainers/spec, schemas/
# devContainer.base.schema.json, commit 08c3f97) that a container made from an image may have, and what they hold.
DEV_CONTAINER = {
    "name": str, "image": str, "features": dict, "overrideFeatureInstallOrder": list, "secrets": dict,
    "forwardPorts": list, "portsAttributes": dict, "otherPortsAttributes": dict, "updateRemoteUserUID": bool,
    "containerEnv": dict, "containerUser": str, "mounts": list, "init": bool, "privileged": bool, "capAdd": list,
    "securityOpt": list, "remoteEnv": dict, "remoteUser": str, "initializeCommand": (str, list, dict),
    "onCreateCommand": (str, list, dict), "updateContentCommand": (str, list, dict),
    "postCreateCommand": (str, list, dict), "postStartCommand": (str, list, dict),
    "postAttachCommand": (str, list, dict), "waitFor": str, "userEnvProbe": str, "hostRequirements": dict,
    "customizations": dict, "appPort": (int, str, list), "runArgs": list, "shutdownAction": str,
    "overrideCommand": bool, "workspaceFolder": str, "workspaceMount": str,
}  # fmt: skip
PORT = {"onAutoForward", "elevateIfNeeded", "label", "requireLocalPort", "protocol"}
FORWARDED = {"notify", "openBrowser", "openBrowserOnce", "openPreview", "silent", "ignore"}


def test_the_dev_container_does_what_make_lab_does():
    lines = (ROOT / ".devcontainer/devcontainer.json").read_text().splitlines()
    container = json.loads("\n".join(line for line in lines if not line.startswith("//")))
    for key, value in container.items():
        assert isinstance(value, DEV_CONTAINER[key]), key
    for port in container["portsAttributes"].values():
        assert set(port) <= PORT
        assert port["onAutoForward"] in FORWARDED
    assert [str(port) for port in container["forwardPorts"]] == list(container["portsAttributes"])
    assert container["forwardPorts"] == [8888], "JupyterLab's"
    assert re.fullmatch(r"\d+[tgmk]b", container["hostRequirements"]["memory"])
    python = container["image"].removeprefix("mcr.microsoft.com/devcontainers/python:")
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]
    ((index, address),) = container["containerEnv"].items()
    assert f"{index}={address} make lab" in (ROOT / "README.md").read_text()
    for command in ("postCreateCommand", "postAttachCommand"):
        dry = subprocess.run([*container[command].split(), "-n"], cwd=ROOT, capture_output=True, text=True)
        assert dry.returncode == 0, dry.stderr
    assert container["postAttachCommand"] == "make lab"
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(
        rf"^lab: {re.escape(container['postCreateCommand'].removeprefix('make '))}\b", makefile, re.M
    )
    interpreter = container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert f"BIN := {interpreter.removesuffix('/python')}\n" in makefile


def test_constraints_pin_every_direct_dependency_within_its_bounds():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {
        r.name.lower().replace("_", "-"): r for r in map(Requirement, (x for x in lines if x[:1] != "#"))
    }
    for name, requirement in requirements("lab", "site", "test").items():
        versions = [s.version for s in pinned[name].specifier if s.operator == "=="]
        assert len(versions) == 1, name
        assert requirement.specifier.contains(versions[0]), name


def test_every_dependency_is_compared_with_colabs_version():
    assert set(COLAB) == set(requirements())


@pytest.mark.parametrize("name", COLAB)
def test_colab_satisfies_the_lower_bound(name: str):
    assert requirements()[name].specifier.contains(COLAB[name])


# What is imported, and the package that brings it where it has another name.
BROUGHT_BY = {
    "PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml", "markdown_it": "markdown-it-py",
    "xdist": "pytest-xdist",
}  # fmt: skip


def imported(files: Iterable[Path]) -> set[str]:
    """The packages that these files import, in functions too; not the standard library, not the course itself."""
    found = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").split(".")[0])
    own = {path.stem for path in ROOT.glob("*/**/*.py") if ".venv" not in path.parts} | {"course_utils"}
    names = found - set(sys.stdlib_module_names) - own - {"google"}  # google: Colab's own
    return {BROUGHT_BY.get(name, name).lower().replace("_", "-") for name in names}


def test_what_is_imported_is_declared():
    """What authors and teachers run needs the extra `lab`, the site its own; all else the dependencies only."""
    package = ROOT / "course_utils"
    site = list((package / "authoring").glob("site*.py"))
    tools = {*(package / "authoring").rglob("*.py"), *(package / "grading").rglob("*.py")} - set(site)
    rest = set(package.rglob("*.py")) - tools - set(site)
    assert imported(rest) - set(requirements("inception")) == set(), "`inception` says so where it is missing"
    printing = {
        "grimp",
        "playwright",
    }  # ARCHITECTURE.md's diagram, slides on paper: authors have the extra `test`
    assert imported(tools) - set(requirements("lab")) - printing == set()
    brought = {"docutils"}  # Sphinx stands on it
    assert imported(site) - set(requirements("lab", "site")) - brought == set()
    assert imported((ROOT / "tests").rglob("*.py")) - set(requirements("lab", "site", "test")) == set()


def test_torch_and_torchvision_are_a_pair():
    lines = (ROOT / "constraints.txt").read_text()
    torch, vision = (
        Version(re.search(rf"^{name}==(\S+)", lines, re.M)[1]) for name in ("torch", "torchvision")
    )
    assert vision.minor == torch.minor + 15, "torchvision 0.(n + 15) belongs to torch 2.n"


def test_readme_starts_with_the_two_commands():
    commands = re.search(r"```\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]
    assert [line.split("#")[0].strip() for line in commands.splitlines()] == ["make lab", "make test"]
    assert "make test" in (ROOT / ".ci" / "run").read_text().splitlines()


def test_address_of_the_repository_is_written_once_and_in_the_readme():
    """A place of another kind must become known to course_utils/authoring/address.py first."""
    address = PROJECT["urls"]["Repository"]
    repository = address.removeprefix("https://github.com/")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    made = re.compile(r"^notebooks/.*\.(py|ipynb)$")  # `make notebooks` writes it there
    files = [f for f in tracked.splitlines() if not made.match(f) and (ROOT / f).exists()]
    holding = [f for f in files if repository.encode() in (ROOT / f).read_bytes()]
    assert sorted(holding) == ["README.md", "pyproject.toml"]
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert f"`git clone --depth 1 {address}` " in readme
    assert f" and `cd {repository.partition('/')[2]}`:" in readme
    assert f"(https://codespaces.new/{repository})" in readme
    (binder,) = re.findall(
        rf"\(https://mybinder\.org/v2/gh/{re.escape(repository)}/main\?labpath=(\S+)\)", readme
    )
    assert (ROOT / binder).is_file()


def test_wheel_carries_the_models_and_loads_them(tmp_path: Path):
    """What Colab gets: the package without the checkout around it."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w"]
    subprocess.run([*build, str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import course_utils, course_utils.pretrained as pretrained, course_utils.explorers\n"
        "print(course_utils.__file__, *pretrained.shipped_models())\n"
        "for name in pretrained.shipped_models(): pretrained.load_pretrained(name, 'cpu')\n"
    )
    run = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n{code}"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout.split()[0]


def test_import_of_the_package_is_quick():
    """`import course_utils` and the command's help do not wait for torch."""
    code = "import sys, course_utils.__main__; print('torch' in sys.modules, 'nbconvert' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
