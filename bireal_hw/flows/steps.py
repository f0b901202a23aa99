"""The steps of a build: what each reads, makes and depends on, and the rule that decides which of them run.

A run is one network: trained here, with random weights (`untrained=1`), or brought as a QONNX file; what follows is the
same for all three. The step that the user asks for always runs; the steps before it run where their output is
missing or was made from something else. Training is the exception: a finished one is never repeated.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from rich.console import Console

from bireal_hw import boards, zoo
from bireal_hw.analysis.cost import total as predicted_total
from bireal_hw.assets import asset
from bireal_hw.errors import BirealError
from bireal_hw.flows.accuracy import accuracies
from bireal_hw.flows.bitstream import planned as planned_bitstream
from bireal_hw.flows.bitstream import write_bitstream
from bireal_hw.flows.config import BuildConfig
from bireal_hw.flows.cpp import refuse_board, write_cpp
from bireal_hw.flows.hardware import FOLDING, choose_folding, count_resources, folded
from bireal_hw.flows.images import images_for
from bireal_hw.flows.network import BUILD, OTHER, PARTIAL, Values, called, in_zoo, show, spec
from bireal_hw.flows.picture.drawing import svg
from bireal_hw.flows.rundir import RunDir, content_hash, write_json
from bireal_hw.flows.training import planned
from bireal_hw.ir.graph import Graph, save
from bireal_hw.lowering import METADATA, lower
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.folding import Folding
from bireal_hw.rtl import generate
from bireal_hw.sim.network import MIN_FRAMES, fullest, simulate_network
from bireal_hw.sim.runner import FREE, StallMode
from bireal_hw.sim.verilator import waves_format
from bireal_hw.synth import yosys
from bireal_hw.toml import read_toml

if TYPE_CHECKING:
    from bireal_hw.models.bireal import BiReal
    from bireal_hw.models.spec import ModelSpec

PACKAGE = Path(__file__).parent.parent
DEFAULT_BOARD = "pynq-z2"
DEFAULT_IMAGES = 4
BYTES_OF_WAVES = {".fst": 0.1, ".gz": 0.1}
"""Bytes that waveforms take for each register and cycle; measured: 0.09 as packed VCD, 0.4 before it is packed."""
STALLED = StallMode(source=0.3, sink=0.3, seed=1)
"""The second run, unless `stalls=0`: either side holds the stream up in three cycles of ten."""

WANTED = ("clock", "target_fps", "folding")
"""Variables that the folding is made for."""

Figures = dict[str, str]


@dataclass
class Made:
    """One line of the summary: a step, its files, headline figures, and seconds (None if it was up to date)."""

    step: str
    files: list[Path]
    figures: Figures
    seconds: float | None


@dataclass
class Build:
    """One command at work on one run.

    Attributes:
        config: what the user asked for.
        run: the run's folder, locked.
        values: the variables of the run's network (see `network.resolve`).
        file: QONNX file given on the command line, or a network of the zoo.
        made: what this command has done so far.
    """

    config: BuildConfig
    run: RunDir
    values: Values
    file: Path | None = None
    made: list[Made] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.run.path

    @property
    def board(self) -> boards.Board:
        """The board that is built for: the one asked for, else the run's last one, else the default."""
        return boards.board(self.config.board or self.last_board or DEFAULT_BOARD)

    @property
    def last_board(self) -> str | None:
        """The board of the last command that worked for one, if the run still has a folding for it."""
        folded = [name for name in boards.names() if (self.path / name / FOLDING).exists()]
        last = self.run.ledger().get("board")
        if last in folded:
            return str(last)
        return DEFAULT_BOARD if DEFAULT_BOARD in folded else next(iter(folded), None)

    @property
    def wanted(self) -> dict[str, Any]:
        """What the board's folding is to be made for: `clock` in MHz, `target_fps` and `folding` (a file), or None.

        Values that are not given stay as they were when the folding was made.
        """
        given = {name: value for name in WANTED if (value := getattr(self.config, name)) is not None}
        recorded = self.run.ledger()["steps"].get(f"{self.board.name}/fold", {}).get("record", {}).get("settings", {})
        kept = {name: recorded.get(name) for name in WANTED}
        if "target_fps" in given or "folding" in given:
            kept |= {"target_fps": None, "folding": None}  # one takes the place of the other
        return kept | given

    @property
    def clock_mhz(self) -> float:
        """Clock of the network in MHz."""
        return float(self.wanted["clock"] or self.board.clock_mhz)

    @property
    def origin(self) -> str:
        """How the network came about: `trained`, `untrained` or `file`."""
        return "file" if self.values.get("file") else "untrained" if self.values["untrained"] else "trained"

    def record_values(self) -> None:
        """Enter the network's values in the ledger; from its first lasting file on they are the run's."""
        ledger = self.run.ledger()
        self.run.write_ledger(ledger | {"values": self.values})

    @property
    def marks(self) -> dict[str, Any]:
        """What every output says about itself."""
        return {"run": self.path.name, "untrained": self.origin == "untrained"}


