"""The package behind a hands-on course on image generation.

ARCHITECTURE.md says which room holds what. Read from the bottom up: `data` and `nets`, then the models, `metrics` and
`training`, and on top what shows them: `viz` and `explorers`.
"""

from course_utils.threads import use_one_of_two_cores

use_one_of_two_cores()

__version__ = "0.1.0"
