"""How far a long computation has come, and what it has reached.

`Watch` is for a training: a bar in a terminal; in a notebook the loss, the time left and pictures by the model.
`counted` is for any other loop: a line that counts.
"""

from __future__ import annotations

import base64
import io
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from textwrap import fill
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from tqdm import tqdm

from course_utils import style
from course_utils.inputs import check_at_least, get_rng, pick_device, set_rng

if TYPE_CHECKING:
    from matplotlib.axes import Axes

T = TypeVar("T")
WIDTH, CURVE, LINE = 7.0, 1.9, 0.3  # inches: the figure, the loss's axes with its numbers, a line of text
CURVE_EVERY, PICTURE_EVERY, COUNT_EVERY = 1.0, 3.0, 0.5  # seconds, at least
CURVE_AT_LEAST_EVERY = 3.0  # seconds, at most: on a slow machine, too, the figure moves
SHARE = 0.02  # of the time that each of the two may take


class Watch:
    """What a training shows while it goes on. `fit` has one; a loop of your own makes it:

        with Watch(500, lambda ax: show_images(model.sample(10), ax=ax)) as step_done:
            for x, _ in batches(train, 64, 500):
                ...  # one step
                step_done(loss.item())

    In a notebook it is one figure: "step 120 of 500, loss 0.123, 1 min 10 s left"; each loss, faint, with its running
    mean over 5 % of the steps, over all steps from the first to the last; and below, every few seconds, what `picture`
    draws. Elsewhere it is tqdm's bar. When the block is left, by an error or Ctrl-C too, the figure keeps what was
    reached, and no times: the same training leaves the same figure. Drawing takes about a twentieth of the time at
    most, and none of torch's random numbers.

    Args:
        steps: how many there are.
        picture: draws the model's samples or reconstructions into the axes that it gets, without gradients. Where it
            gives them no title, the title says after how many steps.
        start: how many of the steps were done before.
        enabled: False shows nothing.

    Raises:
        ValueError: a number of steps below 0; `picture` is no function.
    """

    def __init__(
        self,
        steps: int,
        picture: Callable[[Axes], object] | None = None,
        *,
        start: int = 0,
        enabled: bool = True,
    ):
        check_at_least(0, steps=steps, start=start)
        check_picture(picture)
        self.steps, self.picture, self.done = steps, picture, start
        self.enabled = enabled and start < steps
        self.figure = _Figure(steps) if self.enabled and _in_notebook() else None
        self.latest: dict[str, float] = {}
        self.start, self.over = start, False

    def __enter__(self) -> Watch:
        self.bar = tqdm(
            initial=self.done, total=self.steps, disable=not self.enabled or self.figure is not None
        )
        self.curve_due = self.picture_due = -math.inf
        self.cost = 0.0  # seconds that the curve's last drawing took
        if self.figure:
            self._draw()
        return self

    def __call__(self, losses: float | Mapping[str, float]) -> None:
        """One step is done, and this was its loss, or these were its losses.

        Raises:
            ValueError: more steps are done than there are.
        """
        if self.done >= self.steps:
            raise ValueError(
                f"all {self.steps} steps were done before this one: give Watch as many steps as the loop has"
            )
        self.latest = dict(losses) if isinstance(losses, Mapping) else {"loss": float(losses)}
        self.done += 1
        if self.done == self.start + 1:
            self.began = time.perf_counter()  # the first step is slow, and says nothing of the others
        if self.figure:
            self.figure.add(self.done, self.latest)
            if time.perf_counter() > self.curve_due:
                self._draw()
        elif self.enabled:
            self.bar.update()
            self.bar.set_postfix({name: f"{value:.4g}" for name, value in self.latest.items()}, refresh=False)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.bar.close()
        self.over = True
        if self.figure:
            self._draw(picture=kind in (None, GeneratorExit))

    def _draw(self, *, picture: bool = True) -> None:
        assert self.figure is not None
        began = time.perf_counter()
        if self.picture and picture and (self.over or began > self.picture_due):
            with _aside():
                self.figure.draw_picture(self.picture, self.done)
            now = time.perf_counter()
            self.picture_due, began = now + max(PICTURE_EVERY, (now - began) / SHARE), now
        self.figure.show(self._line(), last=self.over)
        now = time.perf_counter()
        dear, self.cost = min(self.cost, now - began), now - began  # the first is dearer than any other
        self.curve_due = now + min(max(CURVE_EVERY, dear / SHARE), CURVE_AT_LEAST_EVERY)

    def _line(self) -> str:
        """Where the training stands: `step 120 of 500, loss 0.123, 1 min 10 s left`."""
        assert self.figure is not None
        parts = [f"step {self.done} of {self.steps}"]
        parts += [f"{name} {_three_digits(self.figure.recent(name))}" for name in self.latest]
        if self.over and self.done < self.steps:
            parts[0] = "stopped at " + parts[0]
        elif not self.over and self.done > self.start + 1:
            each = (time.perf_counter() - self.began) / (self.done - self.start - 1)
            parts.append(f"{_in_words(each * (self.steps - self.done))} left")
        return ", ".join(parts)


