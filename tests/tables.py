"""Tables in Markdown: of benchmarks/*.md, and where a notebook quotes them."""


def rows(text: str) -> list[list[str]]:
    """The cells of each row, heads and rules included; a table within a comment counts."""
    lines = [line.removeprefix("#").strip() for line in text.splitlines()]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
