"""A training in a real JupyterLab: one figure that changes in its place, and stays when the training is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect

if TYPE_CHECKING:
    from .conftest import Lab

TRAINING = """
import time, torch
from torch import nn
from course_utils.training import Objective, fit
from course_utils.viz import show_images

net = nn.Linear(64, 64)
x = torch.rand(16, 64) * 2 - 1

def loss(x, generator):
    time.sleep(0.03)
    return (net(x) - x).square().mean()

objective = Objective(net, loss, torch.optim.Adam(net.parameters(), lr=0.01))
ten = lambda ax: show_images(net(x[:10]).view(10, 1, 8, 8).clamp(-1, 1), ax=ax)
records = list(fit(objective, [(x,)] * STEPS, device="cpu", picture=ten))
"""
SEEN = """() => {
  window.seen = new Set(); window.sizes = new Set(); window.most = 0;
  window.looking = setInterval(() => {
    const images = [...document.querySelectorAll(".jp-OutputArea img")];
    window.most = Math.max(window.most, images.length);
    for (const image of images) if (image.complete && image.naturalWidth) {
      window.seen.add(image.src); window.sizes.add(image.naturalWidth + "x" + image.naturalHeight);
    }
  }, 50);
}"""


def training(lab: Lab, name: str, steps: int) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    source = TRAINING.replace("STEPS", str(steps))
    lab.open(lab.add(new_notebook(cells=[new_code_cell(source)], metadata={"kernelspec": kernel}), name))
    lab.page.evaluate(SEEN)
    lab.run_all()


def test_a_training_is_one_figure_that_changes(lab: Lab) -> None:
    training(lab, "training.ipynb", steps=200)  # six seconds, at least
    lab.page.wait_for_function("() => window.seen.size >= 4", timeout=120_000)
    lab.wait_until_idle(120_000)
    assert lab.page.evaluate("() => window.most") == 1
    assert len(lab.page.evaluate("() => [...window.sizes]")) == 1, "the figure keeps its size"
    expect(lab.page.locator(".jp-OutputArea-output")).to_have_count(1)  # and nothing on the error stream
    lab.command("docmanager:save")
    (cell,) = nbformat.read(lab.root / "training.ipynb", as_version=4).cells
    assert [sorted(output.data) for output in cell.outputs] == [["image/png", "text/plain"]]


def test_a_training_that_is_stopped_keeps_its_figure(lab: Lab) -> None:
    training(lab, "stopped.ipynb", steps=4000)
    lab.page.wait_for_function("() => window.seen.size >= 3", timeout=120_000)
    lab.command("notebook:interrupt-kernel")
    expect(lab.page.get_by_text("KeyboardInterrupt").first).to_be_visible(timeout=60_000)
    before = lab.page.evaluate("() => window.seen.size")
    lab.wait_until_idle(60_000)
    expect(lab.page.locator(".jp-OutputArea img")).to_have_count(1)
    assert before >= 4, "the last state was drawn, too"
