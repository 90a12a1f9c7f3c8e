"""The loop against a plain torch loop, closed forms, and itself after an interruption at any place."""

import dataclasses
import gc
import json
import math
import signal
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from course_utils import training
from course_utils.autoencoders import VAE
from course_utils.pretrained import Model
from course_utils.progress import Watch
from course_utils.training import (
    Objective,
    Record,
    constant,
    exponential_average,
    fit,
    warmup_cosine,
)


def line_data(n: int = 64, noise: float = 0.0) -> list[tuple[Tensor, Tensor]]:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, 3, generator=g)
    return [(x, x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 3 + noise * torch.randn(n, 1, generator=g))]


def built(make: Callable[[], nn.Module]) -> nn.Module:
    """A module with weights that are always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()


def regression(
    lr: float = 0.1, optimizer=torch.optim.SGD, module: nn.Module | None = None, **settings
) -> Objective:
    module = module or built(lambda: nn.Linear(3, 1))
    arguments = settings.pop("arguments", {})

    def loss(x, y, generator):
        return (module(x) - y).square().mean()

    return Objective(module, loss, optimizer(module.parameters(), lr=lr, **arguments), **settings)


def run(objectives, data, **settings) -> list[Record]:
    return list(fit(objectives, data, progress=False, device="cpu", **settings))


def game() -> list[Objective]:
    """Two players with everything that has state: Adam, schedules, an average, batch statistics, noise, dropout."""
    critic = built(lambda: nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1)))
    artist = built(
        lambda: nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2))
    )

    def critic_loss(x, generator):
        z = torch.randn(len(x), 3, generator=generator)
        return nn.functional.softplus(-critic(x)).mean() + nn.functional.softplus(critic(artist(z))).mean()

    def artist_loss(x, generator):
        z = torch.randn(len(x), 3, generator=generator)
        return nn.functional.softplus(-critic(artist(z))).mean()

    def adam(module):
        return torch.optim.AdamW(module.parameters(), lr=0.01, betas=(0.5, 0.9))

    return [
        Objective(
            critic, critic_loss, adam(critic), "critic", warmup_cosine, exponential_average(critic, 0.9)
        ),
        Objective(
            artist, artist_loss, adam(artist), "artist", warmup_cosine, exponential_average(artist, 0.9)
        ),
    ]


def points(steps: int) -> list[tuple[Tensor]]:
    g = torch.Generator().manual_seed(1)
    return [(torch.randn(16, 2, generator=g),) for _ in range(steps)]


def state(objectives: list[Objective]) -> dict[str, Tensor]:
    """All that a step can change, copied."""
    found = {"rng": torch.get_rng_state()}
    for objective in objectives:
        for part, module in {"module": objective.module, "ema": objective.ema}.items():
            if module is not None:
                found |= {f"{objective.name}.{part}.{k}": v for k, v in module.state_dict().items()}
        for i, entries in objective.optimizer.state_dict()["state"].items():
            found |= {f"{objective.name}.optimizer.{i}.{key}": value for key, value in entries.items()}
    return {key: value.detach().clone() for key, value in found.items()}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


# --------------------------------------------------------------------------------------------- a step


def test_reaches_the_least_squares_solution():
    data = line_data(noise=0.3)
    objective = regression()
    run(objective, data * 400)
    x, y = data[0]
    solution = torch.linalg.lstsq(torch.cat([x, torch.ones(len(x), 1)], dim=1), y).solution.flatten()
    found = torch.cat([objective.module.weight.flatten(), objective.module.bias])
    torch.testing.assert_close(found, solution, atol=1e-5, rtol=0)


@pytest.mark.parametrize("clip", [None, 0.5])
def test_is_the_plain_loop(clip: float | None):
    objective, plain = regression(optimizer=torch.optim.AdamW), regression(optimizer=torch.optim.AdamW)
    records = run(objective, line_data() * 20, clip=clip)
    for x, y in line_data() * 20:
        plain.optimizer.zero_grad()
        loss = plain.loss(x, y, None)
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(plain.module.parameters(), clip)
        plain.optimizer.step()
    assert torch.equal(objective.module.weight, plain.module.weight)
    assert records[-1].loss == loss.item()
    assert [r.step for r in records] == list(range(1, 21))


def test_clip_bounds_the_step():
    objective = regression(lr=1.0)
    before = torch.cat([p.detach().flatten() for p in objective.module.parameters()])
    run(objective, line_data(), clip=0.01)
    after = torch.cat([p.detach().flatten() for p in objective.module.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_two_objectives_play_in_turn():
    """min over a, max over b of a·b by alternating steps of size h: the trajectory is known."""
    a, b = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.ones_(a.weight), nn.init.ones_(b.weight)

    def lowers_a(x, generator):
        assert not b.weight.requires_grad
        return (a.weight * b.weight).sum()

    def raises_b(x, generator):
        assert not a.weight.requires_grad
        return -(a.weight * b.weight).sum()

    both = [
        Objective(a, lowers_a, torch.optim.SGD(a.parameters(), lr=0.1), name="a"),
        Objective(b, raises_b, torch.optim.SGD(b.parameters(), lr=0.1), name="b"),
    ]
    records = run(both, [(torch.zeros(2),)] * 30)
    step = torch.tensor([[1, -0.1], [0.1, 1 - 0.01]], dtype=torch.float64)  # a' = a - h b, b' = b + h a'
    expected = torch.linalg.matrix_power(step, 30) @ torch.ones(2, dtype=torch.float64)
    assert a.weight.item() == pytest.approx(expected[0].item(), rel=1e-4)
    assert b.weight.item() == pytest.approx(expected[1].item(), rel=1e-4)
    assert set(records[0].losses) == {"a", "b"}
    assert a.weight.requires_grad
    assert b.weight.requires_grad


def test_an_objective_given_several_times_has_several_turns(tmp_path: Path):
    once, thrice = regression(), regression()
    run(once, line_data() * 6)
    run([thrice] * 3, line_data() * 2, checkpoint=tmp_path / "c")
    assert torch.equal(once.module.weight, thrice.module.weight)
    again = regression()
    assert run([again] * 3, line_data() * 2, checkpoint=tmp_path / "c") == []
    assert torch.equal(once.module.weight, again.module.weight)


def test_modules_train_in_a_step_and_rest_between():
    objective = regression()
    seen = []
    plain = objective.loss
    objective.loss = lambda *batch, generator: (
        seen.append(objective.module.training),
        plain(*batch, generator=generator),
    )[1]
    for _ in fit(objective, line_data() * 2, progress=False, device="cpu"):
        assert not objective.module.training
    assert seen == [True, True]


def test_randomness_comes_from_the_seed_alone():
    def weights(seed: int) -> Tensor:
        module = built(lambda: nn.Linear(3, 1))

        def loss(x, y, generator):
            return (module(x + torch.randn(x.shape, generator=generator)) - y).square().mean()

        run(Objective(module, loss, torch.optim.Adam(module.parameters())), line_data() * 3, seed=seed)
        return torch.cat([p.detach().flatten() for p in module.parameters()])

    first = weights(0)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert torch.equal(first, weights(0))
    assert torch.equal(before, torch.get_rng_state()), "torch's own state was touched"
    assert not torch.equal(first, weights(1))


def test_each_step_and_turn_has_noise_of_its_own():
    seen = []
    first, second = regression(name="a"), regression(name="b")
    for objective in (first, second):
        objective.loss = lambda *batch, generator, plain=objective.loss: (
            seen.append(torch.randn(1, generator=generator).item()),
            plain(*batch, generator=generator),
        )[1]
    run([first, second], line_data() * 5)
    assert len(set(seen)) == 10


# ------------------------------------------------------------------------------------------ schedules


@pytest.mark.parametrize("steps", [1, 2, 5, 100, 1000])
def test_the_schedule_is_taken_in_the_middle_of_each_step(steps: int):
    objective = regression(lr=0.2, schedule=warmup_cosine)
    rates, weights = [], [objective.module.weight.detach().clone()]
    for record in fit(objective, line_data() * steps, progress=False, device="cpu"):
        assert objective.optimizer.param_groups[0]["lr"] == 0.2, "the optimiser's own rate, between steps"
        rates.append(record.lr["loss"])
        weights.append(objective.module.weight.detach().clone())
    assert not torch.equal(weights[0], weights[1]), "the first step moves"
    assert min(rates) > 0, "no step is wasted"
    middles = [(i + 0.5) / steps for i in range(steps)]
    expected = [
        0.2 * (m / 0.05 if m < 0.05 else math.cos(math.pi / 2 * (m - 0.05) / 0.95) ** 2) for m in middles
    ]
    assert rates == pytest.approx(expected, rel=1e-9)
    if steps >= 100:  # the integral over the run: half of the peak, as under both a ramp and a cosine
        assert sum(rates) / steps == pytest.approx(0.1, rel=1e-3)


def test_the_shape_of_the_schedule():
    assert [warmup_cosine(x) for x in (0, 0.025, 0.05, 0.525, 1)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert [constant(x) for x in (0, 0.3, 1)] == [1, 1, 1]


def test_a_schedule_that_cannot_be_is_said():
    with pytest.raises(ValueError, match=r"schedule of 'loss' gave nan at step 1"):
        run(regression(schedule=lambda done: math.nan), line_data())


# -------------------------------------------------------------------------------------------- averages


class Walk(nn.Module):
    """One weight and two buffers that are set by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def go(self, value: float) -> None:
        self.weight.data.fill_(value)
        self.mean.fill_(-value)
        self.count.fill_(int(value))


