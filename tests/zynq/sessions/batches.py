"""All recorded images, in batches of 1, 7 and 56, under any stalls: what every batch gave, and cycles."""

from typing import Any

import numpy as np

BATCHES = (1, 7, 56)


def session(board: Any, driver: Any) -> Any:
    with driver.Network(board.folder / "bireal.bit") as network:
        images = np.fromfile(board.folder / "vectors" / "images.bin", np.uint8).reshape(-1, *network.image)
        found, start = [], 0
        for number, count in enumerate(board.plan["batches"]):
            board.fault(mm2s_idle=board.plan["idle"], s2mm_stall=board.plan["stall"], seed=2 * number + 1)
            found += network.logits(images[start : start + count]).reshape(count, -1).tolist()
            start += count
            counters = {name: board.read(address) for name, address in board.plan["registers"].items()}
    return found, counters, len(board.buffers), board.loads
