"""The networks that are measured."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bireal_hw import zoo
from bireal_hw.ir.graph import Graph
from bireal_hw.lowering import lower

DEMO = "bireal18-digits"
"""The zoo's network that is that of the demo: Bi-Real-18, width 0.25, 16x16 gray."""


def demo() -> Graph:
    """Return the demo's network, trained."""
    return _lowered(zoo.unpack(DEMO))


def _lowered(model: bytes) -> Graph:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model)
        return lower(path)
