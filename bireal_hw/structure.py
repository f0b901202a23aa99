"""Draws which part of the program imports which, from the imports themselves.

    python -m bireal_hw.structure docs/img/structure.svg

A part is a folder or a module of `bireal_hw`. Every arrow points to what is imported, and all of them point down: a
part stands one row below the lowest of those that import it. What follows from two arrows has none of its own, and
parts that nearly all others use are listed, not drawn.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent
NAME = PACKAGE.name
EVERYWHERE = ("errors", "ending", "toml", "tools", "assets", "boards", "__init__", "structure")
"""What nearly every part uses."""
LAZY = {("ir", "ops")}
"""`ir.graph` asks for the layer types while a file is read, by name: ops are known to none of its modules."""
WIDE, HIGH, GAP, ROW, MARGIN = 96, 30, 16, 84, 16


def parts() -> dict[str, set[str]]:
    """Return the parts with those that each imports, inside functions and for the type checker too."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        reads = found.setdefault(part, set())
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            reads |= {name.split(".")[1] for name in names if name.startswith(NAME + ".")}
    return {
        part: {other for other in reads if other in found and other != part and (part, other) not in LAZY}
        for part, reads in found.items()
    }


def rows(reads: dict[str, set[str]]) -> list[list[str]]:
    """Return the parts by row, the highest first; raises ValueError where some need each other in a circle."""
    users = {part: {other for other in reads if part in reads[other]} for part in reads}
    level: dict[str, int] = {}

    def place(part: str, below: tuple[str, ...] = ()) -> int:
        if part in below:
            raise ValueError(f"a circle: {' <- '.join([*below[below.index(part) :], part])}")
        if part not in level:
            level[part] = 1 + max((place(other, (*below, part)) for other in sorted(users[part])), default=-1)
        return level[part]

    for part in sorted(reads):
        place(part)
    return [[part for part in sorted(reads) if level[part] == row] for row in range(max(level.values()) + 1)]


def nearest(reads: dict[str, set[str]]) -> dict[str, set[str]]:
    """Leave out the arrows that follow from others: to what a part also reaches through something it imports."""

    def below(part: str) -> set[str]:
        return reads[part].union(*(below(other) for other in reads[part]))

    return {part: direct - set[str]().union(*(below(other) for other in direct)) for part, direct in reads.items()}


def svg() -> str:
    """Return the drawing."""
    drawn = {part: reads - set(EVERYWHERE) for part, reads in parts().items() if part not in EVERYWHERE}
    levels = rows(drawn)
    width = 2 * MARGIN + max(len(row) for row in levels) * (WIDE + GAP) - GAP
    height = 2 * MARGIN + len(levels) * ROW + 8
    places = {
        part: (width / 2 + (at - (len(row) - 1) / 2) * (WIDE + GAP), MARGIN + level * ROW)
        for level, row in enumerate(levels)
        for at, part in enumerate(row)
    }
    lines = []
    for part, others in nearest(drawn).items():
        x, y = places[part]
        for other in sorted(others):
            to, down = places[other]
            bend = (down - y - HIGH) / 2
            path = f"M{x:g} {y + HIGH:g}C{x:g} {y + HIGH + bend:g} {to:g} {down - bend:g} {to:g} {down - 5:g}"
            lines.append(f'<path d="{path}" fill="none" stroke="#8c959f" stroke-width="1.2" marker-end="url(#tip)"/>')
    boxes = []
    for part, (x, y) in places.items():
        boxes.append(
            f'<rect x="{x - WIDE / 2:g}" y="{y:g}" width="{WIDE}" height="{HIGH}" rx="4" '
            'fill="#eff2f5" stroke="#57606a"/>'
            f'<text x="{x:g}" y="{y + 19:g}" text-anchor="middle">{part}</text>'
        )
    around = ", ".join(part for part in EVERYWHERE if part not in ("__init__", "structure"))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            'role="img" font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="12" fill="#1b1f24">',
            "<title>Which part of bireal_hw imports which</title>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            '<defs><marker id="tip" markerUnits="userSpaceOnUse" markerWidth="8" markerHeight="8" refX="5" refY="4" '
            'orient="auto"><path d="M0 0L8 4L0 8z" fill="#8c959f"/></marker></defs>',
            *lines,
            *boxes,
            f'<text x="{width / 2:g}" y="{height - 10}" text-anchor="middle" font-size="11">'
            f"used by all: {around}</text>",
            "</svg>",
            "",
        ]
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(svg())
