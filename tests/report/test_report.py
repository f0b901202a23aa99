"""What the report takes for true: results of this network and this folding; the rest is named with its command."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from bireal_hw.commands import demo
from bireal_hw.crosscheck.qonnx import write
from bireal_hw.report.page import State
from bireal_hw.results.checks import Check
from tests.networks import tiny
from tests.report.runs import BOARD, CURVES, Run

FILE_CLAIM = "the golden model computes what the file says"
BOARD_CLAIMS = [
    "R = G",
    "cycles per frame of the SystemVerilog as predicted",
    "H = G",
    "cycles per frame of the C++ as predicted",
    "fits the board",
]
RESULTS = {"sim": "sim.json", "hls": "hls.json", "synth": "synth.json", "board": "board.json"}
DRIVER_CLAIM = "the driver with the {} behind it, on the simulated board"


def verdicts(run: Run) -> dict[str, str]:
    """Return the verdict on every claim of the page."""
    return {row[1]: row[0] for row in run.page().rows("verdicts")}


def everything(run: Run) -> None:
    for command in ("sim net.onnx", "hls run=net", "synth run=net", "board run=net", "report run=net"):
        run(command)


# ---- missing and stale ----


def test_a_report_makes_the_graph_and_the_folding_and_no_more(run: Run) -> None:
    out = run("report net.onnx")
    assert run.worked == []
    assert "build/net/report.html" in out
    assert [path.name for path in (run.folder / BOARD).iterdir()] == ["folding.toml"]
    unknown = dict.fromkeys(["P = Q = G on every test image", *BOARD_CLAIMS], "not checked")
    assert verdicts(run) == {FILE_CLAIM: "holds"} | unknown
    said = run.page().said()
    for step, name in RESULTS.items():
        assert f"{BOARD}/{name} is not made yet. To add it: make {step} run=net board={BOARD}" in said


def test_results_that_are_there_are_judged(run: Run) -> None:
    everything(run)
    assert {claim: state for claim, state in verdicts(run).items() if claim in BOARD_CLAIMS} == dict.fromkeys(
        BOARD_CLAIMS, "holds"
    )
    assert "To add it" not in run.page().said()


@pytest.mark.parametrize(
    ("name", "changes", "claim"),
    [
        ("sim.json", {"mismatches": 1}, "R = G"),
        ("sim.json", {"outputs_compared": 0}, "R = G"),
        ("sim.json", {"cycles_per_frame": 1}, BOARD_CLAIMS[1]),
        ("hls.json", {"mismatches": 1}, "H = G"),
        ("hls.json", {"cycles_per_frame": 1}, BOARD_CLAIMS[3]),
        ("synth.json", {"bram36": {"used": 140.5, "available": 140}}, "fits the board"),
    ],
)
def test_each_claim_can_fail(run: Run, name: str, changes: dict[str, Any], claim: str) -> None:
    run.changes[name] = changes
    run("rtl net.onnx")
    run(f"{name.removesuffix('.json')} run=net", status=int("outputs_compared" not in changes))
    run("report run=net")
    failed = [claim for claim, state in verdicts(run).items() if state == "FAILS"]
    assert failed == [claim]
    assert "FAILS: 1" in run.page().said()


@pytest.mark.parametrize(
    "changes",
    [
        {"mismatches": 1},
        {"mismatches_stalled": 1},
        {"faults": [{"fault": "a", "told": "", "seconds": 1, "usable": True}]},
        {"faults": [{"fault": "a", "told": "b", "seconds": 1, "usable": False}]},
    ],
)
def test_the_driver_is_judged_where_it_was_tried(run: Run, changes: dict[str, Any]) -> None:
    run("rtl net.onnx")
    run("board run=net")
    run.changes["board_hls.json"] = changes
    run("board run=net kernel=hls", status=1)
    run("report run=net")
    assert verdicts(run)[DRIVER_CLAIM.format("SystemVerilog")] == "holds"
    assert verdicts(run)[DRIVER_CLAIM.format("C++")] == "FAILS"


def test_a_driver_of_another_network_is_out_of_date(run: Run) -> None:
    everything(run)
    assert "Driver on the simulated board" in run.page().said()
    write(tiny(seed=1), Path("net.onnx"))
    run("report net.onnx")
    assert DRIVER_CLAIM.format("SystemVerilog") not in verdicts(run)
    assert f"{BOARD}/board.json is out of date: rtl was made from another graph.json. To add it: make board" in (
        run.page().said()
    )


def test_a_board_without_pynq_has_no_driver(run: Run) -> None:
    run("report net.onnx board=alveo-u250")
    assert "simulated board" not in run.page().said()


def test_cycles_that_were_not_measured_are_no_verdict(run: Run) -> None:
    run.changes["hls.json"] = {"cycles_per_frame": None}
    run("hls net.onnx")
    run("report run=net")
    assert (verdicts(run)["H = G"], verdicts(run)[BOARD_CLAIMS[3]]) == ("holds", "not checked")


def test_what_the_vendors_tools_found_is_judged(run: Run) -> None:
    run.changes["hls.json"] = {
        "synthesis": {"tool": "vitis-run", "lut": {"used": 321, "available": 53200}, "slower_loops": ["a", "b"]},
        "cosimulation": {"tool": "vitis-run", "failed": "no licence", "log": "vitis.log"},
        "bitstream": {"tool": "vivado", "clock_mhz": 100, "setup_slack_ns": -0.5, "hold_slack_ns": 0.1, "files": []},
    }
    run("hls net.onnx", status=1)
    run("report run=net")
    found = {row[1]: (row[0], row[3]) for row in run.page().rows("verdicts")}
    file = f" {BOARD}/hls.json"
    assert found["C synthesis with IP export succeeds"] == ("holds", f"by vitis-run{file}")
    assert found["co-simulation succeeds"] == ("FAILS", f"by vitis-run, no licence{file}")
    assert found["bitstream succeeds"] == ("FAILS", f"by vivado, setup slack -0.5 ns, hold slack 0.1 ns{file}")
    assert "321 of 53200" in run.page().said()


def test_results_of_another_network_are_out_of_date(run: Run) -> None:
    everything(run)
    assert "12,345" in run.page().said()
    write(tiny(seed=1), Path("net.onnx"))
    run("report net.onnx")
    assert run.worked == []
    assert {verdicts(run)[claim] for claim in BOARD_CLAIMS} == {"out of date"}
    said = run.page().said()
    assert "12,345" not in said
    assert "Counted by Yosys" not in said
    assert f"{BOARD}/sim.json is out of date: rtl was made from another graph.json. To add it: make sim run=net" in said
    run("sim run=net")
    run("report run=net")
    assert (verdicts(run)["R = G"], verdicts(run)["H = G"]) == ("holds", "out of date")


def test_results_of_another_folding_are_out_of_date(run: Run) -> None:
    everything(run)
    run("report run=net target_fps=max")
    assert {verdicts(run)[claim] for claim in BOARD_CLAIMS} == {"out of date"}
    assert f"made from another {BOARD}/folding.toml" in run.page().said()
    assert "the most that fits" in run.page().said()


def test_a_report_leaves_the_folding_as_it_was_asked_for(run: Run) -> None:
    run("sim net.onnx target_fps=200000 clock=150")
    run("report run=net")
    assert verdicts(run)["R = G"] == "holds"
    assert "200,000 frames per second" in run.page().said()
    assert "150 MHz" in run.page().said()


def test_results_of_another_version_of_the_program_are_out_of_date(run: Run) -> None:
    run("sim net.onnx")
    ledger = json.loads((run.folder / "steps.json").read_text())
    ledger["steps"][f"{BOARD}/rtl"]["record"]["program"]["rtl"] = "of old"
    (run.folder / "steps.json").write_text(json.dumps(ledger))
    run("report run=net")
    assert verdicts(run)["R = G"] == "out of date"
    assert "rtl was made by another version of rtl" in run.page().said()


def test_a_result_that_was_copied_from_another_board_is_not_shown(run: Run) -> None:
    run("sim net.onnx")
    run.changes["sim.json"] = {"board": BOARD}
    run("sim run=net board=kv260")
    run("report run=net board=kv260")
    assert [row[0] for row in run.page().rows("verdicts") if row[1] == "R = G"] == ["out of date", "holds"]
    assert "it is of board=pynq-z2" in run.page().said()


def test_a_simulation_without_fills_says_so(run: Run) -> None:
    run("sim net.onnx")
    path = run.folder / BOARD / "sim.json"
    content = json.loads(path.read_text())
    del content["fifos"]
    path.write_text(json.dumps(content))
    run("report run=net")
    assert {len(row) for row in run.page().rows("fifos")} == {3}
    remedy = f"make sim run=net board={BOARD}"
    assert f"the highest fill is recorded by the simulation. To add it: {remedy}" in run.page().said()


# ---- boards ----


def test_a_run_for_another_board_is_not_folded_for_the_default(run: Run) -> None:
    run("fold net.onnx board=kv260")
    run("report run=net")
    assert not (run.folder / BOARD).exists()
    assert "board-kv260" in run.page().ids


def test_a_board_that_vitis_does_not_know_has_no_verdict_on_it(run: Run) -> None:
    run("report net.onnx board=ulx3s-85f")
    assert list(verdicts(run))[1:] == [FILE_CLAIM, BOARD_CLAIMS[0], BOARD_CLAIMS[1], BOARD_CLAIMS[4]]
    assert "Vitis HLS does not build for LFE5U-85F-6BG381C" in run.page().said()


def test_a_folding_that_cannot_be_made_anew_is_named(run: Run) -> None:
    run("fold net.onnx")
    Path("mine.toml").write_text((run.folder / BOARD / "folding.toml").read_text())
    run("fold run=net board=kv260 folding=mine.toml")
    Path("mine.toml").unlink()
    (run.folder / "kv260" / "folding.toml").write_text("")
    ledger = json.loads((run.folder / "steps.json").read_text())
    ledger["steps"]["kv260/fold"]["record"]["made_from"]["graph.json"] = "another"
    (run.folder / "steps.json").write_text(json.dumps(ledger))
    run("report run=net")
    assert "folding.toml is out of date: fold was made from another graph.json" in run.page().said()
    assert "make fold run=net board=kv260" in run.page().said()


# ---- broken files ----


def test_a_broken_file_is_named_and_the_page_stays(run: Run) -> None:
    everything(run)
    before = (run.folder / "report.html").read_text()
    problems = {
        "": "cannot be read: not JSON",
        '{"mismatches": 0': "cannot be read: not JSON",
        "[]": "is no JSON object",
        "{}": "'run' is missing",
    }
    for name in RESULTS.values():
        path = run.folder / BOARD / name
        whole = path.read_text()
        for text, problem in problems.items():
            path.write_text(text)
            said = run("report run=net", status=1)
            assert said.startswith(f"error: {path}")
            assert problem in said
            assert said.endswith("; remove it to make it again")
            assert (run.folder / "report.html").read_text() == before
        path.write_text(whole)


def test_a_value_of_the_wrong_kind_is_named(run: Run) -> None:
    everything(run)
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("sim.json", {"mismatches": "none"}, "'mismatches' is 'none', not a whole number"),
        ("sim.json", {"mismatches": False}, "'mismatches' is False, not a whole number"),
        ("sim.json", {"fifos": [{"name": "a", "depth": 4}]}, "'fifos[0].highest_fill' is missing"),
        ("sim.json", {"first_mismatch": []}, "'first_mismatch' is [], not an object"),
        ("hls.json", {"images": None}, "'images' is None, not a whole number"),
        ("hls.json", {"synthesis": "done"}, "'synthesis' is 'done', not an object"),
        ("hls.json", {"bitstream": {"hold_slack_ns": "?"}}, "'bitstream.hold_slack_ns' is '?', not a number"),
        ("synth.json", {"lut": {"used": 5}}, "'lut.available' is missing"),
        ("synth.json", {"layers": {}}, "'layers' is {}, not a list"),
    ]
    for name, changes, problem in cases:
        path = run.folder / BOARD / name
        whole = path.read_text()
        path.write_text(json.dumps(json.loads(whole) | changes))
        assert run("report run=net", status=1) == f"error: {path}: {problem}; remove it to make it again"
        path.write_text(whole)


# ---- networks that were trained here, and such as were not ----

DONE = [
    Check("P = G on every test image", "0 of 364 differ", True),
    Check("Q = G on every test image", "0 differ", True),
]


@pytest.fixture
def trained(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The default run; comparisons of PyTorch and QONNX find what DONE says."""
    monkeypatch.setattr(demo, "check_numbers", lambda build: list(DONE))
    run.folder = Path("build/bireal18-digits")
    return run


