"""How far training has come: a bar in a terminal, the loss curve in a notebook."""

from __future__ import annotations

import base64
import io
import time
from typing import Any

import numpy as np
from tqdm import tqdm

from course_utils import style
from course_utils.training.objective import Record


class Progress:
    """A bar with the time left in a terminal; in a notebook the loss curve under such a line, drawn once a second."""

    def __init__(self, start: int, steps: int, *, enabled: bool):
        self.enabled, self.notebook = enabled, enabled and _in_notebook()
        self.start, self.total = start, steps
        self.steps: list[int] = []
        self.curves: dict[str, list[float]] = {}
        self.began = self.drawn = time.perf_counter()
        self.bar = tqdm(initial=start, total=steps, disable=not enabled or self.notebook)
        self.display: Any = None
        self.over = False

    def update(self, record: Record) -> None:
        if self.notebook:
            self.steps.append(record.step)
            for name, value in record.losses.items():
                self.curves.setdefault(name, []).append(value)
            if time.perf_counter() - self.drawn > 1:
                self._show()
        elif self.enabled:
            self.bar.update()
            self.bar.set_postfix(
                {name: f"{value:.4g}" for name, value in record.losses.items()}, refresh=False
            )

    def close(self) -> None:
        self.bar.close()
        self.over = True
        if self.notebook and self.steps:
            self._show()

    def _show(self) -> None:
        from IPython.display import display

        data = {"image/png": self._draw(), "text/plain": "training curve"}
        if self.display is None:
            self.display = display(data, raw=True, display_id=True)
        else:
            self.display.update(data, raw=True)
        self.drawn = time.perf_counter()

    def _line(self) -> str:
        """Where training stands: `step 120 of 400 · 0:43 left · loss 0.1234`."""
        seconds, step = time.perf_counter() - self.began, self.steps[-1]
        left = seconds / (step - self.start) * (self.total - step)
        clock = f"{_clock(seconds)} taken" if self.over else f"{_clock(left)} left"
        losses = [f"{name} {values[-1]:#.4g}".removesuffix(".") for name, values in self.curves.items()]
        return " · ".join([f"step {step} of {self.total}", clock, *losses])

    def _draw(self) -> str:
        """The curves as a PNG in base64: each loss, faint, and its running mean over 5 % of the steps.

        The highest and lowest 2 % may lie outside: a spike at the start would leave nothing to be seen of the rest.
        """
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 2.4), layout="constrained")
        axes = figure.subplots()
        window = max(1, len(self.steps) // 20)
        for k, (name, values) in enumerate(self.curves.items()):
            color = style.PALETTE[k % len(style.PALETTE)]
            axes.plot(self.steps, values, color=color, linestyle="-", alpha=0.25, lw=0.8)
            smooth = np.convolve(values, np.full(window, 1 / window), mode="valid")
            middle = self.steps[window // 2 :][: len(smooth)]
            axes.plot(middle, smooth, label=name, **style.curve(k))
        axes.set(
            xlabel="step",
            ylabel=next(iter(self.curves)) if len(self.curves) == 1 else "loss",
            xlim=(0, self.total),
        )
        low, high = np.quantile(np.concatenate(list(self.curves.values())), (0.02, 0.98))
        if low < high:
            axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
        axes.set_title(self._line(), loc="left", size=9, wrap=True)
        axes.spines[["top", "right"]].set_visible(False)
        if len(self.curves) > 1:
            axes.legend(frameon=False, loc="center right")
        file = io.BytesIO()
        FigureCanvasAgg(figure).print_png(file)
        return base64.b64encode(file.getvalue()).decode()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02}"


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")
