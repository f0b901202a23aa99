"""The cost model against Yosys: block RAM and DSP exactly, LUT and FF of a network within ten per cent."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bireal_hw.analysis.cost import MODULES, anatomy_of, block_ram, predict, total
from bireal_hw.ir.op import Binding, Fold, Memory, Port
from bireal_hw.ir.types import DataType
from bireal_hw.ops.convolution import PADS
from bireal_hw.passes.dataflow import Dataflow, elaborate
from bireal_hw.passes.folding import fold
from bireal_hw.synth.network import by_instance
from bireal_hw.synth.network import total as counted
from bireal_hw.synth.resources import Resources, count
from bireal_hw.synth.units import Unit, synthesise, unit
from tests.networks import tiny

ROMS = [(72, 128), (144, 64), (288, 36), (288, 128), (513, 20), (576, 72), (1152, 64), (2304, 9), (2304, 16), (4608, 8)]
FIFOS = [(33, 16), (65, 16), (200, 16), (130, 32), (300, 8), (600, 17), (700, 64), (1300, 16), (2100, 32), (5000, 2)]


def rom(depth: int, width: int) -> Unit:
    """A 1x1 convolution of one pixel whose weight memory has this shape."""
    numbers = random.Random(depth * width)
    bits = (depth * width).bit_length() + 1
    parameters = {"Height": 1, "Width": 1, "InChannels": depth * width, "OutChannels": 1, "Kernel": 1, "Stride": 1}
    parameters |= dict.fromkeys(PADS, 0) | {"Pe": 1, "Simd": width, "AccWidth": bits}
    ports = (Port("s_axis", width, DataType(1, signed=False)),), Port("m_axis", 1, DataType(bits))
    memory = Memory(width, [numbers.getrandbits(width) for _ in range(depth)])
    return unit(Binding("br_binary_conv", parameters, *ports, {"WeightFile": memory}))


def fifo(depth: int, width: int) -> Unit:
    port = DataType(1, signed=False)
    ports = (Port("s_axis", width, port),), Port("m_axis", width, port)
    return unit(Binding("br_fifo", {"Width": width, "Depth": depth}, *ports))


@pytest.mark.slow
@pytest.mark.synth
def test_block_ram_is_exact(tmp_path: Path) -> None:
    units = [rom(*shape) for shape in ROMS] + [fifo(*shape) for shape in FIFOS]
    found = [count(cells, "7series").bram36 for cells in synthesise(units, "7series", tmp_path, lambda *_: None)]
    assert found == [block_ram(anatomy_of(one.binding.module, one.binding.parameters)) for one in units]
    assert 0 in found
    assert max(found) > 2


def predicted(flow: Dataflow) -> Resources:
    return total((one.binding.module, one.binding.parameters) for one in flow.instances)


@pytest.mark.slow
@pytest.mark.synth
@pytest.mark.parametrize("cycles", [400, 4_000])
def test_a_network_is_predicted(cycles: int, tmp_path: Path) -> None:
    graph = tiny(16, 16, 3, 16)
    flow = elaborate(graph, fold(graph, cycles))
    used, expected = counted(by_instance(flow, "7series", tmp_path, lambda *_: None)), predicted(flow)
    assert (expected.bram36, expected.dsp) == (used.bram36, used.dsp)
    assert expected.lut == pytest.approx(used.lut, rel=0.1)
    assert expected.ff == pytest.approx(used.ff, rel=0.1)


@pytest.mark.parametrize("cycles", [400, 4_000, 40_000])
def test_every_instance_has_a_prediction(cycles: int) -> None:
    graph = tiny(64, 64, 3, 16, max_pool=True)
    for instance in elaborate(graph, fold(graph, cycles)).instances:
        assert instance.binding.module in MODULES
        used = predict(instance.binding.module, instance.binding.parameters)
        assert used.lut >= 0
        assert used.ff >= 0


def test_more_unfolding_costs_more() -> None:
    graph = tiny(base=16)
    node = next(node for node in graph if node.name == "conv1")
    luts = [
        predict("br_binary_conv", node.op.rtl(Fold(pe, 16), *graph.inputs_of(node)).parameters).lut
        for pe in (1, 2, 4, 8, 16)
    ]
    assert luts == sorted(luts)
