"""What the user can ask for: one verb per command, each a function of the words after it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import bireal_hw.flows.steps  # noqa: F401 - registers the steps
from bireal_hw import doctor, zoo
from bireal_hw.errors import BirealError, VerdictError, unknown
from bireal_hw.flows.accuracy import DEPLOY, FLOAT
from bireal_hw.flows.bench import HEADLINES, SECTIONS, bench
from bireal_hw.flows.build import REQUESTED, Build
from bireal_hw.flows.config import SPEC, UsageError, packed, parse_words, variables
from bireal_hw.flows.crosscheck import VARIABLES as COMPARED
from bireal_hw.flows.crosscheck import crosscheck, refuse_mismatches, tables
from bireal_hw.flows.demo import demo
from bireal_hw.flows.depth import ALLOWED as OF_DEPTH
from bireal_hw.flows.depth import depth, depth_table
from bireal_hw.flows.engine import STEPS, ensure, refuse
from bireal_hw.flows.network import BUILD, NETWORK, Start, called, resolve, run_dir, show
from bireal_hw.flows.report import judge, report
from bireal_hw.flows.rundir import read_json, sweep
from bireal_hw.flows.steps.bitstream import refuse_slow
from bireal_hw.flows.steps.hls import synthesis
from bireal_hw.flows.steps.synth import refuse_overflow, utilisation
from bireal_hw.flows.study import NETWORK as OF_STUDY
from bireal_hw.flows.study import OWN, TRAINING, study
from bireal_hw.flows.study_table import HEADINGS, cells, conditions
from bireal_hw.flows.verdicts import CYCLES, first_mismatch, refuse_other_cycles
from bireal_hw.flows.zoo import pack_run
from bireal_hw.models.info import info
from bireal_hw.models.spec import ModelSpec
from bireal_hw.report.page import State
from bireal_hw.synth.resources import KINDS

CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 132)
"""Where results go; a file or a pipe gets lines long enough for every table."""

VALUES = "[KEY=VALUE]..."
FILE_OR_VALUES = "[FILE.onnx] [KEY=VALUE]..."

MAY_START = {
    **dict.fromkeys(("train", "demo", "all"), Start.ALWAYS),
    **dict.fromkeys(("report", "zoo"), Start.NEVER),
}
"""Whether a command may start a run; those that are not here go on with one (`Start.NAMED`)."""

OF_NETWORK = (*NETWORK, "data", "run", "config")
OF_FOLDING = (*OF_NETWORK, "board", *REQUESTED)
TAKES = {
    **dict.fromkeys(("train", "export", "lower"), OF_NETWORK),
    **dict.fromkeys(("fold", "rtl", "report"), OF_FOLDING),
    "sim": (*OF_FOLDING, "images", "stalls", "waves"),
    "demo": (*OF_FOLDING, "images", "waves"),
    "hls": (*OF_FOLDING, "images", "cosim"),
    "synth": (*OF_FOLDING, "whole"),
    "bitstream": (*OF_FOLDING, "images"),
    "all": (*OF_FOLDING, "images", "waves", "cosim", "whole"),
    "ablation": (*OF_STUDY, *TRAINING, *OWN, "config"),
    "study": (*OF_STUDY, *TRAINING, *OWN, "config"),
    "depth": (*OF_DEPTH, "config"),
    "crosscheck": (*COMPARED, "config"),
    "zoo": ("run",),
    "info": (*SPEC, "config"),
    "bench": ("section",),
    "doctor": (),
}
"""Variables of each command: what it does itself, and what the commands do that it runs before."""

SECTION = {"section": f"part of the page: {', '.join(SECTIONS)} (default: all)"}


@dataclass(frozen=True)
class Verb:
    """A command: its name, one line of help, the form of its words, and what it does with them (exit status)."""

    name: str
    help: str
    words: str
    run: Callable[[list[str]], int]

    @property
    def variables(self) -> dict[str, str]:
        """The variables that it takes, with a line of description each, in the order in which they are declared."""
        takes = TAKES[self.name]
        return {name: text for name, text in (variables() | SECTION).items() if name in takes}

    def __call__(self, words: list[str]) -> int:
        """Do it; raises UsageError for a variable that it does not take."""
        for word in words:
            key, equals, _ = word.partition("=")
            if equals and not self.variables:
                raise UsageError(f"{self.name} takes no variable, not {word}")
            if equals and key not in self.variables:
                if key in variables():
                    takes = ["a file"] * self.words.startswith("[FILE") + [*self.variables]
                    raise UsageError(f"{self.name} does not use {word}: it takes {', '.join(takes)}")
                raise UsageError(unknown("variable", key, self.variables))
        sweep(BUILD)
        return self.run(words)


def _started(verb: str, words: list[str], takes_file: bool = False) -> Build:
    """Read the words of a command about a run; the run's folder is not locked yet, nor its values known."""
    bare = [word for word in words if "=" not in word]
    file = Path(bare[0]) if bare and bare[0].endswith(".onnx") else None
    config = parse_words(word for word in words if file is None or word is not bare[0])
    if name := packed(config):
        if file:
            raise UsageError(f"{verb} takes one network, not {file} and {zoo.PREFIX}{name}")
        file, config = zoo.FOLDER / f"{name}.npz", replace(config, model=None)
    if file and not takes_file:
        raise UsageError(f"{verb} takes no file: it starts before {called(file)}; the verbs after export take one")
    return Build(config, run_dir(config, file), {}, file)


