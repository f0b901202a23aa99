"""The report of a run: collects what its commands have left and writes it as one page.

The page cannot do without the graph and a folding, which are made if need be. Everything else is shown where it is
there and belongs to this network and this folding; what does not is named with the command that makes it anew.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

from bireal_hw import boards
from bireal_hw.analysis.cost import predict
from bireal_hw.analysis.plan import DEFAULT_FPS
from bireal_hw.errors import BirealError
from bireal_hw.flows import verdicts
from bireal_hw.flows.cpp import STAGES
from bireal_hw.flows.hardware import FOLDING, folded
from bireal_hw.flows.network import from_zoo, show
from bireal_hw.flows.picture import svg
from bireal_hw.flows.results import Result, command, demo_result, on_board, outdated, result
from bireal_hw.flows.steps import DEFAULT_BOARD, Build, Figures, bring, marks
from bireal_hw.ir.graph import Graph, load
from bireal_hw.ops import BinaryConv, RealConv
from bireal_hw.passes.dataflow import Dataflow, elaborate
from bireal_hw.report import Bar, Facts, Fifo, Missing, Page, Section, Verdict, amount, render
from bireal_hw.report.layers import layers
from bireal_hw.synth.network import layer_of
from bireal_hw.synth.resources import KINDS, NAMES, Resources, offered

FIFO = "br_fifo"


def report(build: Build) -> None:
    """Write the page; before it bring the graph, and the folding of every board that has one, up to date."""
    names = boards_of(build)
    if build.config.board is None and names and DEFAULT_BOARD not in names:
        build.config = replace(build.config, board=names[0])
    bring(build, "fold", asked=False)
    for name in names:
        if name != build.board.name:
            other = on_board(build, name)
            try:
                bring(other, "fold", asked=False)
            except BirealError:
                continue  # its section says that it is out of date, and the command that says why
            build.made += [made for made in other.made if made.seconds is not None]
    bring(build, "report")


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
    train, export = _network_results(build)
    facts, curves, text = {}, "", ""
    if train and train.content:
        facts = _training_facts(train.content)
        curves, text = _curves(build.path / "curves.png", train.content)
    if packed := from_zoo(build.values):
        facts = _zoo_facts(packed)
    return Page(
        run=build.path.name,
        about=_about(build, graph),
        untrained=marks(build, graph)["untrained"],
        verdicts=judge(build, boards_of(build)),
        facts=facts | _network_facts(graph),
        classes=_classes(graph, export),
        curves=curves,
        curves_text=text,
        picture=_picture(build, graph),
        boards=[_section(on_board(build, name)) for name in boards_of(build)],
        missing=_missing({"training": train, "export": export}),
    )


def judge(build: Build, names: list[str]) -> list[Verdict]:
    """Return the verdicts on the network, and on its hardware for some boards."""
    train, export = _network_results(build)
    found = verdicts.of_network(train, export, demo_result(build), build.origin == "untrained")
    for name in names:
        results = _board_results(on_board(build, name))
        found += verdicts.of_board(name, results["sim"], results.get("hls"), results["synth"])
    return found


def _network_results(build: Build) -> tuple[Result | None, Result | None]:
    """Return train.json and export.json; None where the run has no such step."""
    train = result(build, "train", "train.json") if build.origin == "trained" else None
    return train, result(build, "export", "export.json") if build.origin != "file" else None


def _board_results(build: Build) -> dict[str, Result]:
    """Return what was made for the board, by the step that makes it."""
    steps = ("sim", "hls", "synth") if build.board.flow == "vivado" else ("sim", "synth")
    return {step: result(build, step, f"{step}.json") for step in steps}


def _missing(results: dict[str, Result | None]) -> dict[str, Missing]:
    return {
        what: Missing(f"{one.file} is {one.problem}", one.command)
        for what, one in results.items()
        if one and one.content is None
    }


# ---- the network ----


def _about(build: Build, graph: Graph) -> str:
    shape = "x".join(map(str, graph.input.shape))
    if build.origin == "file":
        return f"{build.values['file']}: {shape} pixels, {graph.output.channels} classes"
    words = [show(key, build.values[key]) for key in ("width", "dataset", "shortcut_bits", "seed")]
    return f"{build.values['model']}, {shape} pixels, {graph.output.channels} classes; {', '.join(words)}"


def _network_facts(graph: Graph) -> Facts:
    ops = [node.op for node in graph]
    binary = [op.weights.size for op in ops if isinstance(op, BinaryConv)]
    real = [op.weights.size for op in ops if isinstance(op, RealConv)]
    return {
        "input": str(graph.input),
        "output": str(graph.output),
        "nodes of the graph": str(len(ops)),
        "binary convolutions": f"{len(binary)}, {sum(binary):,} weights of 1 bit",
        "real-valued convolutions": f"{len(real)}, {sum(real):,} weights of 8 bits",
    }


def _training_facts(train: dict[str, Any]) -> Facts:
    return {
        "accuracy, trained model": f"{train['top1_float']:.2f} %",
        "accuracy, deploy model": f"{train['top1_deploy']:.2f} %",
        "test images": f"{train['test_images']:,}",
        "training images": f"{train['train_images']:,}",
        "epochs": f"{train['epochs']:,}",
        "parameters, binary": f"{train['params_binary']:,}",
        "parameters, real": f"{train['params_real']:,}",
        "training time": f"{train['seconds']:,.0f} s",
    }


def _zoo_facts(packed: dict[str, Any]) -> Facts:
    return {
        "accuracy, trained model": f"{packed['top1_float']:.2f} %",
        "accuracy, deploy model": f"{packed['top1_deploy']:.2f} %",
        "test images": f"{packed['test_images']:,} of {packed['dataset']}",
        "made by": " ".join((packed["command"], packed["note"])).strip(),
    }


def _curves(path: Path, train: dict[str, Any]) -> tuple[str, str]:
    """Return the curves as a data: address, and what they show in words; nothing if there are none."""
    if not path.exists():
        return "", ""
    text = (
        f"Loss and accuracy over {train['epochs']} epochs; at the end {train['top1_float']:.2f} % of "
        f"{train['test_images']:,} test images are right, {train['top1_deploy']:.2f} % with the deploy model."
    )
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}", text


def _classes(graph: Graph, export: Result | None) -> list[str]:
    names = export.content["classes"] if export and export.content else graph.info.get("class_names")
    return [str(name) for name in names] if isinstance(names, list) else []


def _picture(build: Build, graph: Graph) -> str:
    """Draw the graph, with folding and cycles if there is one board only that they can be of."""
    builds = [on_board(build, name) for name in boards_of(build)]
    current = [one for one in builds if outdated(one, "fold") is None]
    return svg(graph, elaborate(*folded(current[0])) if len(current) == 1 else None)


# ---- a board ----


def _section(build: Build) -> Section:
    """Collect what there is about a board."""
    board = build.board
    section = Section(board.name, board.part)
    if reason := outdated(build, "fold"):
        section.missing["folding"] = Missing(f"{FOLDING} is out of date: {reason}", command(build, "fold"))
        return section
    graph, folding = folded(build)
    flow = elaborate(graph, folding)
    results = _board_results(build)
    cpp = results.get("hls")
    section.missing = _missing({"resources": results["synth"], "simulation": results["sim"], "cpp": cpp})
    sim, synth = results["sim"].content, results["synth"].content
    if not cpp:
        section.missing["cpp"] = Missing(f"Vitis HLS does not build for {board.part}")
    if not sim or "fifos" not in sim:
        section.missing["fifos"] = Missing("the simulation records the highest fill", results["sim"].command)
    section.facts = _speed(build, flow, sim)
    _resources(section, build, flow, synth)
    used = _counted(synth) if synth else _predicted(flow, [node.name for node in graph])
    section.layers = layers(graph, folding, flow, used)
    section.fifos = _fifos(flow, sim)
    section.simulation = _simulation(sim) if sim else {}
    section.cpp = _cpp(cpp.content) if cpp and cpp.content else {}
    return section


def _speed(build: Build, flow: Dataflow, sim: dict[str, Any] | None) -> Facts:
    clock = build.clock_mhz
    facts = {
        "clock": f"{clock:g} MHz",
        "frames per second": f"{clock * 1e6 / flow.cycles:,.1f}",
        "wanted": _wanted(build.wanted),
        "cycles per frame, predicted": f"{flow.cycles:,}",
        "slowest part": flow.bottleneck,
    }
    if sim and sim["cycles_per_frame"] is not None:
        facts["cycles per frame, measured"] = f"{sim['cycles_per_frame']:,}"
    if sim and sim["latency_cycles"] is not None:
        latency = sim["latency_cycles"]
        facts["latency, measured"] = f"{latency:,} cycles, {latency / clock / 1000:.3g} ms"
    return facts


def _wanted(wanted: dict[str, Any]) -> str:
    """Write what a folding was made for."""
    if wanted["folding"]:
        return f"the folding in {wanted['folding']}"
    if wanted["target_fps"] == "max":
        return "the most that fits"
    if wanted["target_fps"] is None:
        return f"{DEFAULT_FPS:,} frames per second, or the most that fits"
    return f"{wanted['target_fps']:,g} frames per second"


def _resources(section: Section, build: Build, flow: Dataflow, synth: dict[str, Any] | None) -> None:
    """Fill in the bars, and who counted them and the resources of the layers."""
    have = offered(build.board)
    estimate = Resources()
    for one in flow.instances:
        estimate += predict(one.binding.module, one.binding.parameters)
    estimate = estimate.rounded()
    section.total = Resources(*(synth[kind]["used"] for kind in KINDS)) if synth else estimate
    section.columns = tuple(kind for kind in KINDS if getattr(have, kind) or getattr(section.total, kind))
    others = {"predicted": synth["predicted"], "as one design": synth.get("whole")} if synth else {}
    for kind in section.columns:
        notes = tuple(f"{name}: {amount(used[kind])}" for name, used in others.items() if used)
        section.bars.append(Bar(NAMES[kind], getattr(section.total, kind), getattr(have, kind), notes))
    around = "A layer's row holds what stands around it too: registers, FIFOs, width converters."
    if synth:
        section.bars_source = f"Counted by Yosys {synth['yosys']}, every instance on its own, and added up."
        section.layers_source = f"Resources counted by Yosys. {around}"
    else:
        section.bars_source = "Predicted by the cost model, not counted."
        section.layers_source = f"Resources predicted by the cost model, each row rounded. {around}"


def _counted(synth: dict[str, Any]) -> dict[str, Resources]:
    return {layer["name"]: Resources(*(layer[kind] for kind in KINDS)) for layer in synth["layers"]}


def _predicted(flow: Dataflow, names: list[str]) -> dict[str, Resources]:
    used: dict[str, Resources] = {}
    for one in flow.instances:
        layer = layer_of(one.name, names)
        used[layer] = used.get(layer, Resources()) + predict(one.binding.module, one.binding.parameters)
    return {layer: some.rounded() for layer, some in used.items()}


def _fifos(flow: Dataflow, sim: dict[str, Any] | None) -> list[Fifo]:
    fills = {fifo["name"]: fifo["highest_fill"] for fifo in (sim or {}).get("fifos", [])}
    return [
        Fifo(one.name, one.binding.parameters["Depth"], one.binding.parameters["Width"], fills.get(one.name))
        for one in flow.instances
        if one.binding.module == FIFO
    ]


def _simulation(sim: dict[str, Any]) -> Facts:
    return _comparison(sim) | {
        "frames": f"{sim['frames']:,}, back to back",
        "runs": f"{sim['runs']}, the second with random stalls" if sim["runs"] == 2 else str(sim["runs"]),
    }


def _cpp(hls: dict[str, Any]) -> Facts:
    facts = _comparison(hls)
    for stage, what in STAGES.items():
        for key, value in hls.get(stage, {}).items():
            facts[f"{what}: {key.replace('_', ' ')}"] = _vendor_text(value)
    return facts


def _vendor_text(value: Any) -> str:
    """Write a figure of a vendor's tool: used and available, a list, or a single value."""
    if isinstance(value, dict):
        return " of ".join(map(str, value.values()))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _comparison(content: dict[str, Any]) -> Facts:
    cycles = content["cycles_per_frame"]
    facts = {
        "images": f"{content['images']:,} ({content['images_from']})",
        "outputs compared": f"{content['outputs_compared']:,}",
        "mismatches": f"{content['mismatches']:,}",
        "cycles per frame": "not measured" if cycles is None else f"{cycles:,}",
        "cycles per frame, predicted": f"{content['cycles_predicted']:,}",
        "time to build": f"{content['seconds_build']:,.1f} s",
        "time to run": f"{content['seconds_run']:,.1f} s",
    }
    if content["mismatches"]:
        facts["first mismatch"] = verdicts.first_mismatch(content["first_mismatch"])
    return facts
