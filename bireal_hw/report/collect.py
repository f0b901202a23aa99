"""Collects what the commands have left in a run and writes it as one page.

This is about the run and its network; `bireal_hw.report.board` collects what there is about a board.

The page cannot do without the graph and a folding, which are made if need be. Everything else is shown where it is
there and belongs to this network and this folding; what does not is named with the command that makes it anew.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from bireal_hw import boards
from bireal_hw.ir.graph import Graph, load
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.picture.drawing import draw
from bireal_hw.picture.strips import Drawing
from bireal_hw.report import verdicts
from bireal_hw.report.board import board_artifacts, board_section, missing_of
from bireal_hw.report.page import Command, Facts, Page, Verdict
from bireal_hw.report.render import render
from bireal_hw.results.accuracy import TRAINED, accuracies
from bireal_hw.results.lower import LowerFile
from bireal_hw.results.network import ExportFile, TrainFile
from bireal_hw.run.artifacts import Artifact, artifact, demo_artifact, on_board, outdated
from bireal_hw.run.build import FOLDING, Build, Figures
from bireal_hw.run.network import from_zoo, show


def boards_of(build: Build) -> list[str]:
    """Return the boards that the run has a folding for."""
    return [name for name in boards.names() if (build.path / name / FOLDING).exists()]


def write_report(build: Build, folder: Path) -> Figures:
    """Leave report.html: the work of the step `report`."""
    page = collect(build)
    (folder / "report.html").write_text(render(page))
    return {
        "boards": ", ".join(board.name for board in page.boards),
        "verdicts": ", ".join(f"{state}: {count}" for state, count in page.tally().items()),
    }


def collect(build: Build) -> Page:
    """Read everything that the run has.

    Raises:
        BirealError: a file is broken.
    """
    graph = load(build.path / "graph.json")
    train, export = _network_artifacts(build)
    facts, curves, text = {}, "", ""
    if train and train.content:
        facts = _training_facts(train.content)
        curves, text = _curves(build.path / "curves.png", train.content)
    if packed := from_zoo(build.values):
        facts = _zoo_facts(packed)
    return Page(
        run=build.path.name,
        about=_about(build, graph),
        untrained=build.marks_of(graph)["untrained"],
        verdicts=judge(build, boards_of(build)),
        facts=facts | _network_facts(graph),
        classes=_classes(graph, export),
        curves=curves,
        curves_text=text,
        picture=_picture(build, graph),
        boards=[board_section(on_board(build, name)) for name in boards_of(build)],
        missing=missing_of({"training": train, "export": export}),
    )


def judge(build: Build, names: list[str]) -> list[Verdict]:
    """Return the verdicts on the network, and on its hardware for some boards."""
    train, export = _network_artifacts(build)
    lowered = artifact(build, LowerFile)
    found = verdicts.of_network(train, export, lowered, demo_artifact(build), build.origin == "untrained")
    for name in names:
        found += verdicts.of_board(name, board_artifacts(on_board(build, name)))
    return found


def _network_artifacts(build: Build) -> tuple[Artifact[TrainFile] | None, Artifact[ExportFile] | None]:
    """Return train.json and export.json; None where the run has no such step."""
    train = artifact(build, TrainFile) if build.origin == "trained" else None
    return train, artifact(build, ExportFile) if build.origin != "file" else None


# ---- the network ----


def _about(build: Build, graph: Graph) -> str:
    shape = "x".join(map(str, graph.input.shape))
    if build.origin == "file":
        return f"{build.values['file']}: {shape} pixels, {graph.output.channels} classes"
    words = [show(key, build.values[key]) for key in ("width", "dataset", "shortcut_bits", "seed")]
    return f"{build.values['model']}, {shape} pixels, {graph.output.channels} classes; {', '.join(words)}"


def _network_facts(graph: Graph) -> Facts:
    ops = [node.op for node in graph]
    binary, real = ([op.weight_count for op in ops if op.weight_width == width] for width in (1, 8))
    return {
        "input": str(graph.input),
        "output": str(graph.output),
        "nodes of the graph": str(len(ops)),
        "binary convolutions": f"{len(binary)}, {sum(binary):,} weights of 1 bit",
        "real-valued convolutions": f"{len(real)}, {sum(real):,} weights of 8 bits",
    }


def _training_facts(train: TrainFile) -> Facts:
    return accuracies(train.values) | {
        "test images": f"{train.test_images:,}",
        "training images": f"{train.train_images:,}",
        "epochs": f"{train.epochs:,}",
        "parameters, binary": f"{train.params_binary:,}",
        "parameters, real": f"{train.params_real:,}",
        "training time": f"{train.seconds:,.0f} s",
    }


def _zoo_facts(packed: dict[str, Any]) -> Facts:
    return (
        accuracies(packed)
        | {
            "test images": f"{packed['test_images']:,} of {packed['dataset']}",
            "made by": Command(packed["command"]),
        }
        | ({"note": packed["note"]} if packed["note"] else {})
    )


def _curves(path: Path, train: TrainFile) -> tuple[str, str]:
    """Return the curves as a data: address, and what they show in words; nothing if there are none."""
    if not path.exists():
        return "", ""
    text = (
        f"Loss and accuracy over {train.epochs} epochs. The red line ends at the {TRAINED.title}, "
        f"{TRAINED.of(train.values)} of {train.test_images:,} test images."
    )
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}", text


def _classes(graph: Graph, export: Artifact[ExportFile] | None) -> list[str]:
    names = export.content.classes if export and export.content else graph.info.get("class_names")
    return [str(name) for name in names] if isinstance(names, list) else []


def _picture(build: Build, graph: Graph) -> Drawing:
    """Draw the graph, with folding and cycles if there is one board only that they can be of."""
    builds = [on_board(build, name) for name in boards_of(build)]
    current = [one for one in builds if outdated(one, "fold") is None]
    return draw(graph, elaborate(*current[0].folded()) if len(current) == 1 else None)