def counted(items: Iterable[T], what: str) -> Iterator[T]:
    """Go through the items; a line counts them, `prompts: 3 of 5 done, 4 s left`, and keeps what was reached.

    Args:
        items: where they have no length, such as the states of a sampler, the line only counts: `steps: 3 done`.
        what: their name in the plural.
    """
    in_all = len(items) if isinstance(items, Sized) else None
    of = "" if in_all is None else f" of {in_all}"
    began, said, done = time.perf_counter(), -math.inf, 0
    for item in items:
        now = time.perf_counter()
        if now - said > COUNT_EVERY:
            left = _in_words((now - began) / done * (in_all - done)) if done and in_all else ""
            print(
                f"\r{f'{what}: {done}{of} done' + (f', {left} left' if left else ''):<70}", end="", flush=True
            )
            said = now
        yield item
        done += 1
    print(f"\r{f'{what}: {done}{of} done':<70}", flush=True)


def check_picture(picture: object) -> None:
    if picture is not None and not callable(picture):
        raise ValueError(
            f"picture must be a function that draws into axes, such as lambda ax: show_images(x, ax=ax), "
            f"not a {type(picture).__name__}"
        )


class _Figure:
    """The figure in the notebook. What it draws depends on the steps and their losses, not on when it is drawn."""

    def __init__(self, steps: int):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.steps, self.often = steps, max(1, steps // 50)
        self.curves: dict[str, tuple[list[int], list[float]]] = {}
        self.lines: dict[str, tuple[Any, Any]] = {}
        self.figure = Figure(figsize=(WIDTH, LINE + CURVE), layout="constrained")
        self.canvas = FigureCanvasAgg(self.figure)
        self.grid = self.figure.add_gridspec(2, 2, height_ratios=[CURVE, 1e-3], width_ratios=[1, 1e-3])
        self.axes, self.below = (
            self.figure.add_subplot(self.grid[0, 0]),
            self.figure.add_subplot(self.grid[1, :]),
        )
        self.below.set_axis_off()
        self.pictured = False
        self.axes.set(xlabel="step", xlim=(0, steps), ylim=(0, 1))
        self.axes.set_ylabel("loss", size=9)
        self.line = self.figure.text(0.005, 0.995, "", size=10, va="top", animated=True)
        self.top, self.height = LINE, CURVE  # inches: of the line of text, and of what stands below it
        self.fixed: Any = None  # all but the line and the curves, as pixels: drawn anew only when it changes
        self.display: Any = None
        self._lay_out()

    def add(self, step: int, losses: Mapping[str, float]) -> None:
        for name, value in losses.items():
            steps, values = self.curves.setdefault(name, ([], []))
            steps.append(step)
            values.append(value)
        if step % self.often == 0 or step in (1, self.steps):
            self._fit_limits()

    def recent(self, name: str) -> float:
        """The running mean at the newest step."""
        values = self.curves[name][1]
        return float(np.mean(values[-self._window(values) :]))

    def _window(self, values: list[float]) -> int:
        return max(1, min(self.steps // 20, len(values) // 5))

    def draw_picture(self, picture: Callable[[Axes], object], step: int) -> None:
        self.below.clear()
        picture(self.below)
        title = self.below.get_title() or f"after {step} steps"
        self.below.set_title("")
        self.below.set_title(title, loc="left", size=9)
        self.fixed = None
        if not self.pictured:  # its shape is that of all to come
            self.pictured = True
            shapes = [np.asarray(image.get_array()).shape for image in self.below.get_images()]
            height = LINE + min(3.0, WIDTH * shapes[0][0] / shapes[0][1]) if shapes else 2.4
            self.grid.set_height_ratios([CURVE, height])
            self.height = CURVE + height
            self._lay_out()

    def show(self, line: str, *, last: bool) -> None:
        from IPython.display import display

        for name, (steps, values) in self.curves.items():
            if name not in self.lines:
                self._add_curve(name)
            faint, smooth = self.lines[name]
            faint.set_data(steps, values)
            window = self._window(values)
            means = np.convolve(values, np.full(window, 1 / window), mode="valid")
            smooth.set_data(steps[window // 2 :][: len(means)], means)
        self._write(line, last)
        data = {"image/png": self._png(6 if last else 1), "text/plain": "training curve"}
        if self.display is None:
            self.display = display(data, raw=True, display_id=True)
        else:
            self.display.update(data, raw=True)

    def _png(self, compression: int) -> str:
        from PIL import Image

        if self.fixed is None:
            self.canvas.draw()
            self.figure.set_layout_engine("none")  # from here on the axes stay where they are
            self.fixed = self.canvas.copy_from_bbox(self.figure.bbox)
        self.canvas.restore_region(self.fixed)
        renderer = self.canvas.get_renderer()
        for faint, smooth in self.lines.values():
            faint.draw(renderer)
            smooth.draw(renderer)
        self.line.draw(renderer)
        file = io.BytesIO()
        pixels = np.asarray(self.canvas.buffer_rgba())[..., :3]
        Image.fromarray(pixels).save(file, "png", compress_level=compression)
        return base64.b64encode(file.getvalue()).decode()

    def _write(self, line: str, last: bool) -> None:
        """Put the line into the figure, in several where it is too wide for one; nothing of it is cut off."""
        written = ""
        for word in line.split(" "):
            self.line.set_text(f"{written} {word}".lstrip())
            wide = self.line.get_window_extent(self.canvas.get_renderer()).x1 > 0.99 * self.figure.bbox.width
            written = f"{written}\n{word}" if wide and written else self.line.get_text()
        self.line.set_text(written)
        needed = LINE + 0.17 * written.count("\n")
        if needed > self.top or last:
            self.top = needed
            self._lay_out()

    def _lay_out(self) -> None:
        """Find the axes' places anew, at the next drawing."""
        inches = self.top + self.height
        self.figure.set_figheight(inches)
        self.figure.set_layout_engine("constrained", rect=(0, 0, 1, self.height / inches))
        self.fixed = None

    def _fit_limits(self) -> None:
        """Let the y axis hold 0 and the losses, but for the highest and lowest 2 %: a spike at the start would leave
        nothing to be seen of the rest. It changes in steps: when they lie outside, or need less than half of it."""
        values = np.concatenate([values for _, values in self.curves.values()])
        values = values[np.isfinite(values)]
        if not len(values):
            return
        low, high = (float(value) for value in np.quantile(values, (0.02, 0.98)))
        low, high = min(low, 0.0), max(high, 0.0, low + 1e-9)
        bottom, top = self.axes.get_ylim()
        if low < bottom or high > top or high - low < 0.5 * (top - bottom):
            unit = 10.0 ** math.floor(math.log10(high - low))
            unit *= 0.5 if high - low < 4 * unit else 1.0
            limits = (math.ceil(low / unit) - (low < 0)) * unit, (math.floor(high / unit) + (high > 0)) * unit
            if limits != (bottom, top):
                self.axes.set_ylim(limits)
                self._lay_out()

    def _add_curve(self, name: str) -> None:
        k = len(self.lines)
        color = style.PALETTE[k % len(style.PALETTE)]
        (faint,) = self.axes.plot([], [], color=color, linestyle="-", alpha=0.25, lw=0.8, animated=True)
        (smooth,) = self.axes.plot([], [], label=fill(name, 20), animated=True, **style.curve(k))
        self.lines[name] = faint, smooth
        self.axes.set_ylabel(name if k == 0 and len(name) < 25 else "loss", size=9)
        if k:
            self.grid.set_width_ratios([1, 0.35])
            legend = self.axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1), fontsize=8)
            legend.set_in_layout(False)
        self._lay_out()


@contextmanager
def _aside() -> Iterator[None]:
    """What is drawn meanwhile has no gradient and takes no random number from the training."""
    place = pick_device()
    states = get_rng(place)
    try:
        with torch.no_grad():
            yield
    finally:
        set_rng(states, place)


def _three_digits(value: float) -> str:
    text = f"{value:.0f}" if abs(value) >= 999.5 else f"{value:#.3g}".removesuffix(".")
    return text.replace("-", "−")


def _in_words(seconds: float) -> str:
    minutes, seconds = divmod(math.ceil(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")
