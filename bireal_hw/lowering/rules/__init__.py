"""What is done with each type of node: one function a type, with the attributes that it honours."""

from __future__ import annotations

from dataclasses import replace

from bireal_hw.lowering.reader import Rule
from bireal_hw.lowering.rules import arithmetic, layers, quantizers, shapes, signs

_ALL = {**arithmetic.RULES, **layers.RULES, **quantizers.RULES, **shapes.RULES, **signs.RULES}
RULES: dict[str, Rule] = {
    kind: replace(rule, read=signs.with_choices(kind, rule.read)) for kind, rule in sorted(_ALL.items())
}
"""By type of node."""
