"""The file about how a network's file became a graph."""

from __future__ import annotations

from typing import ClassVar

from bireal_hw.results.base import OfRun
from bireal_hw.schema import Number, Schema


class Moved(Schema):
    """Something that no layer computes exactly: its node, what was done, and the most that the node's output moves."""

    node: str
    becomes: str
    by: Number


class LowerFile(OfRun):
    """`lower.json`: the graph against the file, layer by layer with the same inputs and from image to answer.

    Attributes:
        exact: whether nothing was moved, so that every number is the same.
        images: that both were run on.
        tensors: of the file that were compared with a stream of the graph.
        saturated: values that a stream's format cut off.
        zeros: signs that are 0 in the file, and not in hardware.
        largest, rms: difference of the outputs, in the file's units.
        spread: standard deviation of the file's outputs.
        agreement: share of the images with the same class, 0 to 1.
        pixels: what a stored pixel stands for, and how that is known.
        moved: what was moved, in the order of the nodes.
    """

    file: ClassVar[str] = "lower.json"
    exact: bool
    images: int
    tensors: int
    saturated: int
    zeros: int
    largest: Number
    spread: Number
    rms: Number
    agreement: Number
    pixels: str
    moved: list[Moved]

    @property
    def found(self) -> str:
        """In a line."""
        if self.exact:
            return f"the same numbers on {self.images} images, {self.tensors} tensors each"
        relative = self.rms / self.spread if self.spread else 0.0
        return (
            f"each of {self.tensors} tensors within its bound; outputs {relative:.2%} of their spread away,"
            f" the same class in {self.agreement:.1%} of {self.images} images"
            + (f"; {self.zeros} signs are 0 in the file and 1 here" if self.zeros else "")
        )
