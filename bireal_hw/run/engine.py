"""Which steps of a run are made anew: the step that is asked for, and before it those that are not up to date.

A run is one network: trained here, with random weights (`untrained=1`), or imported as a QONNX file; what follows is
the same for all three. The step that the user asks for always runs; the steps before it run where their output is
missing or was made from something else. Training is the exception: a finished one is never repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bireal_hw.errors import BirealError
from bireal_hw.files import content_hash
from bireal_hw.run import provenance
from bireal_hw.run.build import Build, Figures, Made
from bireal_hw.run.network import OTHER, called

STEPS: dict[str, Step] = {}
"""The steps by name, in the order of the data; `bireal_hw.steps` fills it."""


@dataclass(frozen=True)
class Step:
    """A named step.

    Attributes:
        needs: the step before it, by the run's origin; None where it is the first.
        reads, makes: files or folders in the run's folder; `{board}` stands for the board's name.
        settings: values outside the files that its result depends on.
        origins: the runs it applies to.
        work: makes the files in the folder it is given and returns the headline figures.
        module: that holds the work; what it imports shapes the result.
        clears: files of the run that are of no use once it is done.
        once: whether a result that is there stays, whatever it was made from.
        check: tries a result that stays, when the user asks for the step, and mends what it can.
        refuse: raises BirealError for what cannot be done whatever the steps before it make; called before these.
        words: command that asks for it, where that is not its name.
    """

    name: str
    needs: Callable[[Build], str | None]
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    settings: Callable[[Build], dict[str, Any]]
    work: Callable[[Build, Path], Figures]
    module: str
    origins: tuple[str, ...] = ("trained", "untrained", "file")
    clears: tuple[str, ...] = ()
    once: bool = False
    check: Callable[[Build], object] = lambda build: None
    refuse: Callable[[Build], object] = lambda build: None
    words: str = ""

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
        return {"made_from": files, "settings": self.settings(build), "program": provenance.parts(self.module)}


def refuse(build: Build, name: str) -> None:
    """Raise BirealError for what a command named like a step, or one that it needs, cannot do whatever they make."""
    step = STEPS.get(name)
    while step:
        step.refuse(build)
        step = STEPS[need] if (need := step.needs(build)) else None


def ensure(build: Build, name: str, asked: bool = True) -> None:
    """Run a step, and before it those it needs; a step that was not asked for runs only if it is not up to date.

    Raises:
        BirealError: whatever the step has to say about its input.
    """
    if not asked and any(made.step == name for made in build.made):
        return  # this command has made it already
    step = STEPS[name]
    if build.origin not in step.origins:
        how = "has random weights" if build.origin == "untrained" else f"was imported from {build.values['file']}"
        raise BirealError(f"run '{build.path.name}' {how}, so there is nothing to {name}: {OTHER}")
    if need := step.needs(build):
        ensure(build, need, asked=False)
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