@dataclass(frozen=True)
class Step:
    """A named step.

    Attributes:
        needs: the step before it, by the run's origin; None where it is the first.
        reads, makes: files or folders in the run's folder; `{board}` stands for the board's name.
        settings: values outside the files that its result depends on.
        code: parts of the program that its result depends on: subpackages, or root folders such as `rtl/`.
        origins: the runs it applies to.
        work: makes the files in the folder it is given and returns the headline figures.
        clears: files of the run that are of no use once it is done.
        once: whether a result that is there stays, whatever it was made from.
        check: tries a result that stays, when the user asks for the step, and mends what it can.
        refuse: raises BirealError for what cannot be done whatever the steps before it make; called before these.
    """

    name: str
    needs: Callable[[Build], str | None]
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    settings: Callable[[Build], dict[str, Any]]
    code: tuple[str, ...]
    work: Callable[[Build, Path], Figures]
    origins: tuple[str, ...] = ("trained", "untrained", "file")
    clears: tuple[str, ...] = ()
    once: bool = False
    check: Callable[[Build], object] = lambda build: None
    refuse: Callable[[Build], object] = lambda build: None

    @property
    def of_board(self) -> bool:
        """Whether its files lie in the folder of a board."""
        return "{board}" in self.makes[0]

    def paths(self, build: Build, templates: tuple[str, ...]) -> list[str]:
        """Return files of the run's folder by name."""
        return [template.format(board=build.board.name) for template in templates]

    def entry(self, build: Build) -> str:
        """Return the step's name in the ledger."""
        return f"{build.board.name}/{self.name}" if self.of_board else self.name

    def record(self, build: Build) -> dict[str, Any]:
        """Return what the result depends on, as it is now."""
        files = {name: content_hash(build.path / name) for name in self.paths(build, self.reads)}
        if self.name == "import" and build.file:
            files = {called(build.file): content_hash(build.file)}
        sources = {
            name: content_hash(asset(name) if name.endswith("/") else PACKAGE / name.replace(".", "/"))
            for name in self.code
        }
        return {"made_from": files, "settings": self.settings(build), "program": sources}


def refuse(build: Build, name: str) -> None:
    """Raise BirealError for what a command named like a step, or one that it needs, cannot do whatever they make."""
    step = STEPS.get(name)
    while step:
        step.refuse(build)
        step = STEPS[need] if (need := step.needs(build)) else None


def bring(build: Build, name: str, asked: bool = True) -> None:
    """Run a step, and before it those it needs; a step that was not asked for runs only if it is not up to date.

    Raises:
        BirealError: whatever the step has to say about its input.
    """
    if not asked and any(made.step == name for made in build.made):
        return  # this command has brought it already
    step = STEPS[name]
    if build.origin not in step.origins:
        how = "has random weights" if build.origin == "untrained" else f"was brought as {build.values['file']}"
        raise BirealError(f"run '{build.path.name}' {how}, so there is nothing to {name}: {OTHER}")
    if need := step.needs(build):
        bring(build, need, asked=False)
    outputs, entry, record = step.paths(build, step.makes), step.entry(build), step.record(build)
    previous = build.run.ledger()["steps"].get(entry, {})
    present = (build.path / outputs[0]).exists()
    if name == "import" and present:
        present = previous.get("made") == content_hash(build.path / outputs[0])  # else the user's file takes its place
    if present and (step.once or (not asked and previous.get("record") == record)):
        if asked:
            step.check(build)
        build.made.append(Made(name, _existing(build, outputs), previous.get("figures", {}), None))
        return
    start = time.monotonic()
    content: dict[str, Any] = {"record": record}
    with build.run.publish(entry, outputs, content) as folder:
        figures = content["figures"] = step.work(build, folder)
        content["made"] = content_hash(folder / outputs[0])
    for leftover in step.clears:
        (build.path / leftover).unlink(missing_ok=True)  # only now are the results where they belong
    if asked and step.of_board:
        build.run.write_ledger(build.run.ledger() | {"board": build.board.name})
    build.made.append(Made(step.name, _existing(build, outputs), figures, time.monotonic() - start))


