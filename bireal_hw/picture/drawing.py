"""The picture of a graph: layers from top to bottom, every block framed, the shortcut stream beside it."""

from __future__ import annotations

from html import escape
from itertools import pairwise

from bireal_hw.ir.graph import INPUT, Graph
from bireal_hw.passes.dataflow import Dataflow
from bireal_hw.passes.describe import SLOWEST, facts, folds, shape
from bireal_hw.picture.layout import FORK, GAP, INSIDE, LINE, MARGIN, NAMES, TOTAL, WIDE, Band, Layout, Rail
from bireal_hw.picture.strips import Drawing
from bireal_hw.picture.style import (
    BAND,
    BIT,
    FAINT,
    FOLDING,
    FRAME,
    NOTATION,
    PAPER,
    PLAIN,
    REAL,
    SLOW,
    STREAMS,
    TEXT,
)
from bireal_hw.picture.text import fit, width, wrap

SIZE, BIG, TITLE, SUBTITLE = 11.5, 12.0, 20.0, 12.5
"""Font sizes: of most texts, of names, of the head."""
SWATCH, APART = 34, 24
"""Width of a line or colour in the legend; between the two columns of the legend."""


def svg(graph: Graph, flow: Dataflow | None = None) -> str:
    """Return the picture of a graph as the text of an SVG file; see `draw`."""
    return draw(graph, flow).svg


def draw(graph: Graph, flow: Dataflow | None = None) -> Drawing:
    """Draw a graph: each box holds a layer's name, the shape and number format of what it gives, its type and sizes.

    Args:
        graph: the network.
        flow: its dataflow; boxes then also hold folding and cycles.
    """
    return _Artist(graph, flow).picture


