"""What every layer type has to answer, and that nothing else in the program asks for the type of a layer."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import ClassVar

import pytest

from bireal_hw.analysis.calibrate import instances
from bireal_hw.analysis.cost import MODULES, predict
from bireal_hw.ir.op import Look, Op, register
from bireal_hw.ops import LeakyClip


def test_a_layer_type_that_leaves_a_question_open_is_refused() -> None:
    class Half(LeakyClip):
        kind: ClassVar[str] = "half"
        anatomy = Op.anatomy
        qonnx = Op.qonnx

    with pytest.raises(TypeError, match=r"^Half lacks anatomy, qonnx: see bireal_hw/ir/op.py$"):
        register(Half)
    assert "half" not in Op.registry


def test_a_layer_type_without_a_look_is_refused() -> None:
    class Bare(Op):
        kind: ClassVar[str] = "bare"

    with pytest.raises(TypeError, match=r"^Bare lacks look, anatomy, calibration, "):
        register(Bare)  # type: ignore[type-abstract]


def test_two_layer_types_of_one_name_are_refused() -> None:
    class Twin(LeakyClip):
        pass

    with pytest.raises(TypeError, match=r"^Twin and LeakyClip have the same kind: leaky_clip$"):
        register(Twin)


def test_the_cost_model_is_calibrated_on_every_module() -> None:
    samples = [binding for binding, _ in instances()]
    assert {binding.module for binding in samples} == set(MODULES)
    for binding in samples:
        assert predict(binding.module, binding.parameters).lut >= 0


def test_a_legend_has_one_place_for_each_layer_type() -> None:
    looks: list[Look] = [op.look for op in Op.registry.values()]
    assert sorted(look.rank for look in looks) == list(range(len(looks)))
    assert max(len(look.meaning) for look in looks) <= 60


TRANSLATORS = {"crosscheck", "lowering", "ops"}
"""Parts that turn a layer into that of another tool, or make it: they have to know what it is."""


def asked(source: str) -> set[str]:
    """Return the layer types for which a module asks, by isinstance or by a case."""
    kinds = {op.__name__ for op in Op.registry.values()}
    found = set[str]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
            found |= {name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)} & kinds
        elif isinstance(node, ast.MatchClass) and isinstance(node.cls, ast.Name):
            found |= {node.cls.id} & kinds
    return found


def test_nobody_asks_for_the_type_of_a_layer() -> None:
    package = Path(__file__).parents[2] / "bireal_hw"
    asking = {
        str(path.relative_to(package)): kinds
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] not in TRANSLATORS and (kinds := asked(path.read_text()))
    }
    assert asking == {}


def test_a_question_is_found() -> None:
    assert asked("isinstance(op, Merge | AvgPool)") == {"Merge", "AvgPool"}
    assert asked("match op:\n    case Sign():\n        pass") == {"Sign"}