def _existing(build: Build, outputs: list[str]) -> list[Path]:
    return [build.path / output for output in outputs if (build.path / output).exists()]


def _source(build: Build) -> str | None:
    """The step that makes model.onnx; none for a file that an earlier command brought."""
    return {"trained": "export", "untrained": "export", "file": "import" if build.file else None}[build.origin]


# ---- the work of each step ----


def _checkpoint(build: Build) -> tuple[BiReal, ModelSpec, dict[str, Any]]:
    """Read the run's checkpoint: the trained network, its spec, and what train.json says."""
    from bireal_hw.training.checkpoint import load_checkpoint

    return load_checkpoint(build.path / "checkpoint.ckpt")


def _mend(build: Build) -> None:
    """Try a finished training's checkpoint, and write train.json again from it if it is gone."""
    *_, info = _checkpoint(build)
    if not (build.path / "train.json").exists():
        write_json(build.path / "train.json", info | build.marks)


def _described(values: Values) -> str:
    """Write a network in a few words."""
    size, data = "x".join(map(str, values["image"])), f"{values['classes']} classes of {values['dataset']}"
    return f"{values['model']}, width {values['width']:g}, {size} pixels, {data}"


def _train(build: Build, folder: Path) -> Figures:
    from bireal_hw.training.fit import train
    from bireal_hw.training.overview import overview

    values = build.values
    config, data = planned(values)
    values |= {"classes": data.classes, "epochs": config.epochs}
    build.record_values()
    passes = f"{config.epochs} epoch{'s'[: config.epochs != 1]}"
    about = f"training {_described(values)}, {passes}, into {build.path}"
    Console(highlight=False, soft_wrap=True).print("\n".join([about, *overview(config, data)]), markup=False)
    result = train(config, data, folder, partial=build.path / PARTIAL)
    write_json(folder / "train.json", result | build.marks)
    return accuracies(result) | {"test images": f"{result['test_images']:,}"}


def _export(build: Build, folder: Path) -> Figures:
    from bireal_hw.export.deploy import to_deploy
    from bireal_hw.export.qonnx import export_qonnx
    from bireal_hw.models.bireal import build_model
    from bireal_hw.models.randomise import randomise

    if build.origin == "trained":
        model, described, info = _checkpoint(build)
        names = info.get("class_names") or [str(index) for index in range(described.classes)]
    else:
        described = spec(build.values)
        described.check_sums()  # before the minutes that follow at large sizes
        build.record_values()
        model = randomise(build_model(described), described, build.values["seed"])
        names = [str(index) for index in range(described.classes)]
    path = folder / "model.onnx"
    report = export_qonnx(to_deploy(model, described), described, path, names)
    _mark(path, build.marks | {"model": described.model, "width": described.width, "class_names": names})
    write_json(folder / "export.json", report | build.marks)
    return {"nodes": str(len(onnx.load(str(path)).graph.node)), "size": f"{path.stat().st_size / 1e6:.2f} MB"}


def _mark(path: Path, info: dict[str, Any]) -> None:
    """Write what the file says about itself into its metadata, as JSON values."""
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {METADATA + key: json.dumps(value) for key, value in info.items()})
    onnx.save(model, str(path))


