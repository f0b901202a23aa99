"""Files that others write: the same arithmetic in another form, against qonnx, which runs the file itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from bireal_hw import golden
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph
from bireal_hw.lowering import convert, copy, lower
from bireal_hw.lowering.compare import compare

CHANNELS = SIDE = 8  # so that a constant along the wrong axis fits too
CLASSES = 4
QONNX = "qonnx.custom_op.general"
Floats = NDArray[np.floating]


class File:
    """A network of two blocks in the making; each part can be written another way."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: object) -> str:
        array, name = np.asarray(value), f"c{len(self.constants)}"
        array = array if array.dtype == np.int64 else array.astype(np.float32)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def channels(self, values: Floats) -> str:
        return self.constant(np.reshape(values, (1, -1, 1, 1)))

    def node(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        domain = QONNX if kind in ("Quant", "BipolarQuant") else ""
        name = name or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=name, domain=domain, **attributes))
        return output

    def quant(self, x: str, step: object, bits: int, mode: str = "FLOOR", narrow: int = 0) -> str:
        constants = [self.constant(step), self.constant(0.0), self.constant(float(bits))]
        return self.node("Quant", x, *constants, signed=1, narrow=narrow, rounding_mode=mode)

    def bits(self, x: str, scale: object = 1.0) -> str:
        return self.node("BipolarQuant", x, self.constant(scale))

    def start(self, mode: str = "FLOOR") -> str:
        """The image, centred, through a stem: a stream of CHANNELS on the grid 2^-8."""
        x = self.node("Mul", self.node("Sub", "p", self.constant(128.0)), self.constant(2.0**-7))
        x = self.quant(x, 2.0**-7, 8, mode)
        weights = self.constant(self.rng.integers(-20, 21, (CHANNELS, 3, 3, 3)) * 2.0**-7)
        w = self.quant(weights, np.full((CHANNELS, 1, 1, 1), 2.0**-7), 8, "ROUND", narrow=1)
        x = self.node("Conv", x, w, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4)
        return self.quant(self.node("Add", x, self.channels(np.full(CHANNELS, 2.0**-9))), 2.0**-8, 16)

    def conv(self, bits: str, scale: object = 1.0, pad: int = 1, name: str = "") -> str:
        weights = self.constant(self.rng.choice([-1.0, 1.0], (CHANNELS, CHANNELS, 3, 3)))
        sizes = {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [pad] * 4}
        return self.node("Conv", bits, self.bits(weights, scale), name=name, **sizes)

    def affine(self, dot: str) -> str:
        gain, bias = (self.rng.integers(-limit, limit, CHANNELS) * 2.0**-12 for limit in (300, 2000))
        x = self.node("Add", self.node("Mul", dot, self.channels(gain)), self.channels(bias))
        return self.quant(x, 2.0**-8, 18)

    def merge(self, shortcut: str, rounded: str) -> str:
        return self.quant(self.node("Add", shortcut, rounded), 2.0**-8, 16)

    def finish(self, x: str, path: Path, pixels: int = SIDE * SIDE) -> onnx.ModelProto:
        pool = self.node("ReduceSum", x, self.constant(np.array([2, 3], np.int64)), keepdims=1)
        pool = self.node("Mul", pool, self.constant(2.0 ** -int(np.ceil(np.log2(pixels)))))
        return self.classify(self.quant(self.node("Add", pool, self.constant(2.0**-6)), 2.0**-5, 8), path)

    def classify(self, x: str, path: Path, bias: Floats | None = None) -> onnx.ModelProto:
        weights = self.constant(self.rng.integers(-100, 100, (CLASSES, CHANNELS)) * 2.0**-7)
        w = self.quant(weights, 2.0**-7, 8, "ROUND", narrow=1)
        more = [] if bias is None else [self.constant(bias)]
        return self.save(self.node("Gemm", self.node("Flatten", x, axis=1), w, *more, transB=1), path)

    def save(self, output: str, path: Path) -> onnx.ModelProto:
        ends = [helper.make_tensor_value_info("p", onnx.TensorProto.FLOAT, [1, 3, SIDE, SIDE])]
        ends += [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, [1, CLASSES])]
        graph = helper.make_graph(self.nodes, "net", ends[:1], ends[1:], self.constants)
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(QONNX, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        onnx.save(model, str(path))
        return model


def same_as_the_file(path: Path, images: int = 6) -> Graph:
    """Lower a file, and compare the golden model with what qonnx computes from the file."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    graph = lower(path)
    model = ModelWrapper(str(path)).transform(InferShapes())
    pixels = np.random.default_rng(1).integers(0, 256, (images, SIDE, SIDE, 3)).astype(np.uint8)
    for image, got in zip(pixels, golden.run(graph, pixels), strict=True):
        p = image.transpose(2, 0, 1)[None].astype(np.float32)
        logits = execute_onnx(model, {"p": p})[model.graph.output[0].name].ravel()
        np.testing.assert_array_equal(logits * 2.0**graph.output.dtype.frac, got)
    return graph


# ---- a BatchNorm in front of a sign, in every form and with gains of every kind

GAINS = {
    "positive": [0.5, 1, 2, 0.75, 1.3, 1e-3],
    "negative": [-0.5, -1, -2, -0.75, -1.3, -1e-3],
    "both": [1, -1, 0.5, -0.5, 1.7, -1.7],
    "some 0": [1, 0, -1, 0, 1.3, -1.3],
}
BOUNDS = {
    "on the grid": np.array([-40, -3, 0, 1, 17, 40]) * 2.0**-8,
    "between": np.array([-0.1234, -0.01, 0.0003, 0.02, 0.1, 0.3]),
    "out of reach": np.array([-1e4, 1e4, -200, 200, 127.99, -128.0]),
}


def _sub_mul(file: File, x: str, mean: Floats, gain: Floats) -> str:
    return file.node("Mul", file.node("Sub", x, file.channels(mean)), file.channels(gain))


def _mul_add(file: File, x: str, mean: Floats, gain: Floats) -> str:
    return file.node("Add", file.node("Mul", x, file.channels(gain)), file.channels(-mean * gain))


def _batchnorm(file: File, x: str, mean: Floats, gain: Floats) -> str:
    variance = np.full(CHANNELS, 0.25)
    given = [gain * 0.5, np.zeros(CHANNELS), mean, variance]
    return file.node("BatchNormalization", x, *(file.constant(one) for one in given), epsilon=0.0)


FORMS: dict[str, Callable[[File, str, Floats, Floats], str]] = {
    "Sub, Mul": _sub_mul,
    "Mul, Add": _mul_add,
    "BatchNormalization": _batchnorm,
}


@pytest.mark.parametrize("pad", [0, 1])
@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("gains", GAINS)
@pytest.mark.parametrize("form", FORMS)
def test_a_sign_behind_a_batchnorm(form: str, gains: str, bounds: str, pad: int, tmp_path: Path) -> None:
    file = File()
    gain, mean = (np.resize(np.asarray(one, np.float32), CHANNELS) for one in (GAINS[gains], BOUNDS[bounds]))
    if form == "Mul, Add":  # in float32, which the file is run in, only powers of two keep a threshold where it is
        gain = np.sign(gain) * np.exp2(np.round(np.log2(np.maximum(np.abs(gain), 2.0**-9)))).astype(np.float32)
    x = file.start()
    first = file.conv(file.bits(FORMS[form](file, x, mean, gain)), pad=1)
    x = file.merge(x, file.affine(first))
    second = file.affine(file.conv(file.bits(FORMS[form](file, x, mean[::-1], -gain)), pad=pad))
    x = file.merge(x, second) if pad else file.quant(second, 2.0**-8, 16)
    file.finish(x, tmp_path / "m.onnx", pixels=SIDE * SIDE if pad else (SIDE - 2) ** 2)
    graph = same_as_the_file(tmp_path / "m.onnx")
    assert [node.op.kind for node in graph].count("sign") == 2


@pytest.mark.parametrize("gain", [1.0, -1.0])
def test_a_pool_of_bits(gain: float, tmp_path: Path) -> None:
    file = File()
    x = file.start()
    bits = file.bits(_sub_mul(file, x, np.zeros(CHANNELS), gain * np.ones(CHANNELS)))
    pooled = file.node("MaxPool", bits, name="pool", kernel_shape=[2, 2], strides=[2, 2])
    x = file.quant(file.affine(file.conv(pooled)), 2.0**-8, 16)
    file.finish(x, tmp_path / "m.onnx", pixels=(SIDE // 2) ** 2)
    same_as_the_file(tmp_path / "m.onnx")


# ---- magnitudes of binary weights and of bits

MAGNITUDES = {
    "one number": 0.5,
    "larger than 1": 4.0,
    "per output channel": np.exp2([-3.0, -2, -1, 0, 1, 2, -1, 0]).reshape(-1, 1, 1, 1),
}


@pytest.mark.parametrize("of_bits", [1.0, 0.25])
@pytest.mark.parametrize("magnitude", MAGNITUDES)
def test_magnitudes_of_weights_and_bits(magnitude: str, of_bits: float, tmp_path: Path) -> None:
    file = File()
    x = file.start()
    dot = file.conv(file.bits(x, of_bits), MAGNITUDES[magnitude])
    rounded = file.quant(file.node("Add", dot, file.channels(np.full(CHANNELS, 0.5))), 2.0**-8, 22)
    file.finish(file.merge(x, rounded), tmp_path / "m.onnx")
    same_as_the_file(tmp_path / "m.onnx")


def test_magnitudes_inside_a_channel_are_refused(tmp_path: Path) -> None:
    file = File()
    x = file.start()
    dot = file.conv(file.bits(x), np.exp2(np.arange(CHANNELS)).reshape(1, -1, 1, 1), name="conv")
    file.finish(file.merge(x, file.affine(dot)), tmp_path / "m.onnx")
    with pytest.raises(BirealError, match=r"'conv' \(Conv\): found magnitudes that differ inside an output"):
        lower(tmp_path / "m.onnx")


# ---- the same arithmetic in other nodes


def test_a_batchnorm_behind_the_sums_that_lies_on_the_grid(tmp_path: Path) -> None:
    file = File()
    x = file.start()
    gain, bias = (file.rng.integers(-limit, limit, CHANNELS) * 2.0**-12 for limit in (300, 2000))
    mean, variance = file.rng.integers(-3, 4, CHANNELS) * 1.0, np.full(CHANNELS, 0.25)
    given = [file.constant(one) for one in (gain, bias, mean, variance)]
    norm = file.node("BatchNormalization", file.conv(file.bits(x)), *given, epsilon=0.0)
    file.finish(file.merge(x, file.quant(norm, 2.0**-8, 18)), tmp_path / "m.onnx")
    same_as_the_file(tmp_path / "m.onnx")


def test_a_mean_over_the_image(tmp_path: Path) -> None:
    file = File()
    x = file.start()
    x = file.merge(x, file.affine(file.conv(file.bits(x))))
    pooled = file.node("Add", file.node("GlobalAveragePool", x), file.constant(2.0**-6))
    file.classify(file.quant(pooled, 2.0**-5, 8), tmp_path / "m.onnx")
    same_as_the_file(tmp_path / "m.onnx")


@pytest.mark.parametrize("mode", ["FLOOR", "ROUND", "CEIL", "HALF_UP"])
def test_where_nothing_is_rounded_the_mode_is_free(mode: str, tmp_path: Path) -> None:
    file = File()
    x = file.start(mode)
    file.finish(file.merge(x, file.affine(file.conv(file.bits(x)))), tmp_path / "m.onnx")
    lower(tmp_path / "m.onnx")
    if mode != "HALF_UP":  # which this executor does not know
        same_as_the_file(tmp_path / "m.onnx")


@pytest.mark.parametrize("kind", ["Identity", "Dropout"])
@pytest.mark.parametrize("place", ["stream", "sums", "total", "bits"])
def test_what_does_nothing_may_stand_anywhere(place: str, kind: str, tmp_path: Path) -> None:
    file = File()

    def at(here: str, x: str) -> str:
        return file.node(kind, x) if here == place else x

    x = at("stream", file.start())
    rounded = file.affine(at("sums", file.conv(at("bits", file.bits(x)))))
    x = file.quant(at("total", file.node("Add", x, rounded)), 2.0**-8, 16)
    file.finish(x, tmp_path / "m.onnx")
    same_as_the_file(tmp_path / "m.onnx")


@pytest.mark.parametrize("shape", [(), (1,), (CLASSES,), (1, CLASSES)])
def test_biases_of_any_shape_that_can_be_broadcast(shape: tuple[int, ...], tmp_path: Path) -> None:
    file = File()
    x = file.node("Add", file.node("GlobalAveragePool", file.start()), file.constant(2.0**-6))
    bias = file.rng.integers(-50, 50, shape) * 2.0**-12
    file.classify(file.quant(x, 2.0**-5, 8), tmp_path / "m.onnx", np.asarray(bias))
    same_as_the_file(tmp_path / "m.onnx")


def test_a_bias_of_another_shape_is_named(tmp_path: Path) -> None:
    file = File()
    x = file.node("Add", file.node("GlobalAveragePool", file.start()), file.constant(2.0**-6))
    file.classify(file.quant(x, 2.0**-5, 8), tmp_path / "m.onnx", np.zeros((CLASSES, 1)))
    with pytest.raises(BirealError, match=r"found a bias of shape \[4, 1\]; supported: 1 or 4 numbers in a row$"):
        lower(tmp_path / "m.onnx")


# ---- constants in other places


def _inline(model: onnx.ModelProto, attribute: str) -> None:
    """Turn the constants that an attribute of Constant can hold into such nodes."""
    kept, nodes = [], []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        value: Any = {
            "value": tensor,
            "value_float": float(array.ravel()[0]),
            "value_floats": array.ravel().tolist(),
            "value_ints": array.ravel().tolist(),
        }[attribute]
        fits = {
            "value": True,
            "value_float": array.ndim == 0 and array.dtype == np.float32,
            "value_floats": array.ndim == 1 and array.dtype == np.float32,
            "value_ints": array.ndim == 1 and array.dtype == np.int64,
        }[attribute]
        if fits:
            nodes.append(helper.make_node("Constant", [], [tensor.name], name=f"k{tensor.name}", **{attribute: value}))
        else:
            kept.append(tensor)
    assert nodes
    rest = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend([*nodes, *rest])


@pytest.mark.parametrize("attribute", ["value", "value_float", "value_ints"])
def test_constants_as_nodes(attribute: str, tmp_path: Path) -> None:
    file = File()
    x = file.start()
    model = file.finish(file.merge(x, file.affine(file.conv(file.bits(x)))), tmp_path / "before.onnx")
    _inline(model, attribute)
    onnx.save(model, str(tmp_path / "m.onnx"))
    assert lower(tmp_path / "m.onnx") == lower(tmp_path / "before.onnx")


def test_weights_in_a_second_file(tmp_path: Path) -> None:
    file = File()
    x = file.start()
    model = file.finish(file.merge(x, file.affine(file.conv(file.bits(x)))), tmp_path / "whole.onnx")
    onnx.save(model, str(tmp_path / "m.onnx"), save_as_external_data=True, location="m.data", size_threshold=0)
    assert lower(tmp_path / "m.onnx") == lower(tmp_path / "whole.onnx")
    (tmp_path / "m.data").unlink()
    with pytest.raises(BirealError) as error:
        lower(tmp_path / "m.onnx")
    missing = "its weights are in a second file, m.data, which is missing beside it"
    assert str(error.value) == f"cannot read {tmp_path / 'm.onnx'}: {missing}"


# ---- numbers that are none


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("what", ["weights of the stem", "gain", "weights of the classifier", "binary weights"])
def test_numbers_that_are_none_are_refused(what: str, bad: float, tmp_path: Path) -> None:
    file = File()
    x = file.start()
    model = file.finish(file.merge(x, file.affine(file.conv(file.bits(x)))), tmp_path / "m.onnx")
    shapes = {
        "weights of the stem": (CHANNELS, 3, 3, 3),
        "gain": (1, CHANNELS, 1, 1),
        "weights of the classifier": (CLASSES, CHANNELS),
        "binary weights": (CHANNELS, CHANNELS, 3, 3),
    }
    at = next(i for i, t in enumerate(model.graph.initializer) if tuple(t.dims) == shapes[what])
    array = numpy_helper.to_array(model.graph.initializer[at]).copy()
    array.ravel()[5] = bad
    model.graph.initializer[at].CopyFrom(numpy_helper.from_array(array, model.graph.initializer[at].name))
    onnx.save(model, str(tmp_path / "m.onnx"))
    with pytest.raises(
        BirealError, match=rf"node '\w+' \(\w+\): found {bad} at \[.*\] of its input 'c\d+'; supported: finite"
    ):
        lower(tmp_path / "m.onnx")


# ---- clips and names

CLIPS: dict[str, tuple[dict[str, float], list[float | str]]] = {
    "one bound": ({}, [-1.0]),
    "one bound, the upper": ({}, ["", 1.0]),
    "two": ({}, [0.0, 6.0]),
    "no bound": ({}, []),
    "off the grid": ({}, [-0.3001, 0.7]),
}


@pytest.mark.parametrize("case", CLIPS)
def test_clips_of_any_bounds(case: str, tmp_path: Path) -> None:
    attributes, bounds = CLIPS[case]
    file = File()
    inputs = [bound if isinstance(bound, str) else file.constant(bound) for bound in bounds]
    x = file.node("Clip", file.start(), *inputs, name="clip", **attributes)
    file.finish(file.merge(x, file.affine(file.conv(file.bits(x)))), tmp_path / "m.onnx")
    found = convert(tmp_path / "m.onnx")
    compare(found, np.random.default_rng(1).integers(0, 256, (4, SIDE, SIDE, 3)).astype(np.uint8))


NAMES = [
    "features_" * 29,
    "卷积",
    "größe",
    "/a/b.0",
    "a b",
    "1st",
    "a" * 64,
    "a" * 65,
    "ÅÅ",
    "-",
    "e\u0301",
    "\U0001f600",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_any_alphabet_and_length_is_an_identifier(name: str, tmp_path: Path) -> None:
    graphs = []
    for written in (name, "plain"):
        file = File()
        x = file.start()
        file.finish(
            file.merge(x, file.affine(file.conv(file.bits(x), name=written))), tmp_path / f"{written == name}.onnx"
        )
        graphs.append(same_as_the_file(tmp_path / f"{written == name}.onnx", images=1))
    identifier = next(node.name for node in graphs[0] if node.op.kind == "binary_conv")
    assert identifier.isascii()
    assert identifier.isidentifier()
    assert len(identifier) <= 64


def test_two_long_names_of_one_beginning_stay_apart(tmp_path: Path) -> None:
    file = File()
    x = file.start()
    for end in ("one", "two"):
        x = file.merge(x, file.affine(file.conv(file.bits(x), name="layer_" * 20 + end)))
    file.finish(x, tmp_path / "m.onnx")
    graph = same_as_the_file(tmp_path / "m.onnx", images=1)
    assert len({node.name for node in graph if node.op.kind == "binary_conv"}) == 2


# ---- damage


def said(path: Path) -> str:
    """Return what lowering says of a file, nothing if it takes it; any other exception is a failure."""
    try:
        lower(path)
    except BirealError as error:
        return str(error)
    return ""


def test_a_damaged_node_is_one_line(tmp_path: Path) -> None:
    """A node without its inputs or attributes: whatever a library says of it is not the user's to read."""
    file = File()
    x = file.start()
    model = file.finish(file.merge(x, file.affine(file.conv(file.bits(x)))), tmp_path / "whole.onnx")
    told = []
    for at in range(len(model.graph.node)):
        for part in ("input", "attribute"):
            damaged = onnx.ModelProto()
            damaged.CopyFrom(model)
            del getattr(damaged.graph.node[at], part)[:]
            onnx.save(damaged, str(tmp_path / "m.onnx"))
            told.append(said(tmp_path / "m.onnx"))
    assert not any("\n" in one for one in told)
    assert sum(map(bool, told)) > len(model.graph.node)


# ---- how constants are broadcast

SHAPES: dict[tuple[int, ...], bool] = {
    (): True,
    (1,): True,
    (1, 1, 1, 1): True,
    (CHANNELS, 1, 1): True,
    (1, CHANNELS, 1, 1): True,
    (CHANNELS,): False,
    (CHANNELS, 1): False,
    (1, CHANNELS): False,
    (1, 1, CHANNELS, 1): False,
    (1, 1, 1, CHANNELS): False,
    (CHANNELS, CHANNELS, 1): False,
    (CHANNELS, SIDE, SIDE): False,
}


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_constant_meets_the_axis_that_it_would_in_the_file(shape: tuple[int, ...], kind: str, tmp_path: Path) -> None:
    file = File()
    x = file.start()
    constant = file.constant(np.asarray(file.rng.choice([-0.5, 0.25, 0.5, 2.0], shape)))
    bits = file.bits(file.node(kind, x, constant, name="odd"))
    file.finish(file.merge(x, file.affine(file.conv(bits))), tmp_path / "m.onnx")
    if SHAPES[shape]:
        same_as_the_file(tmp_path / "m.onnx")
    else:
        wanted = f"'odd' ({kind}): found a constant of shape {list(shape)}; supported: one number, or shape [8, 1, 1]"
        assert wanted in said(tmp_path / "m.onnx")


@pytest.mark.parametrize("kind", ["Add", "Mul"])
@pytest.mark.parametrize("shape", [(CHANNELS, SIDE, SIDE), (1, CHANNELS, SIDE, SIDE), (1, CHANNELS, 1, SIDE)], ids=str)
def test_a_constant_that_is_written_for_every_pixel(shape: tuple[int, ...], kind: str, tmp_path: Path) -> None:
    """As PyTorch's expand leaves it."""
    file = File()
    x = file.start()
    numbers = file.rng.choice([-0.5, 0.25, 0.5, 2.0], (CHANNELS, 1, 1))
    bits = file.bits(file.node(kind, x, file.constant(np.broadcast_to(numbers, shape).copy())))
    file.finish(file.merge(x, file.affine(file.conv(bits))), tmp_path / "m.onnx")
    same_as_the_file(tmp_path / "m.onnx")


def test_a_copy_is_one_file(tmp_path: Path) -> None:
    file = File()
    x = file.start()
    model = file.finish(file.merge(x, file.affine(file.conv(file.bits(x)))), tmp_path / "whole.onnx")
    onnx.save(model, str(tmp_path / "m.onnx"), save_as_external_data=True, location="m.data", size_threshold=0)
    for name in ("whole", "m"):
        copy(tmp_path / f"{name}.onnx", tmp_path / f"{name}_copy.onnx")
    (tmp_path / "m.data").unlink()
    assert lower(tmp_path / "m_copy.onnx") == lower(tmp_path / "whole.onnx")
    assert (tmp_path / "whole_copy.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()
