"""The layers of a network that the engine computes, as a graph of their own."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bireal_hw.ir.graph import Graph
from bireal_hw.ir.types import TensorType


@dataclass(frozen=True, eq=False)
class Tail(Graph):
    """A graph whose input is several tensors, channels behind channels, which its nodes read by their names.

    Attributes:
        parts: (name, type) of these tensors, in the order of their channels.
    """

    parts: tuple[tuple[str, TensorType], ...] = field(kw_only=True)

    @property
    def given(self) -> dict[str, TensorType]:
        """Type of every part."""
        return dict(self.parts)


def split(graph: Graph, x: NDArray[np.integer]) -> dict[str, NDArray[np.integer]]:
    """Return the tensors that a graph is given, of its input (N, H, W, C)."""
    ends = np.cumsum([tensor.channels for tensor in graph.given.values()])
    return dict(zip(graph.given, np.split(x, ends[:-1], axis=-1), strict=True))
