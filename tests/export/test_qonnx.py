"""The QONNX file: the same logits as the deploy model, the nodes of the contract, whole or not at all."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'bireal-hw[train]'")

import numpy as np
import onnx
import torch

from bireal_hw.errors import BirealError
from bireal_hw.export.deploy import to_deploy
from bireal_hw.export.qonnx import export_qonnx, run_qonnx
from bireal_hw.models.randomise import random_images
from bireal_hw.models.spec import ModelSpec
from tests.export.samples import SAMPLES, SPECS, network

pytestmark = pytest.mark.torch


def names(spec: ModelSpec) -> list[str]:
    return [f"class {index}" for index in range(spec.classes)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("qonnx")


@pytest.mark.parametrize("name", SAMPLES)
def test_qonnx_computes_the_same_logits(name: str, tmp_path: Path) -> None:
    spec = SPECS[name]
    deploy = to_deploy(network(name), spec)
    path = tmp_path / "model.onnx"
    described = export_qonnx(deploy, spec, path, names(spec))
    images = random_images(spec, 5, 41)
    images[3], images[4] = 0, 255
    batch = 3 if name in ("small", "pooled") else 5  # qonnx takes long to change the batch of a deep network
    logits = run_qonnx(path, images.numpy(), batch)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, deploy(images.float()).numpy())
    assert len(np.unique(logits)) > spec.classes
    assert described == {
        "spec": spec.to_json(),
        "classes": names(spec),
        "input_shape": [1, spec.channels, *spec.image],
        "frac": deploy.frac,
        "m_c": deploy.m_c,
        "shortcut_fracs": deploy.report.shortcut_fracs,
        "max_intermediate": deploy.report.max_intermediate,
    }
    assert list(described["shortcut_fracs"]) == ["layer1", "layer2", "layer3", "layer4"]
    assert {"conv1", "layer1.1", "layer4.2.affine", "pool", "classifier"} <= set(described["max_intermediate"])


@pytest.fixture(scope="module")
def exported(folder: Path) -> Path:
    path = folder / "pooled.onnx"
    export_qonnx(to_deploy(network("pooled"), SPECS["pooled"]), SPECS["pooled"], path, names(SPECS["pooled"]))
    return path


def test_file_has_the_nodes_of_the_contract(exported: Path) -> None:
    graph = onnx.load(exported).graph
    assert [tensor.name for tensor in graph.input] == ["p"]
    assert [tensor.name for tensor in graph.output] == ["logits"]
    blocks, downs = 16, 3
    assert Counter(node.op_type for node in graph.node) == {
        "Sub": 1,
        "Mul": 1 + blocks,
        "Conv": 1 + blocks + downs,
        "BipolarQuant": 2 * blocks,
        # center, stem, blocks (affine, merge), downsamples (pool, weights, output), pool, weights of stem and fc
        "Quant": 2 + 2 * blocks + 3 * downs + 3,
        # stem, blocks (affine, merge), downsamples (half, H), pool
        "Add": 1 + 2 * blocks + 2 * downs + 1,
        "MaxPool": 1,
        "AveragePool": downs,
        "ReduceSum": 1,
        "Gemm": 1,
    }
    found = [node.name for node in graph.node]
    assert len(set(found)) == len(found)
    assert {"layer1_0_binary_conv", "layer2_0_downsample_conv", "layer4_3_merge", "classifier_fc"} <= set(found)
    rounding = {
        next(a.s for a in node.attribute if a.name == "rounding_mode")
        for node in graph.node
        if node.op_type == "Quant" and not node.name.endswith("_weight")
    }
    assert rounding == {b"FLOOR"}
    produced = {tensor for node in graph.node for tensor in node.output}
    known = produced | {tensor.name for tensor in graph.initializer} | {"p"}
    assert {tensor for node in graph.node for tensor in node.input} <= known
    assert {tensor.name for tensor in graph.value_info} <= known


def test_same_network_gives_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    spec = SPECS["pooled"]
    deploy = to_deploy(network("pooled"), spec)
    images = random_images(spec, 2, 2).float()
    before = deploy(images)
    export_qonnx(deploy, spec, tmp_path / "model.onnx", names(spec))
    assert (tmp_path / "model.onnx").read_bytes() == exported.read_bytes()
    assert torch.equal(before, deploy(images)), "exporting leaves the deploy model usable"


def test_wrong_number_of_class_names_is_refused(folder: Path) -> None:
    spec = SPECS["small"]
    with pytest.raises(BirealError) as caught:
        export_qonnx(to_deploy(network("small"), spec), spec, folder / "x.onnx", ["a", "b"])
    assert str(caught.value) == "class_names has 2 names: the network has 10 classes"


def test_folder_that_cannot_be_written_is_refused(folder: Path) -> None:
    spec = SPECS["small"]
    path = folder / "missing" / "model.onnx"
    with pytest.raises(BirealError) as caught:
        export_qonnx(to_deploy(network("small"), spec), spec, path, names(spec))
    assert str(caught.value) == f"cannot write {path}: No such file or directory"


def test_interrupted_export_leaves_the_earlier_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SPECS["small"]
    where = folder / "interrupted"
    where.mkdir()
    path = where / "model.onnx"
    path.write_bytes(b"earlier")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(onnx.checker, "check_model", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export_qonnx(to_deploy(network("small"), spec), spec, path, names(spec))
    assert path.read_bytes() == b"earlier"
    assert [file.name for file in where.iterdir()] == ["model.onnx"]
