"""The package behind a hands-on course on image generation.

ARCHITECTURE.md says which room holds what. Read from the bottom up: `data` and `nets`, then the models, `metrics` and
`training`, and on top what shows them: `viz` and `explorers`.
"""

from course_utils.threads import wait_asleep

wait_asleep()  # before torch is loaded, if it is not yet: a busy machine costs less then

__version__ = "0.1.0"
