"""Draws which part of the program imports which, from the imports themselves.

    python -m bireal_hw.structure docs/img/structure.svg

A part is a folder or a module of `bireal_hw`. Every arrow points to what is imported, and all of them point down: a
part stands one row below the lowest of those that import it, and lines to the same part may share their way. What
follows from two arrows has none of its own, and parts that nearly all others use are listed, not drawn.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

PACKAGE = Path(__file__).parent
NAME = PACKAGE.name
EVERYWHERE = ("errors", "ending", "files", "schema", "toml", "tools", "assets", "boards", "__init__", "structure")
"""What nearly every part uses."""
LAZY = {("ir", "ops")}
"""`ir.graph` asks for the layer types while a file is read, by name: ops are known to none of its modules."""
WIDE, NARROW, HIGH, GAP, ROW, MARGIN = 96, 12, 30, 16, 70, 16
SWEEPS = 8
"""Times that the rows are ordered, down and up."""


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


Point = str | tuple[str, int]
"""A part, or where the lines to a part pass a row: the part and the row."""


def grid(reads: dict[str, set[str]]) -> tuple[list[list[Point]], set[tuple[Point, Point]]]:
    """Return what stands in each row, from left to right, and the lines from a row to the next one.

    A line to a part further down passes the rows between at a point of its own, which all lines to that part share.
    Rows are ordered by the mean place of what they are joined to, so that few lines cross.
    """
    levels: list[list[Point]] = [list(row) for row in rows(reads)]
    level = {part: row for row, points in enumerate(levels) for part in points}
    lines: set[tuple[Point, Point]] = set()
    for part, others in nearest(reads).items():
        for other in others:
            way: list[Point] = [part, *((other, row) for row in range(level[part] + 1, level[other])), other]
            lines |= set(pairwise(way))
    for upper, lower in sorted(lines, key=str):
        for point in (upper, lower):
            if isinstance(point, tuple) and point not in levels[point[1]]:
                levels[point[1]].append(point)
    for _ in range(SWEEPS):
        for order in (levels, levels[::-1]):
            for before, row in pairwise(order):
                place = {point: index / len(before) for index, point in enumerate(before)}
                row.sort(key=lambda point: _mean(place[other] for other in before if _joined(point, other, lines)))
    return levels, lines


def _joined(one: Point, other: Point, lines: set[tuple[Point, Point]]) -> bool:
    return (one, other) in lines or (other, one) in lines


def _mean(places: Iterable[float]) -> float:
    found = list(places)
    return sum(found) / len(found) if found else 0.5


def svg() -> str:
    """Return the drawing."""
    drawn = {part: reads - set(EVERYWHERE) for part, reads in parts().items() if part not in EVERYWHERE}
    levels, between = grid(drawn)
    widths = [sum(_wide(point) + GAP for point in row) - GAP for row in levels]
    width, height = 2 * MARGIN + max(widths), 2 * MARGIN + len(levels) * ROW + 8
    places: dict[Point, tuple[float, float]] = {}
    for level, row in enumerate(levels):
        x = (width - widths[level]) / 2
        for point in row:
            places[point] = x + _wide(point) / 2, MARGIN + level * ROW
            x += _wide(point) + GAP
    lines = []
    for upper, lower in sorted(between, key=str):
        (x, y), (to, down) = places[upper], places[lower]
        bend = (down - y - HIGH) / 2
        ends = isinstance(lower, str)
        path = f"M{x:g} {y + HIGH:g}C{x:g} {y + HIGH + bend:g} {to:g} {down - bend:g} {to:g} {down - 5 * ends:g}"
        path += "" if ends else f"V{down + HIGH:g}"
        tip = ' marker-end="url(#tip)"' if ends else ""
        lines.append(f'<path d="{path}" fill="none" stroke="#8c959f" stroke-width="1.2"{tip}/>')
    boxes = []
    for part, (x, y) in places.items():
        if isinstance(part, tuple):
            continue
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


def _wide(point: Point) -> int:
    return WIDE if isinstance(point, str) else NARROW


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(svg())
