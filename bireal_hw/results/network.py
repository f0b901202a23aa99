"""The files about a network: how it was trained, what was exported, what the demo found."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from bireal_hw.results.base import OfRun
from bireal_hw.schema import Number, Schema

COMPARED = ("checkpoint.ckpt", "model.onnx", "graph.json")
"""Files of the deploy model, the QONNX file and the golden model: what the demo says of a network is about these."""


class TrainFile(OfRun):
    """`train.json`: how a network was trained, and its accuracies; the keys that others read."""

    file: ClassVar[str] = "train.json"
    epochs: int
    seed: int
    params_binary: int
    params_real: int
    train_images: int
    test_images: int
    top1_trained: Number
    top1_float: Number
    top1_deploy: Number | None
    seconds: Number


class ExportFile(OfRun):
    """`export.json`: what the QONNX file holds.

    Attributes:
        classes: their names.
        frac: integer logit = value * 2^frac.
        m_c: pixel offset of each channel.
        max_intermediate: proven bound of the absolute value, by layer.
    """

    file: ClassVar[str] = "export.json"
    classes: list[str]
    frac: int
    m_c: list[int]
    max_intermediate: dict[str, int]


class DemoCheck(Schema):
    """A line of the demo's verdict; `about` is `network` or `hardware`."""

    about: str = ""
    claim: str
    found: str
    holds: bool


class DemoFile(OfRun):
    """`demo.json`: what was claimed and what was found; `made_from` has the hash of each file in COMPARED."""

    file: ClassVar[str] = "demo.json"
    holds: bool = False
    checks: list[DemoCheck]
    made_from: dict[str, str] = Field(default_factory=dict)
    board: str = ""
