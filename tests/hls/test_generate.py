"""The generator: the committed text of a small network, determinism, atomic folders, streams, memories, the script."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.hls import design, generate
from bireal_hw.hls.generator import render
from bireal_hw.hls.gpp import headers
from bireal_hw.hls.tables import entries
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Fold, Memory
from bireal_hw.passes.folding import fold
from tests.networks import tiny
from tests.tcl import run_tcl

COMMITTED = Path(__file__).with_name("tiny_top.cpp")
PART = "xc7z020clg400-1"


def project(graph: Graph, folder: Path, target: int = 2_000) -> Path:
    generate(graph, fold(graph, target), folder, PART, 100)
    return folder


def _text(folder: Path) -> str:
    return (project(tiny(), folder / "text") / "top.cpp").read_text()


def test_the_top_of_a_small_network_is_the_committed_one(tmp_path: Path) -> None:
    """Shows in review what a change does to generated code; to accept it: python -m tests.hls.test_generate."""
    assert _text(tmp_path) == COMMITTED.read_text()


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    trees = [
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (project(tiny(), tmp_path / "a"), project(tiny(), tmp_path / "b"))
    ]
    assert trees[0] == trees[1]
    assert {"top.cpp", "top.hpp", "tb.cpp", "run_hls.tcl", "README.md", "project.json"} <= trees[0].keys()


def test_a_failure_leaves_the_earlier_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project(tiny(), tmp_path / "hls")
    before = (folder / "top.cpp").read_text()
    monkeypatch.setattr("bireal_hw.hls.generator.render", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        project(tiny(seed=1), folder)
    assert (folder / "top.cpp").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["hls"]


@pytest.mark.parametrize("graph", [tiny(), tiny(64, 32, 3, 8, max_pool=True)], ids=["gray", "max pool"])
def test_every_fifo_is_the_depth_of_its_stream(graph: Graph) -> None:
    """Registers and FIFOs of the SystemVerilog are no processes; nothing else of the dataflow is missing."""
    made = design(graph, fold(graph, 2_000))
    modules = [instance.binding.module for instance in made.flow.instances]
    kernels = [process.kernel for process in made.processes]
    assert kernels[0] == "take_pixels"
    assert kernels[-1] == "give_logits"
    assert kernels[1:-1] == [name.removeprefix("br_") for name in modules if name not in ("br_fifo", "br_reg_slice")]
    fifos = [one.binding.parameters["Depth"] for one in made.flow.instances if one.binding.module == "br_fifo"]
    assert sorted(one.depth for one in made.channels if one.depth > 2) == sorted(fifos)
    written = [name for process in made.processes for name in process.outputs]
    read = [name for process in made.processes for name in process.inputs]
    names = [one.name for one in made.channels]
    assert sorted(written) == sorted([*names, "m_axis"])  # one writer and one reader each, as DATAFLOW wants it
    assert sorted(read) == sorted([*names, "s_axis"])


def test_memories_hold_the_words_of_the_systemverilog() -> None:
    """Entry e of a word is bits [e*E +: E] of it: the tables are the .mem files, cut."""
    graph = tiny()
    made = design(graph, fold(graph, 2_000))
    rtl = {
        f"{instance.name}_{name.removesuffix('File').lower()}": memory
        for instance in made.flow.instances
        for name, memory in instance.binding.memories.items()
    }
    assert sorted(one.name for one in made.tables) == sorted(rtl)
    for one in made.tables:
        rows = entries(one.memory).tolist()
        joined = [sum(value << (index * one.memory.entry) for index, value in enumerate(row)) for row in rows]
        assert joined == rtl[one.name].words


def test_entries_that_do_not_fit_are_refused() -> None:
    for memory in (Memory(128, [0], entry=128), Memory(12, [0], entry=5)):
        with pytest.raises(BirealError) as error:
            entries(memory)
        assert str(error.value) == (
            f"a memory word of {memory.width} bits has no entries of {memory.entry} bits, at most 64"
        )


COMMANDS = ("open_project", "set_top", "add_files", "open_solution", "set_part", "create_clock")
DESIGN = ("csim_design", "csynth_design", "cosim_design", "export_design")


@pytest.mark.parametrize(
    ("steps", "done"),
    [
        ({}, ["csim_design", "csynth_design", "export_design"]),
        ({"STEPS": "csynth"}, ["csynth_design"]),
        ({"STEPS": "cosim"}, ["csynth_design", "cosim_design"]),
        ({"STEPS": "csynth cosim export"}, ["csynth_design", "cosim_design", "export_design"]),
    ],
)
def test_the_script_runs_in_tcl(
    steps: dict[str, str], done: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script in a real Tcl interpreter, with the tool's commands replaced by ones that note their words."""
    monkeypatch.delenv("STEPS", raising=False)
    folder = project(tiny(), tmp_path / "hls")
    (folder / "vectors").mkdir()
    noted = run_tcl(folder / "run_hls.tcl", COMMANDS + DESIGN, **steps)
    assert (noted.status, noted.errors) == (0, "")
    names = [name for name, *_ in noted.calls]
    assert names[:1] == ["open_project"]
    assert [name for name in names if name in DESIGN] == done
    assert noted.words("set_part") == [(PART,)]
    assert noted.words("create_clock") == [("-period", "10.000", "-name", "default")]
    assert noted.words("set_top") == [("bireal_top",)]
    for words in noted.words("add_files"):
        assert any((folder / word).exists() for word in words if not word.startswith("-")), words