def test_the_average_s_warm_up_has_its_closed_form():
    """With decays (1 + t) / (10 + t), update k = 1 … n weighs C(k + 9, 8) / C(n + 10, 9), the first one 10 / C."""
    walk = Walk()
    ema = exponential_average(walk, 1.0)
    values = [math.sin(k) * 50 for k in range(60)]
    for n, value in enumerate(values):
        walk.go(value)
        ema.update_parameters(walk)
        shares = [10, *(math.comb(k + 9, 8) for k in range(1, n + 1))]
        assert sum(shares) == math.comb(n + 10, 9)
        expected = sum(s * v for s, v in zip(shares, values, strict=False)) / math.comb(n + 10, 9)
        assert ema.module.weight.tolist() == pytest.approx([expected] * 2, rel=1e-4, abs=1e-4)
        assert ema.module.mean.item() == pytest.approx(-expected, rel=1e-4, abs=1e-4)
        assert ema.module.count.item() == int(value)


def test_after_its_warm_up_the_average_forgets_at_its_own_rate():
    walk = Walk()
    ema = exponential_average(walk, 0.9)
    walk.go(1.0)
    for _ in range(100):  # from t = 80 on (1 + t) / (10 + t) is above 0.9
        ema.update_parameters(walk)
    walk.go(0.0)
    for _ in range(20):
        ema.update_parameters(walk)
    assert ema.module.weight.tolist() == pytest.approx([0.9**20] * 2, rel=1e-5)


