"""C++ for Vitis HLS: a project from a network, C simulation, the vendor's tools where they are installed."""

from bireal_hw.hls.design import Design, design
from bireal_hw.hls.generator import generate

__all__ = ["Design", "design", "generate"]
