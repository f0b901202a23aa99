"""Draws an integer graph as SVG: layers from top to bottom, every block framed, the shortcut stream beside it.

The left column is the path through all convolutions. Whatever else leads to a merge runs on a rail to the right of it:
the shortcut itself, and the layers that it passes where the image shrinks. The drawing depends on nothing but its
arguments, and needs no font, script or file besides itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable
from dataclasses import dataclass
from html import escape
from itertools import count
from operator import itemgetter

from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.ops import BinaryConv
from bireal_hw.passes.blocks import Block, blocks
from bireal_hw.passes.dataflow import Dataflow
from bireal_hw.passes.describe import SLOWEST, facts, folds, shape

WIDE, GAP, MARGIN = 400, 26, 20
"""Of a box: width, distance to the next one below; around the drawing."""
LINE, FORK = 15, 9
"""From one line of text to the next; from a box down to where its stream forks."""
NAMES = 116
"""Room for the names of the blocks."""
RAIL, INSIDE = 46, 24
"""From the boxes on the left to the next rail; from a box's left edge to the rail that runs into it."""
LABEL = 100
"""Room for the text beside a rail."""
TOTAL = NAMES + 2 * WIDE + RAIL - INSIDE
"""Width of the drawing without its margins, where one rail passes layers."""
SECOND = 478
"""Where the second column of the legend begins."""

LAYERS = {
    "center": ("#e4e7eb", "pixel minus its mean"),
    "real_conv": ("#f7d9ae", "convolution with 8-bit weights, BatchNorm folded in"),
    "max_pool": ("#dfd8f0", "largest value of a window"),
    "avg_pool": ("#dfd8f0", "sum over a window, rounded to 8 bits"),
    "sign": ("#dceaf8", "+1 where x >= 0, else -1"),
    "binary_conv": ("#a5cdf0", "1-bit convolution, XNOR and popcount; padding adds nothing"),
    "affine": ("#c3e6c8", "BatchNorm of the sums: (G*dot + H) >> s"),
    "leaky_clip": ("#fbdfe0", "x inside -1..1, a flatter line outside"),
    "merge": ("#c3e6c8", "adds the shortcut r and saturates; G and H hold BatchNorm"),
}
"""Colour and meaning by the type of a layer."""

REAL, BIT, PLAIN = "real", "bit", "plain"
STREAMS = {
    REAL: ("#1a7f37", 4.0, "real-valued stream (r), fixed point, from the first layer to the last"),
    BIT: ("#0b63c5", 1.6, "1-bit stream, input of a 1-bit convolution"),
    PLAIN: ("#57606a", 1.6, "pixels; sums of a 1-bit convolution (dot)"),
}
"""Colour, width and meaning of a stream's line."""
NOTATION = (
    ("16x16x64", "height x width x channels of what a layer gives"),
    ("s16.11", "signed (u: unsigned), 16 bits, 11 of them fraction"),
    ("bit", "-1 or +1"),
    ("K", "products in one sum: kernel * kernel * input channels"),
)
FOLDING = (
    ("Pe, Simd", "output and input channels of a convolution in a cycle"),
    ("lanes", "channels of any other layer in a cycle"),
    ("cycles", "clock cycles a frame takes in a layer; all layers work at once"),
)


@dataclass(frozen=True)
class _Box:
    """Where a layer or the input is drawn, in pixels."""

    x: float
    y: float
    height: float

    @property
    def centre(self) -> float:
        return self.y + self.height / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass(frozen=True)
class _Rail:
    """A way to a merge beside the left column: the tensor it starts from, the layers it passes, where it ends.

    `place` counts from the left column to the right; rails of one place do not overlap.
    """

    source: str
    nodes: tuple[Node, ...]
    target: str
    place: int


def svg(graph: Graph, flow: Dataflow | None = None) -> str:
    """Return the picture of a graph.

    Each box holds a layer's name, the shape and number format of what it gives, its type and sizes.

    Args:
        graph: the network.
        flow: its dataflow; boxes then also hold folding and cycles.
    """
    return _Picture(graph, flow).text


