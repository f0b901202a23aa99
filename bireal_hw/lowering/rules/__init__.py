"""What is done with each type of node: one function a type, with the attributes that it honours."""

from __future__ import annotations

from bireal_hw.lowering.reader import Rule
from bireal_hw.lowering.rules import arithmetic, layers, quantizers, shapes

RULES: dict[str, Rule] = dict(sorted({**arithmetic.RULES, **layers.RULES, **quantizers.RULES, **shapes.RULES}.items()))
"""By type of node."""
