"""The gate: what student code may say, and what is left of it without the rest."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterator

from IPython.core.inputtransformer2 import TransformerManager, classic_prompt, leading_indent

MODULES = {
    "collections", "collections.abc", "dataclasses", "functools", "itertools", "math", "matplotlib.pyplot", "numpy",
    "numpy.linalg", "numpy.random", "random", "time", "torch", "torch.autograd", "torch.distributions", "torch.func",
    "torch.linalg", "torch.nn", "torch.nn.functional", "torch.optim", "torch.utils.data", "typing", "warnings",
}  # fmt: skip
# Names of modules that hold others by which more can be reached (operator.attrgetter, enum.bltns, string.Formatter).
PARTS = {
    "__future__": {"annotations"}, "abc": {"ABC", "abstractmethod"}, "copy": {"copy", "deepcopy"},
    "contextlib": {"contextmanager", "nullcontext", "suppress"},
}  # fmt: skip
METHODS = {"__init__", "__call__", "__len__", "__getitem__", "__iter__", "__next__"}
NAMES = {
    "breakpoint", "compile", "delattr", "eval", "exec", "exit", "get_ipython", "getattr", "globals", "help", "input",
    "locals", "memoryview", "object", "open", "quit", "setattr", "vars", "In", "Out",
}  # fmt: skip
# Attributes that are also names of standard modules, but common methods or functions.
HARMLESS = {
    "array", "chunk", "collections", "copy", "functools", "math", "numbers", "random", "select", "statistics", "test",
    "time", "tokenize", "trace", "warnings",
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
    try:
        tree, _, left = _parsed(source)
        found = [*left, *(problem for node in tree.body for problem in _found(node, allowed))]
    except _NotPlainError as error:
        found = [(error.line, str(error))]
    except RecursionError:
        found = [(1, "is nested too deeply")]
    return [f"line {line}: {problem}" for line, problem in found]


def plain(source: str) -> str:
    """A cell without the lines that only a notebook knows; "" if the rest is not plain Python."""
    try:
        return _parsed(source)[1]
    except (_NotPlainError, RecursionError):
        return ""


def runnable(
    source: str, allowed: dict[str, set[str] | None], gone: set[str]
) -> tuple[str, list[tuple[int, str]]]:
    """What of a student's cell is run, and what is left out of it, with the line and the reason.

    Left out are lines with % or !, statements of the outermost level that `gate` would refuse, and those that use
    what a statement left out would have defined. `%%time` and the like go alone, another `%%` takes its cell. Of a
    cell that is not plain Python nothing is run. Lines keep their numbers.

    Args:
        source: the cell.
        allowed: what may be imported, as for `gate`.
        gone: the names that cells above would have defined; changed in place.
    """
    try:
        tree, text, left = _parsed(source)
    except _NotPlainError as error:
        return "", [(error.line, str(error))]
    except RecursionError:
        return "", [(1, "is nested too deeply")]
    starts, edits = [0], list[tuple[int, int, str]]()
    for text_line in text.split("\n"):
        starts.append(starts[-1] + len(text_line.encode()) + 1)
    try:
        for node in tree.body:
            problems, instead = _found(node, allowed), "pass"
            if problems and isinstance(node, ast.Import | ast.ImportFrom):
                instead = _may_stay(node, allowed)
            elif not problems and (missing := sorted(gone & _uses(node))):
                problems = [(node.lineno, f"uses `{missing[0]}`, which was left out")]
            gone -= _binds(node)
            if problems:
                gone |= _binds(node) - {name for part in ast.parse(instead).body for name in _binds(part)}
                left += problems[:3]
                first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
                begin = starts[first - 1] + (node.col_offset if first == node.lineno else 0)
                end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
                edits.append((begin, end, instead))
        kept = text.encode()
        for begin, end, instead in reversed(edits):
            kept = kept[:begin] + instead.encode() + b"\n" * kept[begin:end].count(b"\n") + kept[end:]
        result = kept.decode()
        if again := gate(result, allowed):
            return "", [*left, (1, again[0])]
        final = ast.parse(result)
        if ast.dump(ast.parse(_as_notebooks_read(result))) != ast.dump(final):
            return "", [*left, (1, "is read by a notebook in another way than by Python")]
        empty = all(isinstance(node, ast.Pass) for node in final.body)
    except SyntaxError:  # a notebook makes no Python of it
        return "", [*left, (1, "is not plain Python for a notebook")]
    except RecursionError:
        return "", [(1, "is nested too deeply")]
    return "" if empty else result, sorted(left)


def _as_notebooks_read(source: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of line ends that are none for Python
        text: str = TransformerManager().transform_cell(source)
    return text


class _NotPlainError(Exception):
    """A cell is not plain Python."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


