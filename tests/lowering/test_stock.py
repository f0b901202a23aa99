"""Networks in stock Brevitas, by people who never heard of this program: in, and held against what they are."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import bireal_hw
from bireal_hw import golden
from bireal_hw.errors import BirealError, VerdictError
from bireal_hw.hls import network as hls
from bireal_hw.lowering import Conversion, Options, convert
from bireal_hw.lowering.compare import Distance, compare
from bireal_hw.lowering.convert import generated
from bireal_hw.lowering.reader import METADATA
from bireal_hw.lowering.rules import RULES
from tests.lowering.stock import SIDE, export, network

MANY = 300
AGREEMENT = 0.99


def images(seed: int, count: int = 16) -> NDArray[np.floating]:
    return np.random.default_rng(seed).normal(size=(count, 3, SIDE, SIDE)).astype(np.float32)


def converted(seed: int, folder: Path, count: int = 16) -> tuple[Conversion, Distance]:
    """A random network, converted with one set of images and compared on another one."""
    path = folder / f"{seed}.onnx"
    export(network(seed), path)
    found = convert(path, Options(images=images(1000 + seed)))
    return found, compare(found, found.pixels.nearest(images(2000 + seed, count)))


@pytest.mark.parametrize("seed", [*range(4), 188])  # 188: a sign and a convolution read a BatchNorm
def test_a_random_network_in_stock_brevitas(seed: int, tmp_path: Path) -> None:
    found, distance = converted(seed, tmp_path)
    assert distance.tensors >= 6
    assert distance.agreement >= 0.9
    assert distance.rms < 0.2 * distance.spread
    assert {node.op.kind for node in found.graph} >= {"center", "real_conv", "sign", "binary_conv"}


@pytest.mark.slow
def test_many_random_networks_in_stock_brevitas(tmp_path: Path) -> None:
    agreements = [converted(seed, tmp_path)[1].agreement for seed in range(100, 100 + MANY)]
    assert np.mean(agreements) >= AGREEMENT


def test_torch_computes_what_the_file_is_compared_with(tmp_path: Path) -> None:
    """The file's answers are those of the module itself: nothing between Brevitas and the integers is ours alone."""
    model = network(1)
    export(model, tmp_path / "m.onnx")
    found = convert(tmp_path / "m.onnx", Options(images=images(1)))
    pixels = found.pixels.nearest(images(2, 32))
    with torch.no_grad():
        wanted = model(torch.from_numpy(found.pixels.of(pixels))).argmax(1).numpy()
    got = golden.run(found.graph, pixels).argmax(1)
    assert np.mean(wanted == got) >= 0.95


@pytest.mark.parametrize("slope", [1e-2, 1e-4, 1e-6, 0.0])
def test_numbers_that_a_prelu_makes_small_keep_their_sign(slope: float, tmp_path: Path) -> None:
    """Rounded to the nearest they would be 0, which counts as positive: it turned 3 % of a trained network's bits."""
    model = network(8)
    for module in model.modules():
        if isinstance(module, nn.PReLU):
            nn.init.constant_(module.weight, slope)
    assert any(isinstance(module, nn.PReLU) for module in model.modules())
    export(model, tmp_path / "m.onnx")
    found = convert(tmp_path / "m.onnx", Options(images=images(1)))
    distance = compare(found, found.pixels.nearest(images(2)))
    assert distance.rms < 0.05 * distance.spread


# ---- seeded faults


def _damaged(found: Conversion, kind: str) -> Conversion:
    """The conversion with one constant of one layer changed: of all channels, as a limit may hide it in one."""
    nodes = list(found.graph.nodes)
    at = next(i for i, node in enumerate(nodes) if node.op.kind == kind)
    op = nodes[at].op
    field = {"binary_conv": "weights", "real_conv": "weights", "rescale": "bias", "merge": "bias", "sign": "threshold"}
    array = np.array(getattr(op, field[kind]))
    if kind == "binary_conv":
        array[0, 0, 0, 0] *= -1
    elif kind == "real_conv":
        array[0] *= -1
    else:
        array += 1 << (getattr(op, "shift", 0) + 10)
    changed: Any = dataclasses.replace(op, **{field[kind]: array})  # type: ignore[type-var]
    nodes[at] = dataclasses.replace(nodes[at], op=changed)
    return dataclasses.replace(found, graph=dataclasses.replace(found.graph, nodes=tuple(nodes)))


@pytest.mark.parametrize("kind", ["binary_conv", "real_conv", "rescale", "merge", "sign"])
def test_a_fault_in_a_layer_is_found(kind: str, tmp_path: Path) -> None:
    for seed in range(8):
        export(network(seed), tmp_path / "m.onnx")
        found = convert(tmp_path / "m.onnx", Options(images=images(1)))
        if any(node.op.kind == kind for node in found.graph):
            break
    pixels = found.pixels.nearest(images(2, 4))
    compare(found, pixels)
    with pytest.raises(VerdictError, match="here, where both read the same, and may differ by"):
        compare(_damaged(found, kind), pixels)


# ---- in hardware


@pytest.mark.rtl
@pytest.mark.hls
@pytest.mark.parametrize("seed", [2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 12))])
def test_the_hardware_of_a_network_in_stock_brevitas(seed: int, tmp_path: Path) -> None:
    """R = G in as many cycles as predicted, with stalls and without, and H = G."""
    export(network(seed), tmp_path / "m.onnx")
    found = convert(tmp_path / "m.onnx", Options(images=images(1)))
    folding = bireal_hw.fold(found.graph, "kv260", target_fps=3000)
    pixels = found.images[:3]
    bireal_hw.simulate(found.graph, folding, pixels, builds=tmp_path / "sim").refuse()
    bireal_hw.generate_hls(found.graph, folding, tmp_path / "hls", board="kv260")
    result = hls.simulate_network(found.graph, folding, tmp_path / "hls", pixels, tmp_path / "csim", flags=("-O0",))
    assert result.mismatches == 0
    assert result.outputs_compared == 30