def _work(verb: str, words: list[str], takes_file: bool, task: Callable[[Build], int]) -> int:
    """Do a task on a run under its lock."""
    build = _started(verb, words, takes_file)
    may_start = MAY_START.get(verb, Start.NAMED)

    def wait() -> None:
        CONSOLE.print(f"waiting for the command that is at work on run '{build.path.name}'", soft_wrap=True)

    with build.run.locked(wait if may_start is Start.NEVER else None):
        build.values = resolve(build.config, build.run, build.file, may_start)
        refuse(build, verb)
        is_new = build.run.is_empty()
        try:
            return task(build)
        except VerdictError:
            raise
        except BirealError:
            if is_new and build.origin != "trained":
                build.run.discard()  # so that another command may say what this network is to be
            raise


def summary(build: Build) -> None:
    """Print what a command made: files, headline figures, seconds; nothing if it made nothing."""
    if not build.made:
        return
    board = f", {build.board.name}" if any(STEPS[made.step].of_board for made in build.made) else ""
    title = f"run {build.path.name}{board}" + (", untrained: random weights" if build.values["untrained"] else "")
    table = Table(title=title, title_justify="left", show_edge=False)
    for heading in ("step", "made", "result"):
        table.add_column(heading, overflow="fold")
    table.add_column("seconds", justify="right")
    for made in build.made:
        files = "\n".join(map(str, made.files))
        figures = "\n".join(f"{name}: {value}" for name, value in made.figures.items())
        table.add_row(made.step, files, figures, "up to date" if made.seconds is None else f"{made.seconds:.1f}")
    CONSOLE.print(table)


def _step(name: str, help: str, takes_file: bool) -> Verb:
    def task(build: Build) -> int:
        ensure(build, name)
        summary(build)
        return 0

    words = FILE_OR_VALUES if takes_file else VALUES
    return Verb(name, help, words, lambda words: _work(name, words, takes_file, task))


def _simulation(name: str, help: str, epilogue: Callable[[dict[str, Any]], None] = lambda report: None) -> Verb:
    """A step that leaves a comparison in <board>/<name>.json, and fails if it does not hold.

    It compares the outputs with the golden model and the cycles per frame with the prediction.
    """

    def task(build: Build) -> int:
        ensure(build, name)
        summary(build)
        path = build.path / build.board.name / f"{name}.json"
        report = read_json(path, "mismatches", "outputs_compared", "first_mismatch", *CYCLES)
        if report["mismatches"]:
            raise VerdictError(
                f"{report['mismatches']} of {report['outputs_compared']} outputs differ from the golden model; "
                f"first: {first_mismatch(report['first_mismatch'])}"
            )
        refuse_other_cycles(report)
        epilogue(report)
        return 0

    return Verb(name, help, FILE_OR_VALUES, lambda words: _work(name, words, True, task))


def _synth(words: list[str]) -> int:
    def task(build: Build) -> int:
        ensure(build, "synth")
        summary(build)
        report = read_json(build.path / build.board.name / "synth.json", "board", "part", "layers", *KINDS)
        CONSOLE.print(utilisation(report))
        refuse_overflow(report)
        return 0

    return _work("synth", words, True, task)


def _bitstream(words: list[str]) -> int:
    def task(build: Build) -> int:
        ensure(build, "bitstream")
        summary(build)
        refuse_slow(read_json(build.path / build.board.name / "bitstream.json", "bitstream_bytes", "critical_path"))
        return 0

    return _work("bitstream", words, True, task)


