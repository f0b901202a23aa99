"""The graph: what verify refuses, and a file format that loses nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph, Node, dumps, load, loads, save, verify
from bireal_hw.ir.types import PIXEL, DataType, TensorType
from bireal_hw.ops import Center, MaxPool, RealConv, Rescale, Sign
from tests.networks import mixed, tiny


def wide() -> Graph:
    """A constant of more than 32 bits, tuples, and fields that are None."""
    numbers = np.array([1 << 40, -(1 << 44), 3])
    rescale = Rescale(np.array([3, 2, 1]), numbers, 20, DataType(31), low=-5)
    nodes = (
        Node("center", Center(np.full(3, 128)), ("image",)),
        Node("rescale", rescale, ("center",)),
        Node("pool", MaxPool.tiled(2, 3), ("rescale",)),
    )
    return verify(Graph("wide", TensorType.full(4, 6, 3, PIXEL), nodes))


@pytest.mark.parametrize("graph", [tiny(), mixed(), wide()], ids=["tiny", "mixed", "wide"])
def test_file_round_trip_loses_nothing_and_is_deterministic(graph: Graph, tmp_path: Path) -> None:
    save(graph, tmp_path / "graph.json")
    again = load(tmp_path / "graph.json")
    assert again == graph
    assert dumps(again) == dumps(graph) == (tmp_path / "graph.json").read_text()
    assert list(tmp_path.iterdir()) == [tmp_path / "graph.json"]


def test_equality_sees_one_flipped_weight() -> None:
    graph = tiny()
    conv = next(node for node in graph if node.name == "conv1")
    weights = conv.op.weights.copy()  # type: ignore[attr-defined]
    weights[0, 0, 0, 0] *= -1
    changed = dataclasses.replace(conv, op=dataclasses.replace(conv.op, weights=weights))  # type: ignore[type-var]
    assert dataclasses.replace(graph, nodes=tuple(changed if n is conv else n for n in graph)) != graph


def _with(graph: Graph, *nodes: Node) -> Graph:
    return dataclasses.replace(graph, nodes=(*graph.nodes, *nodes))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (Node("stem", Sign(), ("center",)), "graph tiny: the name 'stem' stands twice"),
        (Node("a b", Sign(), ("center",)), "graph tiny: 'a b' is not an identifier"),
        (Node("x", Sign(), ("nowhere",)), "graph tiny: x reads 'nowhere', which no earlier node makes"),
        (Node("x", Sign(), ("stem", "stem")), "graph tiny: x has 2 inputs, sign takes 1"),
        (Node("x", Sign(), ("merge1",)), "graph tiny: nothing reads 'classifier'"),
        (Node("x", Sign(), ("classifier",)), ""),
    ],
)
def test_verify_names_what_is_wrong(node: Node, message: str) -> None:
    graph = _with(tiny(), node)
    if not message:
        assert verify(graph) is graph
        return
    with pytest.raises(BirealError) as error:
        verify(graph)
    assert str(error.value) == message


def test_wrong_shapes_name_the_node() -> None:
    graph = tiny()
    nodes = [dataclasses.replace(n, inputs=("stem", "conv2")) if n.name == "merge2" else n for n in graph]
    with pytest.raises(BirealError, match=r"^graph tiny: merge2: merge: shortcut is \(8, 8, 4\), convolution gives"):
        verify(dataclasses.replace(graph, nodes=tuple(nodes)))


def _document() -> dict[str, Any]:
    return json.loads(dumps(tiny()))


def test_foreign_and_broken_files_stop_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "graph.json"
    text = dumps(tiny())
    for content, message in [
        (text[: len(text) // 2], "is not valid JSON"),
        ("[]", "is not a graph of this version: format is 'list', wanted 'bireal_hw graph 3'"),
        ('{"format": "other"}', "is not a graph of this version: format is 'other', wanted 'bireal_hw graph 3'"),
        (text.replace('"op": "sign"', '"op": "sing"', 1), "unknown op 'sing': did you mean 'sign'?"),
        (text.replace('"stride": 2', '"strode": 2', 1), "is damaged: TypeError"),
        (text.replace('"data": "', '"data": "A', 1), "is damaged"),
    ]:
        path.write_text(content)
        with pytest.raises(BirealError) as error:
            load(path)
        assert str(error.value).startswith(str(path))
        assert message in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(BirealError, match=r"cannot read .*missing\.json"):
        load(tmp_path / "missing.json")
    assert loads(json.dumps(_document())) == tiny()


def test_bits_are_stored_as_bits() -> None:
    document = _document()
    kinds = {
        node["name"]: node["attributes"]["weights"]["array"]
        for node in document["nodes"]
        if "weights" in node["attributes"]
    }
    assert kinds == {"stem": "int8", "conv1": "bits", "conv2": "bits", "down_conv": "int8", "classifier": "int8"}
    conv = next(n for n in loads(json.dumps(document)) if n.name == "conv1")
    assert conv.op.weights.dtype == np.int8  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("ends", "kind"),
    [
        ((-128, 127), "int8"),
        ((-128, 128), "int16"),
        ((-129, 127), "int16"),
        ((-(1 << 15), (1 << 15) - 1), "int16"),
        ((0, 1 << 15), "int32"),
        ((-(1 << 31), (1 << 31) - 1), "int32"),
    ],
)
def test_arrays_are_stored_in_the_narrowest_type_and_come_back_as_int32(ends: tuple[int, int], kind: str) -> None:
    graph = tiny()
    classifier = graph.nodes[-1]
    op = dataclasses.replace(cast(RealConv, classifier.op), bias=np.array([*ends, 0, 1, -1], np.int32))
    changed = dataclasses.replace(graph, nodes=(*graph.nodes[:-1], dataclasses.replace(classifier, op=op)))
    text = dumps(changed)
    assert json.loads(text)["nodes"][-1]["attributes"]["bias"]["array"] == kind
    again = loads(text)
    assert again == changed
    assert again.nodes[-1].op.bias.dtype == np.int32  # type: ignore[attr-defined]
