"""The course's JupyterLab, on top of the reader's own settings: `make lab` names this folder in JUPYTER_CONFIG_PATH.

Beside this file, `labconfig` holds defaults of JupyterLab's settings (explorers are saved with a notebook, so that
they answer when it is opened again; nothing asks the network for news), and `labextensions` a small extension that
keeps a notebook that was only opened whole and unchanged.
"""

import os
from pathlib import Path

c = get_config()  # noqa: F821 (Jupyter gives it to the file)

c.LabApp.extra_labextensions_path = [str(Path(__file__).with_name("labextensions"))]

# The texts that the notebooks are made from lie beside them, for editors and for git.
c.ContentsManager.hide_globs = [
    "[0-9][0-9]_*.py", "hw[0-9][0-9].py", "hw[0-9][0-9]_wrong.py", "source", "controls",
    "__pycache__", "*.pyc", "*.pyo", ".DS_Store", "*~",
]  # fmt: skip

# A login shell would set PATH anew, and `course` and `pytest` would be gone.
if os.name != "nt":
    c.ServerApp.terminado_settings = {"shell_command": [os.environ.get("SHELL") or "sh"]}
