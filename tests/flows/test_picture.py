"""The picture of a graph: parsed and traced like a reader does, every line from where it starts to where its tip is."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from bireal_hw.flows.picture import LAYERS, STREAMS, svg
from bireal_hw.ir.graph import INPUT, Graph, Node, dumps, loads, verify
from bireal_hw.ops import BinaryConv, Merge, Sign
from bireal_hw.passes.blocks import blocks
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.folding import fold
from tests.networks import tiny

Point = tuple[float, float]
Box = tuple[float, float, float, float]
SVG = "{http://www.w3.org/2000/svg}"


def nested() -> Graph:
    """The small network with a block around its first block: `around` adds the stem to what comes out of block 1."""
    graph = tiny()
    nodes = []
    for node in graph:
        if node.name == "sign2":
            first = next(one for one in graph if one.name == "merge1").op
            assert isinstance(first, Merge)
            weights = np.ones((4, 3, 3, 4), np.int8)
            nodes += [
                Node("around_sign", Sign(), ("merge1",)),
                Node("around_conv", BinaryConv(weights), ("around_sign",)),
                Node("around_merge", first, ("stem", "around_conv")),
            ]
        behind = node.name in ("sign2", "down")
        nodes.append(replace(node, inputs=("around_merge",)) if behind else node)
    return verify(replace(graph, name="nested", nodes=tuple(nodes)))


GRAPHS = {"tiny": tiny(), "with a max pool": tiny(32, 32, 3, 8, max_pool=True), "nested": nested()}


@pytest.fixture(params=list(GRAPHS.values()), ids=list(GRAPHS))
def graph(request: pytest.FixtureRequest) -> Graph:
    found: Graph = request.param
    return found


def boxes(picture: str) -> dict[str, Box]:
    """Left, top, right and bottom of every layer's box."""
    found = {}
    for group in ElementTree.fromstring(picture).iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        x, y, width, height = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        name = group.findtext(f"{SVG}title")
        assert name is not None
        found[name] = (x, y, x + width, y + height)
    return found


@dataclass(frozen=True)
class Line:
    """A line with a tip: its corners, what it looks like."""

    points: list[Point]
    look: tuple[str, float]


def lines(picture: str) -> list[Line]:
    """All lines with a tip but those of the legend, whose paths alone have steps of `h`."""
    return [
        Line(corners(path.attrib["d"]), (path.attrib["stroke"], float(path.attrib["stroke-width"])))
        for path in ElementTree.fromstring(picture).iter(f"{SVG}path")
        if "marker-end" in path.attrib and "h" not in path.attrib["d"]
    ]


def corners(path: str) -> list[Point]:
    """Walk along a path of M, H, V and q."""
    points: list[Point] = []
    x = y = 0.0
    for command, text in re.findall(r"([a-zA-Z])([-\d. ]+)", path):
        numbers = [float(number) for number in text.split()]
        match command:
            case "M":
                x, y = numbers
            case "H":
                (x,) = numbers
            case "V":
                (y,) = numbers
            case "q":
                x, y = x + numbers[2], y + numbers[3]
            case _:
                pytest.fail(f"{command} in {path}")
        points.append((x, y))
    return points


