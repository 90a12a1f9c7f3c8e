"""What all explorers have in common: a front end, and a still for pages that run no scripts."""

from __future__ import annotations

import base64
from typing import Any

import anywidget


class Widget(anywidget.AnyWidget):
    """An anywidget whose output also holds the picture that `still` draws."""

    # ipywidgets 7 (Colab) would print the widget by this hook and drop the picture of `_repr_mimebundle_`.
    _ipython_display_ = None

    _still: str | None = None

    def __init__(self, **state: Any) -> None:
        super().__init__(**state, _anywidget_id=f"course_utils.explorers.{type(self).__name__}")

    def still(self) -> bytes:
        """A PNG, drawn when it is first shown."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        if self._still is None:
            self._still = base64.b64encode(self.still()).decode()
        data, metadata = bundle
        return {**data, "image/png": self._still}, metadata
