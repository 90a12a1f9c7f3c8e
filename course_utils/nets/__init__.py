"""Networks that several models share, and what moves, blurs and interpolates images and codes.

Convolutions run in `channels_last`, which on a CPU trains more than twice as fast.
"""

from course_utils.nets.autoencoding import Decoder, Encoder
from course_utils.nets.blocks import over_batches, seeded
from course_utils.nets.classifiers import Classifier, SceneReader
from course_utils.nets.images import blur, lerp, shift_and_turn, slerp
from course_utils.nets.unet import CrossAttention, UNet, sinusoids

__all__ = [
    "Classifier", "CrossAttention", "Decoder", "Encoder", "SceneReader", "UNet",
    "blur", "lerp", "over_batches", "seeded", "shift_and_turn", "sinusoids", "slerp",
]  # fmt: skip
