"""The whole board in the simulator, PLL, reset and network, talked to by the host's code; and its clocks and pins."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from bireal_hw import golden
from bireal_hw.boards import FOLDER, board
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.folding import fold
from bireal_hw.rtl import generate
from bireal_hw.synth.board import BOARD, Serial, board_text, gather, serial, system_text
from bireal_hw.synth.ecp5 import Pll, device, oscillator_mhz, pins, pll, with_pins
from bireal_hw.synth.host import best, frame
from tests.link.lines import HERE, play_in
from tests.networks import random_images, tiny

FAST = Serial(baud=0, bit_cycles=8, timeout_bits=200)
"""A line that costs a simulation little."""
PATIENCE = 3000


def whole(graph: Graph, folder: Path, source: Pll | None) -> list[Path]:
    """Generate a board with a network; return its sources, beside which the memories lie."""
    flow = generate(graph, fold(graph, 2_000), folder / "rtl")
    (folder / "board").mkdir()
    sources = gather(folder / "rtl", folder / "board", system_text(graph, flow, FAST, 50))
    (folder / "board" / f"{BOARD}.v").write_text(board_text("ulx3s-85f", 25, source))
    return [*(folder / "board" / name for name in sources), folder / "board" / f"{BOARD}.v", HERE / "EHXPLLL.sv"]


@pytest.mark.rtl
@pytest.mark.parametrize(
    ("graph", "source"),
    [(tiny(16, 8, 3, 6, seed=1), pll(25, 50)), pytest.param(tiny(), None, marks=pytest.mark.slow)],
    ids=["colour, PLL", "gray, oscillator"],
)
def test_the_board_answers_with_the_golden_models_logits(graph: Graph, source: Pll | None, tmp_path: Path) -> None:
    images = random_images(graph, 4)
    pixels = [image.tobytes() for image in images]
    broken = bytearray(frame(77, pixels[0]))
    broken[20] ^= 1
    steps: list[dict[str, object]] = [
        {"image": pixels[0].hex()},
        {"send": "00ffb1b1"},
        {"image": pixels[1].hex()},
        {"send": broken.hex()},
        {"image": pixels[2].hex()},
        {"image": pixels[3].hex(), "spoil": 30},
        {"image": pixels[0].hex()},
    ]
    host = [len(pixels[0]), graph.output.channels]
    run = {"host": host, "steps": steps, "patience": PATIENCE, "read": ["class_o", "high_o"]}
    files = {"mem": tmp_path / "board" / "mem"}
    (found,) = play_in("board_bench", whole(graph, tmp_path, source), files, [run], FAST.bit_cycles)
    want = golden.run(graph, images)
    np.testing.assert_array_equal(found["answers"], want[[0, 1, 2, 3, 0]])
    assert found["ports"] == {"class_o": golden.classify(want)[0], "high_o": 1}
    assert best(found["answers"][0]) == golden.classify(want)[0]


def test_every_clock_is_the_best_that_the_pll_can_make() -> None:
    for wanted in (3.125, 5, 25.175, 48, 50, 66.6, 100, 120, 121, 400):
        found = pll(25, wanted)
        assert found is not None
        assert 400 <= found.vco_mhz <= 800
        assert found.mhz <= wanted
        better = [25 * m / d for m in range(16, 33) for d in range(1, 129) if found.mhz < 25 * m / d <= wanted]
        assert better == []
    assert pll(25, 25) is None
    for wanted in (3, 401):
        with pytest.raises(
            BirealError, match=rf"^clock={wanted} is out of range: the board's PLL makes 3.125 to 400 MHz$"
        ):
            pll(25, wanted)


def test_the_line_is_within_one_percent_of_its_speed_at_every_clock() -> None:
    for mhz in np.arange(3.125, 400, 0.3):
        line = serial(mhz)
        assert abs(mhz * 1e6 / line.bit_cycles / line.baud - 1) <= 0.01
        assert line.bit_cycles >= 8
    assert serial(50).baud == serial(25).baud == 1_000_000
    with pytest.raises(
        BirealError, match=r"^clock=0.5 is out of range: a serial line of 57,600 baud needs a faster one$"
    ):
        serial(0.5)


@pytest.mark.parametrize("name", with_pins())
def test_every_port_has_a_pin_and_every_pin_a_port(name: str) -> None:
    text = pins(board(name)).read_text()
    source = board_text(name, oscillator_mhz(pins(board(name))), None)
    ports = set()
    for width, port in re.findall(r"(?:input|output) +wire +(?:\[(\d+):0\] )?(\w+)", source):
        ports |= {f"{port}[{bit}]" for bit in range(int(width) + 1)} if width else {port}
    located = re.findall(r'^LOCATE COMP "(.+)" SITE "(\w+)";', text, re.MULTILINE)
    assert sorted(port for port, _ in located) == sorted(ports)
    assert len({site for _, site in located}) == len(located)
    assert sorted(re.findall(r'^IOBUF PORT "(.+)" IO_TYPE=LVCMOS33', text, re.MULTILINE)) == sorted(ports)
    assert 8 <= oscillator_mhz(pins(board(name))) <= 400
    assert device(board(name).part).speed in (6, 7, 8)


def test_the_pins_of_the_ulx3s() -> None:
    text = (FOLDER / "ulx3s-85f.lpf").read_text()
    sites = dict(re.findall(r'^LOCATE COMP "(.+)" SITE "(\w+)";', text, re.MULTILINE))
    assert (sites["clk_i"], sites["tx_o"], sites["rx_i"], sites["reset_i"]) == ("G2", "L4", "M1", "R1")
    assert [sites[f"led_o[{bit}]"] for bit in range(8)] == ["B2", "C2", "C1", "D2", "D1", "E2", "E1", "H3"]


def test_a_board_without_open_tools_is_one_line() -> None:
    with pytest.raises(BirealError) as error:
        pins(board("kv260"))
    assert str(error.value) == (
        "no open tools make a bitstream for board=kv260 (xck26-sfvc784-2LV-c): choose from ulx3s-85f, or use make hls"
    )


def test_a_file_of_pins_without_oscillator_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.lpf").write_text('LOCATE COMP "clk_i" SITE "G2";\n')
    with pytest.raises(
        BirealError, match=r'does not say how fast the oscillator is: FREQUENCY PORT "clk_i" <number> MHZ;$'
    ):
        oscillator_mhz(tmp_path / "mine.lpf")


def test_a_part_of_another_kind_is_one_line() -> None:
    with pytest.raises(BirealError, match=r"^part LFE5UM5G-85F is not one"):
        device("LFE5UM5G-85F")
