"""Faults around the kernel of Vitis HLS: what the driver says, how long it takes, and a self-test behind it."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from faults import told  # type: ignore[import-not-found]


def session(board: Any, driver: Any) -> Any:
    network = driver.Network(board.folder / "bireal.bit")
    images = np.fromfile(board.folder / "vectors" / "images.bin", np.uint8).reshape(-1, *network.image)[:4]
    found = {}
    for name, faults in {"stuck, reading": {"mm2s_stop_at": 40}, "memory, reading": {"mm2s_error_at": 20}}.items():
        board.fault(**faults)
        words, seconds = told(board, network, images)
        board.no_faults()
        found[name] = words, seconds, network.selftest()
    board.interrupt_at = 2
    words, seconds = told(board, network, images)
    found["Ctrl-C"] = words, seconds, network.selftest()
    board.cells["network"]["type"] = "bireal:hls_0123456789abcdef:bireal_top:1.0"
    try:
        driver.Network(board.folder / "bireal.bit")
        words = "nothing"
    except driver.NetworkError as error:
        words = str(error)
    found["another network"] = words, 0, network.selftest()
    return found
