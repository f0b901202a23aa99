"""The file of the engine's weights: whether one is whole, and of which network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bireal_hw.engine.program import HEADER, MAGIC
from bireal_hw.errors import BirealError


def check_image(path: Path, expected: bytes) -> None:
    """Refuse a file that is not the image of a network.

    Raises:
        BirealError: it cannot be read, is no image, cut off, or of another network, folding or version.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = file.read(HEADER)
    except OSError as error:
        raise BirealError(f"cannot read the weights {path}: {error.strerror}; make rtl writes them") from error
    if len(header) < HEADER or int(np.frombuffer(header, "<u8")[0]) != MAGIC:
        raise BirealError(f"{path} is no image of weights: it does not begin as one; make rtl writes it")
    _, identity, length, *_ = np.frombuffer(header, "<u8").tolist()
    if size != length:
        raise BirealError(f"{path} is damaged: {size:,} bytes, its header says {length:,}; make rtl writes it again")
    wanted = int(np.frombuffer(expected[:HEADER], "<u8")[1])
    if identity != wanted:
        raise BirealError(
            f"{path} is of another network, folding or version: its identity is {identity:014x}, that of the hardware"
            f" {wanted:014x}; make rtl writes both"
        )
    if path.read_bytes() != expected:
        raise BirealError(f"{path} is damaged: its weights are not those of its identity; make rtl writes it again")