MAGIC = re.compile(r"(?P<indent>\s*)(?:[%!?]|[\w, ]+=\s*[%!]|\S.*\?\s*$)")
AROUND = re.compile(r"%%(?:time|timeit|capture|prun)\b")  # magics whose cell is Python


def _parsed(source: str) -> tuple[ast.Module, str, list[tuple[int, str]]]:
    """A cell's tree and text without the lines that only a notebook knows, and these with the reason."""
    cleaned = "".join(leading_indent(classic_prompt(source.splitlines(keepends=True))))
    lines, left = cleaned.split("\n"), list[tuple[int, str]]()
    first = next((n for n, line in enumerate(lines) if line.strip()), 0)
    if lines and lines[first].startswith("%%"):
        word = lines[first].split()[0]
        if not AROUND.match(lines[first]):
            raise _NotPlainError(first + 1, f"`{word}`: the cell is not run")
        left.append((first + 1, f"`{word}` is not run, the cell is"))
        lines[first] = ""
    while True:
        text = "\n".join(lines)
        try:
            return ast.parse(text), text, left
        except SyntaxError as error:
            number = error.lineno or 1
            line = lines[number - 1] if number <= len(lines) else ""
            match = MAGIC.match(line)
            if match is None or len(left) > 200:
                problem = f"is not plain Python ({error.msg}); lines with % or ! are not run"
                raise _NotPlainError(number, problem) from None
            if not re.match(r"\s*%matplotlib\b", line):  # the kernel draws inline anyway
                left.append((number, f"`{line.strip()[:40]}` is not run: no line with % or ! is"))
            lines[number - 1] = match["indent"] + "pass"
            while line.endswith("\\") and number < len(lines):
                line, lines[number] = lines[number], ""
                number += 1
        except (ValueError, RecursionError, MemoryError) as error:
            raise _NotPlainError(1, f"is not plain Python ({error}); lines with % or ! are not run") from None


def _found(node: ast.AST, allowed: dict[str, set[str] | None]) -> list[tuple[int, str]]:
    """What is wrong with a statement, by line."""
    return [
        (getattr(part, "lineno", 1), problem)
        for part in ast.walk(node)
        for problem in _problems(part, allowed)
    ]


def _uses(node: ast.stmt) -> set[str]:
    """The names without which a statement of the outermost level fails; of a function those beside its body."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        beside = node.bases if isinstance(node, ast.ClassDef) else [*node.args.defaults]
        return {name for part in [*node.decorator_list, *beside] for name in _uses(ast.Expr(part))}
    changed = {id(part.target) for part in ast.walk(node) if isinstance(part, ast.AugAssign)}
    names = (part for part in ast.walk(node) if isinstance(part, ast.Name))
    return {name.id for name in names if not isinstance(name.ctx, ast.Store) or id(name) in changed}


def _binds(node: ast.AST) -> set[str]:
    """The names that a statement of the outermost level gives a value."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {alias.asname or alias.name.split(".")[0] for alias in names}
    parts = [part for child in ast.iter_child_nodes(node) for part in _binds(child)]
    own = {node.id} if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else set()
    return own | set(parts)


def _may_stay(node: ast.Import | ast.ImportFrom, allowed: dict[str, set[str] | None]) -> str:
    """An import without the names that may not be imported; `pass` where none is left."""
    one = [type(node)(**{**dict(ast.iter_fields(node)), "names": [alias]}) for alias in node.names]
    fine = [alias for alias, single in zip(node.names, one, strict=True) if not _found(single, allowed)]
    return ast.unparse(type(node)(**{**dict(ast.iter_fields(node)), "names": fine})) if fine else "pass"


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
    if name in PARTS.get(module, ()):
        return True
    names = allowed.get(module, set())
    return names is None or (name is not None and name in names)
