"""The page itself: well-formed, self-contained, escaped, and every figure of the results on it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from bireal_hw.crosscheck.qonnx import write
from bireal_hw.ir.graph import load
from bireal_hw.synth.resources import KINDS
from tests.networks import tiny
from tests.report.runs import BOARD, Document, Run

DRIVEN = ("board run=net", "board run=net kernel=hls")

NASTY = "</table><script>alert(1)</script>&\"'"


@pytest.fixture
def whole(run: Run) -> Run:
    """A run with every result, and its page."""
    for command in ("sim net.onnx", "hls run=net", "synth run=net", *DRIVEN, "report run=net"):
        run(command)
    return run


def number(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")


def test_every_layer_is_a_row_with_its_figures(whole: Run) -> None:
    graph = load(whole.folder / "graph.json")
    flow = json.loads((whole.folder / BOARD / "rtl/dataflow.json").read_text())
    synth = {layer["name"]: layer for layer in whole.json("synth.json")["layers"]}
    rows = whole.page().rows("layers")
    assert [row[0].split()[0] for row in rows] == [node.name for node in graph] + ["all"]
    for row, node in zip(rows, graph, strict=False):
        parts = [
            one["cycles"] for name, one in flow["layers"].items() if re.fullmatch(f"{node.name}(_in._width.)?", name)
        ]
        cycles, fold = max(parts), flow["layers"][node.name]["fold"]
        folding = f"Pe {fold['pe']}, Simd {fold['simd']}" if "conv" in node.op.kind else f"{fold['lanes']} lane"
        assert row[1:3] == [node.op.kind, str(graph.types[node.name])]
        assert row[3].removesuffix("s") == folding
        assert row[4] == number(cycles)
        assert float(row[5].removesuffix(" %")) == pytest.approx(100 * cycles / flow["cycles_per_frame"], abs=0.0501)
        assert row[6:] == [number(synth[node.name][kind]) for kind in KINDS if kind != "uram"]
        assert (row[0] == f"{node.name} slowest") == (cycles == flow["cycles_per_frame"])
    used = whole.json("synth.json")
    assert rows[-1][6:] == [number(used[kind]["used"]) for kind in KINDS if kind != "uram"]
    assert f"{flow['bottleneck']} slowest" in [row[0] for row in rows]


def test_every_fifo_is_a_row_with_its_fill(whole: Run) -> None:
    fifos = whole.json("sim.json")["fifos"]
    rows = {row[0]: row for row in whole.page().rows("fifos")}
    assert len(rows) == len(fifos) > 0
    for fifo in fifos:
        _, _, depth, fill, share = rows[fifo["name"]]
        assert (depth, fill) == (str(fifo["depth"]), str(fifo["highest_fill"]))
        assert float(share.removesuffix(" %")) == pytest.approx(100 * fifo["highest_fill"] / fifo["depth"], abs=0.0501)


def test_the_figures_of_the_simulations_are_there(whole: Run) -> None:
    said = whole.page().said()
    for name in ("sim.json", "hls.json"):
        content = whole.json(name)
        for key in ("images", "outputs_compared", "cycles_per_frame", "cycles_predicted"):
            assert number(content[key]) in said
    assert "12,345 cycles, 0.123 ms" in said
    assert "no tool" in said
    assert "vitis-run later" in said


def test_the_driver_on_the_simulated_board(whole: Run) -> None:
    page = whole.page()
    assert page.rows("speeds") == [["1", "600", "20 %"], ["63", "2,910", "97 %"]]
    assert page.rows("faults") == [
        ["DMA stuck", "NetworkError: the DMA <sends> no image", "6.34", "yes"],
        ["Ctrl-C", "KeyboardInterrupt", "6.34", "yes"],
    ]
    said = page.said()
    for words in ("64 (random), in batches of 1, 63", "166,667 cycles", "3,000.0 at 100 MHz", "321", "1.62 ms"):
        assert words in said


def test_resources_stand_against_the_board_with_their_source(whole: Run) -> None:
    said, synth = whole.page().said(), whole.json("synth.json")
    for kind in KINDS:
        amounts = f"{number(synth[kind]['used'])} of {number(synth[kind]['available'])}"
        assert (amounts in said) == (kind != "uram")  # this board has none, and none is used
    assert "Counted by Yosys 0.70" in said
    assert "predicted: 1,111" in said
    assert "as one design: 999" in said
    assert "too many" not in said


def test_more_than_the_board_has_is_marked(run: Run) -> None:
    run("sim net.onnx")
    run.changes["synth.json"] = {"dsp": {"used": 231, "available": 220}, "uram": {"used": 2, "available": 0}}
    run("synth run=net", status=1)
    run("report run=net")
    said = run.page().said()
    assert "105 % 231 of 220, too many" in said
    assert "none there 2 of 0, too many" in said
    assert run.page().source.count('class="resource over"') == 2
    assert run.page().rows("verdicts")[-1][0] == "FAILS"


def test_an_estimate_says_so(run: Run) -> None:
    run("report net.onnx")
    assert "Predicted by the cost model, not counted." in run.page().said()
    rows = run.page().rows("layers")
    assert all(int(cell.replace(",", "")) >= 0 for row in rows for cell in row[6:8])
    total, parts = (int(rows[-1][6].replace(",", "")), [int(row[6].replace(",", "")) for row in rows[:-1]])
    assert abs(total - sum(parts)) <= len(parts)
    assert total > 100


def test_the_graph_is_drawn(run: Run) -> None:
    run("report net.onnx")
    page = run.page()
    drawn = page.source.split("<svg", 1)[1]
    assert all(node.name in drawn for node in tiny())


def test_on_paper_the_drawing_is_cut_into_strips(run: Run) -> None:
    run("report net.onnx")
    source = run.page().source
    (whole,) = re.findall(r'<svg width="[^"]*" height="([^"]*)"', source)
    strips = [(float(top), float(height)) for top, height in re.findall(r'viewBox="0 (\S+) \S+ (\S+)"><use', source)]
    assert len(strips) > 3
    for (top, height), (below, _) in pairwise([*strips, (float(whole), 0.0)]):
        assert top + height == pytest.approx(below)
    assert source.count('href="#drawing"') == len(strips)


def test_a_command_breaks_between_words_only(run: Run) -> None:
    """Each word is a box of its own, which no line break divides unless it is longer than a line."""
    run(f"report net.onnx run={'r' * 50}")
    page = Document(Path(f"build/{'r' * 50}/report.html").read_text())
    words = re.findall(r"<span( class=.long.)?>([^<]*)</span>", " ".join(re.findall(r"<code.*?</code>", page.source)))
    assert {(bool(long), word) for long, word in words} == {
        *((False, word) for word in ("make", "sim", "hls", "synth", "board", f"board={BOARD}")),
        (True, f"run={'r' * 50}"),
    }


def test_long_names_of_layers_are_cut_and_can_be_read(run: Run) -> None:
    long = [f"{node.name}_{'w' * 250}_{node.name}" for node in tiny()]
    names = dict(zip([node.name for node in tiny()], long, strict=True))
    nodes = (
        replace(node, name=names[node.name], inputs=tuple(names.get(one, one) for one in node.inputs))
        for node in tiny()
    )
    write(replace(tiny(), nodes=tuple(nodes)), Path("net.onnx"))
    run("report net.onnx")
    page = run.page()
    assert all(len(row[0].split()[0]) <= 48 for row in page.rows("layers"))
    drawn = [node.name for node in load(run.folder / "graph.json")]
    assert sum(len(name) > 60 for name in drawn) >= 10
    assert all(f'title="{name}"' in page.source for name in drawn if len(name) > 60)


def test_the_same_run_gives_the_same_bytes(whole: Run) -> None:
    before = whole.page().source
    whole("report run=net")
    assert whole.page().source == before


@pytest.mark.parametrize("name", ["sim.json", "hls.json"])
def test_texts_of_results_are_escaped(run: Run, name: str) -> None:
    first = {"layer": NASTY, "index": [0], "want": 1, "got": 2}
    run.changes[name] = {
        "images_from": NASTY,
        "first_mismatch": first,
        "mismatches": 1,
        "synthesis": {"skipped": NASTY},
    }
    run(f"{name[:3]} net.onnx", status=1)
    run("report run=net")
    page = run.page()
    assert page.scripts == 1
    assert page.said().count("alert(1)") >= 3


def test_names_of_classes_files_and_layers_are_escaped(run: Run) -> None:
    graph = tiny()
    graph.info["class_names"] = [NASTY, "b", "c", "d", "e"]
    model = write(graph, Path("net.onnx"))
    del model.metadata_props[:]
    model.metadata_props.add(key="bireal_hw.class_names", value=json.dumps(graph.info["class_names"]))
    Path("<b>.onnx").write_bytes(model.SerializeToString())
    run.changes["synth.json"] = {
        "layers": [{"name": NASTY, "lut": 5, "ff": 0, "bram36": 0, "uram": 0, "dsp": 0}],
        "yosys": NASTY,
    }
    run("synth <b>.onnx run=net")
    run("report run=net")
    page = run.page()
    assert page.scripts == 1
    assert "<b>.onnx" in page.said()
    assert f"{NASTY}, b, c, d, e" in page.said()
    assert page.rows("layers")[0][:2] == [NASTY, "between layers"]


def test_boards_have_a_section_each(run: Run) -> None:
    run("sim net.onnx")
    run("fold run=net board=kv260 target_fps=500 clock=150")
    run("report run=net")
    assert run.worked == []
    page = run.page()
    assert {"board-pynq-z2", "board-kv260"} <= set(page.ids)
    assert "150 MHz" in page.said()
    assert [row[2] for row in page.rows("verdicts")].count("kv260") == 5
    shutil.rmtree(run.folder / BOARD)
    run("report run=net")
    assert "board-pynq-z2" not in run.page().ids
