"""What the commands have left in a run's folder: read, checked, and compared with the network as it is now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from bireal_hw.errors import BirealError
from bireal_hw.files import content_hash
from bireal_hw.results.base import OfBoard, OfRun
from bireal_hw.results.network import COMPARED, DemoFile
from bireal_hw.run.build import REQUESTED, Build
from bireal_hw.run.engine import STEPS
from bireal_hw.schema import read

Form = TypeVar("Form", bound=OfRun, covariant=True)


@dataclass(frozen=True)
class Artifact(Generic[Form]):
    """A file that a command leaves.

    Attributes:
        file: its name in the run's folder.
        command: that makes it.
        content: of the file; None if it is missing or not of the network and folding as they are now.
        problem: why there is no content.
        stale: whether there is a file all the same.
    """

    file: str
    command: str
    content: Form | None
    problem: str = ""
    stale: bool = False


def artifact(build: Build, form: type[Form]) -> Artifact[Form]:
    """Read the file that a step leaves in the run's folder, or in that of its board; its stem is the step's name.

    Raises:
        BirealError: the file is broken.
    """
    step = form.file.removesuffix(".json")
    about = {"run": build.path.name, "board": build.board.name} if issubclass(form, OfBoard) else {}
    path = build.path / about.get("board", "") / form.file
    file, again = str(path.relative_to(build.path)), command(build, step)
    if not path.exists():
        return Artifact(file, again, None, "not made yet")
    reason = outdated(build, step)
    content = None if reason else read(path, form)
    for key, asked in about.items():
        if content and getattr(content, key) != asked:
            reason, content = f"it is of {key}={getattr(content, key)}", None
    return Artifact(file, again, content, f"out of date: {reason}" if reason else "", stale=bool(reason))


def demo_artifact(build: Build) -> Artifact[DemoFile]:
    """Read demo.json, which names itself what it was made from."""
    path, again = build.path / DemoFile.file, command(build, "demo")
    if not path.exists():
        return Artifact(DemoFile.file, again, None, "not made yet")
    content = read(path, DemoFile)
    other = [name for name in COMPARED if content_hash(build.path / name) != content.made_from.get(name)]
    if other:
        return Artifact(DemoFile.file, again, None, f"out of date: it was made from another {other[0]}", stale=True)
    return Artifact(DemoFile.file, again, content)


def command(build: Build, verb: str) -> str:
    """Write the command that does something for a run, and its board where that matters."""
    board = f" board={build.board.name}" if of_board(verb) else ""
    words = (verb in STEPS and STEPS[verb].words) or verb
    return f"make {words} run={build.path.name}{board}"


def of_board(step: str) -> bool:
    """Return whether a step's files lie in the folder of a board."""
    return step in STEPS and STEPS[step].of_board


def outdated(build: Build, name: str) -> str | None:
    """Say why the result of a step is not that of the run as it is now, or None if it is.

    What the user asks for (speed, number of images) plays no part: a result shows what it was made with.
    """
    step = STEPS[name]
    if (need := step.needs(build)) and (reason := outdated(build, need)):
        return reason
    if not (build.path / step.paths(build, step.makes)[0]).exists():
        return f"{name} is missing"
    if step.once:
        return None
    before, now = build.run.ledger()["steps"].get(step.entry(build), {}).get("record", {}), step.record(build)
    for key, text in (("made_from", "made from another"), ("program", "made by another version of")):
        for part, found in now[key].items():
            if before.get(key, {}).get(part) != found:
                return f"{name} was {text} {part}"
    return None


def refusal(build: Build, name: str) -> str:
    """Say why a step cannot be done for the board, whatever the steps before it make; empty if it can."""
    try:
        STEPS[name].refuse(build)
    except BirealError as error:
        return str(error)
    return ""


def on_board(build: Build, name: str) -> Build:
    """Return the same run for one of its boards; what the user wants of a folding goes to the board asked for."""
    other = {} if name == build.board.name else dict.fromkeys(REQUESTED)
    return replace(build, config=replace(build.config, board=name, **other), made=[])
