"""Networks, images, foldings and boards drawn by a seed: what the predicted cycles per frame must hold for."""

from __future__ import annotations

import random
import tempfile
from functools import cache
from pathlib import Path

from bireal_hw import boards
from bireal_hw.analysis.choices import Choices
from bireal_hw.analysis.plan import plan
from bireal_hw.errors import BirealError
from bireal_hw.export.deploy import to_deploy
from bireal_hw.export.qonnx import export_qonnx
from bireal_hw.ir.graph import Graph
from bireal_hw.lowering import lower
from bireal_hw.models.bireal import build_model
from bireal_hw.models.randomise import randomise
from bireal_hw.models.spec import ModelSpec
from bireal_hw.passes.folding import Folding, complete, convolutions
from tests.networks import mixed

MODELS = ("bireal18", "bireal34", "bireal50", "react18", "xnor18", "plain18", "reactneta", "mixed")
"""All but those that differ from `bireal50` in depth alone; and layers of all kinds as they come."""
IMAGES = ((8, 8), (8, 16), (16, 8), (16, 16), (24, 16), (16, 24))
MOST_CYCLES = 40_000
"""Cycles per frame of a drawn network, at most: some frames are simulated in seconds."""


@cache
def graph_of(model: str, image: tuple[int, int], channels: int) -> Graph:
    """Return a network of random weights, an eighth of the paper's width, three classes."""
    spec = ModelSpec(model, 0.125, image, channels, 3)
    deploy = to_deploy(randomise(build_model(spec), spec, seed=3), spec)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.onnx"
        export_qonnx(deploy, spec, path, ["a", "b", "c"])
        return lower(path)


def draw(seed: int) -> tuple[str, Graph, Folding]:
    """Draw a network and its folding: the solver's for a board, at its fastest or at a speed, or any that is legal.

    Returns:
        What it is in words, the graph, a fold for every node.
    """
    numbers = random.Random(seed)
    model, image = MODELS[seed % len(MODELS)], numbers.choice(IMAGES)
    channels = numbers.choice((1, 3))
    graph = mixed(*image, channels, seed=seed) if model == "mixed" else graph_of(model, image, channels)
    what = f"{model}, {image[0]}x{image[1]}x{graph.input.channels}"
    choices = Choices(graph)
    fastest = max(min(choice.cycles for choice in some) for some in choices.convolutions.values())
    fastest = max(fastest, choices.fixed.cycles)
    limit = round(fastest * (MOST_CYCLES / fastest) ** numbers.random())
    how = numbers.choice(("max", "speed", "any", "any"))
    if how == "any":  # uneven: every convolution has a speed of its own
        chosen = {}
        for node in convolutions(graph):
            types = graph.inputs_of(node)
            cycles = {fold: node.op.cost(fold, *types).cycles for fold in node.op.folds(*types)}
            own = max(limit, min(cycles.values()))
            chosen[node.name] = numbers.choice([fold for fold, needed in cycles.items() if needed <= own])
        return f"{what}, any folding up to {limit:,} cycles", graph, complete(graph, chosen)
    board = boards.board(numbers.choice(("pynq-z2", "zcu102", "alveo-u250", "ulx3s-85f")))
    try:
        if how == "speed":
            found = plan(graph, board, 100, 100e6 / limit, None)
            return f"{what}, {board.name}, {limit:,} cycles", graph, found.folding
        return f"{what}, {board.name}, max", graph, plan(graph, board, 100, "max", None).folding
    except BirealError:  # it does not fit, or not at this speed
        board = boards.board("alveo-u250")
        return f"{what}, {board.name}, max", graph, plan(graph, board, 100, "max", None).folding
