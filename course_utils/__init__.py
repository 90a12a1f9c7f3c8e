"""The package behind a hands-on course on image generation.

Read it from the bottom up: `data` and `nets`, then the models (`autoencoders`, ...), then `train` and `zoo`,
and on top what a reader touches: `viz`, `explorers`, and the command line in `__main__`.
"""

__version__ = "0.1.0"
