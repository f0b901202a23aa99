"""A network with an engine on the simulated board: logits, errors of memory, resets, the file of its weights."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.golden import run
from bireal_hw.sim.dram import Dram
from bireal_hw.zynq.registers import REGISTERS, errors
from bireal_hw.zynq.simulation import SimulatedBoard
from tests.faults import exchanged
from tests.networks import random_images
from tests.zynq.boards import HERTZ, SESSIONS, simulated, with_engine

pytestmark = pytest.mark.rtl

BATCHES = [1, 2, 5]
TEXTS = {one.name: one.text for one in errors(memory=True)}
FAULTS = {
    "reset-at-once": ("br_ip", "assign draining = 1'b0;"),
    "gate-drops": ("br_axi_gate", "assign m_axi_arvalid = s_axi_arvalid && !close_i;"),
    "gate-offers": ("br_axi_gate", "assign m_axi_arvalid = s_axi_arvalid;"),
    "gate-data": ("br_axi_gate", "assign m_axi_wvalid = s_axi_wvalid;"),
    "gate-idle": ("br_axi_gate", "assign idle_o = reads_q == '0;"),
}


def session(board: SimulatedBoard, name: str, **plan: Any) -> Any:
    return board.run(SESSIONS / f"{name}.py", HERTZ, **plan)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> SimulatedBoard:
    graph, folding = with_engine()
    return simulated(graph, tmp_path_factory.mktemp("board"), images=sum(BATCHES), folding=folding)


@pytest.mark.parametrize("slow", [0, 26_000], ids=["free", "stalled"])
def test_every_logit_in_batches(board: SimulatedBoard, slow: int) -> None:
    if slow:
        board = replace(board, dram=Dram(latency=60, bytes_per_cycle=4, refresh=(780, 26), stall=0.2))
    found, counters, buffers, loads = session(board, "batches", batches=BATCHES, idle=slow, stall=slow)
    graph, _ = with_engine()
    want = run(graph, random_images(graph, sum(BATCHES)))
    np.testing.assert_array_equal(found, want.reshape(len(want), -1))
    assert (buffers, loads, counters["ERRORS"]) == (0, 1, 0)
    assert counters.keys() == {one.name for one in REGISTERS}


@pytest.fixture(scope="module")
def found(board: SimulatedBoard) -> Any:
    return session(board, "memory")


@pytest.mark.parametrize(
    ("name", "words", "loads"),
    [
        ("error, reading", TEXTS["memory_read"], 0),
        ("error, reading the first", TEXTS["memory_read"], 0),
        ("error, writing", TEXTS["memory_write"], 0),
        ("silent, reading", "memory does not answer the network's ports", 1),
        ("silent, writing", "memory does not answer the network's ports", 1),
    ],
)
def test_errors_of_memory_are_told_and_leave_it_usable(name: str, words: str, loads: int, found: Any) -> None:
    """Only where an answer never comes the bitstream is loaded again."""
    said, seconds, loaded, checked = found["found"][name]
    assert said.startswith("NetworkError: ")
    assert words in said
    assert (loaded, checked) == (loads, sum(BATCHES))
    assert seconds < 0.006


@pytest.mark.parametrize(("name", "bit"), [("ends, error", 6), ("ends, other weights", 7)])
def test_a_run_with_an_error_ends(name: str, bit: int, found: Any) -> None:
    """STATUS says idle, done and error, the interrupt is raised, both halves of the DMA are through."""
    status, error, interrupt, states = found["found"][name][:4]
    assert status & 0b1111 == 0b0111
    assert (error, interrupt) == (1 << bit, True)
    assert all(state & 2 for state in states)
    assert found["found"]["ends, error"][4:] == [0, sum(BATCHES)]
    assert found["found"]["none"][0] == "nothing"


def test_a_reset_waits_for_bursts_under_way(found: Any) -> None:
    """The logits behind each are compared in the session; here, that there was something to wait for."""
    assert sum(owed > 0 for owed in found["found"]["owed"]) > 24


def test_bases_are_registers(found: Any) -> None:
    """Without them the network stays in reset, and a run does not start."""
    assert found["found"]["no bases"] == [1, 0, 1 << 8, 1 | 4]
    assert found["found"]["bases"] == 0x12345000
    assert found["found"]["bases again"][0] == "nothing"
    assert found["found"]["closed"] == [0, sum(BATCHES), 4]


def test_two_on_one_bitstream(found: Any) -> None:
    assert found["found"]["two"] == [sum(BATCHES)] * 4 + [0]


def test_what_memory_moves_is_measured(found: Any, board: SimulatedBoard) -> None:
    graph, folding = with_engine()
    engine = graph.nodes[-1]
    frame = engine.op.traffic(folding[engine.name], *graph.inputs_of(engine))
    measured = found["measured"]
    ahead = 4 * measured["memory_bytes_per_frame"] - 4 * frame
    assert -8 * 600 < ahead < 8 * 600  # what the weights' FIFO held before the run, and holds behind it
    seconds = measured["cycles_per_frame"] / HERTZ
    np.testing.assert_allclose(measured["memory_bytes_per_second"], measured["memory_bytes_per_frame"] / seconds)


def test_weights_that_are_not_as_they_should_be(board: SimulatedBoard) -> None:
    said = session(board, "weights")
    again = "copy it again, from the folder of the bitstream"
    size = (board.files / "weights.bin").stat().st_size
    identity = said.pop("of another network").removeprefix("DIR/weights.bin has weights ")
    assert identity.endswith(f": {again}")
    assert said == {
        "whole": "nothing",
        "empty": f"DIR/weights.bin is no file of weights: {again}",
        "no weights": f"DIR/weights.bin is no file of weights: {again}",
        "truncated": f"DIR/weights.bin has {size - 8:,} bytes, not {size:,}: {again}",
        "truncated header": f"DIR/weights.bin has 12 bytes, not {size:,}: {again}",
        "altered": f"DIR/weights.bin is damaged, as its checksum says: {again}",
        "missing": "there is no DIR/weights.bin, the network's weights: copy it beside the bitstream",
        "a folder": f"DIR/weights.bin cannot be read (Is a directory): {again}",
        "no memory": f"no memory for the weights of {size + 4096:,} numbers (Failed to allocate Memory!): "
        "close() others",
        "memory out of reach": "the memory for weights is at 0x100000000, and the network's addresses have 32 bits: "
        "free memory below",
        "whole again": "nothing",
    }


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_reset_or_gates_is_caught(fault: str, board: SimulatedBoard, tmp_path: Path) -> None:
    module, code = FAULTS[fault]
    ip = shutil.copytree(board.memories.parent, tmp_path / "ip")
    file = ip / "src" / f"{module}.sv"
    texts, changed = exchanged({file.name: file.read_text()}, fault, code)
    assert changed == 1
    file.write_text(texts[file.name])
    broken = SimulatedBoard.of_ip(board.shape, ip, board.files, board.builds)
    with pytest.raises(BirealError):
        session(broken, "memory")
