"""Reading and copying ONNX files, with the second file in which exporters keep large weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from bireal_hw.errors import BirealError


def load(path: Path) -> onnx.ModelProto:
    """Read an ONNX file, weights in a second file (external data) included.

    Raises:
        BirealError: one of them is missing or broken.
    """
    try:
        model = onnx.load(str(path))
    except DecodeError as error:
        raise BirealError(f"cannot read {path}: it is not an ONNX file, or it is truncated") from error
    except MemoryError as error:
        raise BirealError(f"cannot read {path}: its weights do not fit in the memory of this machine") from error
    except (OSError, onnx.checker.ValidationError, ValueError) as error:
        if not path.is_file():
            raise BirealError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
        missing = [name for name in _external(path) if not (path.parent / name).is_file()]
        reason = f"its weights are in a second file, {missing[0]}, which is missing beside it" if missing else error
        raise BirealError(f"cannot read {path}: {' '.join(str(reason).split())}") from error
    if not path.stat().st_size:
        raise BirealError(f"cannot read {path}: it is empty")
    return model


def copy(path: Path, target: Path) -> None:
    """Write an ONNX file once more, with the weights that stand in a second file inside it."""
    if _external(path):
        onnx.save(load(path), str(target))
    else:
        shutil.copyfile(path, target)


def is_channels_last(model: onnx.ModelProto, name: str) -> bool:
    """Whether an image that a file reads is (N, H, W, C), as Keras has it: turned first, or by its sizes."""
    turned = [node for node in model.graph.node if name in node.input and node.op_type == "Transpose"]
    if turned:
        perms = [list(one.ints) for node in turned for one in node.attribute if one.name == "perm"]
        return [0, 3, 1, 2] in perms
    sizes = [[dim.dim_value for dim in one.type.tensor_type.shape.dim] for one in model.graph.input if one.name == name]
    return any(len(dims) == 4 and dims[3] in (1, 3) and dims[1] not in (1, 3) for dims in sizes)


def _external(path: Path) -> list[str]:
    """Names of the files that hold weights of a model."""
    model = onnx.load(str(path), load_external_data=False)
    entries = [entry for tensor in model.graph.initializer for entry in tensor.external_data]
    return sorted({entry.value for entry in entries if entry.key == "location"})
