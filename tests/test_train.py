"""The loop against a plain torch loop, closed forms, and itself after a kill."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from course_utils.autoencoders import DenoisingAutoencoder
from course_utils.data import batches, load_images
from course_utils.nets import seeded
from course_utils.train import Objective, exponential_average, fit, warmup_cosine


def line_data(n: int = 64, noise: float = 0.0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, 3, generator=g)
    return [(x, x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 3 + noise * torch.randn(n, 1, generator=g))]


def regression(lr: float = 0.1, optimizer=torch.optim.SGD, **settings) -> Objective:
    with seeded(0):
        module = nn.Linear(3, 1)

    def loss(x, y, generator):
        return (module(x) - y).square().mean()

    return Objective(module, loss, optimizer(module.parameters(), lr=lr), **settings)


def run(objectives, data, **settings):
    return list(fit(objectives, data, progress=False, device="cpu", **settings))


def test_reaches_the_least_squares_solution():
    data = line_data(noise=0.3)
    objective = regression()
    run(objective, data * 400)
    x, y = data[0]
    solution = torch.linalg.lstsq(torch.cat([x, torch.ones(len(x), 1)], dim=1), y).solution.flatten()
    found = torch.cat([objective.module.weight.flatten(), objective.module.bias])
    torch.testing.assert_close(found, solution, atol=1e-5, rtol=0)


def test_is_the_plain_loop():
    objective, plain = regression(optimizer=torch.optim.AdamW), regression(optimizer=torch.optim.AdamW)
    records = run(objective, line_data() * 20)
    for x, y in line_data() * 20:
        plain.optimizer.zero_grad()
        loss = plain.loss(x, y, None)
        loss.backward()
        plain.optimizer.step()
    assert torch.equal(objective.module.weight, plain.module.weight)
    assert records[-1].loss == loss.item()
    assert [r.step for r in records] == list(range(1, 21))


def test_schedule_sets_the_learning_rate_of_each_step():
    records = run(regression(lr=0.2, schedule=warmup_cosine), line_data() * 100)
    rates = [r.lr["loss"] for r in records]
    assert rates[0] == 0
    assert max(rates) == pytest.approx(0.2)
    assert rates.index(max(rates)) == 5
    middle = 5 + 95 // 2  # the cosine has fallen to a half between steps 52 and 53
    assert rates[middle] > 0.1 > rates[middle + 1]
    assert rates[-1] < 0.001


def test_average_follows_its_recursion():
    objective = regression()
    objective.ema = exponential_average(objective.module, decay=0.9)
    expected = None
    for _ in fit(objective, line_data() * 10, progress=False, device="cpu"):
        weight = objective.module.weight.detach().clone()
        expected = weight if expected is None else 0.9 * expected + 0.1 * weight
    torch.testing.assert_close(objective.ema.module.weight.detach(), expected)


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

    players = [
        Objective(a, lowers_a, torch.optim.SGD(a.parameters(), lr=0.1), name="a"),
        Objective(b, raises_b, torch.optim.SGD(b.parameters(), lr=0.1), name="b"),
    ]
    records = run(players, [(torch.zeros(2),)] * 30)
    step = torch.tensor([[1, -0.1], [0.1, 1 - 0.01]], dtype=torch.float64)  # a' = a - h b, b' = b + h a'
    expected = torch.linalg.matrix_power(step, 30) @ torch.ones(2, dtype=torch.float64)
    assert a.weight.item() == pytest.approx(expected[0].item(), rel=1e-4)
    assert b.weight.item() == pytest.approx(expected[1].item(), rel=1e-4)
    assert set(records[0].losses) == {"a", "b"}
    assert a.weight.requires_grad
    assert b.weight.requires_grad


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


def test_loss_that_is_not_finite_stops_before_the_weights_are_hurt():
    objective = regression()
    x, y = line_data()[0]
    with pytest.raises(FloatingPointError, match=r"at step 3.*learning rate"):
        run(objective, [(x, y), (x, y), (x, y * torch.inf)])
    assert all(p.isfinite().all() for p in objective.module.parameters())


def test_randomness_comes_from_the_seed_alone():
    def weights(seed: int) -> torch.Tensor:
        with seeded(1):
            model = DenoisingAutoencoder(2)
        data = batches(load_images("digits")[:256], 32, 3, generator=torch.Generator().manual_seed(0))
        run(Objective(model, model.loss, torch.optim.Adam(model.parameters())), data, seed=seed)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    first = weights(0)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert torch.equal(first, weights(0))
    assert torch.equal(state, torch.get_rng_state()), "torch's own state was touched"
    assert not torch.equal(first, weights(1))


# A run of a real model with everything that has state: Adam, a schedule, an average, noise, dropout.
JOB = """
import os, safetensors.torch, signal, sys, torch
from torch import nn
from course_utils.autoencoders import DenoisingAutoencoder
from course_utils.data import batches, load_images
from course_utils.nets import seeded
from course_utils.train import Objective, exponential_average, fit, warmup_cosine
path, die_at, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.manual_seed(5)
with seeded(0):
    model = DenoisingAutoencoder(4)
    model.decoder.insert(2, nn.Dropout(0.1))  # draws from torch's own state
