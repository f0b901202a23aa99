"""The folder that is copied to a board: driver, what it has to know of the network, recorded images."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np

from bireal_hw import golden
from bireal_hw.assets import PREPROCESS
from bireal_hw.files import write_json
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Array, Binding
from bireal_hw.rtl import WEIGHTS
from bireal_hw.zynq.registers import errors

DRIVER, NOTEBOOK = (Path(__file__).with_name(name) for name in ("driver.py", "board.ipynb"))


def about(
    graph: Graph, identity: str, cycles: int, clock_mhz: float, view: float = 1.0, memory: Binding | None = None
) -> dict[str, object]:
    """Return network.json: what the driver has to know of a network.

    Args:
        graph: the network.
        identity: hash of network and folding, which the hardware's must equal.
        cycles: of a frame, never stalled.
        clock_mhz: of the network in the design.
        view: part of a picture's middle that the network is shown.
        memory: what has ports to memory beside the chip, if the network has such a thing.
    """
    output = graph.output
    names = graph.info.get("class_names") or [str(index) for index in range(output.size)]
    return {
        "name": graph.name,
        "identity": identity,
        "image": list(graph.input.shape),
        "output": list(output.shape),
        "class_names": names if output.pixels == 1 else [],
        "frac": output.dtype.frac,
        "view": view,
        "cycles_per_frame": cycles,
        "clock_mhz": clock_mhz,
        "errors": {one.name: one.text for one in errors(memory is not None)},
        **({"memory": _memory(memory)} if memory else {}),
    }


def _memory(binding: Binding) -> dict[str, object]:
    """What the driver has to know of memory beside the chip: the file of the weights, and the room for maps."""
    header = np.frombuffer(binding.image[:16], "<u8")  # what it is, and whose
    return {
        "weights": WEIGHTS,
        "header": [f"{int(word):016x}" for word in header],
        "bytes": len(binding.image),
        "sha256": hashlib.sha256(binding.image).hexdigest(),
        "maps": binding.maps,
    }


def write_files(
    folder: Path, graph: Graph, network: dict[str, object], images: Array | None = None, memory: Binding | None = None
) -> None:
    """Fill a folder: driver, preprocessing, notebook, network.json; of images vectors, they and golden's logits.

    A network that has ports to memory beside the chip gets the file of its weights too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file in (DRIVER, PREPROCESS, NOTEBOOK):
        shutil.copy(file, folder)
    write_json(folder / "network.json", network)
    if memory:
        (folder / WEIGHTS).write_bytes(memory.image)
    if images is not None:
        vectors = folder / "vectors"
        vectors.mkdir(exist_ok=True)
        (vectors / "images.bin").write_bytes(np.ascontiguousarray(images).tobytes())
        np.savetxt(vectors / "logits.txt", golden.run(graph, images).reshape(len(images), -1), "%d")
