"""What every layer type has to answer, and that nothing else in the program asks for the type of a layer."""

from __future__ import annotations

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
