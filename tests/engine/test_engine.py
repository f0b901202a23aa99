"""br_engine in Verilator against the golden model: tails, sizes, bands, stalls of streams and memory, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bireal_hw.ops.engine
from bireal_hw.boards import board
from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Fold
from bireal_hw.ops.engine import Engine
from bireal_hw.passes.folding import complete, fold
from bireal_hw.passes.placement import ENGINE, place
from bireal_hw.rtl import generate
from bireal_hw.sim.dram import Dram, dram_of
from bireal_hw.sim.network import simulate_network
from bireal_hw.sim.runner import FREE, Dut, SimResult, StallMode, attempt, simulate
from tests.conformance import BUILDS, draw
from tests.engine.tails import engine, pooled
from tests.networks import crossing, random_images

pytestmark = pytest.mark.rtl

FRAMES = 3
MODES = (
    FREE,
    StallMode(source=0.5, sink=0.3, seed=11),
    StallMode(source=0.2, sink=0.5, seed=12, dram=Dram(latency=3, stall=0.5)),
    StallMode(seed=13, dram=Dram(latency=150, bytes_per_cycle=5, refresh=(390, 90), stall=0.1)),
    StallMode(seed=14, dram=dram_of(board("pynq-z2"), 100, stalled=False)),
)


def run(op: Engine, fold: Fold, modes: tuple[StallMode, ...] = MODES) -> tuple[list[SimResult], np.ndarray]:
    x = np.concatenate([draw(part, FRAMES, 1) for part in op.graph.given.values()], axis=-1)
    binding = op.rtl(fold, op.graph.input)
    dut = Dut(binding, dram=binding.image, maps=binding.maps)
    found = simulate(dut, x, output_beats=op.graph.output.channels, stalls=modes, builds=BUILDS)
    return found, op.golden(x).reshape(FRAMES, -1)


@pytest.mark.parametrize(
    ("sizes", "more", "fold", "pixels"),
    [
        pytest.param((4, 6, 8), {}, Fold(4, 16, lanes=4), 512, marks=pytest.mark.slow),
        ((4, 6, 8), {"leaky": True, "classes": 6}, Fold(8, 16, lanes=8, queue=5), 512),
        ((6, 4, 16), {"leaky": True}, Fold(8, 32, lanes=4, queue=8), 8),  # a row or two a band
        ((2, 2, 8), {"classes": 1}, Fold(8, 8, lanes=16), 512),  # fewer pixels than stages, half a word of numbers
    ],
)
def test_every_number_is_the_golden_models(
    sizes: tuple[int, int, int], more: dict[str, int], fold: Fold, pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bireal_hw.ops.engine, "PIXELS", pixels)
    check(engine(*sizes, **more), fold)


def check(op: Engine, fold: Fold) -> None:
    """Run it in every mode: all exact, cycles and bytes within those predicted."""
    found, expected = run(op, fold)
    for one in found:
        np.testing.assert_array_equal(one.outputs, expected)
        assert one.status == 0
    assert found[0].interval <= op.cost(fold, op.graph.input).cycles
    rate = MODES[-1].dram.bytes_per_cycle
    assert found[-1].interval <= op.memory_cycles(fold, rate, op.graph.input)
    moved = sum(sum(each.values()) for each in (found[0].bytes_read, found[0].bytes_written))
    ahead = moved - FRAMES * op.traffic(fold, op.graph.input)
    assert 0 <= ahead <= 8 * (512 + 2 + 16)  # the header, and what is read for a frame that does not come


@pytest.mark.parametrize(
    ("end", "begin", "fold"),
    [("narrow", "sign3", Fold(4, 16, lanes=4)), ("wide", "sign4", Fold(8, 16, lanes=8, queue=9))],
)
def test_two_tensors_are_channels_of_one_map(end: str, begin: str, fold: Fold) -> None:
    op = place(crossing(4, 6, end), begin).nodes[-1].op
    assert isinstance(op, Engine)
    assert list(op.graph.given) == (["merge1", "merge2"] if end == "narrow" else ["merge2", "merge1"])
    check(op, fold)


@pytest.mark.parametrize(
    ("end", "begin"),
    [
        ("narrow", "sign3"),
        pytest.param("wide", "sign4", marks=pytest.mark.slow),
        pytest.param("narrow", "round5", marks=pytest.mark.slow),
    ],
)
def test_two_streams_of_a_front_enter_as_one(end: str, begin: str, tmp_path: Path) -> None:
    """Logits of a whole network under stalls of both ends and of the memory, within the cycles and bytes predicted."""
    graph = place(crossing(8, 12, end), begin)
    front = {name: one for name, one in fold(graph, 2_000).items() if name != ENGINE}
    folding = complete(graph, front | {ENGINE: Fold(8, 16, 8)})
    generate(graph, folding, tmp_path / "rtl")
    rate = StallMode(dram=dram_of(board("pynq-z2"), 100, stalled=False))
    modes = (rate, *MODES)
    found = simulate_network(graph, folding, tmp_path / "rtl", random_images(graph, 5), modes, BUILDS)
    assert found.mismatches == 0
    assert found.outputs_compared == len(modes) * 5 * 5
    assert found.cycles_per_frame is not None
    assert found.cycles_per_frame <= found.cycles_predicted
    assert found.bytes_per_frame is not None
    assert found.bytes_predicted is not None
    assert 0 <= found.bytes_per_frame - found.bytes_predicted <= 8 * (512 + 2 + 16)


def test_a_sign_behind_a_pool_reads_what_the_pool_gave() -> None:
    op = Engine(pooled(4, 6, 8))
    found, expected = run(op, Fold(4, 16, lanes=4), (FREE, MODES[2]))
    for one in found:
        np.testing.assert_array_equal(one.outputs, expected)


@pytest.fixture(scope="module")
def broken() -> dict[str, SimResult | BirealError]:
    """What becomes of frames when the memory or the image is not as it should be."""
    op, fold = engine(4, 4, 8), Fold(8, 16, lanes=4)
    x = draw(op.graph.input, FRAMES, 1)
    binding = op.rtl(fold, op.graph.input)
    modes = {
        "read error": StallMode(dram=Dram(read_error=9)),
        "write error": StallMode(dram=Dram(write_error=9)),
        "no answer to a read": StallMode(dram=Dram(read_lost=9)),
        "no answer to a write": StallMode(dram=Dram(write_lost=9)),
        "whole": FREE,  # works again after a reset
    }
    dut = Dut(binding, dram=binding.image, maps=binding.maps)
    beats = op.graph.output.channels
    found = attempt(dut, x, output_beats=beats, stalls=list(modes.values()), builds=BUILDS, timeout=5000)
    results = dict(zip(modes, found, strict=True))
    image = bytearray(binding.image)
    image[8] ^= 1  # identity
    other = Dut(binding, dram=bytes(image), maps=binding.maps)
    results["other image"] = attempt(other, x, output_beats=beats, stalls=[FREE], builds=BUILDS, timeout=5000)[0]
    np.testing.assert_array_equal(getattr(results["whole"], "outputs", None), op.golden(x).reshape(FRAMES, -1))
    return results


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("read error", 1),
        ("write error", 2),
        ("no answer to a read", 0),
        ("no answer to a write", 0),
        ("other image", 4),
    ],
)
def test_no_wrong_result_leaves(what: str, status: int, broken: dict[str, SimResult | BirealError]) -> None:
    """An error ends in a bit of the status and in no output; a memory that is silent is named."""
    error = broken[what]
    assert isinstance(error, BirealError)
    text = str(error)
    assert "deadlock: no transfer for 5000 cycles" in text
    assert (f"status_o is {status}" if status else "bursts that the memory has not answered: ") in text


def test_the_frames_of_an_engine_overlap(tmp_path: Path) -> None:
    """While a frame is computed the next one is written: three take less than three times what one takes alone."""
    op, fold = engine(4, 6, 8), Fold(4, 16, lanes=4)
    found, _ = run(op, fold, (FREE,))
    assert found[0].tlast[1] - found[0].tlast[0] < found[0].tlast[0] - found[0].first_in
