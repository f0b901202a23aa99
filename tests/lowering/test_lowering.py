"""Lowering: the inverse of a writer, exact against qonnx, and one line for whatever it does not know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from bireal_hw import golden
from bireal_hw.crosscheck.qonnx import QONNX, write
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph, dumps
from bireal_hw.lowering import convert, lower
from bireal_hw.lowering.compare import compare
from tests.networks import dense, random_images, tiny, two_streams


@pytest.mark.parametrize(
    "graph",
    [tiny(), tiny(8, 16, 3, 6), tiny(32, 16, 3, 4, max_pool=True, seed=3), two_streams(8, 16), dense(6, 4)],
    ids=["tiny", "wide", "max_pool", "two_streams", "dense"],
)
def test_lowering_inverts_the_writer(graph: Graph, tmp_path: Path) -> None:
    write(graph, tmp_path / "model.onnx")
    lowered = lower(tmp_path / "model.onnx")
    images = random_images(graph, 4)
    assert [(n.op.kind, lowered.types[n.name].shape) for n in lowered] == [
        (n.op.kind, graph.types[n.name].shape) for n in graph
    ]
    assert lowered.info == graph.info
    np.testing.assert_array_equal(golden.run(lowered, images), golden.run(graph, images))
    write(lowered, tmp_path / "again.onnx")
    assert dumps(lower(tmp_path / "again.onnx")) == dumps(lowered)


@pytest.mark.parametrize(
    "graph",
    [tiny(16, 16, 3, 4), tiny(16, 16, 3, 4, max_pool=True), dense(6, 4)],
    ids=["tiny", "max_pool", "dense"],
)
def test_qonnx_computes_the_same_integers(tmp_path: Path, graph: Graph) -> None:
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    model = ModelWrapper(write(graph, tmp_path / "model.onnx")).transform(InferShapes())
    lowered = lower(tmp_path / "model.onnx")
    for image in random_images(graph, 3):
        p = image.transpose(2, 0, 1)[None].astype(np.float32)
        logits = execute_onnx(model, {"p": p})[model.graph.output[0].name]
        given = logits.transpose(0, 2, 3, 1) if logits.ndim == 4 else logits
        np.testing.assert_array_equal(
            given.ravel() * 2.0**lowered.output.dtype.frac, golden.run(lowered, image[None])[0]
        )


Change = Callable[[onnx.GraphProto], None]


def _node(graph: onnx.GraphProto, name: str) -> onnx.NodeProto:
    return next(node for node in graph.node if node.name == name)


def _kind(name: str, kind: str) -> Change:
    def change(graph: onnx.GraphProto) -> None:
        _node(graph, name).op_type = kind

    return change


def _attribute(name: str, key: str, value: object) -> Change:
    def change(graph: onnx.GraphProto) -> None:
        node = _node(graph, name)
        kept = [a for a in node.attribute if a.name != key]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(key, value)])

    return change


def _constant(name: str, edit: Callable[[np.ndarray], np.ndarray]) -> Change:
    def change(graph: onnx.GraphProto) -> None:
        tensor = next(t for t in graph.initializer if t.name == name)
        tensor.CopyFrom(numpy_helper.from_array(edit(numpy_helper.to_array(tensor)), name))

    return change


UNSUPPORTED: dict[str, tuple[Change, str]] = {
    "unknown node": (_kind("sign1", "Tanh"), "node 'sign1' is a Tanh; supported are Abs, Add, And, ArgMax,"),
    "dilation": (
        _attribute("conv1", "dilations", [2, 2]),
        "node 'conv1' (Conv): found dilations=[2, 2]; supported: dilations=[1, 1]",
    ),
    "groups": (
        _attribute("conv1", "group", 4),
        "node 'conv1' (Conv): found weights for 4 channels in 4 groups on 4; supported: the same number",
    ),
    "pool size": (
        _attribute("down", "strides", [1, 1]),
        "node 'down' (AveragePool): found kernel=[2, 2] strides=[1, 1] pads=[0, 0, 0, 0]; supported: stride = kernel",
    ),
    "rounding": (
        _attribute("stem_quant", "rounding_mode", "NOW"),
        "node 'stem_quant' (Quant): found rounding_mode=NOW; supported: FLOOR, CEIL, ROUND, HALF_EVEN,",
    ),
    "zero point": (
        _constant("stem_quant_zero", lambda a: a + 0.5),
        "node 'stem_quant' (Quant): found zero point 0.5; supported: whole numbers",
    ),
    "attribute": (
        _attribute("conv1", "colour", 3),
        "node 'conv1' (Conv): found the attribute colour=3; supported: kernel_shape, strides, pads,",
    ),
}
MOVED: dict[str, Change] = {
    "uneven pads": _attribute("conv1", "pads", [0, 0, 2, 2]),
    **{
        f"rounding {mode}": _attribute("stem_quant", "rounding_mode", mode)
        for mode in ("ROUND", "HALF_EVEN", "CEIL", "HALF_UP", "HALF_DOWN", "UP", "DOWN")
    },
    "unsigned": _attribute("stem_quant", "signed", 0),
    "narrow": _attribute("stem_quant", "narrow", 1),
    "scale": _constant("stem_quant_scale", lambda a: a * 0 + 0.3),
    "zero point": _constant("stem_quant_zero", lambda a: a + 1),
    "branch saturates": _constant("merge1_affine_bits", lambda a: a * 0 + 6),
    "two grids": _constant("merge1_scale", lambda a: a * 2),
    "wrong half": _constant("down_half", lambda a: a * 0.5),
    "bias off the grid": _constant("stem_h", lambda a: a + 1e-4),
}
MOVED_STREAMS: dict[str, Change] = {
    "uneven slope": _constant("merge3_slope", lambda a: a * 0 + 0.3),
    "negative slope": _constant("merge3_slope", lambda a: a * 0 - 0.2),
    "PReLU without rounding": _constant("merge3_half", lambda a: a * 0),
    "affine on two grids": _constant("affine9_scale", lambda a: a * 2),
}


UNSUPPORTED_STREAMS: dict[str, tuple[Change, str]] = {
    "leak without its half": (
        _constant("clip_half", lambda a: a * 0),
        "node 'clip' (Add): found gains [205], constants [0], grid 2^-6; supported: one gain, the half 1024, grid 2^-6",
    ),
}


@pytest.mark.parametrize("case", [*MOVED, *MOVED_STREAMS])
def test_what_no_layer_computes_exactly_is_moved_by_no_more_than_is_said(case: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    model = write(tiny() if case in MOVED else two_streams(), path)
    {**MOVED, **MOVED_STREAMS}[case](model.graph)
    onnx.save(model, str(path))
    found = convert(path)
    distance = compare(found, random_images(found.graph, 4))
    assert distance.tensors > 4
    assert distance.rms < 0.05 * distance.spread


@pytest.mark.parametrize("case", UNSUPPORTED_STREAMS)
def test_what_is_not_supported_of_the_other_blocks_is_named(case: str, tmp_path: Path) -> None:
    change, message = UNSUPPORTED_STREAMS[case]
    path = tmp_path / "model.onnx"
    model = write(two_streams(), path)
    change(model.graph)
    onnx.save(model, str(path))
    with pytest.raises(BirealError) as error:
        lower(path)
    assert str(error.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_what_is_not_supported_is_named(case: str, tmp_path: Path) -> None:
    change, message = UNSUPPORTED[case]
    path = tmp_path / "model.onnx"
    model = write(tiny(), path)
    change(model.graph)
    onnx.save(model, str(path))
    with pytest.raises(BirealError) as error:
        lower(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


def test_broken_and_foreign_files_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write(tiny(), path)
    whole = path.read_bytes()
    for content, message in [
        (whole[: len(whole) // 2], f"cannot read {path}: it is not an ONNX file, or it is truncated"),
        (b"\x00PK not onnx", f"cannot read {path}: it is not an ONNX file, or it is truncated"),
        (b"", f"cannot read {path}: it is empty"),
    ]:
        path.write_bytes(content)
        with pytest.raises(BirealError) as error:
            lower(path)
        assert str(error.value) == message
    with pytest.raises(BirealError) as error:
        lower(tmp_path / "none.onnx")
    assert str(error.value) == f"cannot read {tmp_path / 'none.onnx'}: No such file or directory"


def test_values_beyond_float32_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    model = write(tiny(), path)
    _constant("stem_h", lambda a: a + 2.0**18)(model.graph)
    onnx.save(model, str(path))
    with pytest.raises(BirealError, match=r"stem': values reach \d+; float32 is exact below 2\^24, export it anew$"):
        lower(path)


@pytest.mark.parametrize(("entries", "name"), [({"bireal_hw.model": '"my net"'}, "my_net"), ({}, "tiny")])
def test_a_network_is_called_what_its_metadata_says_or_the_graph_of_the_file(
    entries: dict[str, str], name: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    write(tiny(), path)
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, entries)
    onnx.save(model, str(path))
    assert lower(path).name == name


RESIZES = {
    "asymmetric, floor": ({"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, True),
    "the standard's own": ({}, True),
    "half_pixel, ceil on a tie": ({"nearest_mode": "round_prefer_ceil"}, True),
    "half_pixel, floor": ({"nearest_mode": "floor"}, False),
    "asymmetric, rounded": ({"coordinate_transformation_mode": "asymmetric"}, False),
    "corners": ({"coordinate_transformation_mode": "align_corners"}, False),
    "linear": ({"mode": "linear"}, False),
}


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("case", RESIZES)
def test_a_resize_repeats_pixels_or_is_refused(case: str, factor: int, tmp_path: Path) -> None:
    """Against onnxruntime, for every way to choose pixels, with the sizes given as scales and as numbers of pixels."""
    import onnxruntime

    choice, taken = RESIZES[case]
    x = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    scales, sizes = np.array([1, 1, factor, factor], np.float32), np.array([1, 1, 3 * factor, 4 * factor])
    for given in ("scales", "sizes"):
        inputs = ["x", "", "scales"] if given == "scales" else ["x", "", "", "sizes"]
        constants = {"scales": scales, "sizes": sizes, "m": np.zeros((1, 1, 1, 1), np.float32), "one": np.float32(1)}
        constants |= {"zero": np.float32(0), "bits": np.float32(9)}
        quant = ["p", "one", "zero", "bits"]
        nodes = [
            helper.make_node("Quant", quant, ["x"], "pixels", domain=QONNX, signed=1, narrow=0, rounding_mode="FLOOR"),
            helper.make_node("Resize", inputs, ["y"], "resize", **({"mode": "nearest"} | choice)),
        ]
        held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
        ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("x", "y")]
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(QONNX, 1)]
        alone = helper.make_graph([nodes[1]], "g", [ends[0]], [ends[1]], held)
        model = helper.make_model(alone, opset_imports=opsets[:1], ir_version=10)
        want = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
        repeated = np.array_equal(want, x.repeat(factor, 2).repeat(factor, 3))
        assert repeated or not taken
        assert not repeated or taken or factor == 2  # where asymmetric, rounded does the same
        image = helper.make_tensor_value_info("p", onnx.TensorProto.FLOAT, [1, 1, 3, 4])
        whole = helper.make_graph(nodes, "g", [image], [ends[1]], held)
        onnx.save(helper.make_model(whole, opset_imports=opsets, ir_version=10), str(tmp_path / "m.onnx"))
        if taken:
            graph = lower(tmp_path / "m.onnx")
            pixels = x.transpose(0, 2, 3, 1).astype(np.uint8)
            np.testing.assert_array_equal(golden.run(graph, pixels).ravel(), want.ravel())
        else:
            with pytest.raises(BirealError, match=r"node 'resize' \(Resize\): found "):
                lower(tmp_path / "m.onnx")
