"""Each kind of layer alone: which one stands for its kind, what surrounds it, what the router says of a small one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Binding, Memory, Port
from bireal_hw.ir.types import DataType
from bireal_hw.passes.dataflow import Dataflow, Instance, Stream, elaborate
from bireal_hw.passes.folding import fold
from bireal_hw.rtl import closure
from bireal_hw.sim.verilator import tool_environment
from bireal_hw.synth.clock import TOP, alone, harness, largest
from bireal_hw.synth.ecp5 import Device
from tests.networks import tiny, two_streams

BYTE = DataType(8)


def instance(name: str, module: str, words: int = 0, lanes: int = 1, **parameters: int) -> Instance:
    memories = {"File": Memory(4, list(range(words)))} if words else {}
    ports = (Port("s_axis", lanes, BYTE),), Port("m_axis", lanes, BYTE)
    stream = Stream("s", "s", lanes, BYTE)
    return Instance(name, name, Binding(module, parameters, *ports, memories), (stream,), (stream,))


def test_the_instance_with_most_memory_stands_for_its_kind_then_the_widest() -> None:
    stream = Stream("s", "s", 1, BYTE)
    instances = (
        instance("a", "br_sign", words=8),
        instance("b", "br_sign", words=16),
        instance("c", "br_sign", words=8, lanes=9),
        instance("d", "br_reg_slice", lanes=2),
        instance("e", "br_reg_slice", lanes=3),
        instance("f", "br_fifo", Width=8, Depth=90),
        instance("g", "br_fifo", Width=8, Depth=80, lanes=4),
    )
    flow = Dataflow("", instances, stream, stream, {})
    assert {module: one.name for module, one in largest(flow).items()} == {
        "br_sign": "b",
        "br_reg_slice": "e",
        "br_fifo": "f",
    }


@pytest.mark.rtl
@pytest.mark.parametrize("graph", [tiny(max_pool=True, height=32, width=32), two_streams()], ids=["pool", "streams"])
def test_every_port_of_a_layer_is_joined_once_and_in_its_width(graph: Graph, tmp_path: Path) -> None:
    flow = elaborate(graph, fold(graph, 2_000))
    for module, one in largest(flow).items():
        (tmp_path / f"{TOP}.sv").write_text(harness(one))
        sources = [str(path) for path in closure({module})]
        command = ["verilator", "--lint-only", "--quiet", "-Wall", "-Wno-fatal", "--top", TOP, *sources, f"{TOP}.sv"]
        done = subprocess.run(
            command, cwd=tmp_path, env=tool_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        told = [line for line in done.stderr.splitlines() if line.startswith("%Warning") and f" {TOP}.sv:" in line]
        assert [line for line in told if "'usage_o'" not in line and "'max_fill_o'" not in line] == []


@pytest.mark.slow
@pytest.mark.synth
def test_a_register_slice_alone_is_fast_and_has_its_registers(tmp_path: Path) -> None:
    lanes = 2
    one = instance("slice", "br_reg_slice", lanes=lanes, Width=8 * lanes)
    found = alone(one, Device("25k", "CABGA256", 6), 200, tmp_path)
    width = 8 * lanes + 1
    around = (width + 3) + (width + 2)
    assert found.routed.used["FF"][0] == 2 * (width + 1) + around
    assert found.routed.slowest.reached > 200
    assert " to " in found.path
    assert list(tmp_path.iterdir()) == []