# ---- FINN's examples


@pytest.mark.parametrize("name", ["cnv_1w1a", "tfc_1w1a", "lfc_1w1a"])
def test_networks_of_finns_users(name: str, tmp_path: Path) -> None:
    from brevitas_examples.bnn_pynq.models import model_with_cfg

    torch.manual_seed(0)
    model, _ = model_with_cfg(name, pretrained=False)
    shape = (3, 32, 32) if name.startswith("cnv") else (1, 28, 28)
    for module in model.train().modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias, 0, 0.3)
    with torch.no_grad():
        model(torch.rand(32, *shape))
    export(model.eval(), tmp_path / "m.onnx", shape)
    found = convert(tmp_path / "m.onnx")
    assert found.pixels.why == "the file reads pixels divided by 255"
    distance = compare(found, generated((8, *found.graph.input.shape)))
    assert distance.agreement == 1
    assert distance.rms < 1e-4 * distance.spread


# ---- what is said of pixels


@pytest.mark.parametrize("words", ["0..1", "-1..1", "0..255", "stored", "imagenet", "-2.5..3"])
def test_pixels_as_a_user_says(words: str, tmp_path: Path) -> None:
    export(network(0), tmp_path / "m.onnx")
    found = convert(tmp_path / "m.onnx", Options(words))
    black, white = np.zeros((1, SIDE, SIDE, 3), np.uint8), np.full((1, SIDE, SIDE, 3), 255, np.uint8)
    ends = [found.pixels.of(one)[0, :, 0, 0] for one in (black, white)]
    wanted: Any = {
        "stored": (0, 255),
        "imagenet": ((np.zeros(3) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
                     (np.ones(3) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
    }.get(words) or [float(end) for end in words.split("..")]  # fmt: skip
    np.testing.assert_allclose(ends[0], wanted[0], rtol=1e-6)  # floats
    np.testing.assert_allclose(ends[1], wanted[1], rtol=1e-6)
    compare(found, generated((4, SIDE, SIDE, 3)))
    assert ("pixels" in found.graph.info) == (words != "stored" and words != "0..255")


@pytest.mark.parametrize("words", ["1..0", "0-1", "", "bgr"])
def test_pixels_that_are_not_understood(words: str, tmp_path: Path) -> None:
    export(network(0), tmp_path / "m.onnx")
    with pytest.raises(BirealError, match=r"pixels=.* is not understood: choose from stored \(0..255\), 0..1"):
        convert(tmp_path / "m.onnx", Options(words))


# ---- bad input

BAD_IMAGES = {
    "too few": (images(0, 7), "7 images for calibration are too few: give 8 or more"),
    "another size": (
        images(0)[:, :, :8],
        r"have the shape 16x3x8x16 \(float32\); the network takes uint8 of Nx16x16x3",
    ),
    "no batch": (images(0)[0], "have the shape 3x16x16"),
    "not finite": (np.full((8, 3, SIDE, SIDE), np.nan), "hold numbers that are not finite"),
    "uint8 with the channels first": (np.zeros((8, 3, SIDE, SIDE), np.uint8), "have the shape 8x3x16x16"),
}


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_images_for_calibration_that_do_not_do(case: str, tmp_path: Path) -> None:
    given, words = BAD_IMAGES[case]
    export(network(1), tmp_path / "m.onnx")
    with pytest.raises(BirealError, match=words):
        convert(tmp_path / "m.onnx", Options(images=given))


def test_all_refusals_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    export(network(1), path)
    model = onnx.load(str(path))
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            node.op_type = "InstanceNormalization"
    onnx.save(model, str(path))
    with pytest.raises(BirealError) as error:
        convert(path)
    assert str(error.value).count("InstanceNormalization") == 1  # what reads it is not read
    model.graph.node.insert(0, onnx.helper.make_node("Sin", [model.graph.initializer[0].name], ["unused"], "wave"))
    onnx.save(model, str(path))
    with pytest.raises(BirealError, match=r"node 'wave' is a Sin; node '.*' is a InstanceNormalization; supported are"):
        convert(path)


# ---- attributes


def test_every_attribute_of_every_node_is_honoured_or_refused() -> None:
    """Against ONNX's own list, of all versions that are read."""
    missing = []
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.name in RULES and schema.domain == "" and schema.since_version <= 24:
            rule = RULES[schema.name]
            known = {*rule.reads, *rule.only, *rule.ignores}
            missing += [f"{schema.name}.{name}" for name in schema.attributes if name not in known]
    # What a version has that is not read is refused where a file uses it.
    assert sorted(set(missing) - REFUSED) == []


REFUSED = {"Constant.sparse_value", "Constant.value_string", "Constant.value_strings"}


def test_compile_from_python() -> None:
    model = network(3)
    found = bireal_hw.compile(model, torch.rand(1, 3, SIDE, SIDE), calibration=images(1))
    assert found.distance.agreement >= 0.9
    x = images(2)
    with torch.no_grad():
        wanted = model(torch.from_numpy(x)).numpy()
    assert np.mean(found.logits(x).argmax(1) == wanted.argmax(1)) >= 0.8  # x itself, which the hardware has in bytes
    with pytest.raises(BirealError, match="the images have the shape 16x16x3x16; the network reads Nx3x16x16"):
        bireal_hw.stored(found.graph, x.transpose(0, 2, 1, 3))
    assert bireal_hw.compute(found.graph, generated((2, SIDE, SIDE, 3))).shape == (2, 10)
    assert METADATA not in found.graph.info
