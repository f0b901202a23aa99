"""Faults of the hardware: what the driver says of each, how long it takes, and a self-test behind it."""

from typing import Any

import numpy as np

FAULTS = {
    "short": {"mm2s_cut": 30},
    "long": {"mm2s_extra": 5},
    "long by bytes": {"mm2s_extra": 1},
    "sparse": {"mm2s_sparse_at": 9},
    "memory, reading": {"mm2s_error_at": 20},
    "memory, writing": {"s2mm_error_at": 3},
    "stuck, reading": {"mm2s_stop_at": 40},
    "stuck from the beginning": {"mm2s_stop_at": -1},
    "stuck, writing": {"s2mm_stop_at": 2},
}


def told(board: Any, network: Any, images: Any) -> tuple[str, float]:
    """The driver's words, and the simulated seconds until they came."""
    start = board.cycles()
    try:
        network.logits(images)
        words = "nothing"
    except BaseException as error:
        words = f"{type(error).__name__}: {error}"
    return words, (board.cycles() - start) / board.plan["hertz"]


def session(board: Any, driver: Any) -> Any:
    network = driver.Network(board.folder / "bireal.bit")
    images = np.fromfile(board.folder / "vectors" / "images.bin", np.uint8).reshape(-1, *network.image)[:4]
    found = {}

    def check(name: str) -> None:
        words, seconds = told(board, network, images)
        board.no_faults()
        found[name] = words, seconds, network.selftest()

    for name, faults in FAULTS.items():
        board.fault(**faults)
        check(name)
    board.interrupt_at = 2
    check("Ctrl-C")
    board.interrupt_at, reset = 2, network.reset

    def interrupted() -> None:
        network.reset = reset
        raise KeyboardInterrupt

    network.reset = interrupted
    check("Ctrl-C twice")
    allocate, network._allocate = network._allocate, lambda shape, kind: elsewhere(allocate(shape, kind))
    network.close()
    words, seconds = told(board, network, images)
    network._allocate, network._buffers, board.buffers = allocate, {}, []
    found["nothing at the address"] = words, seconds, network.selftest()
    write, registers = board.write, board.plan["registers"]
    write(registers["IMAGES"], 2)
    write(registers["CONTROL"], 1)  # somebody else has started it, and gives it no images
    found["another's run"] = (*told(board, network, images), network.selftest())
    return found


def elsewhere(buffer: Any) -> Any:
    """The same memory, said to lie where there is none."""
    found = buffer.view(type(buffer))
    found.board, found.memory, found.device_address = buffer.board, buffer.memory, 1 << 31
    return found
