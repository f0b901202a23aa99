"""finn-plus as a second opinion: the file it reads, what it makes of it, and life without it."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.crosscheck import finn_file, through_finn
from bireal_hw.crosscheck.network import unpadded
from bireal_hw.crosscheck.padding import padded_block, padding_effect
from bireal_hw.errors import BirealError
from bireal_hw.golden import run
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Array
from bireal_hw.ir.types import DataType
from bireal_hw.ops import Merge
from bireal_hw.passes.folding import convolutions, fold
from tests.networks import random_images, tiny

ENVIRONMENT = Path(__file__).parents[2] / through_finn.ENVIRONMENT
PART = "xc7z020clg400-1"

needs_finn = pytest.mark.skipif(
    not list(ENVIRONMENT.glob("lib/*/site-packages/finn/builder")),
    reason=f"wants finn-plus in {through_finn.ENVIRONMENT}: {through_finn.COMMAND}",
)


@pytest.mark.torch
def test_the_file_means_the_network(tmp_path: Path) -> None:
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    graph = unpadded(integer=True)
    images = random_images(graph, 4)
    finn_file.write(graph, tmp_path / "net.onnx")
    model = ModelWrapper(str(tmp_path / "net.onnx"))
    got = [execute_onnx(model, {"p": image[None].astype(np.float32)})["classifier_add_out"] for image in images]
    assert np.array_equal(np.concatenate(got).reshape(4, -1), run(graph, images))


@pytest.mark.parametrize(
    ("graph", "reason"), [(unpadded(), r"stem shifts"), (tiny(max_pool=True, height=32, width=32), r"stem shifts")]
)
def test_other_forms_are_refused(graph: Graph, reason: str) -> None:
    with pytest.raises(BirealError, match=rf"^{reason}: finn-plus maps integer multipliers and sums only"):
        finn_file.refuse_other_forms(graph)


def test_a_merge_that_may_saturate_is_refused() -> None:
    graph = padded_block()
    finn_file.refuse_other_forms(graph)
    *first, merge = graph.nodes
    assert isinstance(merge.op, Merge)
    narrow = replace(merge, op=replace(merge.op, dtype=DataType(8, frac=7)))
    with pytest.raises(BirealError, match=r"^merge may saturate: "):
        finn_file.refuse_other_forms(replace(graph, nodes=(*first, narrow)))


def test_without_the_environment_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(BirealError, match=r"^finn-plus is not in .*nowhere: make setup-finn puts it there$"):
        through_finn.python(tmp_path / "nowhere")


def test_when_finn_plus_stops_its_last_words_are_told(tmp_path: Path) -> None:
    (tmp_path / "env" / "lib" / "python3" / "site-packages" / "finn" / "builder").mkdir(parents=True)
    interpreter = tmp_path / "env" / "bin" / "python"
    interpreter.parent.mkdir()
    interpreter.write_text("#!/bin/sh\necho one\necho 'FINNUserError: no such layer'\nexit 1\n")
    interpreter.chmod(0o755)
    graph = unpadded(integer=True)
    with pytest.raises(
        BirealError, match=r"^finn-plus stopped: FINNUserError: no such layer; all of it in .*finn\.log$"
    ):
        through_finn.build(graph, random_images(graph, 1), fold(graph), tmp_path / "work", PART, tmp_path / "env")


@pytest.mark.slow
@pytest.mark.torch
@needs_finn
def test_hardware_layers_equal_golden_and_so_do_the_cycles(tmp_path: Path) -> None:
    graph = unpadded(integer=True, seed=3)
    images, folding = random_images(graph, 8), fold(graph, 5000)
    built = through_finn.build(graph, images, folding, tmp_path / "finn", PART, ENVIRONMENT)
    assert set(built.outputs) == {"step_streamline", "step_convert_to_hw"}
    for values in built.outputs.values():
        assert np.array_equal(values, run(graph, images))
    ours = {node.name: node.op.cost(folding[node.name], *graph.inputs_of(node)).cycles for node in convolutions(graph)}
    assert {layer: cycles["matrix_unit"] for layer, cycles in built.cycles.items()} == ours
    assert built.slowest["cycles"] == max(ours.values())


@pytest.mark.slow
@pytest.mark.torch
@needs_finn
def test_padded_bits_become_minus_one(tmp_path: Path) -> None:
    found = padding_effect(partial(_hardware_layers, folder=tmp_path / "finn"), tmp_path / "padded.onnx")
    assert found["differ_from_minus_one"] == 0
    assert 0 < found["differ_from_zero"] <= 64 < found["outputs"]  # 16 border pixels of 4 channels


def _hardware_layers(path: Path, graph: Graph, images: Array, folder: Path) -> Array:
    last = "step_convert_to_hw"
    return through_finn.build(graph, images, fold(graph), folder, PART, ENVIRONMENT, last).outputs[last]
