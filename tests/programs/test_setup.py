"""The set-up files agree with each other, and what is installed without a checkout works."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
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
    *conda, _course = [*conda[:-1], *conda[-1]["pip"]]
    listed = {r.name: str(r.specifier) for r in map(Requirement, conda)}
    listed["torch"] = listed.pop("pytorch")
    assert listed.pop("pip") == ""
    assert listed.pop("python") == ",".join(sorted(["<3.14", ">=3.11"]))
    assert listed == {name: str(r.specifier) for name, r in requirements("lab").items()}


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
    address = PROJECT["urls"]["Repository"].removeprefix("https://")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    made = re.compile(r"^notebooks/.*\.(py|ipynb)$")  # `make notebooks` writes it there
    files = [f for f in tracked.splitlines() if not made.match(f) and (ROOT / f).exists()]
    holding = [f for f in files if address.encode() in (ROOT / f).read_bytes()]
    assert sorted(holding) == ["README.md", "pyproject.toml"]
    assert f"`git clone https://{address}`" in (ROOT / "README.md").read_text()


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
