"""Chromium, which pip cannot bring: it prints slides, and the tests open explorers, site and slides in it."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def find_chromium() -> str | None:
    """The path of the first of `NAMES` that is on the PATH; None if none is."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)
