"""A file of a network to the integer graph: the only door into the compiler, and nothing but the file is read.

`reader.py` goes through the nodes, `rules/` says what each type of node means, `closing.py` how a function of a stream
becomes a layer, `grid.py` which integers stand for real numbers, `reference.py` runs the file as others read it, and
`compare.py` holds the two against each other.
"""

from __future__ import annotations

from bireal_hw.lowering.convert import Conversion, Options, convert, lower
from bireal_hw.lowering.files import copy, load
from bireal_hw.lowering.pixels import Pixels
from bireal_hw.lowering.reader import METADATA

__all__ = ["METADATA", "Conversion", "Options", "Pixels", "convert", "copy", "load", "lower"]
