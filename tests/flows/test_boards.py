import pytest

from bireal_hw.boards import board, names

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
