"""Images to learn from: digits that need no network, torchvision's sets, toy densities, drawn scenes.

Images are float32 (N, C, H, W) in [-1, 1], labels int64 (N,).
"""

from course_utils.data.batches import Batches, EndlessScenes, batches
from course_utils.data.images import SPLITS, Images, resize, to_float, to_uint8
from course_utils.data.load import CHECKOUT, data_root, load_images, mnist_for_training
from course_utils.data.standard import TORCHVISION
from course_utils.data.toy import TOYS, toy_log_prob, toy_points

__all__ = [
    "CHECKOUT", "SPLITS", "TORCHVISION", "TOYS",
    "Batches", "EndlessScenes", "Images",
    "batches", "data_root", "load_images", "mnist_for_training", "resize", "to_float", "to_uint8",
    "toy_log_prob", "toy_points",
]  # fmt: skip
