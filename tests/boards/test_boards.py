"""The boards that come with the project, and what is said of a file that describes none."""

from __future__ import annotations

from pathlib import Path

import pytest

from bireal_hw.boards import FOLDER, board, names, read
from bireal_hw.errors import BirealError

# LUT, FF, BRAM36, URAM, DSP as the vendors' tables state them.
TOTALS = {
    "alveo-u250": (1_728_000, 3_456_000, 2_688, 1_280, 12_288),
    "kv260": (117_120, 234_240, 144, 64, 1_248),
    "pynq-z1": (53_200, 106_400, 140, 0, 220),
    "pynq-z2": (53_200, 106_400, 140, 0, 220),
    "ultra96-v2": (70_560, 141_120, 216, 0, 360),
    "ulx3s-85f": (83_640, 83_640, 104, 0, 156),
    "zcu102": (274_080, 548_160, 912, 0, 2_520),
    "zcu104": (230_400, 460_800, 312, 96, 1_728),
}


def test_every_board_is_listed() -> None:
    assert set(names()) == set(TOTALS)


@pytest.mark.parametrize("name", TOTALS)
def test_resources(name: str) -> None:
    one = board(name)
    assert (one.lut, one.ff, one.bram36, one.uram, one.dsp) == TOTALS[name]
    assert one.flow == ("nextpnr" if one.family == "ecp5" else "vivado")
    assert 25 <= one.clock_mhz <= 300
    assert one.dram_gbytes_per_s > 0
    assert one.dram_share == (0.6 if one.flow == "vivado" else 0)


FIELDS = "part, family, flow, lut, ff, bram36, uram, dsp, dram_gbytes_per_s, clock_mhz, dram_share"
GOOD = (FOLDER / "pynq-z2.toml").read_text()


def without(*names: str) -> str:
    return "\n".join(line for line in GOOD.splitlines() if line.split(" = ")[0] not in names)


def test_a_file_names_its_board(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD)
    mine = read(tmp_path / "mine.toml")
    assert (mine.name, mine.part, mine.bram36) == ("mine", board("pynq-z2").part, 140)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (without("dsp"), f" lacks dsp: every board has {FIELDS}"),
        (without("lut", "clock_mhz"), f" lacks lut, clock_mhz: every board has {FIELDS}"),
        (GOOD + "luts = 3\n", f": unknown field 'luts': did you mean 'lut'? choose from {FIELDS}"),
        (without("dsp") + "\ndsp = -1\n", ": dsp=-1 must be a whole number from 0"),
        (without("lut") + "\nlut = '53k'\n", ": lut='53k' must be a whole number from 0"),
        (without("clock_mhz") + "\nclock_mhz = 0\n", ": clock_mhz=0 must be a number above 0"),
        (without("dram_share") + "\ndram_share = 60\n", ": dram_share=60 must be a number from 0 to 1"),
        (
            without("family") + "\nfamily = 'virtex'\n",
            ": family='virtex' must be one of 7series, ultrascale+, ecp5",
        ),
        (without("flow") + "\nflow = 'ise'\n", ": flow='ise' must be one of vivado, nextpnr"),
        ("lut = ", " cannot be read: Invalid value (at end of document)"),
    ],
)
def test_a_mistake_in_a_file_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(BirealError) as error:
        read(path)
    assert str(error.value) == f"board file {path}{message}"


def test_an_unknown_board_is_named() -> None:
    with pytest.raises(BirealError) as error:
        board("pynq-z3")
    assert str(error.value).startswith("unknown board 'pynq-z3': did you mean 'pynq-z")
    assert str(error.value).endswith(f"? choose from {', '.join(names())}")
