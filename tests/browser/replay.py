"""For the kernels of the browser tests: the course's notebooks give what their cells gave when they were built.

IPython runs this at a kernel's start. In a kernel of one of the course's notebooks each cell is looked up by its
source in the notebook as the course ships it, and its stored outputs come again; explorers are made anew, as real
widgets of this kernel, from the state that is stored of them. So a notebook "runs" in a second, and the front end
does all that it does in earnest. A cell that is not found fails.
"""

import base64
import json
import os
import sys
from pathlib import Path

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"


class Replay:
    """The stored outputs of one notebook, by cell source."""

    def __init__(self, path):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        self.states = notebook["metadata"].get("widgets", {}).get(STATE, {}).get("state", {})
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        self.outputs = {"".join(cell["source"]).strip(): cell["outputs"] for cell in cells}

    def transform(self, lines):
        """An IPython input transformer: a cell's lines become a call that shows its outputs."""
        return [f"_replay.show({''.join(lines).strip()!r})\n"]

    def show(self, source):
        from IPython.display import display

        for output in self.outputs[source]:
            if output["output_type"] == "stream":
                print("".join(output["text"]), end="", file=getattr(sys, output["name"]))
                continue
            data = {kind: "".join(v) if isinstance(v, list) else v for kind, v in output["data"].items()}
            if VIEW in data:
                data[VIEW] = {**data[VIEW], "model_id": self.revive(data[VIEW]["model_id"]).model_id}
            display(data, raw=True)

    def revive(self, model_id):
        """A widget with the stored state, but for its layout, which is a widget of its own."""
        import anywidget
        import traitlets

        state = dict(self.states[model_id]["state"])
        for buffer in self.states[model_id].get("buffers", []):
            place = state
            for key in buffer["path"][:-1]:
                place = place[key]
            place[buffer["path"][-1]] = base64.b64decode(buffer["data"])
        module, _, name = state["_anywidget_id"].rpartition(".")
        own = {key: value for key, value in state.items() if key not in ("layout", "_anywidget_id")}
        base = {key for key in anywidget.AnyWidget.class_traits() if key != "_esm"}
        traits = {key: traitlets.Any(value).tag(sync=True) for key, value in own.items() if key not in base}
        kind = type(name, (anywidget.AnyWidget,), {"__module__": module, "_esm": state["_esm"], **traits})
        return kind()


_place = Path(os.environ["REPLAY"]) / Path(os.environ.get("JPY_SESSION_NAME", "none")).name
if _place.is_file():
    _replay = Replay(_place)
    get_ipython().input_transformers_cleanup.append(_replay.transform)  # noqa: F821 (IPython gives it)
