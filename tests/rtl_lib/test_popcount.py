"""The compressor tree against Python's count of bits, and what Yosys makes of it against what is simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Binding, Fold, Port
from bireal_hw.ir.types import BIPOLAR, DataType, TensorType
from bireal_hw.ops import BinaryConv
from bireal_hw.rtl import closure
from bireal_hw.sim.runner import Dut, simulate
from bireal_hw.synth import yosys
from tests.conformance import BUILDS, FOUR_MODES, draw
from tests.rtl_lib.test_lint import lint

HERE = Path(__file__).parent
WIDTHS = (*range(1, 34), 63, 64, 65, 127, 128, 129, 255, 256)
BITS = 256


def words() -> NDArray[np.uint8]:
    """Beats of 513 bits (a, b, half): all pairs of 6 bits, all patterns of agreement of 12, ends, random ones."""
    rng = np.random.default_rng(3)
    pairs, patterns = np.arange(1 << 12), np.arange(1 << 12)
    a = rng.integers(0, 2, (len(pairs) + len(patterns) + 2 * BITS + 1000, BITS), np.uint8)
    b = rng.integers(0, 2, a.shape, np.uint8)
    six, twelve = np.arange(6), np.arange(12)
    a[: len(pairs), :6], b[: len(pairs), :6] = pairs[:, None] >> six & 1, pairs[:, None] >> six + 6 & 1
    second = slice(len(pairs), len(pairs) + len(patterns))
    b[second, :12] = a[second, :12] ^ (patterns[:, None] >> twelve & 1)
    ends = second.stop + np.arange(2 * BITS)  # all but one position agree, then one alone
    b[ends] = a[ends] ^ np.concatenate([np.eye(BITS, dtype=np.uint8), 1 - np.eye(BITS, dtype=np.uint8)])
    few = slice(ends[-1] + 1, None)  # of very different densities
    b[few] = a[few] ^ (rng.random((1000, BITS)) < rng.random((1000, 1)))
    b[-2:] = a[-2:] ^ np.array([[0], [1]], np.uint8)  # the very ends
    half = rng.integers(0, 5, (len(a), 1)) == 0
    half[-2:] = False
    return np.concatenate([a, b, half], axis=1).astype(np.uint8)


@pytest.mark.rtl
def test_both_ways_count_as_python_does() -> None:
    beats = words()
    binding = Binding(
        "popcount_bench",
        {},
        (Port("s_axis", 2 * BITS + 1, DataType(1, signed=False)),),
        Port("m_axis", len(WIDTHS), DataType(9, signed=False)),
    )
    dut = Dut(binding, (*closure({"br_popcount"}), HERE / "popcount_bench.sv"))
    results = simulate(dut, beats[None, :, None, :], output_beats=len(beats), stalls=FOUR_MODES, builds=BUILDS)
    agree, half = beats[:, :BITS] == beats[:, BITS : 2 * BITS], beats[:, -1] == 1
    want = np.stack([np.where(half, width // 2, agree[:, :width].sum(axis=1)) for width in WIDTHS], axis=1)
    for stall, result in zip(FOUR_MODES, results, strict=True):
        np.testing.assert_array_equal(result.outputs.reshape(want.shape), want, err_msg=str(stall))


@pytest.mark.rtl
@pytest.mark.parametrize(
    ("channels", "fold"), [(6, Fold(5, 3)), (8, Fold(2, 1)), (16, Fold(2, 16)), (24, Fold(5, 24)), (27, Fold(2, 27))]
)
def test_a_convolution_as_synthesis_sees_it_gives_the_integers_of_golden(channels: int, fold: Fold) -> None:
    weights = np.random.default_rng(8).choice(np.array([-1, 1], np.int8), (10, 3, 3, channels))
    op, tensor = BinaryConv(weights), TensorType.full(4, 5, channels, BIPOLAR)
    x = draw(tensor, 3, 2)
    binding = op.rtl(fold, tensor)
    dut = Dut(binding, (HERE / "synthesis.sv", *closure({binding.module})))
    want = op.golden(x)
    for result in simulate(dut, x, output_beats=20 * 10 // fold.pe, stalls=FOUR_MODES, builds=BUILDS):
        np.testing.assert_array_equal(result.outputs.reshape(want.shape), want)


@pytest.mark.rtl
@pytest.mark.parametrize("width", [1, 2, 3, 5, 6, 7, 8, 9, 16, 21, 27, 32, 63, 64, 128, 256])
def test_every_width_passes_lint(width: int) -> None:
    folder = closure({"br_popcount"})[0].parents[1] / "lib"
    assert lint(folder / "br_popcount_tree.sv", f"-GWidth={width}") == ""
    for macros in ((), ("-DSYNTHESIS",)):
        assert lint(folder / "br_popcount.sv", f"-GWidth={width}", *macros) == ""


def prove(widths: tuple[int, ...], family: str, folder: Path, wrong: dict[str, str] | None = None) -> None:
    """Have Yosys map trees to LUTs, carry chains and registers, and prove that they are the counts of simulation.

    Args:
        widths: of the trees.
        family: of the LUTs.
        folder: empty.
        wrong: text of the trees' modules to be replaced by another.

    Raises:
        BirealError: the two differ for some words.
    """
    names = []
    for path in closure({"br_popcount"}):
        text = path.read_text()
        for old, new in (wrong or {}).items():
            text = text.replace(old, new)
        (folder / path.name).write_text(text)
        names.append(path.name)
    for top, tree in (("gate", 1), ("gold", 0)):
        links = [
            f"br_popcount #(.Width({w}), .Tree({tree})) i_{w} (.clk_i, .en_i, .half_i, .a_i(a_i[{w - 1}:0]), "
            f".b_i(b_i[{w - 1}:0]), .count_o(count_o[{9 * i}+:{max(1, (w - 1).bit_length())}]), "
            f".carry_o(carry_o[{i}]));"
            for i, w in enumerate(widths)
        ]
        (folder / f"{top}.sv").write_text(
            f"module {top} (input wire clk_i, en_i, half_i, input wire [{max(widths) - 1}:0] a_i, b_i,\n"
            f"  output wire [{9 * len(widths) - 1}:0] count_o, output wire [{len(widths) - 1}:0] carry_o);\n  "
            + "\n  ".join(links)
            + "\nendmodule\n"
        )
    gate = yosys.script("gate", [*names, "gate.sv"], family)
    compare = (
        "setattr -mod -unset keep_hierarchy *",
        "flatten",
        "delete t:$scopeinfo",
        f"read_slang -j 1 --top gold {' '.join(names)} gold.sv",
        f"techmap -autoproc -map +/{yosys.FAMILIES[family].cells[0]} gate",
        "proc gold",
        "opt_clean",
        "miter -equiv -flatten -make_assert gold gate miter",
        "hierarchy -top miter",
        "async2sync",
        "dffunmap",
        "sat -verify -seq 2 -set-at 1 in_en_i 1 -prove-skip 1 -prove-asserts miter",  # equal one cycle after en_i
        "sat -verify -tempinduct -tempinduct-inductonly -prove-asserts miter",  # and equal after that
    )
    yosys.run(folder, gate + "\n".join(compare) + "\n")


@pytest.mark.synth
@pytest.mark.parametrize("family", ["7series", pytest.param("ecp5", marks=pytest.mark.slow)])
def test_what_is_synthesised_counts_as_what_is_simulated(family: str, tmp_path: Path) -> None:
    prove((1, 2, 3, 5, 8, 12, 16, 21, 32), family, tmp_path)


@pytest.mark.synth
def test_a_fault_in_the_tree_is_no_proof(tmp_path: Path) -> None:
    with pytest.raises(BirealError, match="proof did fail"):
        prove((8,), "7series", tmp_path, {"{1'b0, two_i, ones_i[2], ones_i[0]}": "{1'b0, ones_i[2], two_i, ones_i[0]}"})
