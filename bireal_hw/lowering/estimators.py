"""What training has left in a file: a sign minus a smooth function plus the same function, which is the sign.

Straight-through estimators are written so that the backward pass sees the function only, which is of no use in a file:
`sign(x) - f(x) + f(x)` in PyTorch, `x + (-x + sign(x))` in Keras.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import helper


def without_estimators(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[onnx.NodeProto], list[onnx.NodeProto]]:
    """A file whose estimators are replaced by what they stand for.

    Returns:
        The file, the same where it has none; its nodes that add what was taken away; those that nothing needs then.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    constant = {one.name for one in model.graph.initializer} | {""}
    for node in model.graph.node:
        if all(name in constant for name in node.input):
            constant.update(node.output)
    kept: dict[str, str] = {}
    for node in model.graph.node:
        found = None if constant.intersection(node.input) else _stands_for(node, makers)
        if found is not None and found not in constant:
            kept[node.output[0]] = found
    if not kept:
        return model, [], []
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    del changed.graph.node[:]
    for node in model.graph.node:
        if node.output and node.output[0] in kept:
            inner = kept[node.output[0]]
            node = helper.make_node("Identity", [inner], [node.output[0]], name=node.name or node.output[0])
        changed.graph.node.append(node)
    before, after = _needed(model), _needed(changed)
    dead = {name for name in before - after if name in makers}
    gone = [node for node in model.graph.node if node.output and node.output[0] in dead]
    live = [node for node in changed.graph.node if not node.output or node.output[0] not in dead]
    del changed.graph.node[:]
    changed.graph.node.extend(live)
    return changed, [makers[name] for name in kept], gone


def _stands_for(node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto]) -> str | None:
    """The a of (a - b) + b and of (a + -b) + b, in any order; None for another node."""
    if node.op_type != "Add" or len(node.input) != 2:
        return None
    for one, other in (node.input, reversed(node.input)):
        inner = makers.get(_origin(one, makers))
        if inner is None or len(inner.input) != 2:
            continue
        b = _origin(other, makers)
        if inner.op_type == "Sub" and _origin(inner.input[1], makers) == b:
            return str(inner.input[0])
        if inner.op_type == "Add":
            for a, opposite in (inner.input, reversed(inner.input)):
                negative = makers.get(_origin(opposite, makers))
                if negative is not None and negative.op_type == "Neg" and _origin(negative.input[0], makers) == b:
                    return str(a)
    return None


def _origin(tensor: str, makers: Mapping[str, onnx.NodeProto]) -> str:
    """A tensor under what passes it on as it is."""
    node = makers.get(tensor)
    while node is not None and node.op_type == "Identity":
        tensor = node.input[0]
        node = makers.get(tensor)
    return tensor


def _needed(model: onnx.ModelProto) -> set[str]:
    """Tensors that the outputs depend on."""
    found = {value.name for value in model.graph.output}
    for node in reversed(model.graph.node):
        if found.intersection(node.output):
            found.update(node.input)
    return found
