"""Integers to stream beats and back: the only place that knows how elements lie in a beat.

A beat holds `lanes` channels of one pixel, lowest channel in the low bits, two's complement; at one bit an element is
-1/+1 and stands as 0/1. Beats travel to and from the simulator as text, one hexadecimal number of fixed length a line.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bireal_hw.errors import BirealError
from bireal_hw.ir.encoding import bit
from bireal_hw.ir.op import Port

_TO_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_FROM_HEX = np.full(256, 255, np.uint8)
_FROM_HEX[_TO_HEX] = np.arange(16)
_NEWLINE = ord("\n")


def hex_beats(frames: NDArray[np.integer], port: Port) -> bytes:
    r"""Write frames as beats, one hexadecimal line each.

    Args:
        frames: (N, H, W, C) integers in the range of the port's format, or any shape whose last axis `lanes` divides.
        port: lanes of a beat and format of an element.

    Raises:
        BirealError: lanes do not divide the channels, or a value does not fit the format.

    >>> from bireal_hw.ir.types import BIPOLAR, DataType
    >>> hex_beats(np.array([[[[1, -1, 3]]]]), Port("s_axis", 3, DataType(4)))
    b'3f1\n'
    >>> hex_beats(np.array([[[[1, -1, 1]]]]), Port("s_axis", 3, BIPOLAR))
    b'5\n'
    """
    width, dtype = port.dtype.width, port.dtype
    if frames.shape[-1] % port.lanes:
        raise BirealError(f"{port.name}: {frames.shape[-1]} channels are not a multiple of lanes={port.lanes}")
    if frames.size and (frames.min() < dtype.low or frames.max() > dtype.high):
        low, high = int(frames.min()), int(frames.max())
        raise BirealError(
            f"{port.name}: values {low}..{high} do not fit {dtype}, which holds {dtype.low}..{dtype.high}"
        )
    elements = (bit(frames) if dtype.bipolar else frames.astype(np.int64)).reshape(-1, port.lanes)
    bits = (elements[:, :, None] >> np.arange(width)) & 1
    digits = -(-port.width // 4)
    padded = np.zeros((len(elements), digits * 4), np.uint8)
    padded[:, : port.width] = bits.reshape(len(elements), port.width)
    nibbles = np.packbits(padded.reshape(-1, digits, 4), axis=-1, bitorder="little")[:, ::-1, 0]
    return np.concatenate([_TO_HEX[nibbles], np.full((len(elements), 1), _NEWLINE, np.uint8)], axis=1).tobytes()


def parse_beats(text: bytes, port: Port) -> NDArray[np.int64]:
    r"""Read what `hex_beats` writes: (beats, lanes) integers, -1/+1 for a bipolar port.

    Raises:
        BirealError: the text is not hexadecimal lines of this port's length.

    >>> from bireal_hw.ir.types import DataType
    >>> parse_beats(b"3f1\n", Port("m_axis", 3, DataType(4))).tolist()
    [[1, -1, 3]]
    """
    digits = -(-port.width // 4)
    raw = np.frombuffer(text, np.uint8)
    lines = raw[: len(raw) // (digits + 1) * (digits + 1)].reshape(-1, digits + 1)
    nibbles = _FROM_HEX[lines[:, :-1]]
    if lines.size != raw.size or np.any(nibbles > 15) or np.any(lines[:, -1] != _NEWLINE):
        raise BirealError(f"{port.name}: the recording is not lines of {digits} hexadecimal digits")
    bits = np.unpackbits(nibbles[:, ::-1, None], axis=-1, bitorder="little", count=4)
    width, dtype = port.dtype.width, port.dtype
    fields = bits.reshape(len(lines), digits * 4)[:, : port.width].reshape(len(lines), port.lanes, width)
    if dtype.bipolar:
        return fields[:, :, 0].astype(np.int64) * 2 - 1
    weights = np.int64(1) << np.arange(width, dtype=np.int64)
    if dtype.signed:
        weights[-1] = -weights[-1]
    return fields.astype(np.int64) @ weights
