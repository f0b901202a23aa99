"""The picture of a graph: parsed and traced like a reader does, every line from where it starts to where its tip is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import get_data_path
from matplotlib.ft2font import FT2Font, LoadFlags

from bireal_hw.ir.graph import INPUT, Graph, Node, dumps, loads, verify
from bireal_hw.ir.op import Op
from bireal_hw.ops import BinaryConv, Merge, Sign
from bireal_hw.passes.blocks import blocks
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.folding import fold
from bireal_hw.picture.drawing import draw, svg
from bireal_hw.picture.layout import Layout
from bireal_hw.picture.style import NOTATION, STREAMS
from bireal_hw.picture.text import fit, width, wrap
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
        name = group.findtext(f"{SVG}title")
        if name is None:
            continue  # the whole picture
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        x, y, width, height = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
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
        said = " ".join(written)
        assert {kind for kind, op in Op.registry.items() if kind in written and op.look.meaning in said} == used
        assert not kinds & used
        assert "signed (u: unsigned), 16 bits, 11 of them fraction" in said
        assert all(word in written for word, _ in NOTATION)
        assert all(meaning in said for _, _, meaning in STREAMS.values())


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


NAMES = {
    "a": lambda name: name,
    "long": lambda name: f"{name}_{'w' * 250}_{name}",
    "wide": lambda name: f"WM{name}mw" * 12,
    "Chinese": lambda name: f"残差块_{name}_卷积层" * 5,
    "umlauts": lambda name: f"Größe_{name}_Äußeres_ÜÖ" * 3,
    "Cyrillic": lambda name: f"Щит_{name}_Ж" * 9,
}


def renamed(graph: Graph, rename: Callable[[str], str]) -> Graph:
    nodes = tuple(
        replace(node, name=rename(node.name), inputs=tuple(one if one == INPUT else rename(one) for one in node.inputs))
        for node in graph
    )
    return verify(replace(graph, name=rename("network"), nodes=nodes))


def areas(picture: str) -> list[tuple[str, Box]]:
    """Left, top, right and bottom of every text, in DejaVu Sans."""
    root = ElementTree.fromstring(picture)
    (whole,) = (one for one in root.findall(f"{SVG}g"))
    found = []
    for text in root.iter(f"{SVG}text"):
        size = float(text.get("font-size", whole.attrib["font-size"]))
        room = width(text.text or "", size, text.get("font-weight") == "bold")
        x, y = float(text.attrib["x"]), float(text.attrib["y"])
        left = x - room if text.get("text-anchor") == "end" else x
        found.append((text.text or "", (left, y - 0.75 * size, left + room, y + 0.2 * size)))
    return found


@pytest.mark.parametrize("rename", list(NAMES.values()), ids=list(NAMES))
@pytest.mark.parametrize("flow", [False, True], ids=["graph", "dataflow"])
def test_no_text_leaves_its_place_or_lies_on_another(graph: Graph, rename: Callable[[str], str], flow: bool) -> None:
    graph = renamed(graph, rename)
    picture = svg(graph, elaborate(graph, fold(graph, 2_000)) if flow else None)
    root = ElementTree.fromstring(picture)
    canvas = (0.0, 0.0, float(root.attrib["width"]), float(root.attrib["height"]))
    places = boxes(picture)
    assert set(places) == {INPUT, *(node.name for node in graph)}
    written = areas(picture)
    for index, (text, area) in enumerate(written):
        assert inside(area, canvas), text
        assert all(inside(area, box) for box in places.values() if touch(area, box)), text
        for other, taken in written[:index]:
            assert not touch(area, taken), (text, other)
    long = [node.name for node in graph if width(node.name, 12, bold=True) > 400]
    assert bool(long) == (rename is not NAMES["a"])
    assert not set(long) & set(texts(picture))


def inside(area: Box, place: Box) -> bool:
    return place[0] <= area[0] and place[1] <= area[1] and area[2] <= place[2] and area[3] <= place[3]


@pytest.mark.parametrize("bold", [False, True], ids=["regular", "bold"])
def test_a_text_is_never_wider_than_is_thought(bold: bool) -> None:
    """Against the font itself, which comes with matplotlib."""
    folder = Path(get_data_path()) / "fonts" / "ttf"
    font = FT2Font(str(folder / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")))
    font.set_size(1000, 72)
    for code in [
        *range(0x20, 0x7F),
        *range(0xA1, 0xAD),
        *range(0xAE, 0x180),
        *range(0x3A3, 0x3CA),
        *range(0x410, 0x450),
        0x2026,
    ]:
        real = font.load_char(code, LoadFlags.NO_HINTING).linearHoriAdvance / 65536
        assert width(chr(code), 1000, bold) >= real * 0.999, chr(code)


@pytest.mark.parametrize("room", [15, 40, 100, 1000])
@pytest.mark.parametrize(
    "text", ["layer1_0_binary_conv", "two words and more of them", "残差块卷积层残差块卷积层", "a"]
)
def test_texts_are_made_to_fit(text: str, room: float) -> None:
    assert width(fit(text, room, 11.5), 11.5) <= room
    lines = wrap(text, room, 11.5)
    assert all(width(line, 11.5) <= room for line in lines)
    if room == 1000:
        assert [fit(text, room, 11.5)] == lines == [text]


def test_a_cut_goes_through_no_block(graph: Graph) -> None:
    picture = draw(graph)
    assert list(picture.cuts) == sorted(set(picture.cuts))
    assert len(picture.cuts) >= 4
    layout = Layout(graph, 100, 2)
    for cut in layout.cuts:
        assert not any(box.y < cut < box.bottom for box in layout.boxes.values())
        assert not any(band.top < cut < band.bottom for band in layout.bands)


def test_the_same_graph_gives_the_same_bytes(graph: Graph) -> None:
    assert svg(loads(dumps(graph))) == svg(graph)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "docs/img").glob("*.svg")), ids=lambda path: path.name
)
def test_texts_of_drawings_in_the_docs_keep_their_places(path: Path) -> None:
    root = ElementTree.fromstring(path.read_text())
    rules = dict(re.findall(r"\.(\w+) \{([^}]*)\}", root.findtext(f"{SVG}style") or ""))

    def look(element: ElementTree.Element, name: str) -> str:
        styles = " ".join(rules.get(one, "") for one in element.get("class", "").split())
        given: dict[str, str] = dict(re.findall(r"([\w-]+): (\w+)", styles))
        return given.get(name, element.get(name, ""))

    x0, y0, w, h = (float(number) for number in root.attrib["viewBox"].split())
    rects = [[float(one.get(key, "0")) for key in ("x", "y", "width", "height")] for one in root.iter(f"{SVG}rect")]
    places = [(x, y, x + w, y + h) for x, y, w, h in rects]
    written: list[tuple[str, Box]] = []
    for text in root.iter(f"{SVG}text"):
        size = float((look(text, "font-size") or root.attrib["font-size"]).removesuffix("px"))
        parts = [(text.text or "", text)] + [(part, one) for one in text for part in (one.text or "",)]
        parts += [(one.tail or "", text) for one in text]
        room = sum(width(part, size, look(one, "font-weight") == "bold") for part, one in parts)
        x, y = float(text.attrib["x"]), float(text.attrib["y"])
        left = {"middle": x - room / 2, "end": x - room}.get(look(text, "text-anchor"), x)
        area = (left, y - 0.75 * size, left + room, y + 0.2 * size)
        said = "".join(text.itertext())
        if "letter" in text.get("class", ""):
            continue  # in a badge, which lies on the edge of its box
        assert inside(area, (x0, y0, x0 + w, y0 + h)), said
        assert all(inside(area, place) for place in places if touch(area, place)), said
        for other, taken in written:
            assert not touch(area, taken), (said, other)
        written.append((said, area))
    assert len(written) > 10