def _demo(words: list[str]) -> int:
    def task(build: Build) -> int:
        checks = demo(build)
        summary(build)
        states = [State.HOLDS if check.holds else State.FAILS for check in checks]
        _conclude("the demo", [(check.claim, check.found, state) for check, state in zip(checks, states, strict=True)])
        return 0

    return _work("demo", words, False, task)


def _conclude(what: str, verdicts: list[tuple[str, str, State]]) -> None:
    """Print claims, what was found and the verdict; raises BirealError, naming them, if some do not hold."""
    colours = {State.HOLDS: "green", State.FAILS: "red"}
    table = Table(title="verdict", title_justify="left", show_edge=False)
    for heading in ("claim", "found", ""):
        table.add_column(heading)
    for claim, found, state in verdicts:
        table.add_row(escape(claim), escape(found), f"[{colours.get(state, 'yellow')}]{state}[/]")
    CONSOLE.print(table)
    if failed := [claim for claim, _, state in verdicts if state is not State.HOLDS]:
        raise VerdictError(f"{what} does not hold: {'; '.join(failed)}")


def _report(words: list[str]) -> int:
    def task(build: Build) -> int:
        report(build)
        summary(build)
        return 0

    return _work("report", words, True, task)


def _all(words: list[str]) -> int:
    def task(build: Build) -> int:
        demo(build)
        if build.board.flow == "vivado":
            ensure(build, "hls")
        ensure(build, "synth")
        report(build)
        summary(build)
        verdicts = judge(build, [build.board.name])
        _conclude("the run", [(verdict.claim, verdict.found, verdict.state) for verdict in verdicts])
        return 0

    return _work("all", words, False, task)


def _bench(words: list[str]) -> int:
    names = [word.removeprefix("section=") for word in words]
    figures, files = bench(names, CONSOLE.print)
    table = Table(show_edge=False, title_justify="left", title=str(files[0]))
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, about in HEADLINES.items():
        if name in figures:
            table.add_row(about, f"{figures[name]:,}")
    CONSOLE.print(table)
    CONSOLE.print("\n".join(map(str, files)))
    return 0


def _study(verb: str, help: str) -> Verb:
    def run(words: list[str]) -> int:
        report, files = study(verb, words, CONSOLE.print)
        table = Table(title=report["title"], caption=conditions(report), title_justify="left", caption_justify="left")
        for heading in HEADINGS:
            table.add_column(heading, justify="left" if heading == HEADINGS[0] else "right")
        for row in report["rows"]:
            table.add_row(*cells(row))
        CONSOLE.print(table)
        CONSOLE.print("\n".join(map(str, files)))
        return 0

    return Verb(verb, help, VALUES, run)


def _depth(words: list[str]) -> int:
    report, files = depth(words, lambda line: CONSOLE.print(line, soft_wrap=True))
    CONSOLE.print(depth_table(report))
    CONSOLE.print("\n".join(map(str, files)))
    return 0


def _crosscheck(words: list[str]) -> int:
    report = crosscheck(words, CONSOLE.print)
    for part in tables(report):
        CONSOLE.print(part, soft_wrap=True)
    refuse_mismatches(report)
    return 0


def _spec(verb: str, words: list[str], **defaults: Any) -> ModelSpec:
    """Read the words of a command about a network that needs no run; the first may be the bare name of a model."""
    words = [f"model={word}" if "=" not in word and index == 0 else word for index, word in enumerate(words)]
    config = parse_words(words)
    given = config.given()
    foreign = next((key for key in given if key not in SPEC), None)
    if foreign:
        raise UsageError(f"{verb} does not use {show(foreign, given[foreign])}: it takes {', '.join(SPEC)}")
    if name := packed(config):
        if len(given) > 1:
            own = next(key for key in given if key != "model")
            raise UsageError(f"{show(own, given[own])} does not go with {config.model}, which is a whole network")
        return ModelSpec.from_json(zoo.about(name)["spec"])
    return ModelSpec(**(defaults | given))


def _zoo(words: list[str]) -> int:
    """List the networks of the zoo, or put that of a run into it."""
    if words:
        return _work("zoo", words, False, _pack)
    table = Table(title=f"trained networks: model={zoo.PREFIX}NAME", title_justify="left", show_edge=False)
    for heading in ("name", "data set", "test images", FLOAT.title, DEPLOY.title, "made by", "note"):
        table.add_column(heading, overflow="fold")
    for name in zoo.names():
        one = zoo.about(name)
        found = (figure.of(one) for figure in (FLOAT, DEPLOY))
        table.add_row(name, one["dataset"], f"{one['test_images']:,}", *found, one["command"], one["note"])
    CONSOLE.print(table)
    return 0


