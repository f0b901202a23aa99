"""The zoo: trained networks that come with the program, so that hardware can be built without training.

Two files a network. NAME.npz is its QONNX file, packed: under MODEL the nodes and small constants (an ONNX message),
under its name each large constant, one bit a weight where all are -1 or +1. It holds arrays only and is read without
pickle, so it cannot run code; what comes out are the bytes that went in. NAME.json says what the network is: `spec`,
`dataset`, `train_images`, `test_images`, `top1_trained`, `top1_float` and `top1_deploy` in percent, `epochs`, `seed`,
`command` (which makes it), `note`.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from bireal_hw.errors import BirealError, unknown
from bireal_hw.files import replacing

FOLDER = Path(__file__).parent
PREFIX = "zoo:"
"""How the name of a network of the zoo begins where a model's may stand."""
MODEL = "model.onnx"
FLOAT = np.dtype("<f4")
LARGE = 256
"""Bytes from which on a constant is an array of its own."""

Arrays = dict[str, NDArray[Any]]


def names() -> list[str]:
    """Return the names of all networks in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.npz"))


def about(name: str) -> dict[str, Any]:
    """Return what NAME.json says; raises BirealError for an unknown name, and a file that is damaged."""
    if name not in names():
        raise unknown("network of the zoo", name, names())
    try:
        content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    except (OSError, ValueError) as error:
        raise _damaged(f"{name}.json", error) from error
    return content


def unpack(name: str) -> bytes:
    """Return the QONNX file of a network; raises BirealError for an unknown name, and a file that is damaged."""
    if name not in names():
        raise unknown("network of the zoo", name, names())
    try:
        with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as arrays:
            return from_arrays(dict(arrays))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, DecodeError) as error:
        raise _damaged(f"{name}.npz", error) from error


def pack(name: str, model: bytes, content: dict[str, Any]) -> int:
    """Put a QONNX file and what is to be said of it into the zoo under a name; return the bytes of both files.

    Raises BirealError if the folder cannot be written.
    """
    buffer, arrays = io.BytesIO(), to_arrays(model)
    assert from_arrays(arrays) == model, "a network that does not come out as it went in"
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    text = (json.dumps(content, indent=2) + "\n").encode()
    try:
        for suffix, data in ((".json", text), (".npz", buffer.getvalue())):
            with replacing(FOLDER / f"{name}{suffix}") as part:
                part.write_bytes(data)
    except OSError as error:
        raise BirealError(f"cannot write to {FOLDER}: {error.strerror}") from error
    return len(text) + len(buffer.getvalue())


def to_arrays(data: bytes) -> Arrays:
    """Take an ONNX file apart into its nodes and its constants.

    Large constants of float32 are taken out, those of -1 and +1 as bits (bit 1 is +1).
    """
    model = onnx.load_from_string(data)
    arrays: Arrays = {}
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.raw_data) >= LARGE:
            values = np.frombuffer(tensor.raw_data, FLOAT)
            bipolar = bool(np.all(np.abs(values) == 1))
            arrays[tensor.name] = np.packbits(values > 0) if bipolar else values
            tensor.raw_data = b""
    arrays[MODEL] = np.frombuffer(model.SerializeToString(), np.uint8)
    return arrays


def from_arrays(arrays: Arrays) -> bytes:
    """Undo `to_arrays`; raises KeyError or ValueError for arrays that it did not make."""
    model = onnx.load_from_string(arrays[MODEL].tobytes())
    for tensor in model.graph.initializer:
        if tensor.name in arrays:
            values = arrays[tensor.name]
            if values.dtype == np.uint8:
                values = np.unpackbits(values, count=int(np.prod(tensor.dims))).astype(FLOAT) * 2 - 1
            tensor.raw_data = values.astype(FLOAT).tobytes()
    return model.SerializeToString()


def _damaged(file: str, error: Exception) -> BirealError:
    return BirealError(f"{FOLDER / file} is damaged ({type(error).__name__}): install bireal_hw again")
