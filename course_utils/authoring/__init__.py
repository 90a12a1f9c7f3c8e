"""What an author of the course runs: notebooks and homework built from their sources, and pages made of them."""

import sys

# nbformat brings jsonschema, which would load a grammar of web addresses that no notebook needs: three seconds.
GRAMMAR = "rfc3987_syntax"
_skipped = GRAMMAR not in sys.modules
if _skipped:
    sys.modules[GRAMMAR] = None  # type: ignore[assignment]
try:
    import ipykernel  # noqa: F401
    import jupytext  # noqa: F401
    import nbclient  # noqa: F401
    import nbconvert  # noqa: F401
    import psutil  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"this needs {error.name!r}, which is not installed: pip install -e '.[lab]'", name=error.name
    ) from None
finally:
    if _skipped:
        del sys.modules[GRAMMAR]
