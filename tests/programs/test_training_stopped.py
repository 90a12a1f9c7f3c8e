"""Training stopped by signals at any moment, and on several processes: each run is a program of its own."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
from test_training import built, fit, game, line_data, points, regression, run, state
from torch import nn

from course_utils.training import Objective

SMALL = os.environ | {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONPATH": os.pathsep.join(
        [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    ),
}


# One process imports torch and then forks a child for each trial, so that hundreds of kills cost seconds.
TRIALS = "import sys, test_training_stopped; test_training_stopped.trials(*sys.argv[1:])"
STEPS, SAVE_EVERY = 30, 7


def trials(folder: str, name: str, count: str) -> None:
    """Start a run, send a signal at a random moment, go on; prints what was found, as JSON."""
    torch.set_num_threads(1)
    draw, number = random.Random(0), signal.Signals[name]
    data = points(STEPS)
    for path in (None, f"{folder}/warm"):
        torch.manual_seed(3)
        began, whole = time.perf_counter(), game()
        run(whole, data, checkpoint=path, save_every=SAVE_EVERY)
        expected, length = state(whole), time.perf_counter() - began
    for i in range(int(count)):
        path = f"{folder}/{i}"
        target, (read, write) = draw.randrange(STEPS), os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                torch.manual_seed(3)
                steps = fit(
                    game(), data, checkpoint=path, save_every=SAVE_EVERY, progress=False, device="cpu"
                )
                for _ in steps:
                    os.write(write, b".")
                code = 0
            except KeyboardInterrupt:
                steps = None  # as when the traceback is let go
                code = 130
            finally:
                os._exit(code)
        os.close(write)
        with os.fdopen(read, "rb", buffering=0) as pipe:
            done = sum(len(pipe.read(1)) for _ in range(target))
            time.sleep(draw.random() * length / STEPS)
            os.kill(child, number)
            done += len(pipe.readall())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        again = game()
        torch.manual_seed(3)
        saved = 0
        if os.path.exists(path):
            with safetensors.safe_open(path, framework="pt") as file:
                saved = json.loads(file.metadata()["course"])["step"]
        records = run(again, data, checkpoint=path, save_every=SAVE_EVERY)
        found = state(again)
        same = found.keys() == expected.keys() and all(torch.equal(found[k], expected[k]) for k in found)
        print(json.dumps({"code": code, "done": done, "saved": saved, "went on": len(records), "same": same}))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(("name", "count"), [("SIGINT", 20), ("SIGKILL", 15)])
def test_signals_at_random_moments_lose_nothing(name: str, count: int, tmp_path: Path):
    command = [sys.executable, "-c", TRIALS, str(tmp_path), name, str(count)]
    process = subprocess.run(command, env=SMALL, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    found = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(found) == count
    hit = [trial for trial in found if trial["code"] == (130 if name == "SIGINT" else -signal.SIGKILL)]
    assert len(hit) > count / 2, found
    assert len({trial["done"] for trial in hit}) > 5, "all at one moment"
    for trial in found:
        assert trial["same"], trial
        assert trial["went on"] == STEPS - trial["saved"], trial
        if name == "SIGINT":  # the step that was under way may have come to its end
            assert trial["done"] <= trial["saved"] <= trial["done"] + 1, trial
        else:
            assert trial["saved"] >= trial["done"] - trial["done"] % SAVE_EVERY, trial


BODY = """
import signal, sys
from test_training import built, fit, line_data, regression
steps = fit(regression(), line_data() * 50, checkpoint=sys.argv[1], progress=False, device="cpu")
for record in steps:
    if record.step == 17:
        signal.raise_signal(signal.SIGINT)
"""


def test_ctrl_c_in_the_caller_s_own_code_is_saved_when_the_script_ends(tmp_path: Path):
    command = [sys.executable, "-c", BODY, str(tmp_path / "c")]
    process = subprocess.run(command, env=SMALL, capture_output=True, text=True, timeout=120)
    assert "KeyboardInterrupt" in process.stderr
    assert "Exception ignored" not in process.stderr
    assert run(regression(), line_data() * 50, checkpoint=tmp_path / "c")[0].step == 18


PARALLEL = """
import safetensors.torch, sys, torch
from accelerate import PartialState
from test_training import built, fit, points
from test_training_stopped import parallel
objective = parallel()
records = fit(objective, points(5), checkpoint=sys.argv[1] + ".c", clip=0.1, progress=False)
losses = [record.loss for record in records]
assert PartialState().num_processes == 2
if PartialState().is_main_process:
    weights = {name: weight.detach() for name, weight in objective.module.named_parameters()}
    safetensors.torch.save_file(weights | {"losses": torch.tensor(losses)}, sys.argv[1])
PartialState().wait_for_everyone()  # one that has gone is a broken connection to the other
torch.distributed.destroy_process_group()
"""


def parallel() -> Objective:
    model = built(lambda: nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return Objective(model, lambda x, generator: (model(x) - x).square().mean(), optimizer)


def test_two_processes_do_what_one_does(tmp_path: Path):
    script = tmp_path / "job.py"
    script.write_text(PARALLEL)
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        str(script),
    ]
    environment = SMALL | {"ACCELERATE_USE_CPU": "true"}
    words = [*command, str(tmp_path / "two")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    one, two = parallel(), safetensors.torch.load_file(tmp_path / "two")
    losses = [record.loss for record in run(one, points(5), clip=0.1)]
    torch.testing.assert_close(two.pop("losses"), torch.tensor(losses), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(two, dict(one.module.named_parameters()), rtol=1e-4, atol=1e-6)
    assert len(run(parallel(), points(5), clip=0.1, checkpoint=tmp_path / "two.c")) == 0
