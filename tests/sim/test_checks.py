"""The assertions: on every stream, and each seen to fail on a planted fault."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.assets import asset
from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Binding, Port
from bireal_hw.ir.types import DataType
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.folding import fold
from bireal_hw.rtl import CHECKS, generate, library_sources
from bireal_hw.rtl.top import checks_text, frame_beats
from bireal_hw.sim.network import network_dut
from bireal_hw.sim.runner import Dut, StallMode, simulate
from tests.conformance import BUILDS
from tests.faults import planted
from tests.networks import tiny

BYTE = DataType(8)
BUSY = StallMode(source=0.3, sink=0.5, seed=2)


def bound(macro: str) -> set[str]:
    """Modules that br_checks.sv names in a macro."""
    return set(re.findall(rf"^`{macro}\((br_\w+)", (asset("sim") / "br_checks.sv").read_text(), re.MULTILINE))


def test_every_module_with_a_stream_is_checked() -> None:
    texts = {path.stem: path.read_text() for path in library_sources()}
    streams = {name for name, text in texts.items() if re.search(r"output .* m_axis_tvalid", text)}
    assert streams == bound("BR_CHECK_(?:STREAM|BEATS)") - {"br_stream_source"}
    of_images = {name for name in streams if re.search(r"parameter +int unsigned Height ", texts[name])}
    assert of_images == bound("BR_CHECK_FRAME") - {"br_frame_rx", "br_link"}


def test_every_stream_of_a_network_is_checked_with_its_beats() -> None:
    graph = tiny()
    flow = elaborate(graph, fold(graph, 2_000))
    beats = frame_beats(graph, flow)
    assert set(beats) == {flow.input} | {stream for instance in flow.instances for stream in instance.outputs}
    assert (beats[flow.input], beats[flow.output]) == (64, 5)
    text = checks_text(graph, flow)
    found = re.findall(r"^bind br_top br_frame_check #\(\.Beats\((\d+)\)\) u_frame_(\w+) ", text, re.MULTILINE)
    assert {name: int(count) for count, name in found} == {stream.name: count for stream, count in beats.items()}
    assert beats[next(stream for stream in beats if stream.name == "conv1")] == 64 * 4 // 2


FAULTS = {
    "valid-falls": (
        "br_reg_slice",
        "assign m_axis_tvalid = out_valid_q && s_axis_tvalid;",
        r"br_bench\.u_dut\.m_axis: tvalid fell before its beat was taken, in cycle \d+",
    ),
    "beat-changes": (
        "br_reg_slice",
        "out_q <= spare_valid_q ? spare_q : {s_axis_tlast, s_axis_tdata};",
        r"br_bench\.u_dut\.m_axis: the beat changed before it was taken, in cycle \d+",
    ),
    "overflow": (
        "br_fifo",
        "assign s_axis_tready = count_q <= FillWidth'(MemDepth);",
        r"br_bench\.u_dut\.fill: the FIFO overflows: ready with 4 of 4 beats, in cycle \d+",
    ),
    "room-withheld": (
        "br_fifo",
        "localparam int unsigned MemDepth = Depth - 2;",
        r"br_bench\.u_dut\.fill: the FIFO is not ready with 3 of 4 beats, in cycle \d+",
    ),
    "underflow": (
        "br_fifo",
        "out_valid_q <= mem_read || direct || out_valid_q;",
        r"br_bench\.u_dut\.fill: the FIFO underflows: valid without a beat, in cycle \d+",
    ),
    "highest-fill": (
        "br_fifo",
        "if (usage_o != max_fill_o) max_fill_o <= usage_o;",
        r"br_bench\.u_dut\.fill: usage_o=\d and max_fill_o=\d are not \d and \d, in cycle \d+",
    ),
}


@pytest.mark.rtl
@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_rule_is_named_with_its_stream_and_cycle(fault: str, tmp_path: Path) -> None:
    module, code, message = FAULTS[fault]
    sources = planted(fault, code, module, tmp_path)
    depth = {"Depth": 4} if module == "br_fifo" else {}
    binding = Binding(module, {"Width": 8, **depth}, (Port("s_axis", 1, BYTE),), Port("m_axis", 1, BYTE))
    x = np.arange(80).reshape(2, 40, 1, 1)
    with pytest.raises(BirealError) as error:
        simulate(Dut(binding, sources), x, output_beats=40, stalls=[BUSY], builds=BUILDS)
    assert re.fullmatch(message, str(error.value)), str(error.value)


@pytest.mark.rtl
def test_tlast_on_a_wrong_beat_inside_a_network_is_named(tmp_path: Path) -> None:
    """At the first stream behind the fault, long before a wrong logit could come out."""
    graph = tiny()
    flow = generate(graph, fold(graph, 2_000), tmp_path / "rtl")
    text = (tmp_path / "rtl" / "br_top.sv").read_text()
    late = text.replace(".s_axis_tlast(center_tlast)", ".s_axis_tlast(1'b0)")
    assert late != text
    (tmp_path / "rtl" / "br_top.sv").write_text(late)
    images = np.zeros((1, *graph.input.shape), np.uint8)
    dut = network_dut(flow, tmp_path / "rtl")
    with pytest.raises(BirealError) as error:
        simulate(dut, images, output_beats=5, builds=BUILDS)
    said = r"br_bench\.u_dut\.center_slice: tlast is 0 on beat 64 of a frame of 64, in cycle \d+"
    assert re.fullmatch(said, str(error.value)), str(error.value)
    # The stem counts by itself and does not read tlast: nothing but the check sees this fault.
    alone = replace(dut, sources=tuple(path for path in dut.sources if path.name != Path(CHECKS).name))
    simulate(alone, images, output_beats=5, builds=BUILDS)
