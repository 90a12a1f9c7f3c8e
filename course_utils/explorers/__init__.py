"""Explorers: figures that the reader drags, on one small anywidget front end.

An explorer is a set of *frames indexed by controls*. Python computes every frame once and packs them into PNG
sprites; `explorer.js` picks the frame that belongs to the position of the sliders, choices and map. So an
explorer answers at once, and goes on answering without a kernel: in a saved notebook, in an HTML page, on Colab.

    Explorer        the general machine: Slider, Choice and Pad in; Panel and Readout out
    LatentExplorer  a map of the latent space, and interpolation between two images
    NoiseExplorer   corrupt an image, and what an autoencoder makes of it
    MetricsExplorer spoil a set of images, and what each metric says

Three are of another kind, without frames. In `DrawingExplorer` the reader draws, and the course's networks run in
the browser; `GanPlayground` and `DiffusionPlayground` train small networks of the plane in the page itself.
"""

from course_utils.explorers.drawing import DrawingExplorer
from course_utils.explorers.engine import Explorer
from course_utils.explorers.latent import LatentExplorer
from course_utils.explorers.metrics import MetricsExplorer
from course_utils.explorers.noise import NoiseExplorer
from course_utils.explorers.parts import NEAREST, Choice, Pad, Panel, Readout, Slider
from course_utils.explorers.playground import DiffusionPlayground, GanPlayground

__all__ = [
    "NEAREST", "Choice", "DiffusionPlayground", "DrawingExplorer", "Explorer", "GanPlayground", "LatentExplorer",
    "MetricsExplorer", "NoiseExplorer", "Pad", "Panel", "Readout", "Slider",
]  # fmt: skip
