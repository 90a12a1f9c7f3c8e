"""The training loop: one for every model of the course, on a CPU, a GPU, or many."""

from course_utils.training.loop import Training, fit
from course_utils.training.objective import (
    BatchSequence,
    Objective,
    Record,
    budget,
    constant,
    exponential_average,
    warmup_cosine,
)

__all__ = [
    "BatchSequence", "Objective", "Record", "Training", "budget", "constant", "exponential_average", "fit",
    "warmup_cosine",
]  # fmt: skip
