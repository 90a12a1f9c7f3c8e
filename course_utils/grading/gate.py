"""The gate: what student code may say."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

MODULES = {
    "collections.abc", "dataclasses", "itertools", "math", "matplotlib.pyplot", "numpy", "torch",
    "torch.autograd", "torch.func", "torch.linalg", "torch.nn", "torch.nn.functional", "torch.optim", "typing",
}  # fmt: skip
METHODS = {"__init__", "__call__", "__len__", "__getitem__", "__iter__", "__next__"}
NAMES = {
    "breakpoint", "compile", "delattr", "eval", "exec", "exit", "get_ipython", "getattr", "globals", "help", "input",
    "locals", "memoryview", "object", "open", "quit", "setattr", "vars", "In", "Out",
}  # fmt: skip
# Attributes that are also names of standard modules, but common methods or functions.
HARMLESS = {
    "array", "chunk", "copy", "math", "numbers", "random", "select", "statistics", "test", "tokenize", "trace",
}  # fmt: skip
ATTRIBUTES = (set(sys.stdlib_module_names) - HARMLESS) | {
    # they read or write files
    "DataSource", "from_file", "fromfile", "fromregex", "genfromtxt", "hub", "imread", "imsave", "load",
    "load_state_dict_from_url", "loadtxt", "memmap", "open", "rc_file", "save", "savefig", "savetxt", "savez",
    "savez_compressed", "serialization", "tofile",
    # they change what others use
    "cpp_extension", "ctypeslib", "export", "f2py", "fx", "jit", "lib", "library", "load_library", "make_dataclass",
    "model_zoo", "multiprocessing", "onnx", "ops", "overrides", "package", "register_module_backward_hook",
    "register_module_forward_hook", "register_module_forward_pre_hook", "register_module_full_backward_hook",
    "set_default_device", "set_default_dtype", "set_default_tensor_type", "switch_backend", "testing",
    "update_wrapper", "use", "wraps",
    # they lead from a function or an error to everything else
    "ag_frame", "cr_frame", "f_back", "f_builtins", "f_globals", "f_locals", "gi_frame", "tb_frame", "tb_next",
    "with_traceback",
}  # fmt: skip
STORES = {"grad", "requires_grad"}  # x.grad = None


def gate(source: str, allowed: dict[str, set[str] | None]) -> list[str]:
    """Why a student's cell is not run; [] if it may be.

    Args:
        source: the cell.
        allowed: modules that may be imported, beside `MODULES`; the names that may be taken from them (None: all).
    """
    lines = [line for line in source.split("\n") if not re.match(r"\s*%matplotlib\b", line)]
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [f"is not plain Python ({error}); lines with % or ! are not run"]
    try:
        return [
            f"line {getattr(node, 'lineno', 1)}: {problem}"
            for node in ast.walk(tree)
            for problem in _problems(node, allowed)
        ]
    except RecursionError:
        return ["is nested too deeply"]


def _problems(node: ast.AST, allowed: dict[str, set[str] | None]) -> Iterator[str]:
    match node:
        case ast.Import():
            for alias in node.names:
                if not _may_import(alias.name, None, allowed):
                    yield f"`import {alias.name}` is not allowed in a homework"
        case ast.ImportFrom():
            for alias in node.names:
                if node.level or not _may_import(node.module or "", alias.name, allowed):
                    yield f"`from {node.module} import {alias.name}` is not allowed in a homework"
        case ast.Name(id=name):
            if name in NAMES or _is_inner(name):
                yield f"`{name}` is not allowed in a homework"
        case ast.Attribute(attr=name):
            initialises = name == "__init__" and ast.unparse(node.value) == "super()"
            if name in ATTRIBUTES or (name.startswith("_") and not initialises):
                yield f"`.{name}` is not allowed in a homework"
            if not isinstance(node.ctx, ast.Load) and name not in STORES:
                yield f"`.{name}` is set: a homework's code returns values and changes no object's attributes"
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            if (name.startswith("_") and name not in METHODS) or name in NAMES:
                yield f"the name `{name}` is not allowed in a homework"
        case ast.arg(arg=name):
            if _is_inner(name):
                yield f"the name `{name}` is not allowed in a homework"
        case ast.Call(func=ast.Name(id="type"), args=arguments):
            if len(arguments) != 1:
                yield "`type` with more than one argument is not allowed in a homework"
        case ast.MatchClass():
            yield "a class pattern (`case Name(...)`) is not allowed in a homework"
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            if name in NAMES or _is_inner(name):
                yield f"the name `{name}` is not allowed in a homework"
        case ast.Global() | ast.Nonlocal() | ast.AsyncFor() | ast.AsyncWith() | ast.Await():
            yield f"`{type(node).__name__.lower()}` is not allowed in a homework"


def _is_inner(name: str) -> bool:
    """Whether a name begins with _; one that is nothing but _ is free for all."""
    return name.startswith("_") and name.strip("_") != ""


def _may_import(module: str, name: str | None, allowed: dict[str, set[str] | None]) -> bool:
    if name is not None and (name == "*" or name.startswith("_") or name in ATTRIBUTES | NAMES):
        return False
    if module in MODULES or (name is not None and f"{module}.{name}" in MODULES):
        return True
    names = allowed.get(module, set())
    return names is None or (name is not None and name in names)


def refusals(code: dict[str, list[str]], allowed: dict[str, set[str] | None]) -> dict[str, str]:
    """What the gate says of the answers, by exercise; exercises that it lets through are not named."""
    found = {key: [p for source in sources for p in gate(source, allowed)] for key, sources in code.items()}
    return {key: "; ".join(problems[:5]) for key, problems in found.items() if problems}