@pytest.mark.torch
def test_a_trained_network_shows_its_training(trained: Run) -> None:
    trained("fold")
    trained("report")
    page = trained.page()
    assert "untrained" not in page.said()
    for text in ("98.63 %", "98.08 %", "364", "1,433", "431", "246 s", "a, b, c, d, e", "at most 68,421 (stem)"):
        assert text in page.said(), text
    images = re.findall(r'<img src="data:image/png;base64,([^"]*)"', page.source)
    assert [base64.b64decode(data) for data in images] == [CURVES]
    found = verdicts(trained)
    assert found["deploy model no worse than the trained one"] == "holds"
    assert found["every intermediate value is exact in float32"] == "holds"
    assert found["P = Q = G on every test image"] == "not checked"


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "changes", "claim"),
    [
        ("train.json", {"top1_deploy": 97.5}, "deploy model no worse than the trained one"),
        ("export.json", {"max_intermediate": {"stem": 2**24}}, "every intermediate value is exact in float32"),
    ],
)
def test_claims_on_the_network_can_fail(trained: Run, name: str, changes: dict[str, Any], claim: str) -> None:
    trained.changes[name] = changes
    trained("fold")
    trained("report")
    assert [one for one, state in verdicts(trained).items() if state == "FAILS"] == [claim]


