"""The engine as C++: tails of real networks, a placed network as a project, its loops in threads, wrong weights."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from bireal_hw import golden
from bireal_hw.assets import asset
from bireal_hw.engine.program import WIDTHS, Pass
from bireal_hw.errors import BirealError
from bireal_hw.hls import generate
from bireal_hw.hls.csim import run_kernel
from bireal_hw.hls.gpp import QUICK, headers
from bireal_hw.hls.network import simulate_network
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Fold
from bireal_hw.ops import Engine
from bireal_hw.passes.folding import Folding, complete, fold
from bireal_hw.passes.placement import cuts, place
from tests.conformance import BUILDS
from tests.hls.test_bounded import BOUNDED, side_by_side
from tests.hls.test_network import SANITIZED
from tests.networks import crossing, random_images, tiny
from tests.random_networks import graph_of

pytestmark = pytest.mark.hls

HEADER = asset("hls/include") / "bireal" / "engine.hpp"
PART = "xc7z020clg400-1"


def test_the_fields_of_a_pass_are_those_of_the_program() -> None:
    cut = re.findall(r"word\.cut(?:_signed)?<(\d+)>\(pass\.(\w+)\);", HEADER.read_text())
    assert [(name, int(width)) for width, name in cut] == [(one.name, WIDTHS[one.name]) for one in fields(Pass)]
    assert f"EnginePassWidth = {sum(WIDTHS.values())};" in HEADER.read_text()


TAILS = {
    "bireal18, all blocks": ("bireal18", (16, 16), 0, Fold(pe=8, simd=32, lanes=4)),
    "bireal18, bands": ("bireal18", (24, 48), 1, Fold(pe=8, simd=16, lanes=16)),
    "react18, thresholds and PReLU": ("react18", (16, 24), 5, Fold(pe=4, simd=64, lanes=8)),
    "bireal50, leaky clip": ("bireal50", (16, 16), 0, Fold(pe=8, simd=64, lanes=8)),
    "plain18, no shortcut": ("plain18", (16, 16), 4, Fold(pe=8, simd=16, lanes=4)),
    "bireal50, two tensors, bands": ("bireal50", (32, 32), 7, Fold(pe=8, simd=32, lanes=8)),
    "bireal18, pool and classifier": ("bireal18", (16, 16), -1, Fold(pe=64, simd=128, lanes=16)),
}


USUAL = ("react18, thresholds and PReLU", "plain18, no shortcut", "bireal50, two tensors, bands")
"""Those of `make test`."""


@pytest.mark.parametrize(
    "case", [case if case in USUAL else pytest.param(case, marks=pytest.mark.slow) for case in TAILS]
)
def test_a_tail_is_exact_within_its_bound(case: str) -> None:
    """One frame, then two and three back to back."""
    model, image, begin, chosen = TAILS[case]
    graph = graph_of(model, image, 3)
    first, crossing = list(cuts(graph).items())[begin]
    assert len(crossing) == 1 + ("two" in case)
    placed = place(graph, first)
    engine = placed.nodes[-1].op
    tensors = dict(golden.tensors(graph, random_images(graph, 3)))
    want = tensors[graph.nodes[-1].name]
    kernel = engine.hls(chosen, placed.inputs_of(placed.nodes[-1])[0])
    source = np.concatenate([tensors[name] for name in crossing], axis=-1)
    got = run_kernel(kernel, source, builds=BUILDS, flags=QUICK)
    np.testing.assert_array_equal(got.outputs.reshape(want.shape), want)
    assert isinstance(engine, Engine)
    assert max(np.diff(got.cycles)) <= engine.cost(chosen, engine.graph.input).cycles
    assert ("bands" in case) == any(one.bands > 1 for one in engine.program(chosen).passes)


def test_words_that_the_kernel_has_not_are_refused() -> None:
    graph = placed_tiny()
    with pytest.raises(BirealError) as error:
        graph.nodes[-1].op.hls(Fold(pe=8, simd=48, lanes=8), *graph.inputs_of(graph.nodes[-1]))
    assert str(error.value) == "engine: simd=48: the C++ computes 16, 32, 64, 128, 256 bits at a time"


def placed_tiny(seed: int = 1) -> Graph:
    return place(tiny(16, 8, 3, 8, seed=seed), "sign2")


def folded(graph: Graph) -> Folding:
    front = {name: one for name, one in fold(graph, 2_000).items() if name != "engine"}
    return complete(graph, front | {"engine": Fold(pe=8, simd=16, lanes=8)})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    graph = placed_tiny()
    generate(graph, folded(graph), tmp_path / "hls", PART, 100, "pynq-z2")
    return tmp_path / "hls"


@pytest.mark.parametrize(
    "flags", [(), ("-DBIREAL_AS_SYNTHESISED",), SANITIZED[1:]], ids=["plain", "as synthesised", "sanitized"]
)
def test_a_placed_network_gives_the_logits(flags: tuple[str, ...], project: Path) -> None:
    graph = placed_tiny()
    images = random_images(graph, 5)
    found = simulate_network(graph, folded(graph), project, images, BUILDS, flags=(*QUICK, *flags))
    assert (found.images, found.mismatches) == (5, 0)
    assert found.in_time


@pytest.mark.parametrize(("end", "begin"), [("narrow", "sign3"), pytest.param("wide", "sign4", marks=pytest.mark.slow)])
def test_two_streams_enter_as_one(end: str, begin: str, tmp_path: Path) -> None:
    graph = place(crossing(8, 12, end), begin)
    generate(graph, folded(graph), tmp_path / "hls", PART, 100)
    images = random_images(graph, 5)
    found = simulate_network(graph, folded(graph), tmp_path / "hls", images, BUILDS, flags=QUICK)
    assert (found.images, found.mismatches) == (5, 0)
    assert found.in_time


def test_wrong_weights_are_refused_in_a_line(project: Path, tmp_path: Path) -> None:
    """Cut off, missing, of another network: nothing is computed."""
    graph, other = placed_tiny(), placed_tiny(seed=2)
    generate(other, folded(other), tmp_path / "other", PART, 100)
    image = (project / "weights.bin").read_bytes()
    assert not (project / "run_vivado.tcl").exists()
    wrong = {
        image[:-8]: f"{len(image) - 8} bytes, not {len(image)}: it is missing, cut off or of another network",
        b"": f"0 bytes, not {len(image)}: it is missing, cut off or of another network",
        (
            tmp_path / "other" / "weights.bin"
        ).read_bytes(): "status 4: its weights are not those of this network and folding",
        bytes(8) + image[8:]: "status 4: its weights are not those of this network and folding",
    }
    for content, message in wrong.items():
        (project / "weights.bin").unlink()  # it may be a link
        (project / "weights.bin").write_bytes(content)
        with pytest.raises(BirealError) as error:
            simulate_network(graph, folded(graph), project, random_images(graph, 1), BUILDS, flags=QUICK)
        start = f"{graph.name}: the C simulation ended with status 2: weights.bin: "
        assert str(error.value) == f"{start}{message}; generate the project again"
    assert not (project / "vectors").exists()


def threaded(project: Path, change: Callable[[str], str]) -> subprocess.CompletedProcess[str]:
    """Run three images in one call with a thread for each kernel, and one for each loop of the engine's passes."""
    for path in (project / "top.cpp", project / "bireal" / "engine.hpp", project / "bireal" / "real_conv.hpp"):
        text = change(path.read_text())
        text = re.sub(r"BIREAL_PRAGMA\(HLS STREAM variable=(\w+) depth=(\d+)\)", r"\1.limit(\2);", text)
        text = re.sub(r"^  BIREAL_WATCH.*\n", "", text, flags=re.MULTILINE)
        kernels = "deal|multiply|load|finish|store|arrive|fetch|run_program|unfold|scale"
        calls = rf"(?:bireal::\w+<\w+>|(?:{kernels})<Config>)\(.*\);"
        path.write_text('#include "threads.hpp"\n' + side_by_side(text, calls))
    bench = (project / "tb.cpp").read_text().replace("calls == 0 ? 1 : calls == 1 ? 2", "calls < 9 ? 3")
    (project / "tb.cpp").write_text(bench)
    command = ["g++", "-std=c++14", "-O0", "-pthread", "-DBIREAL_THREADS", "-I", str(BOUNDED)]
    command += ["-I", str(project), "-isystem", str(headers()), "top.cpp", "tb.cpp", "-o", "threaded"]
    subprocess.run(command, cwd=project, check=True)
    graph = placed_tiny()
    images = random_images(graph, 3)
    (project / "vectors").mkdir()
    (project / "vectors" / "images.bin").write_bytes(images.tobytes())
    np.savetxt(project / "vectors" / "logits.txt", golden.run(graph, images), "%d")
    done = [str(project / "threaded")]
    return subprocess.run(done, cwd=project, capture_output=True, text=True, check=False, timeout=600)


def test_its_loops_side_by_side_do_not_deadlock(project: Path) -> None:
    done = threaded(project, lambda text: text)
    assert (done.returncode, done.stdout) == (0, "3 images, 0 of 15 compared logits differ\n"), done.stderr
