"""The files of a training run: a finished network, and one in the middle of its training."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from bireal_hw.errors import BirealError
from bireal_hw.models.bireal import BiReal, build_model
from bireal_hw.models.modes import set_modes
from bireal_hw.models.spec import ModelSpec
from bireal_hw.training import foreign

FORMAT = "bireal-hw checkpoint"
VERSION = 1
REMEDY = "remove it to train again, or choose another run=NAME"
"""What to do about a bad file of a run; one that the user named, to begin with or as a teacher, is theirs to keep."""

Net = TypeVar("Net", bound=nn.Module)


def save_checkpoint(path: Path, model: nn.Module, spec: ModelSpec, info: dict[str, Any]) -> None:
    """Write a finished network: weights, spec and `info` (what train.json says). Replaces `path` in one move."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "spec": spec.to_json(),
        "info": info,
        "state_dict": {name: tensor.cpu() for name, tensor in model.state_dict().items()},
    }
    with replacing(path) as part:
        torch.save(content, part)


def load_checkpoint(path: Path, remedy: str = REMEDY) -> tuple[BiReal, ModelSpec, dict[str, Any]]:
    """Read a finished classifier; see `load_network`."""
    return load_network(path, build_model, remedy)


def load_network(
    path: Path, build: Callable[[ModelSpec], Net], remedy: str = REMEDY
) -> tuple[Net, ModelSpec, dict[str, Any]]:
    """Read a finished network, of the kind that `build` builds: (model in eval mode on the CPU, its spec, info).

    A network of an early stage comes back as it was: with ReLU for its signs, for instance.
    Only tensors and plain values are read, so a foreign file cannot run code.
    Raises BirealError for a file that is missing, broken, truncated, not ours, or does not fit its own spec.
    """
    content = read(path, remedy)
    if content.get("format") != FORMAT:
        raise BirealError(f"checkpoint {path} was not written by bireal-hw: it lacks format='{FORMAT}'; {remedy}")
    if content.get("version") != VERSION:
        raise BirealError(
            f"checkpoint {path} has version {content.get('version')}; this program reads version {VERSION}; {remedy}"
        )
    try:
        spec = ModelSpec.from_json(content["spec"])
        model = build(spec)
        model.load_state_dict(content["state_dict"])
        info = dict(content["info"])
        set_modes(model, info.get("activation", "sign"), info.get("weights", "binary"))
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BirealError(f"checkpoint {path} does not fit the network it names: {reason}; {remedy}") from error
    return model.eval(), spec, info


def read(path: Path, remedy: str = REMEDY) -> dict[str, Any]:
    """Read a file of torch.save without running code from it; see `foreign.load`.

    Raises BirealError for a file that is missing, broken, or whose archive has other checksums than its content.
    """
    if not path.is_file():
        raise BirealError(f"checkpoint {path} does not exist; train first")
    content = foreign.load(path, remedy)
    if isinstance(content, foreign.Foreign):
        return {content.kind: content}
    if not isinstance(content, dict):
        raise BirealError(f"checkpoint {path} holds a {type(content).__name__}, not a checkpoint; {remedy}")
    return content


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to and rename it at the end: `path` is the old file or the new one, never half.

    Raises BirealError if the file cannot be written; the old one stays.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, RuntimeError) as error:
        raise BirealError(f"cannot write {path}: {' '.join(str(error).split())}") from error
    finally:
        part.unlink(missing_ok=True)