def test_the_script_refuses_an_unknown_step(tmp_path: Path) -> None:
    folder = project(tiny(), tmp_path / "hls")
    noted = run_tcl(folder / "run_hls.tcl", COMMANDS + DESIGN, STEPS="csynth csin")
    assert (noted.status, noted.calls) == (1, [])
    assert noted.errors == "ERROR: unknown step 'csin': choose from csim csynth cosim export"


def test_a_command_that_fails_ends_the_script(tmp_path: Path) -> None:
    """Vitis HLS would wait for commands after an error in a script."""
    folder = project(tiny(), tmp_path / "hls")
    names = tuple({*COMMANDS, *DESIGN} - {"csynth_design"})
    noted = run_tcl(
        folder / "run_hls.tcl", names, "proc csynth_design {} { error {no licence} }", STEPS="csynth export"
    )
    assert (noted.status, noted.errors) == (1, "ERROR: no licence")
    assert not noted.words("export_design")


def test_another_network_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    """Files of a larger network, of its board and of the tools are gone; what is there is what an empty folder gets."""
    stale, fresh = tmp_path / "stale", tmp_path / "fresh"
    graph = tiny(64, 32, 3, 8, max_pool=True)
    generate(graph, fold(graph, 2_000), stale, PART, 100, "pynq-z2")
    (stale / "vitis" / "solution").mkdir(parents=True)
    (stale / "vitis" / "solution" / "report").write_text("of another network")
    for folder in (stale, fresh):
        project(tiny(), folder)
    trees = [
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (stale, fresh)
    ]
    assert trees[0] == trees[1]


def test_generation_is_quick_for_wide_memories(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    words = [int.from_bytes(rng.bytes(576), "little") for _ in range(2_000)]
    values = entries(Memory(4608, words, entry=64))
    assert values.shape == (2_000, 72)
    assert int(values[7, 3]) == (words[7] >> 192) & (2**64 - 1)


def test_words_that_vitis_hls_would_refuse_are_refused_when_the_project_is_made(tmp_path: Path) -> None:
    """4,096 bits are its most for an ap_int; the sums of a pool over 16 pixels of 12 bits have 16 bits a lane."""
    graph = tiny(base=256)
    folding = fold(graph, 4_000)
    generate(graph, folding | {"global_pool": Fold(lanes=256)}, tmp_path / "fits", PART, 100)
    with pytest.raises(BirealError) as error:
        generate(
            graph, folding | {"global_pool": Fold(lanes=512), "merge2": Fold(lanes=256)}, tmp_path / "hls", PART, 1
        )
    assert str(error.value) == (
        "global_pool (512 lanes; 32 cycles) makes words of 8,192 bits, and 1 more too wide; Vitis HLS takes 4,096 at "
        "most: compute less in a cycle, with a lower target_fps="
    )
    assert not (tmp_path / "hls").exists()


def test_a_wide_pixel_that_no_word_holds_is_not_refused(tmp_path: Path) -> None:
    """A kernel of one pixel reads it beat by beat; only rows that are unfolded are words of kernel times a pixel."""
    graph = tiny(base=512)
    (classifier,) = (node for node in graph if node.name == "classifier")
    (x,) = graph.inputs_of(classifier)
    assert x.channels * x.dtype.width > 4_096
    generate(graph, fold(graph, 400_000), tmp_path / "hls", PART, 100)


def test_a_blank_in_the_path_does_no_harm(tmp_path: Path) -> None:
    """No file is looked for by a folder of the command line: each includes others by their place."""
    folder = project(tiny(), tmp_path / "two words")
    noted = run_tcl(folder / "run_hls.tcl", COMMANDS + DESIGN, STEPS="csynth")
    assert all("-I" not in word for words in noted.words("add_files") for word in words)
    command = ["g++", "-std=c++14", "-fsyntax-only", "-isystem", str(headers()), str(folder / "top.cpp")]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""


def test_project_json_describes_the_project(tmp_path: Path) -> None:
    folder = project(tiny(), tmp_path / "hls")
    record = json.loads((folder / "project.json").read_text())
    assert (record["board"], record["part"], record["clock_mhz"]) == (None, PART, 100)
    assert record["cycles_per_frame"] == 1152
    assert record["streams"]["stem_to_merge1_out"] == {"width": 12, "depth": 42}
    for kernel in record["kernels"]:
        for name in kernel["memories"]:
            assert (folder / "weights" / f"{name}.hpp").is_file()


def test_templates_name_every_value() -> None:
    with pytest.raises(Exception, match="is undefined"):
        render("top.hpp", top="x")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        COMMITTED.write_text(_text(Path(name)))
