"""The kernels side by side in threads, with streams of the generated depths: no deadlock; one that is too short is one.

C simulation runs one kernel after the other and its streams hold any number of beats, so it says nothing about depths.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.golden import run
from bireal_hw.hls import generate
from bireal_hw.hls.gpp import headers
from bireal_hw.passes.folding import fold
from tests.networks import random_images, tiny

pytestmark = pytest.mark.hls

BOUNDED = Path(__file__).with_name("bounded")
FRAMES = 3
SHORTCUT = "stem_to_merge1_out"


@pytest.fixture(scope="module")
def threaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A small network compiled with a thread for each kernel; runs images in one call, with other depths if given."""
    graph, project = tiny(), tmp_path_factory.mktemp("threaded") / "hls"
    generate(graph, fold(graph, 2_000), project, "xc7z020clg400-1", 100)
    text = (project / "top.cpp").read_text()
    text = re.sub(r"BIREAL_PRAGMA\(HLS STREAM variable=(\w+) depth=(\d+)\)", r'\1.limit(depth("\1", \2));', text)
    text = re.sub(r"^  BIREAL_WATCH.*\n", "", text, flags=re.MULTILINE)
    (project / "top.cpp").write_text('#include "threads.hpp"\n' + side_by_side(text, r"bireal::\w+<.*\);"))
    inner = project / "bireal" / "real_conv.hpp"  # a dataflow of its own
    text = re.sub(r"^(  hls::stream<.*> (\w+)\(.*\);)$", r"\1 \2.limit(2);", inner.read_text(), flags=re.MULTILINE)
    inner.write_text(side_by_side(text, r"(?:unfold|multiply|scale)<Config>\(.*\);"))
    bench = (project / "tb.cpp").read_text().replace("calls == 0 ? 1 : calls == 1 ? 2", f"calls < 9 ? {FRAMES}")
    (project / "tb.cpp").write_text(bench)
    command = ["g++", "-std=c++14", "-O0", "-pthread", "-DBIREAL_THREADS", "-I", str(BOUNDED)]
    command += ["-I", str(project), "-isystem", str(headers()), "top.cpp", "tb.cpp", "-o", "threaded"]
    subprocess.run(command, cwd=project, check=True)
    images = random_images(graph, FRAMES)
    (project / "vectors").mkdir()
    (project / "vectors" / "images.bin").write_bytes(images.tobytes())
    np.savetxt(project / "vectors" / "logits.txt", run(graph, images), "%d")

    def run_with(**depths: int) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {name: str(depth) for name, depth in depths.items()}
        command = [str(project / "threaded")]
        return subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    return run_with


def side_by_side(text: str, call: str) -> str:
    """Give each of the calls that stand in lines of their own a thread, in every group of such lines."""
    text = re.sub(r"^  //.*\n", "", text, flags=re.MULTILINE)  # comments stand between the calls
    threads = re.sub(rf"^  ({call})$", r"  threads.run([&] { \1 });", text, flags=re.MULTILINE)
    assert threads != text
    return re.sub(r"((?:^  threads\.run.*\n)+)", r"  Threads threads;\n\1", threads, flags=re.MULTILINE)


@pytest.mark.parametrize("depths", [{}, {SHORTCUT: 44}], ids=["generated", "a shorter shortcut"])
def test_streams_of_the_generated_depths_do_not_deadlock(
    threaded: Callable[..., subprocess.CompletedProcess[str]], depths: dict[str, int]
) -> None:
    done = threaded(**depths)
    assert (done.returncode, done.stdout) == (0, "3 images, 0 of 15 compared logits differ\n"), done.stderr


def test_a_shortcut_stream_that_is_too_short_deadlocks(
    threaded: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = threaded(**{SHORTCUT: 8})
    assert done.returncode == 5
    assert re.fullmatch(r"deadlock: \d+ kernels wait\n", done.stderr)
