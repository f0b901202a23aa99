"""Each layer alone: which ones differ, what surrounds them, what the router says of a small one."""

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
from bireal_hw.synth.clock import TOP, Alone, alone, distinct, harness, slowest
from bireal_hw.synth.ecp5 import Device
from bireal_hw.synth.nextpnr import Clock, CriticalPath, Routed
from tests.networks import tiny, two_streams

BYTE = DataType(8)


def instance(name: str, module: str, words: int = 0, lanes: int = 1, **parameters: int) -> Instance:
    memories = {"File": Memory(4, list(range(words)))} if words else {}
    ports = (Port("s_axis", lanes, BYTE),), Port("m_axis", lanes, BYTE)
    stream = Stream("s", "s", lanes, BYTE)
    return Instance(name, name, Binding(module, parameters, *ports, memories), (stream,), (stream,))


def test_instances_that_differ_in_constants_only_are_one() -> None:
    stream = Stream("s", "s", 1, BYTE)
    instances = (
        instance("a", "br_sign", words=8, Lanes=1),
        instance("b", "br_sign", words=16, Lanes=1),
        instance("c", "br_sign", words=8, Lanes=2),
        instance("d", "br_fifo", Width=8, Depth=90),
        instance("e", "br_fifo", Width=8, Depth=80),
        instance("f", "br_fifo", Width=8, Depth=90),
    )
    assert [one.name for one in distinct(Dataflow("", instances, stream, stream, {}, {}))] == ["a", "c", "d", "e"]


def test_the_slowest_of_each_module_comes_with_their_number() -> None:
    def row(name: str, module: str, mhz: float) -> Alone:
        clock = Clock(120, mhz, CriticalPath(1000 / mhz, 1.0, ("a", "b")))
        return Alone(instance(name, module), Routed({}, {"clk_i": clock}))

    rows = [row("a", "br_sign", 300), row("b", "br_fifo", 150), row("c", "br_sign", 200), row("d", "br_sign", 250)]
    assert [(one.instance.name, count) for one, count in slowest(rows)] == [("b", 1), ("c", 3)]


@pytest.mark.rtl
@pytest.mark.parametrize("graph", [tiny(max_pool=True, height=32, width=32), two_streams()], ids=["pool", "streams"])
def test_every_port_of_a_layer_is_joined_once_and_in_its_width(graph: Graph, tmp_path: Path) -> None:
    flow = elaborate(graph, fold(graph, 2_000))
    for one in distinct(flow):
        (tmp_path / f"{TOP}.sv").write_text(harness(one))
        sources = [str(path) for path in closure({one.binding.module})]
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
