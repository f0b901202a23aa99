"""The driver, as it is, on the simulated board: every logit, faults of the hardware, misuses, registers."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bireal_hw.golden import run
from bireal_hw.ir.graph import Graph
from bireal_hw.preprocess import read_picture
from bireal_hw.zynq.registers import errors, registers
from bireal_hw.zynq.simulation import SimulatedBoard
from tests.networks import dense, mixed, random_images, tiny
from tests.zynq.boards import HERTZ, SESSIONS, simulated, simulated_hls

pytestmark = pytest.mark.rtl

BATCHES = [1, 7, 56]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> SimulatedBoard:
    return simulated(tiny(channels=3), tmp_path_factory.mktemp("board"))


def session(board: SimulatedBoard, name: str, **plan: Any) -> Any:
    return board.run(SESSIONS / f"{name}.py", HERTZ, **plan)


@pytest.mark.parametrize(
    ("graph", "target", "least", "batches"),
    [
        (tiny(channels=3), 2_000, 4, BATCHES),
        (mixed(9, 7, 3, 6, seed=35), 3_000, 8, [1, 2, 5]),  # 189 bytes an image: no whole number of beats
        (mixed(9, 7, 1, 6, seed=30), 9_000, 16, [1, 2]),
        (dense(6, 4), 600, 4, [3, 1, 4]),  # gives a map
        (tiny(16, 8, 3, 6, seed=1), 300, 16, [1, 6]),
    ],
    ids=["colour", "189 bytes", "gray, 16 bytes a beat", "map", "quick"],
)
@pytest.mark.parametrize("slow", [0, 26_000], ids=["free", "stalled"])
def test_every_logit_in_batches(
    graph: Graph, target: int, least: int, batches: list[int], slow: int, tmp_path: Path
) -> None:
    board = simulated(graph, tmp_path, target, sum(batches), least)
    assert (board.shape.in_bytes, board.shape.out_bytes) >= (least, least)
    found, counters, buffers, loads = session(board, "batches", batches=batches, idle=slow, stall=slow)
    want = run(graph, random_images(graph, sum(batches)))
    np.testing.assert_array_equal(found, want.reshape(len(want), -1))
    assert (buffers, loads) == (0, 1)
    count = batches[-1]
    assert counters["IMAGES_DONE"] == count
    assert counters["BEATS_IN"] == math.ceil(count * counters["IMAGE_BYTES"] / board.shape.in_bytes)
    assert counters["BEATS_OUT"] == math.ceil(4 * count * counters["LOGITS"] / board.shape.out_bytes)
    assert counters["ERRORS"] == 0
    assert 0 < counters["FIRST_LOGIT"] < counters["CYCLES"]
    assert slow or counters["STALLS_OUT"] == 0


@pytest.mark.hls
@pytest.mark.parametrize(
    ("graph", "target", "batches"),
    [(tiny(channels=3), 2_000, BATCHES), (tiny(), 1, [1, 2]), (mixed(9, 7, 3, 6, seed=35), 3_000, [1, 2, 5])],
    ids=["colour", "five logits a beat", "189 bytes"],
)
def test_every_logit_in_batches_of_the_kernel(graph: Graph, target: int, batches: list[int], tmp_path: Path) -> None:
    """The C++ behind the registers of Vitis HLS, by the same driver: call after call on the same streams."""
    board = simulated_hls(graph, tmp_path, target, sum(batches))
    found, counters, buffers, loads = session(board, "batches", batches=batches, idle=9_000, stall=9_000)
    want = run(graph, random_images(graph, sum(batches)))
    np.testing.assert_array_equal(found, want.reshape(len(want), -1))
    assert (counters["frames"], buffers) == (batches[-1], 0)
    assert loads == 2  # a kernel has no reset but that of the bitstream


@pytest.mark.hls
def test_faults_around_the_kernel_are_told_too(tmp_path: Path) -> None:
    board = simulated_hls(tiny(channels=3), tmp_path)
    found = board.run(SESSIONS / "hls_faults.py", hertz=2e5)
    progress = "4 images were asked for"
    assert found["stuck, reading"][0] == (
        "NetworkError: no end after 0.5 s: not done: MM2S and S2MM (MM2S: the DMA sends images; S2MM: it takes "
        f"logits); {progress}"
    )
    assert found["memory, reading"][0] == (
        f"NetworkError: the DMA stopped reading images with an error of the memory: {progress}"
    )
    assert found["Ctrl-C"][0] == "KeyboardInterrupt: "
    assert found["another network"][0].endswith("copy both from one folder")
    assert {one[2] for one in found.values()} == {16}


def test_faults_of_the_hardware_are_diagnosed_in_time_and_leave_it_usable(board: SimulatedBoard) -> None:
    """In a slow clock, so that half a second is no long simulation."""
    found = board.run(SESSIONS / "faults.py", hertz=2e5)
    texts = {one.name: one.text for one in errors(memory=False)}
    short, long, sparse = (texts[name] for name in ("short_frame", "long_frame", "sparse_beat"))

    def taken(count: int, images: str = "4") -> str:
        return rf"it had taken {count} of 768 bytes and computed {images} of 4 images"

    stopped, late = "the DMA stopped", r"no end after 0\.5 s: the DMA"
    told = {
        "short": f"{short}: {taken(120)}",
        "long": f"{long}: {taken(768)}",
        "long by bytes": f"{long}: {taken(768)}",
        "sparse": f"{short}; {sparse}: {taken(768)}",
        "memory, reading": f"{stopped} reading images with an error of the memory: {taken(80, '0')}",
        "memory, writing": f"{stopped} writing logits with an error of the memory: "
        + taken(300, "1").replace("300", r"\d+"),
        "nothing at the address": f"{stopped} (writing|reading) [a-z]+ with an address that nothing answers: "
        + taken(0, "0"),
        "stuck, reading": rf"{late} has stopped sending images \([\d,]+ cycles without one, [\d,]+ without room\); "
        + taken(160, r"\d"),
        "stuck from the beginning": f"{late} sends no image; {taken(0, '0')}",
        "stuck, writing": rf"{late} takes no logits \([\d,]+ cycles\); {taken(768, '[0-4]')}",
        "another's run": f".*{texts['start_while_busy']}.*",
    }
    for name in ("Ctrl-C", "Ctrl-C twice"):
        assert found.pop(name)[::2] == ["KeyboardInterrupt: ", 16]
    assert found.keys() == told.keys()
    for name, (words, seconds, checked) in found.items():
        assert re.fullmatch(f"NetworkError: {told[name]}", words), f"{name}: {words}"
        assert seconds < 0.6, name
        assert checked == 16, name


MISUSES = {
    "floats of 0..1": "undo the scaling to 0..1, which the network does not want",
    "mean and deviation": "leave out mean and deviation, as the network subtracts its own mean",
    "floats of 0..255": "images.astype(np.uint8) if they are whole numbers",
    "NaN": "some are NaN",
    "int8": "leave out mean and deviation, as the network subtracts its own mean",
    "16 bits": "the largest is 65280; divide 16-bit pixels by 256 first",
    "bool": "pixels are bool (4, 8, 8, 3)",
    "objects": "pixels are object (4, 8, 8, 3)",
    "larger": "give the pictures as files, which are cut and scaled as the network was tested",
    "channels first": "channels come last, images.transpose(0, 2, 3, 1)",
    "alpha": "give the pictures as files, which get 3 channels",
    "gray for colour": "give the pictures as files, which get 3 channels",
    "flat": "pixels are uint8 (4, 192)",
    "one image": "one image is images[None]",
    "a list of different ones": "the arrays of the list have shapes (7, 8, 3), (8, 8, 3): give equal ones",
    "a number": "images of type int are none: give uint8 (N, 8, 8, 3), or pictures as files or images of Pillow",
    "a dictionary": "images of type dict are none",
    "pictures and arrays": "images of type list of ndarray, str are none",
    "no such file": "nowhere.png: there is no such file",
    "no picture": "text.png cannot be read: it is no picture of a kind that Pillow knows",
    "no memory": "numbers (Failed to allocate Memory!): give fewer images at once, or close() others",
    "no bitstream": "other.bit: there are bireal.bit",
    "no .bit": "bireal.hwh is no bitstream: its name ends in .bit",
    "no .hwh": "bireal.hwh, by which PYNQ knows what is in the bitstream: copy it beside it",
    "another network": "copy both from one folder",
    "damaged json": "network.json is damaged",
    "no json": "network.json, which says what the network is: copy it beside the bitstream",
    "no vectors": "copy the folder to the board",
    "another design": "the design has no cell that could be its network (dma): is this bireal_hw's bitstream?",
    "no registers": "the .hwh names no registers of network: make it anew with Vivado 2020.2 or later",
    "a closed image": "the image, of mode RGB, cannot be read: Operation on closed image",
    "pixels without a range": "the image, of mode F, cannot be read: cannot write mode F as PNG",
    "nothing to measure": "count=0: give at least one image to measure with",
    "loaded since": "was loaded since: make this Network anew",
    "another json": "network.json is damaged ('frac' is missing): copy it again",
    "a number for json": "network.json is damaged (",
    "fewer logits": "cannot be read (16 images, and logits (15, 5)): copy the folder to the board",
    "no logits": "copy the folder to the board",
    "not root": "only root may load a bitstream: sudo bash -lc 'python3 driver.py', or a notebook of the board's",
    "no device": "PYNQ finds no logic to load, as where XILINX_XRT is not set: sudo bash -lc 'python3 driver.py'",
    "half of pynq": "pynq cannot be imported (No module named 'cffi_of_the_image'): this runs on the board",
    "no pynq": "pynq is not here: this runs on the board, with the Python of its image: sudo bash -lc",
}


def test_misuses_are_one_sentence_each(board: SimulatedBoard) -> None:
    """And cost the hardware nothing; what is fine besides gives the logits of what training would read."""
    found = session(board, "misuse")
    said = found["said"]
    assert said.pop("started") == "0"
    assert said.keys() == MISUSES.keys()
    for name, words in said.items():
        assert MISUSES[name] in words, name
        assert re.fullmatch(r"(ValueError|NetworkError): [^\n]+", words), name
    graph, images = tiny(channels=3), random_images(tiny(channels=3), 16)
    good = run(graph, images[:4]).tolist()
    assert found["views"] == [good] * 4
    assert found["parts"][0] == good  # in runs of 3 images and 1
    assert 1_728 < found["parts"][1] < 5 * 1_728  # of the last run, an image
    assert found["empty"] == [[0, 5], [0, 5], []]
    x, y = np.meshgrid(np.arange(50), np.arange(40))
    picture = Image.fromarray(np.stack([5 * x, 6 * y, x + y], -1).astype(np.uint8))
    for logits, mode in zip(found["pictures"], ["RGB"] * 3 + ["RGB", "L", "RGBA", "P", "1", "CMYK"], strict=True):
        file = io.BytesIO()
        picture.convert(mode).save(file, "TIFF" if mode == "CMYK" else "PNG")
        file.seek(0)
        assert logits == run(graph, read_picture(file, (8, 8), 3)[None]).tolist(), mode
    name, probability, all_of_them = found["predicted"]
    values = np.array(found["pictures"][0][0]) / 2.0**graph.output.dtype.frac
    np.testing.assert_allclose(all_of_them, np.exp(values) / np.exp(values).sum(), rtol=1e-12)
    assert (name, probability) == (str(int(np.argmax(values))), max(all_of_them))
    assert found["main"] == 0


def test_registers_do_what_their_table_says(board: SimulatedBoard) -> None:
    found = session(board, "registers")
    fresh = {one.name: 0 for one in registers(memory=False)} | {
        "IDENTITY_LOW": int(board.shape.identity[8:], 16),
        "IDENTITY_HIGH": int(board.shape.identity[:8], 16),
        "VERSION": 4 << 24 | 4 << 16 | 1,
        "STATUS": 1,
        "IMAGE_BYTES": 192,
        "LOGITS": 5,
    }
    assert found["after loading"] == fresh
    assert set(found["beyond"]) == {0}
    assert found["written"] == [0x12345678, 6, 0, False]
    assert found["no images"] == [1 << 4, 1 | 4, True]
    assert found["cleared"] == [0, 1, False]
    assert found["busy"] == [1 << 3, 4, True, True]
    assert found["resetting"] == 0
    assert found["reset"] == fresh | {"IMAGES": 1, "INTERRUPT": 6}


def test_the_notebook_runs(board: SimulatedBoard) -> None:
    about, checked, predicted, measured = session(board, "notebook")
    assert about == "tiny [8, 8, 3] rtl\n"
    assert checked == "16 images are right\n"
    assert re.fullmatch(r"[0-4] \d+\.\d %\n", predicted)
    assert re.search(r"^network_frames_per_second +5\.787e\+04$", measured, re.M)
