"""Draws an integer graph as SVG: layers from top to bottom, shortcuts as curves at the side."""

from __future__ import annotations

from html import escape

from bireal_hw.ir.graph import INPUT, Graph

WIDTH, HEIGHT, GAP = 420, 30, 16
LEFT, SIDE = 20, 60
COLOURS = {
    "center": "#e8e8e8",
    "real_conv": "#f6d5a8",
    "max_pool": "#dcd6ec",
    "avg_pool": "#dcd6ec",
    "sign": "#d5e8f6",
    "binary_conv": "#9ccbee",
    "merge": "#bfe3bf",
}


def svg(graph: Graph) -> str:
    """Return the picture of a graph: each box names a layer, its type, its output's shape and format."""
    rows = {INPUT: 0} | {node.name: row for row, node in enumerate(graph, start=1)}
    note = "image, random weights" if graph.info.get("untrained") else "image"
    parts = [_box(0, INPUT, note, str(graph.input))]
    for node in graph:
        parts.append(_box(rows[node.name], node.name, node.op.kind, str(graph.types[node.name])))
        parts += [_edge(rows[source], rows[node.name]) for source in node.inputs]
    width, height = LEFT + WIDTH + SIDE, len(rows) * (HEIGHT + GAP) + GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _top(row: int) -> int:
    return GAP + row * (HEIGHT + GAP)


def _box(row: int, name: str, kind: str, shape: str) -> str:
    y = _top(row)
    return (
        f'<rect x="{LEFT}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="4" fill="{COLOURS.get(kind, "#ffffff")}" '
        f'stroke="#555"/><text x="{LEFT + 8}" y="{y + 19}">{escape(name)}</text>'
        f'<text x="{LEFT + 190}" y="{y + 19}" fill="#333">{escape(kind)}</text>'
        f'<text x="{LEFT + WIDTH - 8}" y="{y + 19}" text-anchor="end" fill="#333">{escape(shape)}</text>'
    )


def _edge(source: int, target: int) -> str:
    """Draw a line between neighbours, else a curve on the right that reaches further out the more rows it spans."""
    start, end = _top(source) + HEIGHT, _top(target)
    if target == source + 1:
        middle = LEFT + WIDTH // 2
        return f'<path d="M {middle} {start} V {end}" stroke="#555" fill="none"/>'
    x, out = LEFT + WIDTH, LEFT + WIDTH + min(SIDE - 6, 14 * (target - source))
    y1, y2 = start - HEIGHT // 2, end + HEIGHT // 2
    return f'<path d="M {x} {y1} C {out} {y1} {out} {y2} {x} {y2}" stroke="#2a7a2a" stroke-width="2" fill="none"/>'
