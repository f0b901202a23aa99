"""The generator: the committed text of one small network, determinism, complete and atomic folders."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import AxiPort
from bireal_hw.passes.dataflow import Dataflow, elaborate
from bireal_hw.passes.folding import fold
from bireal_hw.rtl import generate
from bireal_hw.rtl.top import top_text
from tests.networks import tiny

COMMITTED = Path(__file__).parent / "tiny_top.sv"


def test_text_of_a_small_network_is_the_committed_one() -> None:
    """Shows in review what a change does to generated code; to accept it: python -m tests.rtl.test_generate."""
    assert _text() == COMMITTED.read_text()


def _text() -> str:
    graph = tiny()
    return top_text(graph, elaborate(graph, fold(graph, 2_000)))


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    graph = tiny()
    folding = fold(graph, 2_000)
    for name in ("a", "b"):
        generate(graph, folding, tmp_path / name)
    first = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*"))
    assert first == sorted(path.relative_to(tmp_path / "b") for path in (tmp_path / "b").rglob("*"))
    for path in first:
        if (tmp_path / "a" / path).is_file():
            assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes(), path


def test_file_list_names_every_module_and_memory(tmp_path: Path) -> None:
    graph = tiny()
    generate(graph, fold(graph, 2_000), tmp_path / "rtl")
    files = (tmp_path / "rtl" / "files.f").read_text().split()
    assert files[-1] == "br_top.sv"
    assert sorted(files[:-1]) == sorted(f"lib/{path.name}" for path in (tmp_path / "rtl" / "lib").iterdir())
    top = (tmp_path / "rtl" / "br_top.sv").read_text()
    for path in (tmp_path / "rtl" / "mem").iterdir():
        assert f'"mem/{path.name}"' in top
    record = json.loads((tmp_path / "rtl" / "dataflow.json").read_text())
    for instance in record["instances"]:
        assert f"lib/{instance['module']}.sv" in files
        for memory in instance["memories"].values():
            words = (tmp_path / "rtl" / memory["file"]).read_text().split()
            assert len(words) == memory["depth"]
            assert max(int(word, 16).bit_length() for word in words) <= memory["width"]


def test_comments_tell_block_sizes_folding_and_cycles() -> None:
    graph = tiny()
    folding = fold(graph, 2_000)
    flow = elaborate(graph, folding)
    lines = [line.strip() for line in top_text(graph, flow).splitlines()]
    for node in graph:
        (found,) = (line for line in lines if line.startswith(f"// {node.name}: "))
        assert f" -> {graph.types[node.name]}; " in found
        if node.op.kind.endswith("conv"):
            assert f"Pe {folding[node.name].pe}, Simd {folding[node.name].simd}; " in found
        cycles = max(cost.cycles for name, cost in flow.costs.items() if name.split("_in")[0] == node.name)
        assert found.removesuffix(", the slowest").endswith(f" {cycles:,} cycles")
        assert found.endswith("slowest") == (cycles == flow.cycles)
        # the next module that is named after a layer is this one
        behind = lines[lines.index(found) :]
        assert next(line for line in behind if re.fullmatch(rf"\) u_({'|'.join(n.name for n in graph)}) \(", line)) == (
            f") u_{node.name} ("
        )
    assert "// ---- merge2: Bi-Real block, 8x8x4 -> 4x4x8; shortcut: merge1, down, down_conv" in lines


def with_memory(flow: Dataflow, *names: str) -> Dataflow:
    """Give AXI ports to some instances."""
    ports = (AxiPort("m_axi_weights", 64, 32, True, False), AxiPort("m_axi_maps", 64, 32, True, True))
    instances = (
        replace(one, binding=replace(one.binding, axi=ports)) if one.name in names else one for one in flow.instances
    )
    return replace(flow, instances=tuple(instances))


def test_ports_to_memory_are_those_of_the_one_layer_that_has_some() -> None:
    graph = tiny()
    flow = with_memory(elaborate(graph, fold(graph, 2_000)), "conv2")
    text = top_text(graph, flow)
    header = text[text.index("module br_top (") : text.index("\n);")]
    found = re.findall(
        r"^    (input |output) wire (?:\[(\d+):0\])? +(m_axi_\w+|weights\w+|maps\w+|status\w+)", header, re.M
    )
    ports = {name: (int(high or 0) + 1, side) for side, high, name in found}
    assert len(ports) == 3 + 13 + 29
    some = {
        "weights_base_i": (32, "input "),
        "status_o": (3, "output"),
        "m_axi_weights_arlen": (8, "output"),
        "m_axi_maps_rdata": (64, "input "),
        "m_axi_maps_wstrb": (8, "output"),
        "m_axi_maps_bvalid": (1, "input "),
    }
    assert {name: ports[name] for name in some} == some
    assert "m_axi_weights_awaddr" not in ports
    instance = text[text.index(") u_conv2 (") :].split(";")[0]
    assert set(re.findall(r"\.(\w+)\(\1\)", instance)) == {"clk_i", "rst_ni", *ports}
    assert instance.count("m_axi_maps_wdata") == 2
    assert text.count("m_axi_maps_wdata") == 3


def test_two_layers_with_ports_to_memory_are_refused() -> None:
    graph = tiny()
    flow = with_memory(elaborate(graph, fold(graph, 2_000)), "conv1", "conv2")
    with pytest.raises(BirealError, match=r"conv1, conv2 all have ports to memory; one layer of a network can$"):
        top_text(graph, flow)


def test_a_failure_leaves_the_earlier_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = tiny()
    generate(graph, fold(graph, 2_000), tmp_path / "rtl")
    before = (tmp_path / "rtl" / "br_top.sv").read_text()
    monkeypatch.setattr("bireal_hw.rtl.generator.closure", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        generate(tiny(seed=1), fold(graph, 2_000), tmp_path / "rtl")
    assert (tmp_path / "rtl" / "br_top.sv").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["rtl"]


if __name__ == "__main__":
    COMMITTED.write_text(_text())