def _import(build: Build, folder: Path) -> Figures:
    assert build.file is not None
    if in_zoo(build.file):
        (folder / "model.onnx").write_bytes(zoo.unpack(build.file.stem))
    else:
        lower(build.file)  # a file that cannot be lowered replaces nothing, and the message names the user's own path
        shutil.copyfile(build.file, folder / "model.onnx")
    build.record_values()
    return {"from": called(build.file)}


def _lower(build: Build, folder: Path) -> Figures:
    path = build.path / "model.onnx"
    makers = [entry for name in ("export", "import") if (entry := build.run.ledger()["steps"].get(name))]
    if any(entry.get("made", content_hash(path)) != content_hash(path) for entry in makers):
        how = "give it as a file" if build.origin == "file" else "make export writes it again"
        raise BirealError(f"{path} is not the file that this run was made with: {how}, or choose another run=NAME")
    graph = lower(path)
    save(graph, folder / "graph.json")
    (folder / "graph.svg").write_text(svg(graph))
    return {"nodes": str(len(graph.nodes)), "input": str(graph.input), "output": str(graph.output)}


def _refuse_folding(build: Build) -> None:
    given, file = build.config.given(), build.config.folding
    if "folding" in given and "target_fps" in given:
        raise BirealError(f"{show('target_fps', given['target_fps'])} does not go with folding=: the file decides")
    if file:
        read_toml(Path(file), f"folding={file}")


def _fold_settings(build: Build) -> dict[str, Any]:
    wanted = build.wanted
    return wanted | {"content": content_hash(Path(wanted["folding"])) if wanted["folding"] else None}


def _rtl(build: Build, folder: Path) -> Figures:
    graph, folding = folded(build)
    target = folder / build.board.name / "rtl"
    target.parent.mkdir()
    flow = generate(graph, folding, target)
    board = build.board
    about = {"board": board.name, "part": board.part, "clock_mhz": build.clock_mhz}
    about |= {"cycles_per_frame": flow.cycles, "bottleneck": flow.bottleneck}
    write_json(target / "build.json", about | marks(build, graph))
    return {"instances": str(len(flow.instances)), "cycles per frame": f"{flow.cycles:,}", "slowest": flow.bottleneck}


def marks(build: Build, graph: Graph) -> dict[str, Any]:
    """What an output says about itself; a QONNX file knows itself whether its network was trained."""
    return build.marks | {"untrained": bool(graph.info.get("untrained", build.marks["untrained"]))}


def _sim(build: Build, folder: Path) -> Figures:
    graph, folding = folded(build)
    images, origin = images_for(build.values, graph, build.config.images or DEFAULT_IMAGES)
    target = folder / build.board.name
    target.mkdir()
    waves = target / f"waves{waves_format()}" if build.config.waves else None
    rtl = build.path / build.board.name / "rtl"
    stalls = (FREE,) if build.config.stalls is False else (FREE, STALLED)
    dump = target / "mismatch"
    if waves:
        _announce(waves, graph, folding, max(len(images), MIN_FRAMES), len(stalls))
    result = simulate_network(graph, folding, rtl, images, stalls, BUILD / "sim", waves, dump)
    about = {"board": build.board.name, "images_from": origin, **marks(build, graph)}
    write_json(target / "sim.json", about | result)
    return {
        "images": f"{result['images']} ({origin})",
        "mismatches": f"{result['mismatches']:,} of {result['outputs_compared']:,}",
        "cycles per frame": f"{result['cycles_per_frame']:,} (predicted {result['cycles_predicted']:,})",
        "fullest FIFO": fullest(result["fifos"]),
    }


def _announce(waves: Path, graph: Graph, folding: Folding, frames: int, runs: int) -> None:
    """Say how much is about to be written as waveforms."""
    flow = elaborate(graph, folding)
    registers = predicted_total((one.binding.module, one.binding.parameters) for one in flow.instances).ff
    cycles = runs * (frames + 1) * flow.cycles
    size = BYTES_OF_WAVES[waves.suffix] * registers * cycles / 1e6
    fewer = "; stalls=0 halves it" if runs > 1 else ""
    line = f"{waves.name}: about {cycles:,} cycles, some {max(size, 1):,.0f} MB{fewer}"
    Console(highlight=False, soft_wrap=True).print(line)


def _report(build: Build, folder: Path) -> Figures:
    from bireal_hw.flows.report import write_report  # which asks the steps what is up to date

    return write_report(build, folder)