class _Picture:
    """Lays out and draws; y grows downwards, rows count the layers on the longest way from the image."""

    def __init__(self, graph: Graph, flow: Dataflow | None) -> None:
        self.graph = graph
        self.nodes = {node.name: node for node in graph}
        self.folds = folds(graph, flow) if flow else {}
        subtitles = [" · ".join(facts(graph))]
        if flow:
            subtitles.append(f"{flow.cycles:,} cycles per frame; the slowest part is {flow.bottleneck}")
        legend, top = self._legend(MARGIN + 34 + LINE * len(subtitles))
        self._place(top + GAP)
        bands = [self._band(block) for block in blocks(graph)]
        lines = [self._column(), *(self._rail(rail) for rail in self.rails)]
        boxes = [self._box(name) for name in self.boxes]
        width = max(self.right, MARGIN + TOTAL) + MARGIN
        height = max(box.bottom for box in self.boxes.values()) + MARGIN
        self.text = "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
                f'viewBox="0 0 {width:g} {height:g}" role="img" '
                'font-family="Helvetica, Arial, Liberation Sans, sans-serif" font-size="11.5" fill="#1b1f24">',
                f"<title>{escape(graph.name)}: layers and streams</title>",
                f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
                "<defs>",
                *(_tip(stream) for stream in STREAMS),
                "</defs>",
                _text(MARGIN, MARGIN + 18, graph.name, size=20, bold=True),
                *(_text(MARGIN, MARGIN + 38 + LINE * i, text, size=12.5) for i, text in enumerate(subtitles)),
                *legend,
                *bands,
                *lines,
                *boxes,
                "</svg>\n",
            ]
        )

    # ---- layout

    def _place(self, top: float) -> None:
        """Decide where everything goes: `rows`, `column`, `rails`, `boxes`, `right`."""
        self.rows = {INPUT: 0}
        for node in self.graph:
            self.rows[node.name] = 1 + max(self.rows[source] for source in node.inputs)
        self.column = [INPUT, *(node.name for node in self._way(self.graph.nodes[-1].name, {INPUT})[1])]
        self.rails = self._rails()
        height = 8 + LINE * (3 if self.folds else 2)
        left = MARGIN + NAMES
        places = dict.fromkeys(self.column, float(left))
        self.right: float = left + WIDE
        self.rail_x: dict[int, float] = {}
        for place in sorted({rail.place for rail in self.rails}):
            beside = [node.name for rail in self.rails if rail.place == place for node in rail.nodes]
            self.rail_x[place] = self.right + RAIL
            places.update(dict.fromkeys(beside, self.rail_x[place] - INSIDE))
            self.right = self.rail_x[place] + (WIDE - INSIDE if beside else LABEL)
        self.boxes = {name: _Box(x, top + self.rows[name] * (height + GAP), height) for name, x in places.items()}

    def _way(self, end: str, known: Container[str]) -> tuple[str, tuple[Node, ...]]:
        """Walk up from a tensor, along the convolution where a layer has two inputs, to a known one.

        Returns it, and the layers passed from there on down.
        """
        passed: list[Node] = []
        while end not in known:
            passed.append(self.nodes[end])
            end = self.nodes[end].inputs[-1]
        return end, tuple(reversed(passed))

    def _rails(self) -> list[_Rail]:
        """Find what the left column leaves out; short rails lie inside long ones, those of a rail outside of it."""
        rails: list[_Rail] = []
        taken: dict[int, set[int]] = defaultdict(set)  # rows that rails of a place cover
        known = dict.fromkeys(self.column, -1)
        fresh: list[str] = self.column
        while fresh:
            ends = [(end, name) for name in fresh if name != INPUT for end in self.nodes[name].inputs[:-1]]
            spans = [self.rows[target] - self.rows[self._way(end, known)[0]] for end, target in ends]
            fresh = []
            for _, (end, target) in sorted(zip(spans, ends, strict=True), key=itemgetter(0)):
                source, nodes = self._way(end, known)
                outside = 1 + max(known[source], known[target])
                covered = range(self.rows[source], self.rows[target])
                place = next(place for place in count(outside) if taken[place].isdisjoint(covered))
                taken[place].update(covered)
                rails.append(_Rail(source, nodes, target, place))
                known |= {node.name: place for node in nodes}
                fresh += [node.name for node in nodes]
        return rails

    # ---- drawing

    def _column(self) -> str:
        """Draw the streams between the boxes of the left column."""
        x = MARGIN + NAMES + WIDE / 2
        parts = []
        for above, below in zip(self.column, self.column[1:], strict=False):
            stream, top = self._stream(above), self.boxes[above].bottom
            parts.append(_line(f"M{x:g} {top:g}V{self.boxes[below].y:g}", stream))
            label = {BIT: "bits", PLAIN: "dot"}.get(stream) if above != INPUT else None
            if label:
                parts.append(_text(x + 11, top + GAP / 2 + 3, label, colour=STREAMS[stream][0]))
        return "\n".join(parts)

    def _rail(self, rail: _Rail) -> str:
        """Draw a rail: from a dot below its source to the side of its target."""
        x = self.rail_x[rail.place]
        start, end = self.boxes[rail.source], self.boxes[rail.target]
        stream, y = self._stream(rail.source), self.boxes[rail.source].bottom + FORK
        dot = start.x + (WIDE / 2 if rail.source in self.column else INSIDE)
        path = [f"M{dot:g} {y:g}H{x - 8:g}q8 0 8 8"]
        parts = [f'<circle cx="{dot:g}" cy="{y:g}" r="4.5" fill="{STREAMS[stream][0]}"/>']
        for node in rail.nodes:
            parts.append(_line(f"{path[-1]}V{self.boxes[node.name].y:g}", stream))
            stream = self._stream(node.name)
            path.append(f"M{x:g} {self.boxes[node.name].bottom:g}")
        parts.append(_line(f"{path[-1]}V{end.centre - 8:g}q0 8 -8 8H{end.x + WIDE:g}", stream))
        label = f"shortcut r, {self.graph.types[self.nodes[rail.target].inputs[0]].dtype}"
        parts.append(_text(x + 10, end.centre - 4, label, colour=STREAMS[stream][0]))
        return "\n".join(parts)

    def _band(self, block: Block) -> str:
        """Draw a block's background and its name."""
        boxes = [self.boxes[node.name] for node in block.nodes if node.name in self.column or node is block.nodes[-1]]
        top, bottom = min(box.y for box in boxes) - GAP + 5, max(box.bottom for box in boxes) + 4
        source, given = (self.graph.types[name] for name in (block.source, block.nodes[-1].name))
        smaller = ["downsampling"] if given.pixels < source.pixels else []
        notes = [block.name, block.title, *smaller, shape(given.shape)]
        parts = [
            f'<rect x="{MARGIN}" y="{top:g}" width="{self.right + 10 - MARGIN:g}" height="{bottom - top:g}" rx="6" '
            'fill="#eff2f5"/>'
        ]
        for line, note in enumerate(notes):
            parts.append(_text(MARGIN + 10, top + 20 + LINE * line, _cut(note, 17), bold=line == 0))
        return "\n".join(parts)

    def _box(self, name: str) -> str:
        """Draw the box of a layer or of the input; pointing at it shows its whole name."""
        box, kind, about = self.boxes[name], "input", ""
        if name in self.nodes:
            kind, about = self.nodes[name].op.kind, self.nodes[name].op.summary()
        colour, _ = LAYERS.get(kind, ("#ffffff", ""))
        parts = [
            f"<g><title>{escape(name)}</title>",
            f'<rect x="{box.x:g}" y="{box.y:g}" width="{WIDE}" height="{box.height:g}" rx="4" fill="{colour}" '
            'stroke="#57606a"/>',
            _text(box.x + 9, box.y + LINE, _cut(name, 36), size=12, bold=True),
            _text(box.x + WIDE - 9, box.y + LINE, str(self.graph.types[name]), anchor="end"),
            _text(box.x + 9, box.y + 2 * LINE, _cut(f"{kind}: {about}" if about else kind, 64)),
        ]
        if name in self.folds:
            colour = "#a40e26" if self.folds[name].endswith(SLOWEST) else ""
            parts.append(_text(box.x + 9, box.y + 3 * LINE, self.folds[name], colour=colour))
        return "\n".join([*parts, "</g>"])

    def _stream(self, tensor: str) -> str:
        """Return what kind of stream a tensor is."""
        if self.graph.types[tensor].dtype.bipolar:
            return BIT
        sums = tensor in self.nodes and isinstance(self.nodes[tensor].op, BinaryConv)
        return PLAIN if sums or tensor == INPUT else REAL

    def _legend(self, top: float) -> tuple[list[str], float]:
        """Draw what colours, lines and words mean; return it with where it ends."""
        x, swatch = MARGIN + 12, 34
        y = top + 20
        parts: list[str] = []
        kinds = list(dict.fromkeys(node.op.kind for node in self.graph if node.op.kind in LAYERS))
        for kind in sorted(kinds, key=list(LAYERS).index):
            colour, meaning = LAYERS[kind]
            parts += [
                f'<rect x="{x}" y="{y - 11:g}" width="{swatch}" height="13" rx="3" fill="{colour}" stroke="#57606a"/>',
                *_entry(x + swatch + 10, y, kind, meaning, 78),
            ]
            y += LINE + 3
        left, y, x = y, top + 20, MARGIN + SECOND
        for stream, (_, _, meaning) in STREAMS.items():
            parts += [_line(f"M{x} {y - 4:g}h{swatch}", stream), _text(x + swatch + 12, y, meaning)]
            y += LINE + 3
        for word, meaning in NOTATION + (FOLDING if self.folds else ()):
            parts += _entry(x, y, word, meaning, 62)
            y += LINE + 3
        bottom = max(left, y) - 8
        frame = (
            f'<rect x="{MARGIN}" y="{top:g}" width="{TOTAL}" height="{bottom - top:g}" rx="6" '
            'fill="none" stroke="#c8ced6"/>'
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


def _entry(x: float, y: float, word: str, meaning: str, room: float) -> Iterable[str]:
    return _text(x, y, word, bold=True), _text(x + room, y, meaning)


def _line(path: str, stream: str) -> str:
    colour, width, _ = STREAMS[stream]
    return f'<path d="{path}" stroke="{colour}" stroke-width="{width:g}" fill="none" marker-end="url(#tip-{stream})"/>'


def _tip(stream: str) -> str:
    """An arrowhead whose point lies where the line ends."""
    return (
        f'<marker id="tip-{stream}" markerUnits="userSpaceOnUse" markerWidth="11" markerHeight="11" refX="9" refY="5" '
        f'orient="auto"><path d="M0 0L10 5L0 10z" fill="{STREAMS[stream][0]}"/></marker>'
    )


def _cut(text: str, length: int) -> str:
    """Shorten a text that is too long for its place."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