def texts(picture: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_every_stream_is_a_line_of_its_kind(graph: Graph) -> None:
    """A line starts at the bottom of one box, or at the dot below it, and ends at the edge of another."""
    picture = svg(graph)
    places = boxes(picture)
    seen = []
    for line in lines(picture):
        (x, y), (tip_x, tip_y) = line.points[0], line.points[-1]
        above = [name for name, (x0, _, x1, y1) in places.items() if x0 <= x <= x1 and 0 <= y - y1 <= 12]
        into = [
            name
            for name, (x0, y0, x1, y1) in places.items()
            if (tip_y == y0 and x0 <= tip_x <= x1) or (tip_x == x1 and y0 < tip_y < y1)
        ]
        assert (len(above), len(into)) == (1, 1)
        seen.append((above[0], into[0], line.look))
    kinds = {}
    for name in [INPUT, *(node.name for node in graph)]:
        sums = any(node.name == name and node.op.kind == "binary_conv" for node in graph)
        kinds[name] = "bit" if graph.types[name].dtype.bipolar else "plain" if sums or name == INPUT else "real"
    wanted = [(source, node.name, STREAMS[kinds[source]][:2]) for node in graph for source in node.inputs]
    assert sorted(seen) == sorted(wanted)


def test_no_line_or_box_lies_on_a_box(graph: Graph) -> None:
    picture = svg(graph)
    places = list(boxes(picture).values())
    for line in lines(picture):
        for (x0, y0), (x1, y1) in pairwise(line.points):
            assert not any(touch((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), box) for box in places)
    assert not any(touch(one, other) for i, one in enumerate(places) for other in places[:i])


def touch(a: Box, b: Box) -> bool:
    """Whether two rectangles, or a line and one, have more than an edge in common."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def test_boxes_tell_shape_type_and_sizes(graph: Graph) -> None:
    written = texts(svg(graph))
    for node in graph:
        assert node.name in written
        assert str(graph.types[node.name]) in written
        about = node.op.summary()
        assert (f"{node.op.kind}: {about}" if about else node.op.kind) in written
    assert "binary_conv: 3x3, stride 2, 4 -> 8 channels, K = 36" in texts(svg(tiny()))


def test_folding_and_cycles_of_a_dataflow() -> None:
    graph = tiny()
    folding = fold(graph, 2_000)
    flow = elaborate(graph, folding)
    written = texts(svg(graph, flow))
    pe, simd = folding["conv2"].pe, folding["conv2"].simd
    assert any(text.startswith(f"Pe {pe}, Simd {simd}; {flow.costs['conv2'].cycles:,} cycles") for text in written)
    assert sum(" cycle" in text and ";" in text for text in written) >= len(graph.nodes)
    assert any(f"{flow.cycles:,} cycles per frame" in text for text in written)
    assert any(text.endswith("the slowest") for text in written)
    assert "Simd" not in "".join(texts(svg(graph)))


def test_the_shortcut_runs_beside_the_binary_branch() -> None:
    places = boxes(svg(tiny()))
    for name in ("down", "down_conv"):
        assert places[name][0] > places["conv2"][2]
    assert places["sign2"][0] == places["conv2"][0] == places["stem"][0]


def test_the_legend_holds_what_is_drawn_and_no_more() -> None:
    for graph, kinds in ((tiny(), {"max_pool"}), (tiny(32, 32, max_pool=True), set())):
        written = texts(svg(graph))
        used = {node.op.kind for node in graph}
        assert {kind for kind in LAYERS if kind in written and LAYERS[kind][1] in written} == used
        assert not kinds & used
        assert "signed (u: unsigned), 16 bits, 11 of them fraction" in written
        assert all(meaning in written for _, _, meaning in STREAMS.values())


def test_the_title_tells_what_is_known() -> None:
    info = {"run": "a <run> & more", "width": 0.25, "untrained": True}
    assert "run a <run> & more · width 0.25 · image 8x8, 1 channel · 5 classes · untrained: random weights" in texts(
        svg(replace(tiny(), info=info))
    )
    assert "image 8x8, 1 channel · 5 classes · trained" in texts(svg(replace(tiny(), info={"untrained": False})))
    assert "image 8x8, 1 channel · 5 classes" in texts(svg(replace(tiny(), info={})))


def test_blocks_are_framed_and_named() -> None:
    found = {block.name: block for block in blocks(nested())}
    assert [node.name for node in found["merge1"].nodes] == ["sign1", "conv1", "merge1"]
    assert [node.name for node in found["around"].nodes] == ["around_sign", "around_conv", "around_merge"]
    assert (found["around"].source, found["around"].shortcut) == ("stem", ())
    assert [node.name for node in found["merge2"].shortcut] == ["down", "down_conv"]
    written = texts(svg(nested()))
    assert written.count("Bi-Real block") == 3
    assert written.count("downsampling") == 1
    assert "around" in written


def test_long_names_are_cut_but_can_be_read() -> None:
    graph = tiny()
    long = "a" * 100
    nodes = tuple(replace(node, name=long) if node.name == "classifier" else node for node in graph)
    picture = svg(verify(replace(graph, nodes=nodes)))
    assert long in boxes(picture)
    assert max(map(len, texts(picture))) < 100


def test_the_same_graph_gives_the_same_bytes(graph: Graph) -> None:
    assert svg(loads(dumps(graph))) == svg(graph)
