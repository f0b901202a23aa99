"""What `make board` does with the driver on the simulated board: every image in batches, stalls, faults, speed."""

from __future__ import annotations

from typing import Any

import numpy as np

FEW = 2
"""Images of a run that a fault is to meet."""
STALLED = 20_000
"""Of 65,536 cycles, those in which the DMA has no beat, or takes none, in the stalled run."""


def session(board: Any, driver: Any) -> dict[str, Any]:
    """Return logits of all recorded images, of some of them under stalls, what faults told, and what was measured.

    Cycles of a batch are those from the call to its end, and those of the run alone. The speed of Vitis HLS's kernel is
    not measured.
    """
    with driver.Network(board.folder / "bireal.bit") as network:
        images = np.fromfile(board.folder / "vectors" / "images.bin", np.uint8).reshape(-1, *network.image)
        logits: list[Any] = []
        cycles = []
        for count in board.plan["batches"]:
            start = board.cycles()
            logits += network.logits(images[len(logits) : len(logits) + count]).reshape(count, -1).tolist()
            cycles.append((board.cycles() - start, network._read("CYCLES") if network.kind == "rtl" else 0))
        measured = network.measure(board.plan["batches"][-1]) if network.kind == "rtl" else {}

        board.fault(mm2s_idle=STALLED, s2mm_stall=STALLED, seed=3)
        stalled = network.logits(images[:FEW]).reshape(min(FEW, len(images)), -1).tolist()
        board.no_faults()

        wanted = logits[:FEW]
        driver.SPARE = 0.0  # the time limit of a run is then four times its time
        driver.RESET = 1e-3
        few = images[:FEW]
        faults = [
            {"fault": name} | tried(board, network, few, wanted, told) for name, told in of(board, network).items()
        ]
    return {"logits": logits, "cycles": cycles, "stalled": stalled, "measured": measured, "faults": faults}


def of(board: Any, network: Any) -> dict[str, dict[str, int]]:
    """Return faults by name: what the DMA's models are told, or where Ctrl-C comes."""
    beats = FEW * int(np.prod(network.image)) // board.plan["in_bytes"]
    found = {
        "transfer too short": {"mm2s_cut": beats // 2},
        "transfer too long": {"mm2s_extra": 3},
        "a hole in a beat": {"mm2s_sparse_at": beats // 3},
        "memory error, reading": {"mm2s_error_at": beats // 2},
        "memory error, writing": {"s2mm_error_at": 1},
        "DMA stuck, reading": {"mm2s_stop_at": beats // 2},
        "DMA never begins": {"mm2s_stop_at": -1},
        "DMA stuck, writing": {"s2mm_stop_at": 1},
        "Ctrl-C in the middle": {"interrupt_at": 20},
    }
    if network.kind == "hls":
        found["Ctrl-C in the middle"] = {"interrupt_at": 1}  # its model takes no time
        del found["transfer too long"], found["a hole in a beat"]  # up to converters that are not modelled
    if not network.about.get("memory"):
        return found
    return found | {
        "error of the network's memory, reading": {"dram_read_error": 1},
        "error of the network's memory, writing": {"dram_write_error": 1},
        "the network's memory is silent": {"dram_read_lost": 1},
    }


def tried(board: Any, network: Any, images: Any, wanted: Any, inputs: dict[str, int]) -> dict[str, Any]:
    """Return what the driver says of a fault, after how long, and whether the next run is right."""
    inputs = dict(inputs)
    board.interrupt_at = inputs.pop("interrupt_at", 0)
    board.fault(**inputs)
    start = board.cycles()
    try:
        network.logits(images)
        told = ""
    except (Exception, KeyboardInterrupt) as error:
        told = f"{type(error).__name__}: {error}"
    seconds = (board.cycles() - start) / board.plan["hertz"]
    board.no_faults()
    usable = network.logits(images).reshape(len(images), -1).tolist() == wanted
    return {"told": told.removesuffix(": "), "seconds": seconds, "usable": usable}
