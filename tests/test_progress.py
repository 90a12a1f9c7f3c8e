"""What a reader sees of a training while it goes on, on a clock of the test's own: nothing is waited for."""

import base64
import io
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from course_utils import progress
from course_utils.progress import Watch, counted
from course_utils.training import Objective, fit
from course_utils.viz import show_images, show_rows


@dataclass
class Notebook:
    """A notebook that keeps what is displayed, and a clock that stands still but for what `spend` adds."""

    now: float = 0.0
    shown: list[dict[str, str]] = field(default_factory=list)
    displays: int = 0

    def display(self, data: dict[str, str], *, raw: bool, display_id: bool) -> "Notebook":
        assert raw
        assert display_id
        self.displays += 1
        self.update(data, raw=True)
        return self

    def update(self, data: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(data)

    def spend(self, seconds: float) -> None:
        self.now += seconds

    def pixels(self, which: int = -1) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(self.shown[which]["image/png"]))))


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    import IPython.display

    made = Notebook()
    monkeypatch.setattr(progress, "_in_notebook", lambda: True)
    monkeypatch.setattr("course_utils.progress.time.perf_counter", lambda: made.now)
    monkeypatch.setattr(IPython.display, "display", made.display)
    return made


def falling(step: int) -> float:
    return 230 * 0.97**step + 20 + 5 * (-1) ** step


def train(notebook: Notebook, watch: Watch, steps: int, seconds: float = 0.1) -> Iterator[int]:
    """A training that only spends time."""
    with watch as step_done:
        for step in range(1, steps + 1):
            notebook.spend(seconds)
            step_done(falling(step))
            yield step


def line(watch: Watch) -> str:
    assert watch.figure is not None
    return watch.figure.line.get_text()


def test_the_axes_stand_still_while_the_curve_grows(notebook: Notebook) -> None:
    watch, limits, places, sizes = Watch(400), [], [], set()
    assert watch.figure is not None
    axes = watch.figure.axes
    for _ in train(notebook, watch, 400):
        assert axes.get_xlim() == (0, 400)
        limits.append(axes.get_ylim())
        places.append(axes.get_position().bounds)
    sizes = {notebook.pixels(k).shape for k in range(len(notebook.shown))}
    assert len(sizes) == 1
    assert len({key for key, _ in itertools.groupby(limits)}) <= 4  # in steps: 400 losses, and few changes
    late = places[100:]
    assert len(set(late)) == 1
    faint, smooth = watch.figure.lines["loss"]
    assert list(faint.get_xdata()) == list(range(1, 401))
    assert list(faint.get_ydata()) == [falling(step) for step in range(1, 401)]
    assert np.ptp(smooth.get_ydata()[-100:]) < 1 < np.ptp(faint.get_ydata()[-100:])
    low, high = axes.get_ylim()
    assert np.mean([low <= falling(step) <= high for step in range(1, 401)]) > 0.95


def test_it_is_drawn_about_once_a_second_and_in_one_display(notebook: Notebook) -> None:
    pictures = []
    list(train(notebook, Watch(500, lambda ax: pictures.append(notebook.now)), 500, seconds=0.11))  # 55 s
    assert notebook.displays == 1
    assert 40 <= len(notebook.shown) <= 57
    assert 14 <= len(pictures) <= 20
    assert np.diff(pictures[:-1]).max() < 4
    assert {tuple(sorted(data)) for data in notebook.shown} == {("image/png", "text/plain")}
    assert {data["text/plain"] for data in notebook.shown} == {"training curve"}  # which nbval compares


@pytest.mark.parametrize("cost", [0.01, 0.4, 3.0])
def test_a_dear_picture_is_drawn_less_often(notebook: Notebook, cost: float) -> None:
    """It takes no more than a fiftieth of the time, beside the first and the last, which are always drawn."""
    drawn = []

    def draw(ax: Any) -> None:
        notebook.spend(cost)
        drawn.append(cost)

    list(train(notebook, Watch(300, draw), 300, seconds=1))  # five minutes
    assert sum(drawn[1:-1]) < 0.02 * 300 * 1.01
    assert len(drawn) > 2


