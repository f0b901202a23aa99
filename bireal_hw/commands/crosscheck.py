"""Second opinions: a network through hls4ml and finn-plus, their integers and cycles beside ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from bireal_hw import boards
from bireal_hw.commands.verb import CONSOLE, FILE, VALUES, Verb, refuse_others
from bireal_hw.crosscheck import finn_file, through_finn, through_hls4ml
from bireal_hw.crosscheck.network import refuse_padding, unpadded
from bireal_hw.crosscheck.padding import padding_effect
from bireal_hw.crosscheck.qonnx import write
from bireal_hw.errors import BirealError
from bireal_hw.files import write_json
from bireal_hw.golden import run
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Array
from bireal_hw.lowering import lower
from bireal_hw.passes.folding import Folding, convolutions, fold
from bireal_hw.passes.folding_file import folding_text
from bireal_hw.run.config import BuildConfig, UsageError, parse_arguments
from bireal_hw.run.images import random_images
from bireal_hw.run.network import BUILD, existing, no_run
from bireal_hw.run.rundir import RunDir
from bireal_hw.sim.results import first_mismatch

FOLDER = BUILD / "crosscheck"
IMAGES = 64
TARGET_CYCLES = 5000
"""Cycles a frame that no convolution exceeds in the comparison of cycles: enough for foldings of several kinds."""
BOARD = "pynq-z2"
"""Whose FPGA finn-plus's estimates are for."""
MAPPED = "step_convert_to_hw"
"""The last step of finn-plus whose result is compared: the network as its hardware layers."""

VARIABLES = ("images", "run", "seed")

Say = Callable[[str], None]


def crosscheck(arguments: list[str], say: Say) -> dict[str, Any]:
    """Compare the other tools with the golden model; leaves build/crosscheck/ and returns crosscheck.json.

    Args:
        arguments: `[FILE.onnx] [run=NAME] [images=N] [seed=N]`. The network is the file's or the run's; without either,
            that of `crosscheck/network.py` with constants of this seed. The images are random.
        say: shows one line of what is being done.

    Raises:
        UsageError: other arguments.
        BirealError: the network pads, hls4ml is missing, or a tool stopped on the network.
    """
    file, config = _read(arguments)
    seed = config.seed or 0
    with RunDir(FOLDER).locked():
        (FOLDER / "crosscheck.json").unlink(missing_ok=True)
        path = file or FOLDER / "model.onnx"
        if file is None:
            write(unpadded(seed=seed), path)
        graph = lower(path)
        refuse_padding(graph)
        folding = fold(graph, TARGET_CYCLES)
        (FOLDER / "folding.toml").write_text(folding_text(graph, folding))
        images = random_images(graph.input.shape, config.images or IMAGES, seed)
        report = {
            "network": str(file) if file else "built in",
            "images": len(images),
            "seed": seed,
            "hls4ml": _hls4ml(path, graph, images, say),
            "finn_plus": _finn(graph if file else unpadded(integer=True, seed=seed), images, folding, say),
        }
        write_json(FOLDER / "crosscheck.json", report)
    return report


def _read(arguments: list[str]) -> tuple[Path | None, BuildConfig]:
    """Return the file that the arguments name, if any, and their variables."""
    files = [word for word in arguments if "=" not in word and word.endswith(".onnx")]
    config = parse_arguments(word for word in arguments if word not in files)
    refuse_others("crosscheck", config, VARIABLES, file=True)
    if len(files) + bool(config.run) > 1:
        named = [*files, *([f"run={config.run}"] if config.run else [])]
        raise UsageError(f"crosscheck takes one network, not {' and '.join(named)}")
    if config.run:
        path = BUILD / config.run / "model.onnx"
        if not path.exists() and config.run not in existing():
            raise no_run(config.run)
        return path, config
    return (Path(files[0]) if files else None), config


def _hls4ml(path: Path, graph: Graph, images: Array, say: Say) -> dict[str, Any]:
    version = through_hls4ml.version()
    say(f"hls4ml {version}: converting {path}, compiling with g++, {len(images)} images")
    got = through_hls4ml.predict(path, graph, images, FOLDER / "hls4ml")
    return {"version": version} | _compare(got, run(graph, images)) | {"padded_block": _hls4ml_padding()}


def _hls4ml_padding() -> dict[str, Any]:
    def tool(path: Path, graph: Graph, images: Array) -> Array:
        return through_hls4ml.predict(path, graph, images, FOLDER / "hls4ml_padded")

    return padding_effect(tool, FOLDER / "padded.onnx")


