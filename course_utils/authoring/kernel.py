"""Run a notebook's cells in a fresh kernel of the running Python: the one place where kernels are started."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

NOT_STARTED = "the kernel did not start"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class NotebookError(RuntimeError):
    """A notebook cannot be built: a cell fails, or its source lacks something every notebook has."""


class StoppedError(NotebookError):
    """A notebook's run ended before its last cell: `why` says how, "the kernel did not start" or the like."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


def run(
    nb: NotebookNode,
    place: Path | str,
    *,
    timeout: float = 600,
    allow_errors: bool = False,
    done: Callable[[NotebookNode, float], None] | None = None,
    shown: Callable[[float], None] | None = None,
) -> None:
    """Execute a notebook's cells in place; a kernel that dies is noticed within seconds.

    Args:
        nb: the notebook; its outputs are replaced.
        place: the notebook's file (it need not exist); the kernel works in its folder.
        timeout: seconds that one cell may take; one with the metadata `patient` may take any.
        allow_errors: go on after a cell that fails, and store its error.
        done: called with each code cell that has ended, and the seconds since the kernel was asked for.
        shown: called with these seconds whenever the running cell shows something, or changes what it shows.

    Raises:
        StoppedError: a cell fails (unless allowed), takes too long or ends the kernel.
        KeyboardInterrupt: Ctrl-C.
    """
    place, began = Path(place), time.monotonic()
    current: dict[str, Any] = {"number": 0, "source": "(before the first cell)"}
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None

    def remember(cell: NotebookNode, cell_index: int) -> None:
        current.update(number=cell_index + 1, source=cell.source)

    def ended(cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
        if done is not None:
            done(cell, time.monotonic() - began)

    client = _Client(
        nb,
        km=AsyncKernelManager(kernel_spec_manager=_ThisInterpreter()),
        timeout_func=lambda cell: None if cell.metadata.get("patient") else timeout,
        iopub_timeout=max(1, int(timeout)),
        record_timing=False,
        allow_errors=allow_errors,
        skip_cells_with_tag="",
        on_cell_start=remember,
        on_cell_executed=ended,
        resources={"metadata": {"path": str(place.resolve().parent)}},
    )
    client.shown = lambda: shown(time.monotonic() - began) if shown is not None else None
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    try:
        _execute(client, environment)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        why = {
            CellTimeoutError: f"takes longer than {timeout:g} s",
            DeadKernelError: "ended the kernel (out of memory?)",
        }.get(type(error), "fails")
        trace = ANSI.sub("", error.traceback) if isinstance(error, CellExecutionError) else current["source"]
        raise StoppedError(f"{place.name}: cell {current['number']} {why}\n\n{trace}", why) from None
    except (RuntimeError, OSError) as error:
        if current["number"]:
            raise
        why = f"{NOT_STARTED}: {error}"
        raise StoppedError(f"{place.name}: {why}", why) from None


def _execute(client: NotebookClient, environment: dict[str, str]) -> None:
    """Run it; Ctrl-C, which nbclient answers by ending the kernel, is a KeyboardInterrupt, whatever follows."""
    try:
        client.execute(cleanup_kc=True, env=environment)
    except Exception:
        if hasattr(client, "_async_cleanup_kernel_future"):  # what its answer to a signal leaves
            raise KeyboardInterrupt from None
        raise


def failure(cell: NotebookNode) -> tuple[str, str] | None:
    """Name and text of the error that a cell has stored, None if it ran to its end."""
    return next(((o.ename, o.evalue) for o in cell.outputs if o.output_type == "error"), None)


def reason(cell: NotebookNode) -> str:
    """An AssertionError's own text, another error with its name; "" for a cell that ran to its end."""
    failed = failure(cell)
    if failed is None:
        return ""
    name, text = failed[0], ANSI.sub("", failed[1]).strip()
    return text if name == "AssertionError" and text else f"{name}: {text}".removesuffix(": ")


class _Client(NotebookClient):
    """Tells of each message that a reader sees."""

    shown: Callable[[], None]

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        if msg["msg_type"] in ("stream", "display_data", "update_display_data", "execute_result"):
            self.shown()
        return super().process_message(msg, cell, cell_index)


class _ThisInterpreter(KernelSpecManager):
    """Starts the running Python as kernel, whatever kernels are registered."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(
            **get_kernel_dict(["--log-level=CRITICAL"])
        )  # what it logs beside its answers says nothing to a reader
