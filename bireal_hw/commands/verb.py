"""What all commands have in common: name, help, the arguments they take, and for most of them the run they work on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import bireal_hw.steps  # noqa: F401 - registers the steps
from bireal_hw import zoo
from bireal_hw.errors import BirealError, VerdictError, unknown
from bireal_hw.report.page import State
from bireal_hw.run.build import REQUESTED, Build
from bireal_hw.run.config import BuildConfig, UsageError, packed, parse_arguments, variables
from bireal_hw.run.engine import STEPS, refuse
from bireal_hw.run.network import BUILD, NETWORK, Start, called, resolve, run_dir, show
from bireal_hw.run.rundir import sweep

CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 132)
"""Where results go; a file or a pipe gets lines long enough for every table."""

VALUES = "[KEY=VALUE]..."
FILE = "[FILE.onnx]"

OF_NETWORK = (*NETWORK, "data", "run", "config")
OF_FOLDING = (*OF_NETWORK, "board", *REQUESTED)
"""Variables of commands about a network, and about one that is folded for a board."""


@dataclass(frozen=True)
class Verb:
    """A command.

    Attributes:
        name: what is typed.
        help: one line.
        takes: variables that it takes, those of the commands that it runs before included.
        run: does it with the arguments that follow, and returns the exit status.
        usage: form of the arguments.
        own: variables that no other command has, with a line of description each.
    """

    name: str
    help: str
    takes: tuple[str, ...]
    run: Callable[[list[str]], int]
    usage: str = VALUES
    own: Mapping[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """The variables that it takes, with a line of description each, in the order in which they are declared."""
        return {name: text for name, text in variables().items() if name in self.takes} | dict(self.own)

    def __call__(self, arguments: list[str]) -> int:
        """Do it; raises UsageError for a variable that it does not take."""
        for word in arguments:
            key, equals, _ = word.partition("=")
            if equals and not self.variables:
                raise UsageError(f"{self.name} takes no variable, not {word}")
            if equals and key not in self.variables:
                if key in variables():
                    takes = ["a file"] * self.usage.startswith(FILE) + [*self.variables]
                    raise not_used(self.name, word, takes)
                raise UsageError(unknown("variable", key, self.variables))
        sweep(BUILD)
        return self.run(arguments)


def not_used(verb: str, variable: str, takes: Iterable[str]) -> UsageError:
    """Describe a variable, as it was written, that a command does not use."""
    return UsageError(f"{verb} does not use {variable}: it takes {', '.join(takes)}")


def refuse_others(verb: str, config: BuildConfig, takes: Iterable[str], file: bool = False) -> None:
    """Raise UsageError for a value, from a file of `config=` too, that a command without a run does not use."""
    allowed = list(takes)
    for key, value in config.given().items():
        if key not in allowed:
            raise not_used(verb, show(key, value), ["a file"] * file + allowed)


def of_run(
    name: str,
    help: str,
    takes: tuple[str, ...],
    task: Callable[[Build], int],
    takes_file: bool = True,
    may_start: Start = Start.NAMED,
) -> Verb:
    """Make a command that does a task on a run; with `takes_file` a QONNX file may stand for the network."""
    usage = f"{FILE} {VALUES}" if takes_file else VALUES
    hardware = "board" in takes

    def run(arguments: list[str]) -> int:
        return work(name, arguments, takes_file, task, may_start, hardware)

    return Verb(name, help, takes, run, usage)


def work(
    verb: str,
    arguments: list[str],
    takes_file: bool,
    task: Callable[[Build], int],
    may_start: Start = Start.NAMED,
    hardware: bool = False,
) -> int:
    """Do a task on the run that the arguments are about, under its lock; `hardware`: whether it is for a board."""
    build = _started(verb, arguments, takes_file)
    build.hardware = hardware

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


def _started(verb: str, arguments: list[str], takes_file: bool) -> Build:
    """Read the arguments of a command about a run; the run's folder is not locked yet, nor its values known."""
    bare = [word for word in arguments if "=" not in word]
    file = Path(bare[0]) if bare and bare[0].endswith(".onnx") else None
    if bare and takes_file and not file and (Path(bare[0]).suffix or Path(bare[0]).exists()):
        raise UsageError(f"'{bare[0]}' is no QONNX file: {verb} takes one whose name ends in .onnx")
    config = parse_arguments(word for word in arguments if file is None or word is not bare[0])
    if name := packed(config):
        if file:
            raise UsageError(f"{verb} takes one network, not {file} and {zoo.PREFIX}{name}")
        file, config = zoo.FOLDER / f"{name}.npz", replace(config, model=None)
    if file and not takes_file:
        raise UsageError(f"{verb} takes no file: it starts before {called(file)}; the verbs after export take one")
    return Build(config, run_dir(config, file), {}, file)


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


def conclude(what: str, verdicts: list[tuple[str, str, State]]) -> None:
    """Print claims, what was found and the verdict; raises VerdictError, naming them, if some do not hold."""
    colours = {State.HOLDS: "green", State.FAILS: "red"}
    table = Table(title="verdict", title_justify="left", show_edge=False)
    for heading in ("claim", "found", ""):
        table.add_column(heading)
    for claim, found, state in verdicts:
        table.add_row(escape(claim), escape(found), f"[{colours.get(state, 'yellow')}]{state}[/]")
    CONSOLE.print(table)
    if failed := [claim for claim, _, state in verdicts if state is not State.HOLDS]:
        raise VerdictError(f"{what} does not hold: {'; '.join(failed)}")
