"""FIFO depths: what waits follows from each layer's own timing, whatever the layers are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import INPUT, Graph, Node, verify
from bireal_hw.ir.op import Fold, Op, window_ahead, window_needs
from bireal_hw.ir.types import PIXEL, DataType, TensorType
from bireal_hw.ops import AvgPool, BinaryConv, Center, MaxPool, Merge, RealConv, Sign
from bireal_hw.passes.buffers import Buffers
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.folding import Folding, complete, convolutions, fold
from tests.networks import crossing, deep, dense, tiny, two_streams


def depths(graph: Graph, folding: Folding) -> dict[str, int]:
    """Depth of every FIFO by name."""
    parameters = {one.name: one.binding.parameters for one in elaborate(graph, folding).instances}
    return {name: values["Depth"] for name, values in parameters.items() if "Depth" in values}


def test_a_shortcut_holds_a_window_s_pixels_and_what_comes_until_its_sums() -> None:
    graph = tiny(16, 16, base=16)
    chosen = {node.name: Fold(1, 1) for node in convolutions(graph)}
    chosen |= {"stem": Fold(4, 1), "conv1": Fold(4, 16), "conv2": Fold(8, 16), "down_conv": Fold(8, 1)}
    folding = complete(graph, chosen)
    assert elaborate(graph, folding).cycles == 256 * 36
    # 18 pixels of 16 beats; 9 cycles for the sums, 5 for the pipeline, 1 each for two converters; a pixel in 36 cycles.
    # The merge of the downsample block has none; its pool: half a row of 8 pixels, less the two that the reader takes.
    assert depths(graph, folding) == {"merge1_fifo": 18 * 16 + 17 * 16 // 36 - 1, "down_fifo": 2 * 16}


@pytest.mark.parametrize("more", [1, 2, 5, 40])
@pytest.mark.parametrize("kind", [Sign, Center, BinaryConv])
def test_every_cycle_that_a_layer_takes_more_is_counted(
    kind: type[Op], more: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = deep(2, channels=8)
    chosen = {node.name: Fold(8, 8) for node in convolutions(graph)}
    folding = complete(graph, chosen | {"merge0": Fold(8, 3), "classifier": Fold(5, 8)})
    before = elaborate(graph, folding)
    right = kind.cost
    monkeypatch.setattr(kind, "cost", lambda *words: replace(cost := right(*words), latency=cost.latency + more))
    after = elaborate(graph, folding)
    assert after.cycles == before.cycles
    fifos = [pair for pair in zip(before.instances, after.instances, strict=True) if pair[0].name.endswith("_fifo")]
    assert len(fifos) == 2
    for shallow, deep_ in fifos:
        added = deep_.binding.parameters["Depth"] - shallow.binding.parameters["Depth"]
        beats = more * 16 * 8 // shallow.inputs[0].lanes  # in as many frames
        if kind is Center:  # in front of both branches
            assert added == 0
        else:
            assert beats // before.cycles <= added <= -(-beats // before.cycles)


def test_what_waits_however_fast_the_layers_are_is_the_least_in_any_folding() -> None:
    for graph in (tiny(), tiny(16, 8, 3, 6), tiny(64, 32, 3, 8, max_pool=True), two_streams(), two_streams(16, 8)):
        always = Buffers(graph)
        for target in (100, 1_000, 10_000):
            folding = fold(graph, target)
            lanes = {one.name: one.inputs[0].lanes for one in elaborate(graph, folding).instances}
            found = depths(graph, folding)
            for node in graph:
                for index in range(len(node.inputs)):
                    name = f"{node.name}_in{index}_fifo" if index else f"{node.name}_fifo"
                    if node.op.arity > 1 and name in found:
                        assert found[name] >= always.waiting_beats(node, index, lanes[name])


def sums(shortcut: list[Node], tensor: str) -> Graph:
    """A 3x3 convolution with a shortcut through other layers; 8x8 pixels of 4 channels, in the end 4 classes."""
    stream, rng = DataType(12, frac=6), np.random.default_rng(0)
    bits = rng.choice(np.array([-1, 1], np.int8), (4, 3, 3, 4))
    ones = np.ones(4, np.int32)
    nodes = [
        Node("center", Center(np.array([128], np.int32)), (INPUT,)),
        Node("stem", RealConv(np.ones((4, 3, 3, 1), np.int32), ones, ones, stream, pads=(1,) * 4), ("center",)),
        Node("sign", Sign(), ("stem",)),
        Node("conv", BinaryConv(bits), ("sign",)),
        *shortcut,
        Node("sum", Merge(ones, ones, 2, stream), (tensor, "conv")),
        Node("pool", AvgPool((8, 8), 6, DataType(8, frac=0)), ("sum",)),
        Node("classifier", RealConv(np.ones((4, 1, 1, 4), np.int32), ones, 0 * ones, stream), ("pool",)),
    ]
    return verify(Graph("sums", TensorType.full(8, 8, 1, PIXEL), tuple(nodes), {"classes": list("abcd")}))


def real(name: str, source: str, kernel: int) -> list[Node]:
    """Rounding to 8 bits and a real-valued convolution."""
    ones = np.ones(4, np.int32)
    weights = np.ones((4, kernel, kernel, 4), np.int32)
    return [
        Node(f"{name}_round", AvgPool((1, 1), 4, DataType(8, frac=2)), (source,)),
        Node(name, RealConv(weights, ones, ones, DataType(12, frac=6), pads=(kernel // 2,) * 4), (f"{name}_round",)),
    ]


def test_the_input_that_comes_first_waits_whichever_it_is() -> None:
    def waiting(shortcut: list[Node], tensor: str) -> dict[str, int]:
        """Values that wait, by FIFO."""
        graph = sums(shortcut, tensor)
        flow = elaborate(graph, fold(graph, 1_000))
        fifos = [one for one in flow.instances if one.binding.module == "br_fifo"]
        return {one.name: one.binding.parameters["Depth"] * one.inputs[0].lanes for one in fifos}

    straight = waiting([], "stem")
    assert list(straight) == ["sum_fifo"]
    assert straight["sum_fifo"] >= 10 * 4
    one = waiting(real("a", "stem", 1), "a")
    assert list(one) == ["sum_fifo"]
    assert 5 * 4 < one["sum_fifo"] < straight["sum_fifo"]  # the 1x1 convolution holds some pixels itself
    assert not set(waiting(real("a", "stem", 3), "a")) & {"sum_fifo"}  # both wait for the same window
    two = waiting([*real("a", "stem", 3), *real("b", "a", 3)], "b")
    assert list(two) == ["sum_in1_fifo"]
    assert two["sum_in1_fifo"] >= 5 * 4


def test_a_sum_waits_for_the_whole_way_through_pool_and_upsampling() -> None:
    graph = dense(16, 16)
    flow = elaborate(graph, fold(graph, 4_000))
    fifos = {
        one.name: one.binding.parameters["Depth"] * one.inputs[0].lanes
        for one in flow.instances
        if one.binding.module == "br_fifo"
    }
    # A 3x3 window of stride 2 waits for 18 pixels, the upsampling for half a row of copies; the straight way waits.
    assert fifos["sum_fifo"] >= (16 + 2 + 16 // 2) * 4
    assert "sum_in1_fifo" not in fifos
    assert fifos["sum_inner_in1_fifo"] >= 18 * 4  # the second input is the shortcut here


def test_a_layer_that_takes_by_turns_has_two_pixels_of_each_stream() -> None:
    """The narrow stream waits for the wide one besides: for the pixel that a 1x1 convolution needs whole."""
    graph = crossing(end="concat")
    waiting = Buffers(graph).waiting
    assert [waiting["concat", index] for index in (0, 1)] == [3, 2]
    for target in (600, 3_000, 30_000):
        folding = fold(graph, target)
        beats = depths(graph, folding)
        lanes = {one.name: one.inputs[0].lanes for one in elaborate(graph, folding).instances}
        assert beats["concat_fifo"] >= 3 * 8 // lanes["concat_fifo"]
        assert beats["concat_in1_fifo"] >= 2 * 16 // lanes["concat_in1_fifo"]


@pytest.mark.parametrize(("factor", "waiting"), [(2, 9), (4, 7), (8, 4)])
def test_a_pool_s_rows_wait_for_a_reader_that_takes_them_evenly(factor: int, waiting: int) -> None:
    x = TensorType.full(32, 32, 4, DataType(12, frac=6))
    pool = AvgPool((factor, factor), 2, DataType(12, frac=6))
    needs = pool.needs(x)
    assert len(needs) == pool.infer(x).pixels
    assert needs[0] == (factor - 1) * 32 + factor - 1
    assert needs[-1] == x.pixels - 1
    graph = verify(
        Graph(
            "pools",
            TensorType.full(32, 32, 1, PIXEL),
            (
                Node("center", Center(np.array([128], np.int32)), (INPUT,)),
                Node("pool", AvgPool((factor, factor), 2, DataType(8, frac=0)), ("center",)),
                Node("sign", Sign(), ("pool",)),
                Node("conv", BinaryConv(np.ones((4, 3, 3, 1), np.int8)), ("sign",)),
            ),
        )
    )
    # A row of 32 / factor pixels comes in one `factor`th of the time in which it is taken: the rest of it waits.
    assert Buffers(graph).burst_beats(graph.makers["pool"], 1) == waiting


def test_needs_are_the_windows_last_taps() -> None:
    """Against the definition; beyond the right edge the buffer counts on in the next row."""
    for height, width, kernel, stride, pad in ((4, 4, 3, 1, 1), (5, 7, 3, 2, 1), (6, 4, 1, 2, 0), (9, 8, 7, 2, 3)):
        x = TensorType(height, width, 1, DataType(8), 0, 0)
        rows = range((height + 2 * pad - kernel) // stride + 1)
        columns = range((width + 2 * pad - kernel) // stride + 1)
        wanted = [
            (row * stride - pad + kernel - 1) * width + column * stride - pad + kernel - 1
            for row in rows
            for column in columns
        ]
        assert window_needs(x, kernel, stride, (pad,) * 4).tolist() == wanted
        steps = np.diff([*wanted, wanted[0] + height * width])  # to the next window, the next frame's included
        assert window_ahead(height, width, (kernel,) * 2, (stride,) * 2, (2 * pad,) * 2) == max(steps) + 1
    even = MaxPool().needs(TensorType.full(4, 4, 2, DataType(12)))
    assert even.tolist() == [5, 7, 13, 15]


def test_a_layer_that_changes_the_size_has_to_say_what_it_needs() -> None:
    pool = AvgPool((2, 2), 2, DataType(8))
    with pytest.raises(BirealError, match=r"^avg_pool: changes the image's size and does not say what it needs$"):
        Op.needs(pool, TensorType.full(4, 4, 1, DataType(12)))
