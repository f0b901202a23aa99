"""What the commands have left in a run's folder: read, checked, and compared with the network as it is now."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any

from bireal_hw.errors import BirealError
from bireal_hw.flows.accuracy import ACCURACIES
from bireal_hw.flows.build import REQUESTED, Build
from bireal_hw.flows.demo import COMPARED
from bireal_hw.flows.engine import STEPS
from bireal_hw.flows.rundir import content_hash, read_json
from bireal_hw.hls.vendor import STAGES
from bireal_hw.synth.resources import KINDS

_BOARD = {"run": str, "board": str}
_AMOUNTS = dict.fromkeys(KINDS, float)
_NUMBER = (int, NoneType)
_COMPARISON = {
    **_BOARD,
    "images": int,
    "images_from": str,
    "outputs_compared": int,
    "mismatches": int,
    "first_mismatch": ({"layer": str, "index": [int], "want": int, "got": int}, NoneType),
    "cycles_per_frame": _NUMBER,
    "cycles_predicted": int,
    "bottleneck?": str,
    "seconds_build": float,
    "seconds_run": float,
}
_STAGE = {"tool?": str, "failed?": str, "passed?": bool, "setup_slack_ns?": float, "hold_slack_ns?": float}
SHAPES: dict[str, Any] = {
    "train.json": {
        "epochs": int,
        "seed": int,
        "params_binary": int,
        "params_real": int,
        "train_images": int,
        "test_images": int,
        **{one.key: float for one in ACCURACIES},
        "seconds": float,
    },
    "export.json": {"classes": [str], "frac": int, "m_c": [int], "max_intermediate": {str: int}},
    "demo.json": {"checks": [{"about?": str, "claim": str, "found": str, "holds": bool}], "made_from?": {str: str}},
    "sim.json": _COMPARISON
    | {
        "frames": int,
        "runs": int,
        "latency_cycles": _NUMBER,
        "fifos?": [{"name": str, "depth": int, "highest_fill": int}],
    },
    "hls.json": _COMPARISON | {f"{stage}?": _STAGE for stage in STAGES},
    "synth.json": {
        **_BOARD,
        **{kind: {"used": float, "available": float} for kind in KINDS},
        "fits": bool,
        "layers": [{"name": str, **_AMOUNTS}],
        "predicted": _AMOUNTS,
        "whole?": _AMOUNTS,
        "yosys": str,
    },
}
"""What the page relies on in each file: a type, the same or null, a list of a kind, an object with at least these keys
(those with "?" may be missing) or, under `str`, with any keys of a kind."""


@dataclass(frozen=True)
class Result:
    """What a command has left.

    Attributes:
        file: name of its file in the run's folder.
        command: that makes it.
        content: of the file; None if it is missing or not of the network and folding as they are now.
        problem: why there is no content.
        stale: whether there is a file all the same.
    """

    file: str
    command: str
    content: dict[str, Any] | None
    problem: str = ""
    stale: bool = False


def result(build: Build, step: str, name: str) -> Result:
    """Read the JSON file that a step leaves in the run's folder, or in that of its board.

    Args:
        build: the run, and the board.
        step: the step.
        name: of the file.

    Raises:
        BirealError: the file is broken.
    """
    about = {"run": build.path.name, "board": build.board.name} if of_board(step) else {}
    path = build.path / about.get("board", "") / name
    file, again = str(path.relative_to(build.path)), command(build, step)
    if not path.exists():
        return Result(file, again, None, "not made yet")
    reason = outdated(build, step)
    content = None if reason else checked(path)
    for key, wanted in about.items():
        if content and content[key] != wanted:
            reason, content = f"it is of {key}={content[key]}", None
    return Result(file, again, content, f"out of date: {reason}" if reason else "", stale=bool(reason))


def demo_result(build: Build) -> Result:
    """Read demo.json, which names itself what it was made from."""
    path, again = build.path / "demo.json", command(build, "demo")
    if not path.exists():
        return Result("demo.json", again, None, "not made yet")
    content = checked(path)
    made_from = content.get("made_from", {})
    other = [name for name in COMPARED if content_hash(build.path / name) != made_from.get(name)]
    if other:
        return Result("demo.json", again, None, f"out of date: it was made from another {other[0]}", stale=True)
    return Result("demo.json", again, content)


def command(build: Build, verb: str) -> str:
    """Write the command that does something for a run, and its board where that matters."""
    board = f" board={build.board.name}" if of_board(verb) else ""
    return f"make {verb} run={build.path.name}{board}"


def of_board(step: str) -> bool:
    """Return whether a step's files lie in the folder of a board."""
    return step in STEPS and STEPS[step].of_board


def outdated(build: Build, name: str) -> str | None:
    """Say why the result of a step is not that of the run as it is now, or None if it is.

    What the user wanted (speed, number of images) plays no part: a result shows what it was made with.
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


def on_board(build: Build, name: str) -> Build:
    """Return the same run for one of its boards; what the user wants of a folding goes to the board asked for."""
    other = {} if name == build.board.name else dict.fromkeys(REQUESTED)
    return replace(build, config=replace(build.config, board=name, **other), made=[])


def checked(path: Path) -> dict[str, Any]:
    """Read a JSON file that has the shape in SHAPES.

    Raises:
        BirealError: it is broken, or a value is of the wrong kind: its name, the value, what is wanted, the remedy.
    """
    content = read_json(path)
    wrong = mismatch(content, SHAPES[path.name])
    if wrong:
        raise BirealError(f"{path}: {wrong}; remove it to make it again")
    return content


_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def mismatch(value: Any, shape: Any, where: str = "") -> str | None:
    """Say where a JSON value differs from a shape (see SHAPES), or None if it does not.

    >>> mismatch({"images": "4"}, {"images": int, "runs?": int})
    "'images' is '4', not a whole number"
    >>> mismatch({"fifos": [{}]}, {"fifos": [{"depth": int}]})
    "'fifos[0].depth' is missing"
    """
    if isinstance(shape, tuple):
        return None if value is None else mismatch(value, shape[0], where)
    kind = shape if isinstance(shape, type) else type(shape)
    if not _is(value, kind):
        return f"'{where}' is {reprlib.repr(value)}, not {_WORDS[kind]}"
    parts: list[tuple[str, Any, Any]] = []
    if isinstance(shape, list):
        parts = [(f"{where}[{i}]", one, shape[0]) for i, one in enumerate(value)]
    elif isinstance(shape, dict) and str in shape:
        parts = [(f"{where}[{key}]", one, shape[str]) for key, one in value.items()]
    elif isinstance(shape, dict):
        for key, wanted in shape.items():
            name = key.removesuffix("?")
            at = f"{where}.{name}" if where else name
            if name in value:
                parts.append((at, value[name], wanted))
            elif name == key:
                return f"'{at}' is missing"
    return next((found for at, one, wanted in parts if (found := mismatch(one, wanted, at))), None)


def _is(value: Any, kind: type) -> bool:
    """Return whether a JSON value is of a kind: a whole number is a number too, and no truth value is one."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
