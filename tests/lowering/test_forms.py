"""Files as tools write them: versions, cleaned, channels last, QCDQ; and files that hold no network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bireal_hw.errors import BirealError
from bireal_hw.lowering import Options, convert
from bireal_hw.lowering.compare import Distance, compare
from bireal_hw.lowering.convert import generated
from tests.lowering.stock import export, network
from tests.lowering.test_foreign import CHANNELS, QONNX, SIDE, File, said


def held(path: Path, options: Options | None = None) -> Distance:
    """Convert a file and hold it against itself."""
    found = convert(path, options)
    return compare(found, generated((4, *found.graph.input.shape)))


# ---- versions


def _ops(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("opset", [9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24])
def test_versions_of_onnx(opset: int, tmp_path: Path) -> None:
    """The nodes whose form has changed: axes and bounds as attributes, then as inputs."""
    file = File()
    x = file.start()
    axes = file.constant(np.array([2, 3], np.int64))
    bounds: dict[str, Any] = {"min": -0.5, "max": 0.75} if opset < 11 else {}
    limits = [] if opset < 11 else [file.constant(-0.5), file.constant(0.75)]
    y = file.node("Clip", x, *limits, **bounds)
    y = file.node("Dropout", y)
    y = file.quant(file.node("Add", y, file.affine(file.conv(file.bits(y)))), 2.0**-8, 16)
    reduced = file.node("ReduceMean", y, axes=[2, 3]) if opset < 18 else file.node("ReduceMean", y, axes)
    y = file.node("Squeeze", reduced, axes=[2, 3]) if opset < 13 else file.node("Squeeze", reduced, axes)
    weights = file.quant(file.constant(file.rng.integers(-99, 99, (4, CHANNELS)) * 2.0**-7), 2.0**-7, 8, "ROUND", 1)
    model = file.save(file.node("Gemm", y, weights, file.constant(np.zeros(4)), transB=1), tmp_path / "m.onnx")
    del model.opset_import[:]
    model.opset_import.extend([helper.make_opsetid("", opset), helper.make_opsetid(QONNX, 1)])
    onnx.save(model, str(tmp_path / "m.onnx"))
    assert held(tmp_path / "m.onnx").agreement == 1


def test_an_unknown_number_of_images(tmp_path: Path) -> None:
    export(network(1), tmp_path / "m.onnx")
    model = onnx.load(str(tmp_path / "m.onnx"))
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    onnx.save(model, str(tmp_path / "n.onnx"))
    assert convert(tmp_path / "n.onnx").graph == convert(tmp_path / "m.onnx").graph


# ---- what other tools make of a file


def _cleaned(model: onnx.ModelProto) -> onnx.ModelProto:
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.util.cleanup import cleanup_model

    return cleanup_model(ModelWrapper(model)).model


def _channels_last(model: onnx.ModelProto) -> onnx.ModelProto:
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
    from qonnx.util.cleanup import cleanup_model

    return cleanup_model(ModelWrapper(model)).transform(ConvertToChannelsLastAndClean()).model


def _optimised(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnxoptimizer

    passes = [
        "eliminate_identity",
        "eliminate_unused_initializer",
        "eliminate_nop_dropout",
        "extract_constant_to_initializer",
    ]
    return onnxoptimizer.optimize(model, passes)


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """Constants of a BatchNorm in half precision, cast where they are used."""
    wanted = {name for node in model.graph.node if node.op_type == "BatchNormalization" for name in node.input[1:]}
    casts = []
    for tensor in model.graph.initializer:
        if tensor.name in wanted:
            half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{tensor.name}_half")
            casts.append(
                helper.make_node("Cast", [half.name], [tensor.name], f"cast_{tensor.name}", to=TensorProto.FLOAT)
            )
            tensor.CopyFrom(half)
    _only_the_image(model)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _only_the_image(model: onnx.ModelProto) -> None:
    """Take the constants off the list of inputs, where files of early versions have them."""
    del model.graph.input[1:]


def _as_nodes(model: onnx.ModelProto) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Constant", [], [one.name], f"k_{one.name}", value=one) for one in model.graph.initializer
    ]
    rest = list(model.graph.node)
    _only_the_image(model)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend([*nodes, *rest])
    return model


def _unnamed(model: onnx.ModelProto) -> onnx.ModelProto:
    for node in model.graph.node:
        node.name = ""
    return model


TOOLS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    "cleaned by qonnx": _cleaned,
    "channels last": _channels_last,
    "onnxoptimizer": _optimised,
    "constants in half precision": _halved,
    "constants as nodes": _as_nodes,
    "nodes without names": _unnamed,
}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("tool", TOOLS)
def test_what_other_tools_make_of_a_file(tool: str, seed: int, tmp_path: Path) -> None:
    export(network(seed), tmp_path / "m.onnx")
    before = held(tmp_path / "m.onnx")
    onnx.save(TOOLS[tool](onnx.load(str(tmp_path / "m.onnx"))), str(tmp_path / "n.onnx"))
    after = held(tmp_path / "n.onnx")
    assert after.agreement >= before.agreement - 0.25
    assert after.rms < 0.1 * after.spread


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize("zero", [0, 3])
def test_qcdq(zero: int, unsigned: bool, tmp_path: Path) -> None:
    """QuantizeLinear and DequantizeLinear in place of Quant: of weights, per channel too, and of activations."""
    file = File()
    kind = np.uint8 if unsigned else np.int8
    numbers = {
        "step": np.float32(0.013),
        "zero": kind(zero),
        "steps": file.rng.uniform(0.001, 0.02, 8).astype(np.float32),
    }
    numbers |= {"whole": file.rng.integers(-100, 100, (8, 3, 3, 3)).astype(np.int8), "zeros": np.zeros(8, np.int8)}
    for name, value in numbers.items():
        file.constants.append(numpy_helper.from_array(np.asarray(value), name))
    x = file.node("DequantizeLinear", file.node("QuantizeLinear", "p", "step", "zero"), "step", "zero")
    w = file.node("DequantizeLinear", "whole", "steps", "zeros", axis=0)
    x = file.node("Relu", file.node("Conv", x, w, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4))
    x = file.node("DequantizeLinear", file.node("QuantizeLinear", x, "step", "zero"), "step", "zero")
    x = file.quant(file.affine(file.conv(file.bits(x))), 2.0**-8, 16)
    file.finish(x, tmp_path / "m.onnx")
    distance = held(tmp_path / "m.onnx", Options("0..1"))
    assert distance.rms < 0.05 * distance.spread


@pytest.mark.parametrize("bits", [2, 3, 4, 6])
@pytest.mark.parametrize("signed", [0, 1])
def test_activations_of_few_bits(signed: int, bits: int, tmp_path: Path) -> None:
    file = File()
    x = file.start()
    constants = [file.constant(0.07), file.constant(0.0), file.constant(float(bits))]
    x = file.node("Quant", x, *constants, signed=signed, narrow=0, rounding_mode="ROUND")
    w = file.quant(file.constant(file.rng.integers(-7, 8, (CHANNELS, CHANNELS, 3, 3)) * 0.01), 0.01, 4, "ROUND", 1)
    x = file.node("Conv", x, w, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4)
    x = file.quant(file.affine(file.conv(file.bits(x))), 2.0**-8, 16)
    file.finish(x, tmp_path / "m.onnx")
    held(tmp_path / "m.onnx")


@pytest.mark.parametrize("group", [2, 4, 8])
@pytest.mark.parametrize("quantised", [False, True])
def test_real_convolutions_in_groups(quantised: bool, group: int, tmp_path: Path) -> None:
    file = File()
    x = file.start()
    weights = file.constant(file.rng.normal(size=(CHANNELS, CHANNELS // group, 3, 3)))
    w = file.quant(weights, np.full((CHANNELS, 1, 1, 1), 0.03), 8, "ROUND", 1) if quantised else weights
    x = file.node("Conv", x, w, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4, group=group)
    file.finish(file.node("Relu", x), tmp_path / "m.onnx")
    distance = held(tmp_path / "m.onnx")
    assert distance.rms < 0.05 * distance.spread


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 0, 1, 1), (1, 0, 0, 1), (0, 1, 2, 0)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("real", [False, True])
def test_strides_and_pads(real: bool, stride: int, pads: tuple[int, ...], tmp_path: Path) -> None:
    file = File()
    x = file.start()
    sizes: dict[str, Any] = {"kernel_shape": [3, 3], "strides": [stride] * 2, "pads": list(pads)}
    if real:
        w = file.quant(file.constant(file.rng.normal(size=(CHANNELS, CHANNELS, 3, 3))), 0.03, 8, "ROUND", 1)
        x = file.node("Conv", x, w, **sizes)
    else:
        w = file.bits(file.constant(file.rng.choice([-1.0, 1.0], (CHANNELS, CHANNELS, 3, 3))))
        x = file.affine(file.node("Conv", file.bits(x), w, **sizes))
    file.finish(x, tmp_path / "m.onnx")
    held(tmp_path / "m.onnx")


@pytest.mark.parametrize("rule", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
def test_padding_by_a_rule(stride: int, rule: str, tmp_path: Path) -> None:
    file = File()
    x = file.start()
    w = file.bits(file.constant(file.rng.choice([-1.0, 1.0], (CHANNELS, CHANNELS, 3, 3))))
    x = file.node("Conv", file.bits(x), w, kernel_shape=[3, 3], strides=[stride] * 2, auto_pad=rule)
    file.finish(file.affine(x), tmp_path / "m.onnx")
    held(tmp_path / "m.onnx")


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax", "ArgMax"])
def test_what_changes_no_class_is_left_out(kind: str, tmp_path: Path) -> None:
    export(network(1), tmp_path / "m.onnx")
    model = onnx.load(str(tmp_path / "m.onnx"))
    last = model.graph.output[0].name
    model.graph.node.append(helper.make_node(kind, [last], ["answer"], "last", axis=1))
    element = TensorProto.INT64 if kind == "ArgMax" else TensorProto.FLOAT
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("answer", element, None))
    onnx.save(model, str(tmp_path / "n.onnx"))
    found = convert(tmp_path / "n.onnx")
    assert found.graph == convert(tmp_path / "m.onnx").graph
    assert found.answer == last
    compare(found, found.images[:2])


@pytest.mark.parametrize("last", ["Flatten", "Identity", "Quant"])
def test_an_output_that_a_quantizer_gives(last: str, tmp_path: Path) -> None:
    file = File()
    pooled = file.node("Add", file.node("GlobalAveragePool", file.start()), file.constant(2.0**-6))
    x = file.quant(pooled, 2.0**-5, 8)
    x = x if last == "Quant" else file.node(last, x)
    file.save(x, tmp_path / "m.onnx")
    assert held(tmp_path / "m.onnx").exact


# ---- files that are none of a network


def _start() -> tuple[File, str]:
    file = File()
    return file, file.start()


def _refused(
    file: File, output: str, path: Path, change: Callable[[onnx.ModelProto], None] = lambda model: None
) -> str:
    model = file.save(output, path)
    change(model)
    onnx.save(model, str(path))
    with pytest.raises(BirealError) as error:
        convert(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_loop(tmp_path: Path) -> None:
    file, x = _start()
    file.nodes.append(helper.make_node("Add", [x, "later"], ["early"], "first"))
    file.nodes.append(helper.make_node("Identity", ["early"], ["later"], "second"))
    assert "node 'first' (Add) reads 'later', which no earlier node makes" in _refused(
        file, "later", tmp_path / "m.onnx"
    )


def test_a_graph_that_is_not_connected(tmp_path: Path) -> None:
    file, _ = _start()
    constant = file.node("Identity", file.constant(np.zeros((1, 4))))
    words = f"the output '{constant}' does not depend on the image"
    assert words in _refused(file, constant, tmp_path / "m.onnx")
    file, _ = _start()
    assert "the output 'nothing' is made by no node" in _refused(file, "nothing", tmp_path / "m.onnx")


def test_two_images(tmp_path: Path) -> None:
    def second(model: onnx.ModelProto) -> None:
        model.graph.input.append(helper.make_tensor_value_info("q", TensorProto.FLOAT, [1, 3, SIDE, SIDE]))

    file, x = _start()
    assert "2 inputs found (p, q); one image is supported" in _refused(file, x, tmp_path / "m.onnx", second)


def test_two_outputs(tmp_path: Path) -> None:
    def second(model: onnx.ModelProto) -> None:
        model.graph.output.append(helper.make_tensor_value_info("t0", TensorProto.FLOAT, None))

    file, x = _start()
    assert f"no network with one output: 2 outputs ({x}, t0)" in _refused(file, x, tmp_path / "m.onnx", second)


@pytest.mark.parametrize("kind", [TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL, TensorProto.INT8])
def test_an_input_of_integers(kind: int, tmp_path: Path) -> None:
    def whole(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.elem_type = kind

    file, x = _start()
    words = "float, or uint8 for stored pixels, is supported"
    assert words in _refused(file, x, tmp_path / "m.onnx", whole)


def test_an_input_of_stored_pixels(tmp_path: Path) -> None:
    file = File()
    cast = file.node("Cast", "p", to=TensorProto.FLOAT)
    x = file.node("Mul", file.node("Sub", cast, file.constant(128.0)), file.constant(2.0**-7))
    x = file.quant(x, 2.0**-7, 8)
    w = file.bits(file.constant(file.rng.choice([-1.0, 1.0], (CHANNELS, 3, 3, 3))))
    y = file.node("Conv", file.bits(x), w, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4)
    model = file.finish(file.affine(y), tmp_path / "m.onnx")
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    onnx.save(model, str(tmp_path / "m.onnx"))
    assert held(tmp_path / "m.onnx").agreement == 1


def test_weights_that_do_not_fit_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    file, x = _start()
    file.save(x, tmp_path / "m.onnx")
    monkeypatch.setattr(onnx, "load", full)
    with pytest.raises(BirealError, match="its weights do not fit in the memory of this machine"):
        convert(tmp_path / "m.onnx")


def test_flipped_bits_of_the_structure_are_one_line(tmp_path: Path) -> None:
    """One bit at a time, outside of the large constants: taken or refused, whatever a library says of it."""
    file = File()
    x = file.start()
    file.finish(file.merge(x, file.affine(file.conv(file.bits(x)))), tmp_path / "m.onnx")
    whole = (tmp_path / "m.onnx").read_bytes()
    places = np.ones(len(whole), bool)
    for tensor in file.constants:
        if len(tensor.raw_data) > 64:
            at = whole.find(tensor.raw_data)
            places[at : at + len(tensor.raw_data)] = False
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.choice(np.flatnonzero(places), 250):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        (tmp_path / "d.onnx").write_bytes(damaged)
        words = said(tmp_path / "d.onnx")
        assert "\n" not in words
        refused += bool(words)
    assert refused > 100
