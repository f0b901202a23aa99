"""Every network from PyTorch to the golden model: the same integers, and the layers that it should have."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'bireal-hw[train]'")

from bireal_hw import golden
from bireal_hw.export.deploy import to_deploy
from bireal_hw.export.qonnx import export_qonnx, run_qonnx
from bireal_hw.ir.graph import Graph, dumps, loads
from bireal_hw.lowering import lower
from bireal_hw.models.bireal import build_model
from bireal_hw.models.randomise import random_images, randomise
from bireal_hw.models.spec import ModelSpec
from bireal_hw.ops import Merge, Sign
from tests.export.samples import LONG, SPECS, network

pytestmark = pytest.mark.torch

LAYERS = {
    # Stem, 47 binary convolutions with as many merges, 4 + 3 real shortcuts, the first convolution, classifier; pools:
    # one in front of each real 1x1 convolution, 3 of a shortcut alone, the global one.
    "bottleneck": {"sign": 47, "binary_conv": 47, "merge": 47, "real_conv": 10, "avg_pool": 12, "leaky_clip": 1},
    "react": {"sign": 16, "binary_conv": 16, "merge": 16, "real_conv": 5, "avg_pool": 4},
    "react a": {"sign": 26, "binary_conv": 26, "merge": 26, "real_conv": 2, "avg_pool": 4, "duplicate": 5},
    "react a pooled": {"sign": 26, "binary_conv": 26, "merge": 26, "real_conv": 2, "avg_pool": 5, "duplicate": 5},
    "xnor": {"sign": 16, "binary_conv": 16, "merge": 8, "rescale": 8, "real_conv": 5, "avg_pool": 4},
    "plain": {"sign": 16, "binary_conv": 16, "rescale": 16, "real_conv": 2, "avg_pool": 1},
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in LAYERS]
)
def test_golden_computes_the_logits_of_pytorch(name: str, tmp_path: Path) -> None:
    spec = SPECS[name]
    deploy = to_deploy(network(name), spec)
    export_qonnx(deploy, spec, tmp_path / "model.onnx", [str(index) for index in range(spec.classes)])
    graph = lower(tmp_path / "model.onnx")
    assert Counter(node.op.kind for node in graph) == {"center": 1, **LAYERS[name]}
    images = random_images(spec, 4, 17)
    images[2], images[3] = 0, 255
    logits = deploy(images.float()).double().numpy() * 2.0**deploy.frac
    got = golden.run(graph, images.numpy().transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(got, logits)
    assert graph.output.dtype.frac == deploy.frac
    _has_its_constants(name, graph)
    again = loads(dumps(graph))
    assert again == graph
    assert dumps(again) == dumps(graph)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "convolutions"), [("bireal34", 32), ("bireal101", 98), ("bireal152", 149)])
def test_deep_networks_compute_the_same_everywhere(model: str, convolutions: int, tmp_path: Path) -> None:
    spec = ModelSpec(model, 0.125, (8, 8), 1, 3)
    deploy = to_deploy(randomise(build_model(spec), spec, 3), spec)
    path = tmp_path / "model.onnx"
    export_qonnx(deploy, spec, path, ["a", "b", "c"])
    graph = lower(path)
    assert Counter(node.op.kind for node in graph)["binary_conv"] == convolutions
    images = random_images(spec, 2, 17)
    logits = deploy(images.float())
    np.testing.assert_array_equal(run_qonnx(path, images.numpy(), 2), logits.numpy())
    want = logits.double().numpy() * 2.0**deploy.frac
    np.testing.assert_array_equal(golden.run(graph, images.numpy().transpose(0, 2, 3, 1)), want)


def _has_its_constants(name: str, graph: Graph) -> None:
    merges = [node.op for node in graph if isinstance(node.op, Merge)]
    signs = [node.op for node in graph if isinstance(node.op, Sign)]
    react = name.startswith("react")
    assert all((merge.slope is not None) == react for merge in merges)
    assert all((sign.threshold is not None) == react for sign in signs)
    if react:
        slopes = {int(k) for merge in merges if merge.slope is not None for k in merge.slope}
        assert len(slopes) > 4
        assert len({int(t) for sign in signs if sign.threshold is not None for t in sign.threshold}) > 20
