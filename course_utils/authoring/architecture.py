"""The map of the package in ARCHITECTURE.md: its diagram is drawn from the imports and the contract that hold.

python -m course_utils.authoring.architecture     writes the diagram anew
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from course_utils.data import CHECKOUT
from course_utils.files import replacing

PAGE = CHECKOUT / "ARCHITECTURE.md"
_BLOCK = re.compile(r"```mermaid\n.*?```\n", re.DOTALL)


def layers(pyproject: Path = CHECKOUT / "pyproject.toml") -> list[list[str]]:
    """The rooms of the package from top to bottom, as the contract in pyproject.toml names them; those side by side
    do not import each other."""
    contracts = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (order,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return [[name.strip() for name in re.split(r"[|:]", layer)] for layer in order]


def imports() -> set[tuple[str, str]]:
    """Which room imports from which, where both are rooms of the package: pairs (upper, lower)."""
    import grimp

    graph = grimp.build_graph("course_utils")
    found = set()
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            pair = tuple(name.split(".")[1] for name in (module, other) if "." in name)
            if len(pair) == 2 and pair[0] != pair[1]:
                found.add(pair)
    return found


def diagram() -> str:
    """The rooms and their imports in Mermaid. An arrow that a way through other rooms implies is left out."""
    arrows = imports()
    below: dict[str, set[str]] = {}
    rooms = [room for layer in layers() for room in layer]
    for room in reversed(rooms):
        direct = {lower for upper, lower in arrows if upper == room}
        below[room] = direct | {far for lower in direct for far in below[lower]}
    lines = ["```mermaid", "flowchart TD"]
    for number, layer in enumerate(layers()):
        lines.append(f'  subgraph l{number}[" "]')
        lines += [f'    {room}["{room}"]' for room in layer]
        lines.append("  end")
    for room in rooms:
        direct = {lower for upper, lower in arrows if upper == room}
        implied = {far for lower in direct for far in below[lower]}
        lines += [f"  {room} --> {lower}" for lower in rooms if lower in direct - implied]
    return "\n".join([*lines, "```", ""])


def written(page: str) -> str:
    """The page with its diagram as it has to be."""
    if len(_BLOCK.findall(page)) != 1:
        raise ValueError(f"{PAGE.name} must hold one block of mermaid, into which the diagram is written")
    return _BLOCK.sub(lambda _: diagram(), page)


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    with replacing(PAGE) as scratch:
        scratch.write_text(written(page), encoding="utf-8")


if __name__ == "__main__":
    main()
