"""The notebook that is run for a submission: the teacher's cells, the student's answers, a watch around each check."""

from __future__ import annotations

import ast
import secrets
from collections.abc import Container
from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode

from course_utils.grading.reading import Homework

# Runs in the kernel before the student's first cell. Nothing here has a name that the gate lets through.
WATCH = """
def __MAKE__():
    import builtins, math, sys, types

    import course_utils.checks, numpy, torch
    import torch._dynamo  # an optimiser would import it later, and it rebinds parts of torch

    roots = {"builtins", "course_utils", "math", "numpy", "scipy", "sklearn", "torch"}
    space = get_ipython().user_ns
    hooks = get_ipython().ast_transformers, list(get_ipython().ast_transformers)
    lazy = ("torch._dynamo", "torch._inductor", "torch._functorch", "torch.fx")  # these change by themselves
    modules = {n: m for n, m in list(sys.modules.items())
               if n.split(".")[0] in roots and not n.startswith(lazy) and isinstance(m, types.ModuleType)}
    kinds = [torch.Tensor, torch.nn.Module, torch.optim.Optimizer, torch.Generator]
    kinds += [k for n, m in modules.items() if n.startswith("course_utils") for k in vars(m).values()
              if isinstance(k, type) and k.__module__.startswith("course_utils")]
    called, check, equal = callable, sys.modules["course_utils.checks"].check_close, torch.equal
    watched = [(n, vars(m), {k: v for k, v in vars(m).items() if called(v) and k != "input"})
               for n, m in modules.items()]  # input: the kernel sets it for each cell
    classes = [(k, dict(vars(k))) for k in kinds]
    setup = {n: v for n, v in space.items() if not n.startswith("_") and n not in ("In", "Out")}
    data = [v for o in setup.values() for v in (o, getattr(o, "x", None), getattr(o, "y", None))
            if isinstance(v, torch.Tensor)]
    data = [(v, v.clone()) for v in data]
    gone, write, erase = object(), setattr, delattr

    def watch():
        changed = []
        for name, now, was in watched:
            lost = {k: v for k, v in was.items() if now.get(k, gone) is not v}
            changed += [f"{name}.{k}" for k in lost]
            now.update(lost)
        for kind, was in classes:
            for a, v in was.items():
                if vars(kind).get(a, gone) is not v and called(v):
                    changed.append(f"{kind.__name__}.{a}")
                    write(kind, a, v)
            for a in set(vars(kind)) - set(was):
                if called(vars(kind)[a]) and a.startswith("__"):
                    changed.append(f"{kind.__name__}.{a}")
                    erase(kind, a)
        if hooks[0] != hooks[1]:
            changed.append("the notebook's own machinery")
            hooks[0][:] = hooks[1]
        for v, was in data:
            if v.shape != was.shape or not equal(v, was):
                changed.append("the data")
                v.data = was.clone()
        space.update(setup)
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        try:
            check("", torch.zeros(2), torch.ones(2))
        except AssertionError:
            pass
        else:
            changed.append("check_close")
        if changed:
            raise RuntimeError("the code replaced " + ", ".join(changed[:5]) + ", which the checks use")

    publish, written, spoken = get_ipython().display_pub.publish, builtins.str, builtins.print

    def say(*values, sep=" ", end="\\n", file=None, flush=False):
        # what a check prints goes a way of its own, whatever the answer prints or draws
        if file is not None:
            return spoken(*values, sep=sep, end=end, file=file, flush=flush)
        text = (" " if sep is None else sep).join(map(written, values)) + ("\\n" if end is None else end)
        publish({"__SAID__": text})

    return watch, say

__NAME__, __NAME___say = __MAKE__()
del __MAKE__
"""


@dataclass(frozen=True)
class Assembled:
    """The notebook that is run for a submission.

    Attributes:
        nb: its cells, without outputs.
        kinds: what each cell is: (exercise or "", kind). Kinds are `setup`, `watch`, `answer`, `given`, `check` and
            `hidden`.
        said: the MIME type of what checks print.
    """

    nb: NotebookNode
    kinds: list[tuple[str, str]]
    said: str


def assemble(homework: Homework, code: dict[str, list[str]], without: Container[str] = ()) -> Assembled:
    """The notebook that is run for a submission's answers, without some of the exercises."""
    name = f"_watch_{secrets.token_hex(8)}"
    made = Assembled(nbformat.v4.new_notebook(), [], f"application/x-{name}")

    def add(source: str, key: str, kind: str) -> None:
        metadata = {} if key else {"patient": True}  # on a busy machine torch alone takes seconds
        made.nb.cells.append(nbformat.v4.new_code_cell(source, metadata=metadata))
        made.kinds.append((key, kind))

    for cell in homework.setup:
        add(cell.source, "", "setup")
    watch = WATCH.replace("__MAKE__", f"{name}_make").replace("__NAME__", name).replace("__SAID__", made.said)
    add(watch, "", "watch")
    for exercise in homework.exercises:
        if exercise.key in without:
            continue
        for cell in exercise.before:
            add(cell.source, exercise.key, "given")
        for source in code[exercise.key]:
            add(source, exercise.key, "answer")
        for cell in exercise.after:
            add(cell.source, exercise.key, "given")
        visible, *hidden = exercise.checks
        add(f"{name}()", exercise.key, "watch")
        add(saying(visible.source, f"{name}_say"), exercise.key, "check")
        add(f"{name}()", exercise.key, "watch")
        for check in hidden:
            add(check.source, exercise.key, "hidden")
            add(f"{name}()", exercise.key, "watch")
    return made


def saying(check: str, name: str) -> str:
    """A check that prints by the function `name`."""
    tree = ast.parse(check)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "print":
            node.id = name
    return ast.unparse(tree)


def prints_the_right_thing(check: NotebookNode, printed: str) -> bool:
    """Whether what a check has printed stands, in this order, in what the solution's check has stored.

    More may stand there: what the solution's answer prints.
    """
    stored = "".join(o.text for o in check.outputs if o.output_type == "stream" and o.name == "stdout")
    lines, expected = printed.splitlines(), iter(stored.splitlines())
    return (bool(lines) or saying(check.source, "print_") == saying(check.source, "print")) and all(
        line in expected for line in lines
    )
