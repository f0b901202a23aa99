"""A network of stock Brevitas layers as a QONNX file, as Brevitas itself exports it."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import torch

from bireal_hw.errors import BirealError


def export_module(module: torch.nn.Module, example: torch.Tensor, path: Path) -> None:
    """Write a module as QONNX, without what torch and Brevitas print meanwhile.

    Args:
        module: of layers that Brevitas exports; put into eval mode.
        example: (1, C, H, W), which it reads.
        path: of the file.

    Raises:
        BirealError: it is not exported; in one line, what torch or Brevitas said.
    """
    said = io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(said), redirect_stderr(said):
            warnings.simplefilter("ignore")
            from brevitas.export import export_qonnx

            export_qonnx(module.eval(), example, export_path=str(path))
    except Exception as error:  # torch and Brevitas have many
        words = " ".join(str(error).split())
        raise BirealError(f"Brevitas cannot export {type(module).__name__}: {words}") from error