def _pack(build: Build) -> int:
    size = pack_run(build)
    summary(build)
    CONSOLE.print(f"{zoo.PREFIX}{build.path.name}: {size / 1000:,.0f} kB in {zoo.FOLDER}", soft_wrap=True)
    return 0


def _info(words: list[str]) -> int:
    spec = _spec("info", words, image=(224, 224), classes=1000)
    counted = info(spec)
    table = Table(show_edge=False, title_justify="left", title=f"{spec.model}, width {spec.width:g}, {spec.image_text}")
    for heading in ("layer", "weights", "kernel", "stride", "output"):
        table.add_column(heading)
    for heading in ("1-bit parameters", "real parameters", "multiply-accumulates"):
        table.add_column(heading, justify="right")
    for layer in counted.layers:
        table.add_row(
            layer.name,
            layer.kind,
            f"{layer.kernel}x{layer.kernel}",
            str(layer.stride),
            "x".join(map(str, layer.output)),
            f"{layer.binary_params:,}",
            f"{layer.real_params:,}",
            f"{layer.macs:,}",
        )
    CONSOLE.print(table)
    CONSOLE.print(
        f"layers {len([one for one in counted.layers if 'downsample' not in one.name])} (and "
        f"{len([one for one in counted.layers if 'downsample' in one.name])} real shortcut convolutions)\n"
        f"parameters: {counted.binary_params:,} binary, {counted.real_params:,} real; "
        f"memory {counted.memory_mbit:.2f} Mbit instead of {counted.full_memory_mbit:.1f}\n"
        f"multiply-accumulates: {counted.binary_macs:,} binary, {counted.real_macs:,} real; "
        f"{counted.operations:.4g} operations (64 binary = 1), {counted.speedup:.2f} times fewer",
        soft_wrap=True,
    )
    return 0


def _doctor(words: list[str]) -> int:
    if words:
        raise UsageError(f"doctor takes no words, not '{words[0]}'")
    return doctor.doctor()


VERBS = {
    verb.name: verb
    for verb in (
        _step("train", "train a network and evaluate its deploy model", takes_file=False),
        _step("export", "write the deploy model as QONNX", takes_file=False),
        _step("lower", "turn the QONNX file into the integer graph", takes_file=True),
        _step("fold", "choose how much each layer computes in a cycle, for board= and target_fps=", takes_file=True),
        _step("rtl", "write the SystemVerilog of the whole network", takes_file=True),
        _simulation("sim", "simulate the whole network and compare every output"),
        Verb("demo", "train to sim on one network, then a verdict on every claim", VALUES, _demo),
        _simulation(
            "hls",
            "write C++ for Vitis HLS, run it and compare every output",
            lambda report: CONSOLE.print(synthesis(report), soft_wrap=True),
        ),
        Verb("synth", "count the resources of the SystemVerilog with Yosys", FILE_OR_VALUES, _synth),
        Verb("bitstream", "make a bitstream with open tools, and a host script for it", FILE_OR_VALUES, _bitstream),
        Verb("report", "write one page with graph, layers, resources, accuracy and verdicts", FILE_OR_VALUES, _report),
        Verb("all", "demo, hls, synth and report in one, then a verdict on every claim", VALUES, _all),
        Verb("bench", f"measure a page of figures: {', '.join(SECTIONS)}", "[SECTION]...", _bench),
        _study("ablation", "train what each technique adds, over several seeds: a table and a plot"),
        _study("study", "train with a shortcut stream of 16 to 8 bits, over several seeds: a table and a plot"),
        Verb("depth", "train a binary and a real-valued network to see depth, and compare them", VALUES, _depth),
        Verb("crosscheck", "compare an unpadded network with hls4ml and finn-plus", FILE_OR_VALUES, _crosscheck),
        Verb(
            "zoo",
            "list the trained networks that come with the program, or with run= add one",
            VALUES,
            _zoo,
        ),
        Verb(
            "info",
            "print layers, parameters and operations of a network",
            "[MODEL] [KEY=VALUE]...",
            _info,
        ),
        Verb("doctor", "list tools and packages: what is here, who needs it, what to install", "", _doctor),
    )
}
"""All commands by name."""