def test_a_short_run_is_averaged_over_its_end():
    """100 steps in a straight line, 0 … 1: with decay .999 from the first step on the average would be at .048."""
    walk = Walk()
    ema = exponential_average(walk, 0.999)
    for k in range(101):
        walk.go(k / 100)
        ema.update_parameters(walk)
    assert 0.85 < ema.module.weight[0].item() < 0.95


def test_fit_updates_the_average_after_each_step():
    objective = regression()
    objective.ema = exponential_average(objective.module, decay=0.3)
    expected = None
    for t, _ in enumerate(fit(objective, line_data() * 10, progress=False, device="cpu")):
        weight, decay = objective.module.weight.detach().clone(), min(0.3, (1 + t) / (10 + t))
        expected = weight if expected is None else decay * expected + (1 - decay) * weight
    torch.testing.assert_close(objective.ema.module.weight.detach(), expected)


@pytest.mark.parametrize("decay", [-0.1, 1.1, math.nan])
def test_a_decay_that_cannot_be_is_refused(decay: float):
    with pytest.raises(ValueError, match="decay="):
        exponential_average(nn.Linear(1, 1), decay)


# ----------------------------------------------------------------------------- steps that are cut off


class Bad(torch.autograd.Function):
    """The identity, whose gradient is not finite."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * torch.nan


def spoiled(kind: str) -> Callable[[Tensor], Tensor]:
    def error(value: Tensor) -> Tensor:
        raise RuntimeError("out of memory")

    def interrupt(value: Tensor) -> Tensor:
        signal.raise_signal(signal.SIGINT)
        return value

    kinds = {"nan": lambda v: v * torch.nan, "inf": lambda v: v + torch.inf, "gradient": Bad.apply}
    return (kinds | {"error": error, "interrupt": interrupt})[kind]


ERRORS = {
    "nan": (FloatingPointError, r"{name} is nan at step {step}; lower the learning rate"),
    "inf": (FloatingPointError, r"{name} is inf at step {step}; lower the learning rate"),
    "gradient": (FloatingPointError, r"{name} is [\d.]+ at step {step}, but its gradient.*learning rate"),
    "error": (RuntimeError, "out of memory"),
    "interrupt": (KeyboardInterrupt, None),
}


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("step", [1, 4])
@pytest.mark.parametrize("player", [0, 1])
@pytest.mark.parametrize("kind", ERRORS)
def test_a_step_that_is_cut_off_leaves_everything_as_it_was(
    kind: str, player: int, step: int, clip: float | None, tmp_path: Path
):
    torch.manual_seed(3)
    players, path = game(), tmp_path / "c"
    plain, spoil = players[player].loss, spoiled(kind)
    calls = []

    def loss(*batch, generator):
        calls.append(0)
        value = plain(*batch, generator=generator)
        return spoil(value) if len(calls) == step else value

    players[player].loss = loss
    steps = fit(players, points(8), checkpoint=path, clip=clip, progress=False, device="cpu")
    for _ in range(step - 1):
        next(steps)
    before = state(players)
    error, message = ERRORS[kind]
    with pytest.raises(error, match=message and message.format(name=players[player].name, step=step)):
        next(steps)
    assert_same(state(players), before)
    assert all(weight.requires_grad for objective in players for weight in objective.module.parameters())
    assert not any(objective.module.training for objective in players)
    assert all(o.optimizer.param_groups[0]["lr"] == 0.01 for o in players)
    assert path.exists() == (step > 1)

    if path.exists():
        torch.manual_seed(99)  # the file knows better
    players[player].loss = plain  # the same objects go on as if nothing had been
    run(players, points(8), checkpoint=path, clip=clip)
    torch.manual_seed(3)
    whole = game()
    run(whole, points(8), clip=clip)
    assert_same(state(players), state(whole))


def test_finite_gradients_whose_norm_overflows_are_refused():
    objective = regression()
    objective.loss = lambda x, y, generator: (objective.module.weight * 1e30).sum()
    before = state([objective])
    with pytest.raises(FloatingPointError, match="gradient's norm is inf"):
        run(objective, line_data())
    assert_same(state([objective]), before)


class Halfway(torch.optim.SGD):
    """Ctrl-C comes when the first weight is moved and the others are not, in the third step."""

    steps = 0

    @torch.no_grad()
    def step(self, closure=None):
        self.steps += 1
        for group in self.param_groups:
            for i, weight in enumerate(group["params"]):
                weight.sub_(group["lr"] * weight.grad)
                if i == 0 and self.steps == 3:
                    self.happens()

    def happens(self):
        signal.raise_signal(signal.SIGINT)


def in_the_update(monkeypatch, objective):
    objective.optimizer = Halfway(objective.module.parameters(), lr=0.1)


def in_the_average(monkeypatch, objective):
    plain = objective.ema.update_parameters

    def update(module):
        if objective.ema.n_averaged == 2:
            signal.raise_signal(signal.SIGINT)
        plain(module)

    objective.ema.update_parameters = update


def in_the_bar(monkeypatch, objective):
    plain = Watch.__call__

    def one_step_done(self, losses):
        if self.done == 2:
            signal.raise_signal(signal.SIGINT)
        plain(self, losses)

    monkeypatch.setattr(Watch, "__call__", one_step_done)


def in_saving(monkeypatch, objective):
    plain = safetensors.torch.save

    def save(tensors, metadata):
        signal.raise_signal(signal.SIGINT)
        return plain(tensors, metadata)

    monkeypatch.setattr(safetensors.torch, "save", save)


@pytest.mark.parametrize("place", [in_the_update, in_the_average, in_the_bar, in_saving])
def test_ctrl_c_waits_for_the_end_of_what_must_be_whole(
    place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def made() -> Objective:
        objective = regression()
        objective.ema = exponential_average(objective.module, 0.9)
        return objective

    whole, path = made(), tmp_path / "c"
    if place is in_the_update:
        whole.optimizer = Halfway(whole.module.parameters(), lr=0.1)
        whole.optimizer.happens = lambda: None
    states = [state([whole]) for _ in fit(whole, line_data() * 6, progress=False, device="cpu")]
    usual = signal.getsignal(signal.SIGINT)
    objective = made()
    with monkeypatch.context() as patch:
        place(patch, objective)
        with pytest.raises(KeyboardInterrupt):
            run(objective, line_data() * 6, checkpoint=path, save_every=3)
    assert signal.getsignal(signal.SIGINT) is usual
    assert_same(state([objective]), states[2])
    again = made()
    if place is in_the_update:
        again.optimizer = Halfway(again.module.parameters(), lr=0.1)
        again.optimizer.steps = 3
    assert [r.step for r in run(again, line_data() * 6, checkpoint=path)] == [4, 5, 6]
    assert_same(state([again]), states[5])


@pytest.mark.parametrize("several", [False, True])
def test_an_error_in_the_middle_of_an_update_is_never_saved_as_a_step(several: bool, tmp_path: Path):
    class Torn(Halfway):
        def happens(self):
            raise RuntimeError("out of memory")

    objective, path = regression(optimizer=Torn), tmp_path / "c"
    whole = regression(optimizer=Halfway)
    whole.optimizer.happens = lambda: None
    turns = 2 if several else 1  # with two turns there is a copy to go back to
    with pytest.raises(RuntimeError, match="out of memory"):
        run([objective] * turns, line_data() * 6, checkpoint=path)
    assert path.exists() == several
    again = regression(optimizer=Torn)
    again.optimizer.happens = lambda: None
    records = run([again] * turns, line_data() * 6, checkpoint=path)
    assert records[0].step == (2 if several else 1)
    run([whole] * turns, line_data() * 6)
    assert torch.equal(again.module.weight, whole.module.weight)


def test_a_run_left_in_the_middle_is_written_before_the_next_goes_on(tmp_path: Path):
    """A notebook keeps the traceback of an interrupted cell, and with it the loop, while the cell is run again."""
    whole = regression(optimizer=torch.optim.Adam)
    run(whole, line_data() * 20)
    for same_file in (True, False):
        path = tmp_path / f"{same_file}"
        objective = regression(optimizer=torch.optim.Adam)
        kept = fit(objective, line_data() * 20, progress=False, device="cpu", checkpoint=path)
        for _ in range(5):
            next(kept)
        if same_file:
            again = regression(optimizer=torch.optim.Adam)
            assert len(run(again, line_data() * 20, checkpoint=path)) == 15
            assert torch.equal(again.module.weight, whole.module.weight)
        else:  # the same weights go their way in another run: the first one's file must not hold them
            run(objective, line_data() * 3, checkpoint=tmp_path / "other")
        kept.close()
        resumed = regression(optimizer=torch.optim.Adam)
        assert len(run(resumed, line_data() * 20, checkpoint=path)) == (0 if same_file else 15)
        assert torch.equal(resumed.module.weight, whole.module.weight)


def test_runs_without_a_checkpoint_can_take_turns():
    objective = regression()
    pairs = list(
        zip(*(fit(objective, line_data() * 4, progress=False, device="cpu") for _ in "ab"), strict=True)
    )
    assert len(pairs) == 4


def test_trains_in_another_thread(tmp_path: Path):
    objective, found = regression(), []
    thread = threading.Thread(
        target=lambda: found.extend(run(objective, line_data() * 5, checkpoint=tmp_path / "c"))
    )
    thread.start()
    thread.join()
    assert len(found) == 5
    assert (tmp_path / "c").exists()


# ----------------------------------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("what", ["beta", "likelihood", "data"])
def test_a_checkpoint_knows_with_which_arguments_and_data_its_model_learns(what: str, tmp_path: Path):
    def begin(data: float = 0.0, **arguments: Any) -> None:
        model = built(lambda: VAE(2, size=8, **arguments))
        objective = Objective(model, model.loss, torch.optim.SGD(model.parameters(), lr=1e-4))
        x = (torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 1 + data).clamp(-1, 1)
        for record in fit(objective, [(x,)] * 9, checkpoint=tmp_path / "c", progress=False, device="cpu"):
            if record.step == 5:
                break

    begin(beta=1.0)
    other = {"beta": {"beta": 16.0}, "likelihood": {"likelihood": "gaussian"}, "data": {"data": 0.2}}[what]
    with pytest.raises(ValueError, match=rf"another run \(.*{'deviations' if what == 'data' else what}"):
        begin(**({"beta": 1.0} | other))


@pytest.mark.parametrize("wrong", [{"module": lambda x: x}, {"loss": 3.0}, {"optimizer": "adam"}])
def test_an_objective_of_something_else_is_refused(wrong: dict[str, Any]):
    model = nn.Linear(3, 1)
    right = {"module": model, "loss": model, "optimizer": torch.optim.SGD(model.parameters(), lr=0.1)}
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        Objective(**right | wrong)


def test_a_model_made_with_nan_goes_on_from_its_checkpoint(tmp_path: Path):
    class Fills(Model):
        def __init__(self, fill: float):
            super().__init__()
            self.layer = nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)

    for left in (4, 0):
        made = regression(module=built(lambda: Fills(math.nan)))
        assert len(run(made, line_data() * 4, checkpoint=tmp_path / "c")) == left


def test_what_cannot_be_kept_is_said_at_the_call(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written"):
        fit(regression(), line_data(), checkpoint=tmp_path / "file" / "c")
    other = exponential_average(nn.Linear(4, 1))
    with pytest.raises(ValueError, match="is of another module"):
        fit(regression(ema=other), line_data())

    class Odd(nn.Linear):
        def get_extra_state(self):
            return {"a": 1}

        def set_extra_state(self, state):
            pass

    with pytest.raises(ValueError, match="extra state that is no tensor"):
        fit(regression(module=Odd(3, 1)), line_data())


def test_leaving_the_loop_keeps_the_last_step(tmp_path: Path):
    objective = regression(optimizer=torch.optim.Adam)
    for record in fit(objective, line_data() * 50, progress=False, checkpoint=tmp_path / "c", device="cpu"):
        if record.step == 17:
            break
    again = regression(optimizer=torch.optim.Adam)
    records = run(again, line_data() * 50, checkpoint=tmp_path / "c")
    assert records[0].step == 18
    whole = regression(optimizer=torch.optim.Adam)
    run(whole, line_data() * 50)
    assert torch.equal(again.module.weight, whole.module.weight)
    assert run(again, line_data() * 50, checkpoint=tmp_path / "c") == [], (
        "a finished run has nothing left to do"
    )


def test_an_error_in_the_loop_s_body_keeps_the_last_step(tmp_path: Path):
    def body():
        for record in fit(
            regression(), line_data() * 50, progress=False, checkpoint=tmp_path / "c", device="cpu"
        ):
            if record.step == 17:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        body()
    gc.collect()
    assert run(regression(), line_data() * 50, checkpoint=tmp_path / "c")[0].step == 18


def test_close_stops_and_saves(tmp_path: Path):
    steps = fit(regression(), line_data() * 50, progress=False, checkpoint=tmp_path / "c", device="cpu")
    for _ in range(3):
        next(steps)
    steps.close()
    assert list(steps) == []
    assert run(regression(), line_data() * 50, checkpoint=tmp_path / "c")[0].step == 4


def test_it_is_written_every_so_many_steps_and_at_the_end(tmp_path: Path):
    path, written = tmp_path / "c", []
    for record in fit(
        regression(), line_data() * 10, progress=False, checkpoint=path, save_every=4, device="cpu"
    ):
        if path.exists():
            written.append(record.step)
            path.unlink()
    assert written == [4, 8, 10]
    assert not path.exists(), "written twice"


@dataclasses.dataclass
class Numbered:
    """Batches with a seed, as data.batches makes them."""

    steps: int = 4
    batch_size: int = 8
    seed: int = 5

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        return line_data(self.batch_size)[0]


def averaged(objective: Objective, decay: float) -> Objective:
    return dataclasses.replace(objective, ema=exponential_average(objective.module, decay))


def adam(**arguments: Any) -> Objective:
    return regression(optimizer=torch.optim.Adam, arguments=arguments)


OTHERS: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "the number of steps": (adam, {"batches": Numbered(steps=2)}, "steps: 4 there, 2 here"),
    "more steps": (adam, {"batches": Numbered(steps=40)}, "steps: 4 there, 40 here"),
    "the batch size": (adam, {"batches": Numbered(batch_size=9)}, r"batch: \[\[8, 3\], .* there, \[\[9, 3\], "),
    "the order of the batches": (adam, {"batches": Numbered(seed=6)}, "seed of the batches: 5 there, 6 here"),
    "the seed": (adam, {"seed": 2}, "seed: 1 there, 2 here"),
    "clip": (adam, {"clip": 2.0}, "clip: 1.0 there, 2.0 here"),
    "no clip": (adam, {"clip": None}, "clip: 1.0 there, None here"),
    "the optimiser": (regression, {}, "objectives loss optimizer: Adam there, SGD here"),
    "the learning rate": (lambda: regression(0.2, torch.optim.Adam), {}, "lr: 0.1 there, 0.2 here"),
    "betas": (lambda: adam(betas=(0.5, 0.9)), {}, r"betas: \[0.9, 0.999\] there, \[0.5, 0.9\] here"),
    "weight decay": (lambda: adam(weight_decay=0.1), {}, "weight_decay: 0 there, 0.1 here"),
    "the schedule": (
        lambda: dataclasses.replace(adam(), schedule=warmup_cosine), {}, r"schedule .*: \[1.0, .* there, \[0.0, ",
    ),
    "an average": (lambda: averaged(adam(), 0.9), {}, "ema: None there, 0.9 here"),
    "the name": (lambda: dataclasses.replace(adam(), name="other"), {}, r"turns: loss there, other here"),
    "a second objective": (
        lambda: [adam(), dataclasses.replace(adam(), name="other")], {}, r"turns: \['loss'\] there, \['loss', 'oth",
    ),
    "several turns": (lambda: 2 * [adam()], {}, r"turns: \['loss'\] there, \['loss', 'loss'\]"),
    "the module's class": (
        lambda: regression(module=nn.Sequential(nn.Linear(3, 1)), optimizer=torch.optim.Adam), {},
        "module: Linear there, Sequential here",
    ),
    "the weights' shape": (
        lambda: regression(module=nn.Linear(3, 2), optimizer=torch.optim.Adam), {},
        r"loss's weights weight: \[1, 3\] there, \[2, 3\] here",
    ),
    "a weight more": (
        lambda: regression(module=nn.Linear(3, 1, bias=False), optimizer=torch.optim.Adam), {},
        r"loss's weights bias: \[1\] there, nothing here",
    ),
    "the precision": (
        lambda: regression(module=nn.Linear(3, 1).double(), optimizer=torch.optim.Adam), {},
        "dtypes: torch.float32 there, torch.float64 here",
    ),
    "what the caller says": (adam, {"run": {"recipe": "a", "round": 2}}, "run round: 1 there, 2 here"),
    "what the caller does not say": (adam, {"run": None}, "run recipe: a there, nothing here; run round: 1 there"),
}  # fmt: skip


@pytest.mark.parametrize("what", OTHERS)
def test_a_checkpoint_of_another_run_is_refused_with_what_differs(what: str, tmp_path: Path):
    path = tmp_path / "c"
    same = {"batches": Numbered(), "seed": 1, "clip": 1.0, "run": {"recipe": "a", "round": 1}}
    same |= {"checkpoint": path, "progress": False, "device": "cpu"}
    steps = fit(adam(), **same)
    next(steps)
    steps.close()
    written = path.read_bytes()
    make, changed, message = OTHERS[what]
    objectives = make()
    several = objectives if isinstance(objectives, list) else [objectives]
    before = state(several)
    with pytest.raises(
        ValueError, match=rf"c is of another run \(.*{message}.*\).*move it away to start anew"
    ):
        fit(objectives, **(same | changed))  # at the call, not at the first step
    assert_same(state(several), before)
    assert path.read_bytes() == written
    assert len(list(fit(adam(), **same))) == 3


def test_the_decay_of_an_average_is_compared(tmp_path: Path):
    run(averaged(regression(), 0.9), line_data(), checkpoint=tmp_path / "c")
    assert run(averaged(regression(), 0.9), line_data(), checkpoint=tmp_path / "c") == []
    with pytest.raises(ValueError, match=r"ema: 0\.9 there, 0\.99 here"):
        run(averaged(regression(), 0.99), line_data(), checkpoint=tmp_path / "c")


def test_another_optimiser_is_one_difference(tmp_path: Path):
    run(adam(), line_data(), checkpoint=tmp_path / "c")
    with pytest.raises(ValueError, match=r"run \(objectives loss optimizer: Adam there, SGD here\)"):
        run(regression(), line_data(), checkpoint=tmp_path / "c")


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "weights", "format"])
def test_a_file_that_is_no_checkpoint_is_said_at_the_call(damage: str, tmp_path: Path):
    path = tmp_path / "c"
    run(regression(), line_data() * 2, checkpoint=path)
    whole = path.read_bytes()
    tensors = safetensors.torch.load(whole)
    contents = {
        "cut": whole[:-10],
        "empty": b"",
        "text": b"hello, this is text and no weights",
        "weights": safetensors.torch.save(tensors),
        "format": safetensors.torch.save(tensors, metadata={"course": json.dumps({"step": 1, "seed": 0})}),
    }
    path.write_bytes(contents[damage])
    with pytest.raises(ValueError, match=r"c cannot be read .*start anew"):
        fit(regression(), line_data() * 2, checkpoint=path, device="cpu")
    assert path.read_bytes() == contents[damage]


def test_a_checkpoint_keeps_the_strides_of_weights_and_optimiser(tmp_path: Path):
    def made() -> Objective:
        module = built(lambda: nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last))
        optimizer = torch.optim.Adam(module.parameters())
        return Objective(module, lambda x, generator: module(x).square().mean(), optimizer)

    data = [(torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0)),)] * 6
    whole, again = made(), made()
    run(whole, data)
    next(steps := fit(made(), data, checkpoint=tmp_path / "c", progress=False, device="cpu"))
    steps.close()
    run(again, data, checkpoint=tmp_path / "c")
    assert_same(state([again]), state([whole]))
    for objective in (whole, again):
        moments = objective.optimizer.state[objective.module.weight]["exp_avg"]
        assert moments.is_contiguous(memory_format=torch.channels_last)
        assert objective.module.weight.is_contiguous(memory_format=torch.channels_last)


def test_the_course_s_own_batches_and_their_seed(tmp_path: Path):
    from course_utils.data import batches, load_images

    def shuffled(seed: int):
        return batches(load_images("digits"), 32, 3, generator=torch.Generator().manual_seed(seed))

    def reader() -> Objective:
        module = built(lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))
        return Objective(
            module,
            lambda x, y, generator: nn.functional.cross_entropy(module(x), y),
            torch.optim.SGD(module.parameters(), lr=0.01),
        )

    run(reader(), shuffled(0), checkpoint=tmp_path / "c")
    assert run(reader(), shuffled(0), checkpoint=tmp_path / "c") == []
    with pytest.raises(ValueError, match="seed of the batches"):
        run(reader(), shuffled(1), checkpoint=tmp_path / "c")


# ------------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batches": []}, "0 batches"),
        ({"objectives": []}, "0 objectives"),
        ({"batches": iter(line_data())}, r"batches=list_iterator must have a length.*data\.batches"),
        ({"objectives": nn.Linear(1, 1)}, r"objectives=Linear.*Objective"),
        ({"objectives": [nn.Linear(1, 1)]}, r"objectives\[0\] is a Linear.*Objective"),
        ({"objectives": [regression(), regression()]}, r"named \['loss', 'loss'\].*name="),
        (
            {"objectives": Objective(nn.Linear(1, 1), print, torch.optim.SGD([torch.zeros(1)]))},
            r"module\.parameters",
        ),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 0.5}, "seed=0.5"),
        ({"save_every": 0}, "save_every=0"),
        ({"save_every": True}, "save_every=True"),
        ({"clip": 0.0}, r"clip=0\.0"),
        ({"clip": -1.0}, r"clip=-1\.0"),
        ({"clip": math.nan}, "clip=nan"),
        ({"clip": math.inf}, "clip=inf"),
        ({"device": "no-such"}, "device='no-such'"),
        ({"run": {"recipe": object()}, "checkpoint": "never"}, r"run=.*text, numbers, lists"),
        ({"run": ["a"]}, r"run=\['a'\]"),
        ({"checkpoint": Path(__file__).parent}, "is a folder"),
    ],
)
def test_arguments_that_cannot_be_are_refused_at_the_call(settings: dict[str, Any], message: str):
    arguments = {"objectives": regression(), "batches": line_data(), "device": "cpu"} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message):
            fit(**arguments)
        gc.collect()


@pytest.mark.parametrize(("value", "shown"), [(torch.ones(2), r"\(2,\)"), (0.5, "float")])
def test_a_loss_that_is_no_scalar_is_said(value: Any, shown: str):
    objective = regression()
    plain = objective.loss
    objective.loss = lambda x, y, generator: (
        plain(x, y, generator) * value if isinstance(value, Tensor) else value
    )
    with pytest.raises(ValueError, match=rf"loss of 'loss' gave {shown}.*scalar"):
        run(objective, line_data())


def test_to_train_nothing_by_mistake_is_said():
    with pytest.warns(UserWarning, match=r"never iterated.*nothing was trained.*for record in fit"):
        fit(regression(), line_data(), device="cpu")
    steps = fit(regression(), line_data() * 2, device="cpu", progress=False)
    assert "for record in fit" in repr(steps)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        next(steps)
        assert repr(steps) == "<training: 1 of 2 steps done>"
        del steps
        run(regression(), line_data())
        fit(regression(), line_data(), device="cpu").close()
        gc.collect()


# ---------------------------------------------------------------------------------------- many devices


@pytest.mark.gpu
@pytest.mark.skipif(not torch.accelerator.is_available(), reason="no accelerator on this machine")
def test_trains_on_the_accelerator_and_goes_on_there(tmp_path: Path):
    objective = regression()
    losses = [r.loss for r in fit(objective, line_data() * 100, progress=False)]
    assert next(objective.module.parameters()).device.type != "cpu"
    assert losses[-1] < 0.01 * losses[0]

    def made() -> Objective:
        return averaged(adam(), 0.9)

    whole, again = made(), made()
    list(fit(whole, line_data() * 20, progress=False))
    next(steps := fit(made(), line_data() * 20, progress=False, checkpoint=tmp_path / "c"))
    steps.close()
    list(fit(again, line_data() * 20, progress=False, checkpoint=tmp_path / "c"))
    assert_same(state([again]), state([whole]))


# --------------------------------------------------------------------------------------------- progress


def test_the_bar_in_a_terminal_shows_the_loss(capsys: pytest.CaptureFixture[str]):
    records = list(fit(regression(), line_data() * 3, device="cpu"))
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert f"loss={records[-1].loss:.4g}" in shown


@pytest.mark.parametrize(("device", "steps"), [("cpu", 300), ("mps", 5000), ("cuda", 5000)])
def test_a_live_cell_does_more_on_an_accelerator(monkeypatch: pytest.MonkeyPatch, device: str, steps: int):
    monkeypatch.setattr(training.objective, "pick_device", lambda: torch.device(device))
    assert training.budget(300, 5000) == steps