def _finn(graph: Graph, images: Array, folding: Folding, say: Say) -> dict[str, Any]:
    try:
        through_finn.python()
        finn_file.refuse_other_forms(graph)
    except BirealError as error:
        return {"skipped": str(error)}
    say(f"finn-plus: its builder up to the estimate reports, {len(images)} images")
    part = boards.board(BOARD).part
    built = through_finn.build(graph, images, folding, FOLDER / "finn", part)
    cycles = [
        {
            "layer": node.name,
            "pe": folding[node.name].pe,
            "simd": folding[node.name].simd,
            "cycles": node.op.cost(folding[node.name], *graph.inputs_of(node)).cycles,
            "finn_matrix_unit": built.cycles[node.name]["matrix_unit"],
            "finn_window": built.cycles[node.name]["window"],
        }
        for node in convolutions(graph)
    ]

    def tool(path: Path, graph: Graph, images: Array) -> Array:
        padded = through_finn.build(graph, images, fold(graph), FOLDER / "finn_padded", part, last_step=MAPPED)
        return padded.outputs[MAPPED]

    return {
        "version": built.version,
        **_compare(built.outputs[MAPPED], run(graph, images)),
        "part": part,
        "cycles": cycles,
        "slowest": built.slowest,
        "too_narrow": built.too_narrow,
        "padded_block": padding_effect(tool, FOLDER / "padded.onnx"),
    }


def _compare(got: NDArray[np.integer], want: NDArray[np.integer]) -> dict[str, Any]:
    first = first_mismatch("logits", want, got)
    about = {key: value for key, value in first.plain().items() if key != "layer"} if first else None
    return {"outputs_compared": want.size, "mismatches": int((got != want).sum()), "first_mismatch": about}


def tables(report: dict[str, Any]) -> list[Table | str]:
    """Put crosscheck.json into tables, and lines for what was skipped or found beside them."""
    opinions = Table(title=f"golden model beside other tools, {report['images']} images", title_justify="left")
    for heading in ("tool", "logits that differ", "padded block: unlike a border of 0", "unlike a border of -1"):
        opinions.add_column(heading)
    for key in ("hls4ml", "finn_plus"):
        found = report[key]
        if "skipped" not in found:
            padded = found["padded_block"]
            opinions.add_row(
                f"{key.replace('_', '-')} {found['version']}",
                f"{found['mismatches']:,} of {found['outputs_compared']:,}",
                f"{padded['differ_from_zero']} of {padded['outputs']}",
                f"{padded['differ_from_minus_one']} of {padded['outputs']}",
            )
    finn = report["finn_plus"]
    if "skipped" in finn:
        return [opinions, f"finn-plus skipped: {finn['skipped']}"]
    cycles = Table(title="cycles a frame at the same folding", title_justify="left")
    for heading in ("layer", "pe", "simd", "ours", "finn-plus", "its window"):
        cycles.add_column(heading, justify="left" if heading == "layer" else "right")
    for row in finn["cycles"]:
        window = "" if row["finn_window"] is None else f"{row['finn_window']:,}"
        numbers = (str(row["pe"]), str(row["simd"]), f"{row['cycles']:,}", f"{row['finn_matrix_unit']:,}", window)
        cycles.add_row(row["layer"], *numbers)
    narrow = [
        f"finn-plus {finn['version']} gives the sums of {one['layer']} the type {one['type']}, too narrow for the"
        f" {one['low']}..{one['high']} that they reach"
        for one in finn["too_narrow"]
    ]
    return [opinions, cycles, *narrow]


def refuse_mismatches(report: dict[str, Any]) -> None:
    """Raise BirealError if a tool that ran gives other integers than the golden model."""
    for key in ("hls4ml", "finn_plus"):
        found = report[key]
        if found.get("mismatches"):
            first = found["first_mismatch"]
            raise BirealError(
                f"{key.replace('_', '-')} differs from the golden model in {found['mismatches']} of"
                f" {found['outputs_compared']} logits; first at {first['index']}: wanted {first['want']},"
                f" got {first['got']}"
            )


def _crosscheck(arguments: list[str]) -> int:
    report = crosscheck(arguments, CONSOLE.print)
    for part in tables(report):
        CONSOLE.print(part, soft_wrap=True)
    refuse_mismatches(report)
    return 0


VERB = Verb(
    "crosscheck",
    "compare an unpadded network with hls4ml and finn-plus",
    (*VARIABLES, "config"),
    _crosscheck,
    f"{FILE} {VALUES}",
)
