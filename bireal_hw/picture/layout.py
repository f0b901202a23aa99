"""Where everything in the picture of a graph goes; y grows downwards.

The left column is the path through all convolutions. Whatever else leads to a merge runs on a rail to the right of it:
the shortcut itself, and the layers that it passes where the image shrinks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container
from dataclasses import dataclass
from itertools import count
from operator import attrgetter, itemgetter

from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.passes.blocks import Block, blocks

WIDE, GAP, MARGIN = 400, 26, 20
"""Of a box: width, distance to the next one below; around the drawing."""
LINE, FORK = 15, 9
"""From one line of text to the next; from a box down to where its stream forks."""
NAMES = 116
"""Room for the names of the blocks."""
RAIL, INSIDE = 46, 24
"""From the boxes on the left to the next rail; from a box's left edge to the rail that runs into it."""
LABEL = 140
"""Room for the text beside a rail."""
TOTAL = NAMES + 2 * WIDE + RAIL - INSIDE
"""Width of the drawing without its margins, where one rail passes layers."""
ABOVE, BELOW = GAP - 5, 4
"""How far a block's background reaches over its first box and under its last."""


@dataclass(frozen=True)
class Box:
    """Where a layer or the input is drawn, in pixels."""

    x: float
    y: float
    height: float

    @property
    def centre(self) -> float:
        """Height of its middle."""
        return self.y + self.height / 2

    @property
    def bottom(self) -> float:
        """Height of its lower edge."""
        return self.y + self.height


@dataclass(frozen=True)
class Rail:
    """A way to a merge beside the left column: the tensor it starts from, the layers it passes, where it ends.

    `place` counts from the left column to the right; rails of one place do not overlap.
    """

    source: str
    nodes: tuple[Node, ...]
    target: str
    place: int


@dataclass(frozen=True)
class Band:
    """The background of a block: its upper and its lower edge."""

    block: Block
    top: float
    bottom: float


class Layout:
    """The places of a graph's layers below `top`; `lines` of text stand in a box.

    Attributes:
        nodes: by name.
        column: names of the input and the layers of the left column, from top to bottom.
        rails: all there are, `rail_x` where those of a place run.
        boxes: of the input and every layer, by name.
        bands: of the blocks.
        right: where the rightmost rail with all that belongs to it ends.
        bottom: of the lowest box.
        cuts: heights at which the picture can be cut without cutting a box or a block.
    """

    def __init__(self, graph: Graph, top: float, lines: int) -> None:
        self.nodes = {node.name: node for node in graph}
        self._rows = {INPUT: 0}  # layers on the longest way from the image
        for node in graph:
            self._rows[node.name] = 1 + max(self._rows[source] for source in node.inputs)
        self.column = [INPUT, *(node.name for node in self._way(graph.nodes[-1].name, {INPUT})[1])]
        self.rails = self._rails()
        height = 8 + LINE * lines
        left = MARGIN + NAMES
        places = dict.fromkeys(self.column, float(left))
        self.right: float = left + WIDE
        self.rail_x: dict[int, float] = {}
        for place in sorted({rail.place for rail in self.rails}):
            beside = [node.name for rail in self.rails if rail.place == place for node in rail.nodes]
            self.rail_x[place] = self.right + RAIL
            places.update(dict.fromkeys(beside, self.rail_x[place] - INSIDE))
            self.right = self.rail_x[place] + (WIDE - INSIDE if beside else LABEL)
        self.boxes = {name: Box(x, top + self._rows[name] * (height + GAP), height) for name, x in places.items()}
        self.bottom = max(box.bottom for box in self.boxes.values())
        self.bands = [self._band(block) for block in blocks(graph)]
        self.cuts = self._cuts()

    def _way(self, end: str, known: Container[str]) -> tuple[str, tuple[Node, ...]]:
        """Walk up from a tensor, along the convolution where a layer has two inputs, to a known one.

        Returns it, and the layers passed from there on down.
        """
        passed: list[Node] = []
        while end not in known:
            passed.append(self.nodes[end])
            end = self.nodes[end].inputs[-1]
        return end, tuple(reversed(passed))

    def _rails(self) -> list[Rail]:
        """Find what the left column leaves out; short rails lie inside long ones, those of a rail outside of it."""
        rails: list[Rail] = []
        taken: dict[int, set[int]] = defaultdict(set)  # rows that rails of a place cover
        known = dict.fromkeys(self.column, -1)
        fresh: list[str] = self.column
        while fresh:
            ends = [(end, name) for name in fresh if name != INPUT for end in self.nodes[name].inputs[:-1]]
            spans = [self._rows[target] - self._rows[self._way(end, known)[0]] for end, target in ends]
            fresh = []
            for _, (end, target) in sorted(zip(spans, ends, strict=True), key=itemgetter(0)):
                source, nodes = self._way(end, known)
                outside = 1 + max(known[source], known[target])
                covered = range(self._rows[source], self._rows[target])
                place = next(place for place in count(outside) if taken[place].isdisjoint(covered))
                taken[place].update(covered)
                rails.append(Rail(source, nodes, target, place))
                known |= {node.name: place for node in nodes}
                fresh += [node.name for node in nodes]
        return rails

    def _cuts(self) -> list[float]:
        """Go down the picture and leave out what lies in a block."""
        bands = sorted(self.bands, key=attrgetter("top"), reverse=True)
        cuts, reach = [], 0.0
        for y in sorted({box.y - ABOVE for box in self.boxes.values()}):
            while bands and bands[-1].top < y:
                reach = max(reach, bands.pop().bottom)
            if reach <= y:
                cuts.append(y)
        return cuts

    def _band(self, block: Block) -> Band:
        boxes = [self.boxes[node.name] for node in block.nodes if node.name in self.column or node is block.nodes[-1]]
        return Band(block, min(box.y for box in boxes) - ABOVE, max(box.bottom for box in boxes) + BELOW)
