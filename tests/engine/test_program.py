"""The engine's program: what a pass is, where things lie, the image of the weights, and what is refused."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'bireal-hw[train]'")

from bireal_hw import golden
from bireal_hw.assets import asset
from bireal_hw.engine.image import check_image
from bireal_hw.engine.program import HEADER, WIDTHS, Pass, Program, Sizes, _blob, _Memory, parts, word_width
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.ir.op import Fold
from bireal_hw.ir.parts import Affine, Products
from bireal_hw.ops import LeakyClip
from bireal_hw.passes.folding import complete, fold
from bireal_hw.passes.folding_file import folding_text, read_folding
from bireal_hw.passes.placement import ENGINE, candidates, cuts, place, placed
from tests.engine.tails import tail
from tests.networks import crossing, random_images
from tests.random_networks import graph_of

pytestmark = pytest.mark.torch

MODELS = ("bireal18", "react18", "xnor18", "bireal50")


def tail_of(model: str, begin: int = 0, side: int = 16) -> Graph:
    graph = graph_of(model, (side, side), 3)
    return place(graph, list(cuts(graph))[begin]).nodes[-1].op.graph  # type: ignore[attr-defined]


# ---- placement


@pytest.mark.parametrize("model", MODELS)
def test_a_network_with_an_engine_is_the_same_network(model: str) -> None:
    graph = graph_of(model, (16, 16), 3)
    images = random_images(graph, 2)
    expected = golden.run(graph, images)
    assert len(cuts(graph)) > 1
    for begin in cuts(graph):
        np.testing.assert_array_equal(golden.run(place(graph, begin), images), expected)


def test_the_engine_begins_where_one_tensor_crosses() -> None:
    graph = graph_of("bireal18", (16, 16), 3)
    found = cuts(graph)
    assert found["layer3_0_sign"] == ("layer2_3_merge",)
    assert found["layer3_1_sign"] == ("layer3_0_merge",)
    assert "layer3_0_binary_conv" not in found
    assert "conv1_conv" not in found  # the stem reads pixels, not a sign and no pool
    assert list(candidates(graph)) == ["pool_reducesum", "layer4_0_sign", "layer3_0_sign", "layer2_0_sign"]


def test_the_engine_begins_where_two_streams_cross() -> None:
    """A merge whose sums are made in front stays there, though it stands behind the first layer of the engine."""
    graph = graph_of("bireal50", (32, 32), 3)
    found = cuts(graph)
    assert found["layer2_0_pool_quant"] == ("layer1_7_merge", "layer1_8_merge")
    assert found["layer2_2_pool_averagepool"] == ("layer1_8_merge", "layer2_0_merge")
    assert "layer1_3_binary_conv" not in found  # it would read bits
    assert "layer2_0_sign" not in found  # sums of a real-valued convolution, of more than 16 bits
    assert list(candidates(graph))[-3:] == ["layer2_2_pool_averagepool", "layer2_0_pool_quant", "layer1_2_pool_quant"]
    built = place(graph, "layer2_0_pool_quant")
    names = [node.name for node in graph]
    front = [*names[: names.index("layer2_0_pool_quant")], "layer1_8_merge"]
    assert [node.name for node in built] == [*front, "engine_concat1", ENGINE]
    assert built.nodes[-1].op.graph.nodes[0].name == "layer2_0_pool_quant"  # type: ignore[attr-defined]


def test_it_does_not_begin_in_front_of_channels_that_no_size_divides() -> None:
    with pytest.raises(BirealError, match=r"^image: 6 channels are no multiple of the engine's 4$"):
        parts(tail(4, 4, 6))
    assert parts(tail(4, 4, 12))


def test_three_tensors_can_cross() -> None:
    """Three streams of unlike channels and widths, each with a convolution of its own that the last layers read."""
    graph = crossing(4, 6, "narrow")
    head, (sign, *_) = list(graph.nodes), [node for node in graph if node.name == "sign3"]
    nodes = [node for node in head if node is not sign]
    at = [node.name for node in nodes].index("conv3")
    third = Node("third", LeakyClip(64, 205, 11), ("stem",))
    nodes[at:at] = [third, sign]
    nodes = [replace(node, inputs=("third", "conv3")) if node.name == "merge3" else node for node in nodes]
    nodes = [replace(node, inputs=("merge3", "conv4")) if node.name == "merge4" else node for node in nodes]
    graph = replace(graph, nodes=tuple(nodes))
    assert cuts(graph)["sign3"] == ("merge1", "third", "merge2")
    built = place(graph, "sign3")
    assert [node.inputs for node in built][-3:] == [
        ("merge1", "third"),
        ("engine_concat1", "merge2"),
        ("engine_concat2",),
    ]
    images = random_images(graph, 3)
    np.testing.assert_array_equal(golden.run(built, images), golden.run(graph, images))


@pytest.mark.parametrize(
    ("begin", "message"),
    [
        ("layer3_0_sing", "unknown layer 'layer3_0_sing': did you mean 'layer3_0_sign'?"),
        ("layer3_0_binary_conv", "the engine cannot begin at layer3_0_binary_conv: it would read layer3_0_sign, "),
        ("conv1_conv", "conv1_conv: the engine does not compute it here: it reads no pool"),
        ("center", "center: the engine has no center pixel - 128"),
    ],
)
def test_where_it_cannot_begin_is_said(begin: str, message: str) -> None:
    with pytest.raises(BirealError) as error:
        place(graph_of("bireal18", (16, 16), 3), begin)
    assert str(error.value).startswith(message)


def test_a_border_of_bits_stays_in_front() -> None:
    graph = tail(4, 4, 8)
    node = graph.makers["conv3"]
    border = np.ones(node.op.weights.shape[3], np.int8)  # type: ignore[attr-defined]
    bordered = replace(node, op=replace(node.op, border=border))  # type: ignore[type-var]
    with pytest.raises(BirealError) as error:
        parts(replace(graph, nodes=tuple(bordered if one is node else one for one in graph)))
    assert str(error.value) == (
        "conv3: the engine has no binary_conv 3x3, stride 1, 16 -> 16 channels, K = 144, a border of +1"
    )


@pytest.mark.parametrize("begin", ["sign3", "round5"])
def test_a_folding_file_of_two_streams_is_read_back(begin: str, tmp_path: Path) -> None:
    graph = crossing()
    built = place(graph, begin)
    chosen = {name: one for name, one in fold(graph).items() if name in {node.name for node in built}}
    folding = complete(built, chosen | {ENGINE: Fold(8, 32, 4)})
    path = tmp_path / "folding.toml"
    path.write_text(folding_text(built, folding))
    assert f'begin = "{begin}"' in path.read_text()
    assert "concat" not in path.read_text()
    assert read_folding(path, graph) == folding
    assert placed(graph, folding) == built
    assert placed(graph, folding) != place(crossing(seed=1), begin)


def test_a_folding_file_says_what_the_engine_computes(tmp_path: Path) -> None:
    graph = graph_of("bireal18", (16, 16), 3)
    built = place(graph, "layer3_0_sign")
    chosen = {name: one for name, one in fold(graph).items() if name in {node.name for node in built}}
    folding = complete(built, chosen | {ENGINE: Fold(8, 32, 4)})
    path = tmp_path / "folding.toml"
    path.write_text(folding_text(built, folding))
    assert 'begin = "layer3_0_sign"\nchannels = 8 # 4, 8, 16\nsimd = 32' in path.read_text()
    assert read_folding(path, graph) == read_folding(path, built) == folding
    again = placed(graph, folding)
    assert [node.name for node in again] == [node.name for node in built]
    for text, other, said in (
        ('begin = "layer3_0_sign"', "", ' lacks begin = "..", the first layer that it computes'),
        ("simd = 32", "", "[engine] simd=None must be a whole number"),
        ("numbers = 4", 'numbers = "four"', "[engine] numbers='four' must be a whole number"),
        ("channels = 8", "chanels = 8", "[engine]: unknown factor 'chanels': did you mean 'channels'?"),
        ("channels = 8", "channels = 5", "[engine]: channels=5 is out of range: 4 or 8 or 16"),
        ("simd = 32", "simd = 20", "[engine]: simd=20 is out of range: 16 or 32 or 64 or 128 or 256"),
        ("queue = 0", "queue = 7", "[engine]: queue=7 is out of range: 0 or 16"),
        ('begin = "layer3_0_sign"', 'begin = "layer3_0_sing"', "unknown layer 'layer3_0_sing': did you mean"),
    ):
        path.write_text(folding_text(built, folding).replace(text, other))
        with pytest.raises(BirealError, match=re.escape(said)):
            read_folding(path, graph)


def test_sizes_of_an_engine_that_do_not_go_together(tmp_path: Path) -> None:
    graph = graph_of("bireal18", (16, 16), 3)
    built = place(graph, "layer3_1_sign")
    chosen = {name: one for name, one in fold(graph).items() if name in {node.name for node in built}}
    text = folding_text(built, complete(built, chosen | {ENGINE: Fold(32, 32, 4)}))
    assert "channels = 32 # 4, 8, 16, 32\nsimd = 32 # 32, 64, 128, 256\n" in text
    path = tmp_path / "folding.toml"
    path.write_text(text.replace("simd = 32", "simd = 16"))
    with pytest.raises(BirealError, match=r"\[engine\]: channels=32 is out of range: 4 or 8 or 16$"):
        read_folding(path, graph)


# ---- passes


@pytest.mark.parametrize(("end", "begin"), [("narrow", "sign3"), ("wide", "sign4")])
def test_tensors_that_cross_are_groups_of_one_map(end: str, begin: str) -> None:
    tail = place(crossing(4, 6, end), begin).nodes[-1].op.graph  # type: ignore[attr-defined]
    program = Program(tail, Sizes(4, 16, 4, 64))
    first, second = tail.given
    assert program.maps[first].address == 0
    assert program.maps[second].address == 24 * tail.given[first].channels * 2
    assert program.input_bytes == 4096 >= 24 * 24 * 2
    others = [one.address for name, one in program.maps.items() if name not in tail.given]
    assert others
    assert min(others) == 2 * program.input_bytes
    reading = [one for one in program.passes if one.shortcut]
    assert {one.shortcut_first for one in reading if one.shortcut_input} == {0, program.maps[second].address}
    assert {one.shortcut_first for one in reading if not one.shortcut_input} <= set(others)
    assert all(one.shortcut_group == 24 * 4 * 2 for one in reading if one.shortcut_input)


def test_the_fields_are_those_of_the_package() -> None:
    text = (asset("rtl") / "pkg" / "br_engine_pkg.sv").read_text()
    found = re.findall(r"^    logic(?: \[(\d+):0\])? +(\w+);", text, re.MULTILINE)
    assert [(name.rstrip("_"), int(high or 0) + 1) for high, name in found] == [
        (one.name, WIDTHS[one.name]) for one in fields(Pass)
    ]
    assert f"PassWidth = {word_width()};" in text


@pytest.mark.parametrize("model", MODELS)
def test_every_convolution_has_its_pass(model: str) -> None:
    graph = tail_of(model)
    program = Program(graph, Sizes(8, 16, 8, 64))
    products = [one for one in program.passes if one.binary or one.real]
    assert len(products) == sum(node.op.weight_count > 0 for node in graph)
    assert [one.last for one in program.passes] == [0] * (len(program.passes) - 1) + [1]
    assert program.passes[-1].out
    assert all(one.pixels <= 64 for one in products)
    for one, beats in zip(program.passes, program.beats, strict=True):
        assert beats % one.groups == 0
    assert sum(map(len, program.blobs)) == 8 * sum(program.beats)
    assert len(program.image) == HEADER + 8 * sum(program.beats)


def test_maps_and_operands_do_not_overlap() -> None:
    program = Program(tail_of("bireal50"), Sizes(8, 16, 8, 64))
    maps = sorted(
        (one.address, one.address + one.bytes * (2 if name == INPUT else 1)) for name, one in program.maps.items()
    )
    assert all(end <= start for (_, end), (start, _) in pairwise(maps))
    assert maps[-1][1] <= program.map_bytes


def test_operands_share_a_memory_when_they_are_not_needed_together() -> None:
    memory, passes = _Memory(), [Pass() for _ in range(5)]
    memory.make(passes[0], "bits_first", "a", 10, 0)
    memory.use(passes[1], "read_first", "a", 1)
    memory.make(passes[1], "bits_first", "b", 6, 1)  # while a is read
    memory.use(passes[4], "read_first", "b", 4)
    memory.make(passes[2], "bits_first", "c", 12, 2)  # a is free, its place is too small
    memory.use(passes[3], "read_first", "c", 3)
    memory.make(passes[4], "bits_first", "d", 3, 4)
    memory.allocate()
    assert [one.bits_first for one in passes] == [0, 10, 16, 0, 0]
    assert [one.read_first for one in passes] == [0, 0, 0, 16, 10]
    assert memory.depth == 28


class Reader:
    """Takes fields of a number from its low bits up."""

    def __init__(self, number: int) -> None:
        self.left = number

    def take(self, count: int) -> int:
        found = self.left & (1 << count) - 1
        self.left >>= count
        return found


def signed(value: int, count: int) -> int:
    return value - (1 << count) if value >> count - 1 else value


def test_weights_lie_as_the_engine_reads_them() -> None:
    rng = np.random.default_rng(1)
    sizes = Sizes(8, 16, 4, 64)
    bits = np.where(rng.random((12, 3, 3, 24)) < 0.5, -1, 1).astype(np.int8)
    numbers = rng.integers(-127, 128, (12, 1, 1, 10))
    gain, bias, slope = rng.integers(-(2**15), 2**15, 12), rng.integers(-(2**40), 2**40, 12), rng.integers(0, 8, 12)
    theta = rng.integers(-(2**20), 2**20, 12)
    for products in (Products(bits, True, 1, (1, 1, 1, 1)), Products(numbers, False, 1, (0, 0, 0, 0))):
        simd, width = (16, 1) if products.bits else (4, 8)
        blob = int.from_bytes(_blob(products, Affine(gain, bias, 3, 0, 0, slope), theta, 2, sizes), "little")
        kernel, cin = products.weights.shape[1], products.weights.shape[3]
        chunks = -(-cin // simd)
        reader = Reader(blob)
        take = reader.take
        for group in range(2):
            for channel in range(8):
                c = group * 8 + channel
                found = signed(take(48), 48), signed(take(16), 16), signed(take(32), 32), take(32)
                assert found == ((bias[c], gain[c], theta[c], slope[c]) if c < 12 else (0, 0, 0, 0))
            for ky in range(kernel):
                for kx in range(kernel):
                    for chunk in range(chunks):
                        lanes = [[take(width) for _ in range(simd)] for _ in range(8)]
                        for lane, channel in ((lane, group * 8 + lane) for lane in range(8)):
                            for j in range(simd):
                                k = chunk * simd + j
                                there = channel < 12 and k < cin
                                w = int(products.weights[channel, ky, kx, k]) if there else 0
                                if products.bits:
                                    assert lanes[lane][j] == (w > 0)
                                    continue
                                below = lane % 2 and channel - 1 < 12 and k < cin
                                lent = bool(below) and products.weights[channel - 1, ky, kx, k] < 0
                                assert signed(lanes[lane][j], 8) == w - lent
        assert reader.left == 0


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (Sizes(6, 24, 4, 64), "channels and real are multiples of 4"),
        (Sizes(8, 12, 4, 64), "simd one of channels"),
        (Sizes(4, 8, 4, 64), "a word of weights is a multiple of 64 bits"),
        (Sizes(8, 24, 0, 64), "the engine has no multipliers (real=0) for an 8-bit convolution"),
        (Sizes(32, 64, 8, 64), "channels are no multiple of the engine's 32"),
        (Sizes(8, 16, 8, 15), "the engine's pixels=15 are too few for a row"),
    ],
)
def test_sizes_that_do_not_go_are_refused(sizes: Sizes, message: str) -> None:
    with pytest.raises(BirealError, match=re.escape(message)):
        Program(tail_of("bireal18", side=32), sizes)


# ---- image


def test_the_identity_is_that_of_weights_passes_and_sizes() -> None:
    graph = tail_of("bireal18", -2)
    one = Program(graph, Sizes(8, 16, 8, 64))
    assert Program(graph, Sizes(8, 16, 8, 64)).image == one.image
    assert Program(graph, Sizes(8, 32, 8, 64)).identity != one.identity
    nodes = list(graph.nodes)
    index = next(i for i, node in enumerate(nodes) if node.op.kind == "merge")
    merge = nodes[index].op
    nodes[index] = replace(nodes[index], op=replace(merge, bias=merge.bias + 1))  # type: ignore[type-var, attr-defined]
    assert Program(replace(graph, nodes=tuple(nodes)), Sizes(8, 16, 8, 64)).identity != one.identity


def test_a_wrong_image_is_refused(tmp_path: Path) -> None:
    graph = tail_of("bireal18", -2)
    image, other = (Program(graph, Sizes(8, simd, 8, 64)).image for simd in (16, 32))
    path = tmp_path / "weights.bin"
    with pytest.raises(BirealError, match=r"^cannot read the weights .*: No such file or directory; make rtl writes"):
        check_image(path, image)
    path.write_bytes(image)
    check_image(path, image)
    flipped = bytearray(image)
    flipped[-1] ^= 1
    for content, message in (
        (b"", "is no image of weights"),
        (b"PK" + image[2:], "is no image of weights"),
        (image[:-8], r"is damaged: [\d,]+ bytes, its header says [\d,]+"),
        (image + bytes(8), "is damaged"),
        (other, "is of another network, folding or version"),
        (bytes(flipped), "is damaged: its weights are not those of its identity"),
    ):
        path.write_bytes(content)
        with pytest.raises(BirealError, match=message):
            check_image(path, image)