@pytest.mark.torch
def test_the_demo_counts_while_the_network_is_the_same(trained: Run) -> None:
    trained("demo")
    trained("fold")
    trained("report")
    assert [verdicts(trained)[check.claim] for check in DONE] == ["holds", "holds"]
    (trained.folder / "checkpoint.ckpt").write_text("other weights")
    trained("report")
    assert verdicts(trained)["P = Q = G on every test image"] == "out of date"
    assert DONE[0].claim not in verdicts(trained)
    assert "it was made from another checkpoint.ckpt" in trained.page().said()


@pytest.mark.torch
def test_random_weights_are_called_so(run: Run) -> None:
    run("fold untrained=1 width=0.125 run=net")
    run("report run=net")
    assert "untrained: random weights." in run.page().said()
    assert "random weights" in next(row for row in run.page().rows("verdicts") if row[1].startswith("P = Q"))[3]


# ---- all ----


@pytest.mark.torch
def test_all_does_everything_and_ends_in_one_verdict(trained: Run) -> None:
    out = trained("all")
    assert trained.worked == ["train", "export", "sim", "hls", "synth"]
    assert out.count("verdict") == 1 + 1  # the summary of the report's step, the table
    table = out[out.rindex("claim") :]
    assert all(claim in table for claim in [check.claim for check in DONE] + BOARD_CLAIMS)
    assert table.count(State.HOLDS) == len(verdicts(trained)) == len(DONE) + 2 + len(BOARD_CLAIMS)
    assert set(verdicts(trained).values()) == {"holds"}


@pytest.mark.torch
def test_all_goes_on_after_a_claim_that_fails_and_fails(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [DONE[0], Check("Q = G on every test image", "3 differ", False)]
    monkeypatch.setattr(demo, "check_numbers", lambda build: failing)
    trained.changes["hls.json"] = {"mismatches": 2}
    trained.changes["synth.json"] = {"dsp": {"used": 221, "available": 220}}
    said = trained("all", status=1)
    assert trained.worked == ["train", "export", "sim", "hls", "synth"]
    assert said == "error: the run does not hold: Q = G on every test image; H = G; fits the board"
    assert trained.page().said().count("FAILS") == 3 + 1  # each, and their number


@pytest.mark.torch
def test_all_is_about_the_board_asked_for(trained: Run) -> None:
    trained("fold")
    trained("all board=ulx3s-85f")
    assert "hls" not in trained.worked
    assert {row[0] for row in trained.page().rows("verdicts") if row[2] == "ulx3s-85f"} == {"holds"}
