"""hls4ml as a second opinion: the same integers without padding, a border of -1 with it."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.crosscheck import through_hls4ml
from bireal_hw.crosscheck.network import unpadded
from bireal_hw.crosscheck.padding import padding_effect
from bireal_hw.crosscheck.qonnx import write
from bireal_hw.errors import BirealError
from bireal_hw.golden import run
from bireal_hw.lowering import lower
from tests.networks import random_images

pytestmark = [pytest.mark.hls, pytest.mark.torch]


@pytest.fixture(autouse=True)
def _needs_hls4ml() -> None:
    pytest.importorskip("hls4ml", reason="wants hls4ml: pip install 'bireal-hw[hls]'")


@pytest.mark.slow  # g++ works half a minute on what hls4ml writes
def test_logits_equal_golden(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    write(unpadded(seed=1), path)
    graph = lower(path)
    images = random_images(graph, 8)
    got = through_hls4ml.predict(path, graph, images, tmp_path / "project")
    assert np.array_equal(got, run(graph, images))


def test_padded_bits_become_minus_one(tmp_path: Path) -> None:
    tool = partial(through_hls4ml.predict, project=tmp_path / "project")
    found = padding_effect(tool, tmp_path / "padded.onnx")
    assert found["differ_from_minus_one"] == 0
    assert 0 < found["differ_from_zero"] <= 64 < found["outputs"]  # 16 border pixels of 4 channels


@pytest.mark.slow
def test_what_hls4ml_does_not_know_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    write(unpadded(integer=True), path)  # every channel on one scale: 1.3.0 fuses the bias into a wrong shape
    graph = lower(path)
    with pytest.raises(BirealError, match=r"hls4ml stopped on .*net\.onnx: ") as caught:
        through_hls4ml.predict(path, graph, random_images(graph, 1), tmp_path / "project")
    assert "\n" not in str(caught.value)
