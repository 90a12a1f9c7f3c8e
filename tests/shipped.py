"""What several test files load: each shipped model and each set of digits once a session. To be left as they are."""

import functools
from typing import Any

from course_utils.data import Images, load_images
from course_utils.pretrained import load_pretrained


@functools.cache
def shipped(name: str) -> Any:
    """A shipped model on the CPU."""
    return load_pretrained(name, "cpu").requires_grad_(False)


@functools.cache
def digits(split: str) -> Images:
    """`load_images("digits", split)`."""
    return load_images("digits", split)