class _Artist:
    """The head and the legend decide where the boxes begin; the boxes, how wide everything is."""

    def __init__(self, graph: Graph, flow: Dataflow | None) -> None:
        self.graph = graph
        self.folds = folds(graph, flow) if flow else {}
        subtitles = wrap(" · ".join(facts(graph)), TOTAL, SUBTITLE)
        if flow:
            subtitles += wrap(
                f"{flow.cycles:,} cycles per frame; the slowest part is {flow.bottleneck}", TOTAL, SUBTITLE
            )
        legend, top = self._legend(MARGIN + 34 + LINE * len(subtitles))
        self.layout = layout = Layout(graph, top + GAP, lines=3 if self.folds else 2)
        right = max(layout.right, MARGIN + TOTAL) + MARGIN
        bottom = layout.bottom + MARGIN
        head = _text(MARGIN, MARGIN + 18, fit(graph.name, TOTAL, TITLE, bold=True), size=TITLE, bold=True)
        body = [
            f'<g font-family="Helvetica, Arial, Liberation Sans, sans-serif" font-size="{SIZE:g}" fill="{TEXT}">',
            f'<rect width="{right:g}" height="{bottom:g}" fill="{PAPER}"/>',
            "<defs>",
            *(_tip(stream) for stream in STREAMS),
            "</defs>",
            head,
            *(_text(MARGIN, MARGIN + 38 + LINE * i, text, size=SUBTITLE) for i, text in enumerate(subtitles)),
            *legend,
            *(self._band(band) for band in layout.bands),
            self._column(),
            *(self._rail(rail) for rail in layout.rails),
            *(self._box(name) for name in layout.boxes),
            "</g>",
        ]
        self.picture = Drawing("\n".join(body), f"{graph.name}: layers and streams", right, bottom, tuple(layout.cuts))

    def _column(self) -> str:
        """Draw the streams between the boxes of the left column."""
        x = MARGIN + NAMES + WIDE / 2
        column, boxes = self.layout.column, self.layout.boxes
        parts = []
        for above, below in pairwise(column):
            stream, top = self._stream(above), boxes[above].bottom
            parts.append(_line(f"M{x:g} {top:g}V{boxes[below].y:g}", stream))
            label = {BIT: "bits", PLAIN: "dot"}.get(stream) if above != INPUT else None
            if label:
                parts.append(_text(x + 11, top + GAP / 2 + 3, label, colour=STREAMS[stream][0]))
        return "\n".join(parts)

    def _rail(self, rail: Rail) -> str:
        """Draw a rail: from a dot below its source to the side of its target."""
        boxes, x = self.layout.boxes, self.layout.rail_x[rail.place]
        start, end = boxes[rail.source], boxes[rail.target]
        stream, y = self._stream(rail.source), start.bottom + FORK
        dot = start.x + (WIDE / 2 if rail.source in self.layout.column else INSIDE)
        path = [f"M{dot:g} {y:g}H{x - 8:g}q8 0 8 8"]
        parts = [f'<circle cx="{dot:g}" cy="{y:g}" r="4.5" fill="{STREAMS[stream][0]}"/>']
        for node in rail.nodes:
            parts.append(_line(f"{path[-1]}V{boxes[node.name].y:g}", stream))
            stream = self._stream(node.name)
            path.append(f"M{x:g} {boxes[node.name].bottom:g}")
        parts.append(_line(f"{path[-1]}V{end.centre - 8:g}q0 8 -8 8H{end.x + WIDE:g}", stream))
        label = f"shortcut r, {self.graph.types[self.layout.nodes[rail.target].inputs[0]].dtype}"
        parts.append(_text(x + 10, end.centre - 4, label, colour=STREAMS[stream][0]))
        return "\n".join(parts)

    def _band(self, band: Band) -> str:
        """Draw a block's background and its name."""
        block = band.block
        source, given = (self.graph.types[name] for name in (block.source, block.nodes[-1].name))
        smaller = ["downsampling"] if given.pixels < source.pixels else []
        notes = [block.name, block.title, *smaller, shape(given.shape)]
        parts = [
            f'<rect x="{MARGIN}" y="{band.top:g}" width="{self.layout.right + 10 - MARGIN:g}" '
            f'height="{band.bottom - band.top:g}" rx="6" fill="{BAND}"/>'
        ]
        room = NAMES - 16
        for line, note in enumerate(notes):
            bold = line == 0
            parts.append(_text(MARGIN + 10, band.top + 20 + LINE * line, fit(note, room, SIZE, bold), bold=bold))
        return "\n".join(parts)

    def _box(self, name: str) -> str:
        """Draw the box of a layer or of the input; pointing at it shows its whole name."""
        box, kind, about, colour = self.layout.boxes[name], "input", "", PAPER
        if name in self.layout.nodes:
            op = self.layout.nodes[name].op
            kind, about, colour = op.kind, op.summary(), op.look.colour
        gives, room = str(self.graph.types[name]), WIDE - 18.0
        beside = room - width(gives, SIZE) - 10
        parts = [
            f"<g><title>{escape(name)}</title>",
            f'<rect x="{box.x:g}" y="{box.y:g}" width="{WIDE}" height="{box.height:g}" rx="4" fill="{colour}" '
            f'stroke="{FAINT}"/>',
            _text(box.x + 9, box.y + LINE, fit(name, beside, BIG, bold=True), size=BIG, bold=True),
            _text(box.x + WIDE - 9, box.y + LINE, gives, anchor="end"),
            _text(box.x + 9, box.y + 2 * LINE, fit(f"{kind}: {about}" if about else kind, room, SIZE)),
        ]
        if name in self.folds:
            colour = SLOW if self.folds[name].endswith(SLOWEST) else ""
            parts.append(_text(box.x + 9, box.y + 3 * LINE, fit(self.folds[name], room, SIZE), colour=colour))
        return "\n".join([*parts, "</g>"])

    def _stream(self, tensor: str) -> str:
        """Return what kind of stream a tensor is."""
        if self.graph.types[tensor].dtype.bipolar:
            return BIT
        nodes = self.layout.nodes
        sums = tensor in nodes and nodes[tensor].op.gives_sums
        return PLAIN if sums or tensor == INPUT else REAL

    def _legend(self, top: float) -> tuple[list[str], float]:
        """Draw what colours, lines and words mean, in two columns; return it with where it ends."""
        looks = {node.op.kind: node.op.look for node in self.graph}
        layers = sorted(looks.items(), key=lambda item: item[1].rank)
        words = NOTATION + (FOLDING if self.folds else ())
        left, middle = MARGIN + 12.0, MARGIN + TOTAL / 2
        parts: list[str] = []
        # The left column: a colour, the type of a layer, its meaning.
        names = left + SWATCH + 10
        meanings = names + max((width(kind, SIZE, bold=True) for kind in looks), default=0) + 10
        y = top + 20
        for kind, look in layers:
            parts.append(
                f'<rect x="{left:g}" y="{y - 11:g}" width="{SWATCH}" height="13" rx="3" fill="{look.colour}" '
                f'stroke="{FAINT}"/>'
            )
            parts.append(_text(names, y, kind, bold=True))
            lines = wrap(look.meaning, middle - APART - meanings, SIZE)
            parts += _lines(meanings, y, lines)
            y += LINE * len(lines) + 3
        bottom = y
        # The right one: a line and what stream it is, then words and what they mean.
        meanings = middle + max(SWATCH, *(width(word, SIZE, bold=True) for word, _ in words)) + 10
        y = top + 20
        streams = [(stream, "", meaning) for stream, (*_, meaning) in STREAMS.items()]
        for stream, word, meaning in (*streams, *(("", *entry) for entry in words)):
            if stream:
                parts.append(_line(f"M{middle:g} {y - 4:g}h{SWATCH}", stream))
            else:
                parts.append(_text(middle, y, word, bold=True))
            lines = wrap(meaning, MARGIN + TOTAL - 12 - meanings, SIZE)
            parts += _lines(meanings, y, lines)
            y += LINE * len(lines) + 3
        bottom = max(bottom, y) - 8
        frame = (
            f'<rect x="{MARGIN}" y="{top:g}" width="{TOTAL}" height="{bottom - top:g}" rx="6" '
            f'fill="none" stroke="{FRAME}"/>'
        )
        return [frame, *parts], bottom


# ---- pieces of SVG


def _text(
    x: float, y: float, text: str, size: float = 0, bold: bool = False, anchor: str = "", colour: str = ""
) -> str:
    given = {
        "font-size": f"{size:g}" if size else "",
        "font-weight": "bold" if bold else "",
        "text-anchor": anchor,
        "fill": colour,
    }
    attributes = "".join(f' {key}="{value}"' for key, value in given.items() if value)
    return f'<text x="{x:g}" y="{y:g}"{attributes}>{escape(text)}</text>'


def _lines(x: float, y: float, lines: list[str]) -> list[str]:
    return [_text(x, y + LINE * i, line) for i, line in enumerate(lines)]


def _line(path: str, stream: str) -> str:
    colour, thick, _ = STREAMS[stream]
    return f'<path d="{path}" stroke="{colour}" stroke-width="{thick:g}" fill="none" marker-end="url(#tip-{stream})"/>'


def _tip(stream: str) -> str:
    """An arrowhead whose point lies where the line ends."""
    return (
        f'<marker id="tip-{stream}" markerUnits="userSpaceOnUse" markerWidth="11" markerHeight="11" refX="9" refY="5" '
        f'orient="auto"><path d="M0 0L10 5L0 10z" fill="{STREAMS[stream][0]}"/></marker>'
    )
