"""The processes that torchrun starts beside the first one of a training."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bireal_hw.errors import BirealError
from bireal_hw.run.config import parse_arguments
from bireal_hw.run.network import PARTIAL, resolve, run_dir
from bireal_hw.steps.train import planned


def joins() -> bool:
    """Tell whether torchrun started this process to take part in the training of a first one."""
    return int(os.environ.get("RANK", "0")) > 0 and "TORCHELASTIC_RUN_ID" in os.environ


def join(verb: str, arguments: list[str]) -> int:
    """Train beside the first process, leaving no file; returns the exit status.

    Raises BirealError for anything but `train`: the other commands are the work of one process.
    """
    if verb != "train":
        raise BirealError(f"{verb} is the work of one process: torchrun is for train")
    config = parse_arguments(arguments)
    run = run_dir(config)
    if (run.path / "checkpoint.ckpt").exists():
        return 0  # nothing is left to train
    from bireal_hw.training.fit import train

    with tempfile.TemporaryDirectory() as folder:
        train(*planned(resolve(config, run)), Path(folder), run.path / PARTIAL, progress=False)
    return 0
