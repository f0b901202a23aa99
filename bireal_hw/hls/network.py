"""The whole network as C++: compiled, run on images, every logit against the golden model, cycles by its loops."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np

from bireal_hw import golden
from bireal_hw.errors import BirealError
from bireal_hw.hls.csim import execute
from bireal_hw.hls.design import Design, design, network_hash
from bireal_hw.hls.gpp import OPTIMISED, build
from bireal_hw.hls.project import PROJECT, VECTORS
from bireal_hw.hls.results import CppSimulation
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Array
from bireal_hw.passes.folding import Folding
from bireal_hw.sim.packing import parse_beats
from bireal_hw.sim.results import Mismatch, first_mismatch

SECONDS = 120.0
"""Time within which a simulation computes as many of its images as it can."""
MIN_FRAMES = 3
"""Images driven at least, one and then two in a call, whose difference in cycles is the interval of images."""


def simulate_network(
    graph: Graph,
    folding: Folding,
    project: Path,
    images: Array,
    builds: Path,
    seconds: float = SECONDS,
    flags: tuple[str, ...] = OPTIMISED,
    dump: Path | None = None,
) -> CppSimulation:
    """Run images through a generated project and compare every logit.

    The images that were computed stay in the project with the golden model's logits, as the vectors of its test bench.

    Args:
        graph: the network that the project was generated from.
        folding: the folding that it was generated with.
        project: folder written by `bireal_hw.hls.generate`.
        images: (N, H, W, C) uint8.
        builds: folder that keeps builds.
        seconds: compute as many of the images as end within this time, and the first one always.
        flags: of the compiler.
        dump: folder for both tensors of the first layer that differs, written only on a mismatch.

    Returns:
        The comparison; no cycles are measured if time allowed one image only.

    Raises:
        BirealError: the project is of another network, a tool is missing, or the program does not end well.
    """
    golden.check_images(graph, images)
    if not len(images):
        raise BirealError("images=0 is out of range: simulate 1 or more")
    made = design(graph, folding)
    check_project(made, project)
    start = time.perf_counter()
    program = build(graph.name, project, builds, flags).absolute()
    built = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames = np.resize(images, (max(len(images), MIN_FRAMES), *images.shape[1:]))
        _write_images(folder, frames)
        execute([str(program), name, str(seconds)], graph.name, seconds, project)
        ran = time.perf_counter()
        got = np.loadtxt(folder / "computed.txt", np.int64, ndmin=2)
        cycles = _intervals(folder / "cycles.txt")
        want = np.resize(golden.run(graph, images[: len(got)]), (len(got), graph.output.size))
        done = min(len(got), len(images))
        mismatches = int(np.count_nonzero(got[:done] != want[:done]))
        first = None
        if (got != want).any():
            at = int(np.flatnonzero((got != want).any(axis=1))[0])
            first = _first_mismatch(graph, folding, project, program, frames[at : at + 1], at, dump)
    vectors = project / VECTORS
    vectors.mkdir(exist_ok=True)
    _write_images(vectors, images[:done])
    np.savetxt(vectors / "logits.txt", want[:done], "%d")
    return CppSimulation(
        images=done,
        outputs_compared=done * graph.output.size,
        mismatches=mismatches,
        first_mismatch=first,
        cycles_per_frame=max(cycles.values()) if cycles else None,
        cycles_predicted=made.flow.cycles,
        bottleneck=made.flow.bottleneck,
        bound=made.flow.engine_bound,
        cycles=cycles,
        seconds_build=round(built - start, 2),
        seconds_run=round(ran - built, 2),
    )


def check_project(made: Design, project: Path) -> None:
    """Raise BirealError unless the folder holds the project of this network with this folding."""
    try:
        found = json.loads((project / PROJECT).read_text())["network"]
    except (OSError, ValueError, KeyError, TypeError):
        raise BirealError(f"{project} holds no generated project: generate it first") from None
    expected = network_hash(made)
    if found != expected:
        raise BirealError(
            f"{project} was generated from another network or folding ({found}, not {expected}): generate it again"
        )


def _write_images(folder: Path, images: Array) -> None:
    (folder / "images.bin").write_bytes(np.ascontiguousarray(images).tobytes())


def _intervals(path: Path) -> dict[str, int]:
    """Cycles that each kernel adds for one image more; nothing unless two images were computed in a call."""
    rows = [line.split() for line in path.read_text().splitlines()]
    calls = {count: {name: int(cycles) for name, c, cycles in rows if c == count} for count in ("1", "2")}
    return {name: cycles - calls["1"][name] for name, cycles in calls["2"].items()}


def _first_mismatch(
    graph: Graph, folding: Folding, project: Path, program: Path, image: Array, number: int, dump: Path | None
) -> Mismatch | None:
    """Compute one image again with every stream written down; find the first layer, in dataflow order, that differs."""
    ports = {node.name: node.op.hls(folding[node.name], *graph.inputs_of(node)).output for node in graph}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_images(folder, image)
        execute([str(program), name, "0", name], graph.name, folder=project)
        for layer, want in golden.tensors(graph, image):
            got = parse_beats((folder / f"{layer}.hex").read_bytes(), ports[layer]).reshape(want.shape)
            if found := first_mismatch(layer, want, got, number, dump):
                return found
    return None
