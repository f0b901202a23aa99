"""Center: p - m_c on 8 or 9 bits."""

from __future__ import annotations

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Fold
from bireal_hw.ir.types import PIXEL, TensorType
from bireal_hw.ops import Center
from tests.conformance import check_op


def naive(p: Array, offset: list[int]) -> Array:
    return np.stack([p[..., c].astype(int) - m for c, m in enumerate(offset)], axis=-1)


@pytest.mark.rtl
@pytest.mark.parametrize(
    ("offset", "lanes", "width"), [([128], 1, 8), ([128] * 3, 3, 8), ([124, 116, 104], 3, 9), ([0, 255, 7], 1, 9)]
)
def test_naive_golden_and_rtl_agree(offset: list[int], lanes: int, width: int) -> None:
    op, image = Center(np.array(offset)), TensorType.full(3, 4, len(offset), PIXEL)
    assert op.infer(image).dtype.width == width
    check_op(op, [image], Fold(lanes=lanes), lambda p: naive(p, offset))


@pytest.mark.parametrize(
    ("offset", "message"),
    [([128, 128], "center: 2 offsets for 1 channels"), ([256], "center: offsets [256] must lie in 0..255")],
)
def test_messages_name_the_limits(offset: list[int], message: str) -> None:
    with pytest.raises(BirealError) as error:
        Center(np.array(offset)).infer(TensorType.full(2, 2, 1, PIXEL))
    assert str(error.value) == message