STEPS = {
    step.name: step
    for step in (
        Step(
            name="train",
            needs=lambda build: None,
            reads=(),
            makes=("checkpoint.ckpt", "train.json", "metrics.csv", "curves.png"),
            settings=lambda build: {},
            code=(),
            work=_train,
            origins=("trained",),
            clears=(PARTIAL,),
            once=True,
            check=_mend,
        ),
        Step(
            name="import",
            needs=lambda build: None,
            reads=(),
            makes=("model.onnx",),
            settings=lambda build: {},
            code=(),
            work=_import,
            origins=("file",),
        ),
        Step(
            name="export",
            needs=lambda build: "train" if build.origin == "trained" else None,
            reads=("checkpoint.ckpt",),
            makes=("model.onnx", "export.json"),
            settings=lambda build: build.marks,
            code=("models", "export"),
            work=_export,
            origins=("trained", "untrained"),
        ),
        Step(
            name="lower",
            needs=_source,
            reads=("model.onnx",),
            makes=("graph.json", "graph.svg"),
            settings=lambda build: {},
            code=("ir", "ops", "passes", "lowering", "flows.picture"),
            work=_lower,
        ),
        Step(
            name="fold",
            needs=lambda build: "lower",
            reads=("graph.json",),
            makes=(f"{{board}}/{FOLDING}",),
            settings=_fold_settings,
            refuse=_refuse_folding,
            code=("ir", "ops", "passes", "analysis", "boards", "synth"),
            work=choose_folding,
        ),
        Step(
            name="rtl",
            needs=lambda build: "fold",
            reads=("graph.json", f"{{board}}/{FOLDING}"),
            makes=("{board}/rtl",),
            settings=lambda build: {"clock": build.clock_mhz},
            code=("ir", "ops", "passes", "rtl", "rtl/"),
            work=_rtl,
        ),
        Step(
            name="sim",
            needs=lambda build: "rtl",
            reads=("graph.json", f"{{board}}/{FOLDING}", "{board}/rtl"),
            makes=("{board}/sim.json", "{board}/waves.fst", "{board}/waves.vcd.gz", "{board}/mismatch"),
            settings=lambda build: {"images": build.config.images or DEFAULT_IMAGES},
            code=("golden", "sim", "sim/"),
            work=_sim,
        ),
        Step(
            name="hls",
            needs=lambda build: "fold",
            reads=("graph.json", f"{{board}}/{FOLDING}"),
            makes=("{board}/hls", "{board}/hls.json", "{board}/hls_mismatch"),
            settings=lambda build: {"clock": build.clock_mhz, "images": build.config.images},
            refuse=refuse_board,
            code=("ir", "ops", "passes", "golden", "hls", "hls/"),
            work=lambda build, folder: write_cpp(build, folder, *folded(build)),
        ),
        Step(
            name="synth",
            needs=lambda build: "rtl",
            reads=("graph.json", f"{{board}}/{FOLDING}", "{board}/rtl"),
            makes=("{board}/synth.json",),
            settings=lambda build: {"clock": build.clock_mhz, "whole": build.config.whole},
            code=("ir", "ops", "passes", "analysis", "boards", "synth", "rtl/"),
            refuse=lambda build: yosys.version(),
            work=count_resources,
        ),
        Step(
            name="bitstream",
            needs=lambda build: "rtl",
            reads=("graph.json", f"{{board}}/{FOLDING}", "{board}/rtl"),
            makes=("{board}/bitstream.json", "{board}/bitstream"),
            settings=lambda build: {"clock": build.clock_mhz, "images": build.config.images},
            code=("ir", "ops", "passes", "golden", "boards", "synth", "rtl/"),
            refuse=planned_bitstream,
            work=write_bitstream,
        ),
        Step(
            name="report",
            needs=lambda build: "fold",
            reads=("graph.json", f"{{board}}/{FOLDING}"),
            makes=("report.html",),
            settings=lambda build: {},
            code=("report",),
            work=_report,
        ),
    )
}
"""The steps by name, in the order of the data."""

OF_BOARD = tuple(step.name for step in STEPS.values() if step.of_board)