def test_the_line_says_how_far_how_good_and_how_long(notebook: Notebook) -> None:
    watch, said = Watch(500), ""
    for step in train(notebook, watch, 500, seconds=1.25):
        said = said or line(watch)
        if 1 < step < 500:
            left = math.ceil(1.25 * (500 - step))
            words = f"{left // 60} min {left % 60} s left" if left >= 60 else f"{left} s left"
            window = max(1, min(25, step // 5))
            recent = np.mean([falling(k) for k in range(step - window + 1, step + 1)])
            assert line(watch) == f"step {step} of 500, loss {recent:#.3g}, {words}".replace("., ", ", ")
    assert said == f"step 1 of 500, loss {falling(1):.0f}"
    final = np.mean([falling(k) for k in range(476, 501)])
    assert (
        line(watch) == f"step 500 of 500, loss {final:.1f}"
    )  # and no time, which would differ from run to run


@pytest.mark.parametrize(
    "names",
    [
        ["loss"],
        ["GAN: discriminator", "GAN: generator"],
        ["a long name of" + 9 * " a loss", "another" + 8 * " name"],
    ],
)
def test_nothing_of_the_line_is_cut_off(notebook: Notebook, names: list[str]) -> None:
    watch = Watch(1000, lambda ax: show_images(torch.zeros(10, 1, 28, 28), ax=ax))
    with watch as step_done:
        for _ in range(30):
            notebook.spend(10)
            step_done(dict.fromkeys(names, 123.456))
            assert watch.figure is not None
            canvas = watch.figure.canvas
            box, axes = watch.figure.line.get_window_extent(canvas.get_renderer()), watch.figure.axes
            assert 0 <= box.x0 < box.x1 <= watch.figure.figure.bbox.width
            assert axes.get_window_extent().y1 < box.y0 < box.y1 <= watch.figure.figure.bbox.height
            assert all(f"{name} 123" in " ".join(line(watch).split("\n")) for name in names)
    assert notebook.pixels()[: int(0.3 * 100)].min() < 128  # and it is in the picture


def test_the_model_s_pictures_stand_below_and_the_last_is_the_last(notebook: Notebook) -> None:
    grey = iter(torch.linspace(-1, 1, 1000))
    seen: list[float] = []

    def draw(ax: Any) -> None:
        seen.append(float(next(grey)))
        show_rows(
            {"image": torch.full((10, 1, 8, 8), -1.0), "rebuilt": torch.full((10, 1, 8, 8), seen[-1])}, ax=ax
        )

    watch = Watch(100, draw)
    for step in train(notebook, watch, 100):
        assert len(seen) >= 1 + int(step * 0.1 / 4), step
    assert watch.figure is not None
    (image,) = watch.figure.below.get_images()
    sheet = np.asarray(image.get_array())
    assert sheet[-1, 0, 0] == round((seen[-1] + 1) * 127.5)
    assert watch.figure.below.get_title(loc="left") == "after 100 steps"
    assert [label.get_text() for label in watch.figure.below.get_yticklabels()] == ["image", "rebuilt"]
    box = watch.figure.below.get_tightbbox()
    assert box is not None
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.y1 < watch.figure.axes.get_window_extent().y0
    assert watch.figure.below.get_window_extent().width > 0.6 * watch.figure.figure.bbox.width


def test_a_picture_may_have_a_title_of_its_own(notebook: Notebook) -> None:
    watch = Watch(1, lambda ax: show_images(torch.zeros(3, 1, 8, 8), title="after a while", ax=ax))
    list(train(notebook, watch, 1))
    assert watch.figure is not None
    assert watch.figure.below.get_title(loc="left") == "after a while"


@pytest.mark.parametrize("error", [KeyboardInterrupt, FloatingPointError])
def test_what_was_reached_stays_when_it_stops_early(notebook: Notebook, error: type[BaseException]) -> None:
    drawn = []
    watch = Watch(500, lambda ax: drawn.append(notebook.now))

    def loop() -> None:
        with watch as step_done:
            for step in range(1, 501):
                notebook.spend(0.01)
                if step == 121:
                    raise error("here")
                step_done(falling(step))

    with pytest.raises(error, match="here"):
        loop()
    recent = np.mean([falling(k) for k in range(97, 121)])
    assert line(watch) == f"stopped at step 120 of 500, loss {recent:.1f}"
    assert watch.figure is not None
    assert len(watch.figure.lines["loss"][0].get_xdata()) == 120
    assert drawn == [0.0]  # the model may be what failed


def test_the_picture_s_own_error_is_told(notebook: Notebook) -> None:
    def draw(ax: Any) -> None:
        raise ZeroDivisionError("in the picture")

    with pytest.raises(ZeroDivisionError, match="in the picture"):
        list(train(notebook, Watch(10, draw), 10))


def test_nothing_is_shown_where_nothing_is_to_be_done(notebook: Notebook) -> None:
    for watch in (Watch(0), Watch(20, start=20), Watch(20, enabled=False)):
        with watch:
            pass
    assert notebook.shown == []
    list(train(notebook, Watch(20, enabled=False), 20))
    assert notebook.shown == []


def test_a_training_that_goes_on_begins_where_it_was(notebook: Notebook) -> None:
    watch = Watch(100, start=60)
    list(train(notebook, watch, 1, seconds=2))
    assert line(watch) == "stopped at step 61 of 100, loss " + f"{falling(1):.0f}"
    assert watch.figure is not None
    assert list(watch.figure.lines["loss"][0].get_xdata()) == [61]


def test_the_same_training_leaves_the_same_picture(notebook: Notebook) -> None:
    """However long it took, and whenever it was drawn."""
    left = []
    for seconds in (0.01, 0.1, 0.3):
        list(
            train(notebook, Watch(300, lambda ax: show_images(torch.zeros(5, 1, 8, 8), ax=ax)), 300, seconds)
        )
        left.append(notebook.shown[-1]["image/png"])
    assert left[0] == left[1] == left[2]


def test_a_spike_at_the_start_does_not_flatten_the_curve(notebook: Notebook) -> None:
    for values, within in (([16.0, 11.0, *[1.0, 1.3] * 199], (0, 1.5)), ([-2.0] * 400, (-2.5, 1))):
        watch = Watch(400)
        with watch as step_done:
            for value in values:
                step_done(value)
        assert watch.figure is not None
        low, high = watch.figure.axes.get_ylim()
        assert within[0] <= low < values[-2] <= values[-1] < high <= within[1]


@pytest.mark.parametrize("broken", [math.inf, -math.inf, math.nan])
def test_a_loss_that_breaks_is_shown_and_breaks_nothing(notebook: Notebook, broken: float) -> None:
    for values in ([broken] * 10, [*[1.0] * 30, *[broken] * 10]):
        watch = Watch(len(values))
        with watch as step_done:
            for value in values:
                notebook.spend(1)
                step_done(value)
        assert watch.figure is not None
        low, high = watch.figure.axes.get_ylim()
        assert low <= 0 < 1 <= high < 3
        assert line(watch) == f"step {len(values)} of {len(values)}, loss {broken}".replace("-", "−")


def test_each_loss_of_a_row_of_trainings_has_its_curve(notebook: Notebook) -> None:
    watch = Watch(60)
    with watch as step_done:
        for name in ("first", "second"):
            for _ in range(30):
                step_done({name: 1.0})
    assert watch.figure is not None
    xs = {name: list(faint.get_xdata()) for name, (faint, _) in watch.figure.lines.items()}
    assert xs == {"first": list(range(1, 31)), "second": list(range(31, 61))}
    legend = watch.figure.axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["first", "second"]
    assert line(watch) == "step 60 of 60, second 1.00"


def regression(seed: int = 0) -> Objective:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    def loss(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return (net(x) - x.sum(dim=1, keepdim=True)).square().mean()

    return Objective(net, loss, torch.optim.Adam(net.parameters(), lr=0.01), "error")


def test_to_be_watched_changes_no_training(notebook: Notebook) -> None:
    """The picture draws torch's own random numbers, as dropout does; the weights are those of a training unseen."""
    data, weights, grads = [(torch.ones(4, 3),)] * 50, [], []

    def draw(ax: Any) -> None:
        notebook.spend(0.001)
        torch.rand(17)
        grads.append(torch.is_grad_enabled())

    settings: list[dict[str, Any]] = [{"progress": False}, {"picture": draw}]
    for settings_of_one in settings:
        objective = regression()
        torch.manual_seed(1)
        for _ in fit(objective, data, device="cpu", **settings_of_one):
            notebook.spend(0.5)
        weights.append([p.detach().clone() for p in objective.module.parameters()])
    assert len(grads) > 5
    assert not any(grads)
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


def test_fit_shows_the_model_in_eval_mode(notebook: Notebook) -> None:
    objective, modes = regression(), []
    data = [(torch.ones(4, 3),)] * 40
    for _ in fit(objective, data, device="cpu", picture=lambda ax: modes.append(objective.module.training)):
        notebook.spend(1)
    assert len(modes) > 5
    assert not any(modes[1:])  # the first is drawn before any step: the model is as it was given
    assert notebook.displays == 1


def test_what_is_no_picture_is_refused() -> None:
    refused = pytest.raises(
        ValueError, match=r"picture must be a function that draws into axes.*not a Tensor"
    )
    picture: Any = torch.zeros(3)
    with refused:
        Watch(10, picture)
    with refused:
        fit(regression(), [(torch.ones(1, 3),)], picture=picture)


@pytest.mark.parametrize("start", [0, 2])
def test_more_steps_than_there_are_are_refused(start: int) -> None:
    with Watch(3, start=start) as step_done:
        for _ in range(start, 3):
            step_done(1.0)
        with pytest.raises(
            ValueError, match="all 3 steps were done before this one: give Watch as many steps as"
        ):
            step_done(1.0)


def test_elsewhere_it_is_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with Watch(3, lambda ax: pytest.fail("no notebook, no picture")) as step_done:
        for step in range(3):
            step_done(0.5 + step)
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "loss=2.5" in shown


def test_a_loop_is_counted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Notebook()
    monkeypatch.setattr("course_utils.progress.time.perf_counter", lambda: clock.now)
    seen = []
    for letter in counted("abcd", "letters"):
        seen.append(letter)
        clock.spend(3)
    assert seen == ["a", "b", "c", "d"]
    said = [part.rstrip() for part in capsys.readouterr().out.split("\r")]
    assert said == [
        "",
        "letters: 0 of 4 done",
        "letters: 1 of 4 done, 9 s left",
        "letters: 2 of 4 done, 6 s left",
        "letters: 3 of 4 done, 3 s left",
        "letters: 4 of 4 done",  # and no time, which would differ from run to run
    ]
    assert max(map(len, said)) < 70  # the next one covers it
    for _ in counted(range(1000), "numbers"):
        clock.spend(0.01)
    assert 15 <= capsys.readouterr().out.count("\r") <= 22


def test_a_walk_whose_end_is_not_known_is_counted_as_it_goes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Notebook()
    monkeypatch.setattr("course_utils.progress.time.perf_counter", lambda: clock.now)

    def walk() -> Iterator[float]:
        for _ in range(3):
            clock.spend(2)
            yield clock.now

    assert [clock.now - made for made in counted(walk(), "steps")] == [
        0,
        0,
        0,
    ]  # none is made ahead of its time
    said = [part.rstrip() for part in capsys.readouterr().out.split("\r")]
    assert said == ["", "steps: 0 done", "steps: 1 done", "steps: 2 done", "steps: 3 done"]