ema = exponential_average(model, 0.9)
objective = Objective(
    model, model.loss, torch.optim.AdamW(model.parameters(), lr=1e-3), schedule=warmup_cosine, ema=ema
)
data = batches(load_images("digits"), 64, last, generator=torch.Generator().manual_seed(0))
for record in fit(objective, data, checkpoint=path, save_every=4, progress=False, device="cpu"):
    if record.step == die_at:
        os.kill(os.getpid(), signal.SIGKILL)
both = {"model": model.state_dict(), "ema": ema.state_dict()}
tensors = {f"{i}.{k}": v.contiguous() for i, state in both.items() for k, v in state.items()}
safetensors.torch.save_file(tensors, path + ".result")
print("steps", record.step if "record" in dir() else 0)
"""


def job(path: Path, die_at: int = 0, last: int = 12) -> int:
    command = [sys.executable, "-c", JOB, str(path), str(die_at), str(last)]
    return subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}).returncode


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path):
    assert job(tmp_path / "whole") == 0
    assert job(tmp_path / "killed", die_at=7) == -signal.SIGKILL
    assert job(tmp_path / "killed") == 0
    assert (tmp_path / "whole.result").read_bytes() == (tmp_path / "killed.result").read_bytes()
    assert job(tmp_path / "other", last=11) == 0  # that the comparison can fail: one step less
    assert (tmp_path / "whole.result").read_bytes() != (tmp_path / "other.result").read_bytes()


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


def test_checkpoint_of_another_run_is_refused(tmp_path: Path):
    path = tmp_path / "c"
    run(regression(), line_data() * 2, checkpoint=path, seed=1)
    with pytest.raises(ValueError, match="seed=1"):
        run(regression(), line_data() * 2, checkpoint=path, seed=2)
    other = Objective(nn.Linear(2, 1), regression().loss, torch.optim.SGD([torch.zeros(1)]))
    with pytest.raises(ValueError, match="other modules"):
        run(other, line_data() * 2, checkpoint=path, seed=1)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"cannot be read.*start anew"):
        run(regression(), line_data() * 2, checkpoint=path, seed=1)


def test_nothing_to_train_is_said():
    with pytest.raises(ValueError, match="0 batches"):
        run(regression(), [])


PARALLEL = """
import safetensors.torch, sys, torch
from course_utils.autoencoders import Autoencoder
from course_utils.data import batches, load_images
from course_utils.nets import seeded
from course_utils.train import Objective, fit
with seeded(0):
    model = Autoencoder(4)
data = batches(load_images("digits"), 64, 5, generator=torch.Generator().manual_seed(0))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
losses = [r.loss for r in fit(Objective(model, model.loss, optimizer), data, progress=False)]
from accelerate import PartialState
if PartialState().is_main_process:
    facts = {"losses": torch.tensor(losses), "processes": torch.tensor(PartialState().num_processes)}
    weights = {k: v.detach().contiguous() for k, v in model.named_parameters()}
    safetensors.torch.save_file(facts | weights, sys.argv[1])
if PartialState().num_processes > 1:
    torch.distributed.destroy_process_group()
"""


def test_two_processes_do_what_one_does(tmp_path: Path):
    script = tmp_path / "job.py"
    script.write_text(PARALLEL)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    for n, start in ((1, [sys.executable]), (2, [*launch, "--nproc_per_node=2"])):
        command = [*start, str(script), str(tmp_path / f"{n}.safetensors")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    one, two = (safetensors.torch.load_file(tmp_path / f"{n}.safetensors") for n in (1, 2))
    assert (one.pop("processes"), two.pop("processes")) == (1, 2)
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")
def test_tensorboard_gets_each_loss(tmp_path: Path):
    records = run(regression(), line_data() * 5, tensorboard=tmp_path)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path))
    events.Reload()
    written = [(e.step, e.value) for e in events.Scalars("loss")]
    assert written == [(r.step, pytest.approx(r.loss)) for r in records]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.accelerator.is_available(), reason="no accelerator on this machine")
def test_trains_on_the_accelerator():
    objective = regression()
    losses = [r.loss for r in fit(objective, line_data() * 100, progress=False)]
    assert next(objective.module.parameters()).device.type != "cpu"
    assert losses[-1] < 0.01 * losses[0]
