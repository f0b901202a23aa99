"""Memory beside the chip: its errors, silence, other weights, resets with bursts under way; a self-test behind each."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from faults import told  # type: ignore[import-not-found]

FAULTS = {
    "error, reading": {"dram_read_error": 30},
    "error, reading the first": {"dram_read_error": 1},
    "error, writing": {"dram_write_error": 20},
    "silent, reading": {"dram_read_lost": 1},  # the weights of one frame and a half have been read ahead
    "silent, writing": {"dram_write_lost": 20},
}
RESETS = 48


def session(board: Any, driver: Any) -> Any:
    driver.SPARE = driver.RESET = 0.002  # the clock is not slow here
    network = driver.Network(board.folder / "bireal.bit")
    images = np.fromfile(board.folder / "vectors" / "images.bin", np.uint8).reshape(-1, *network.image)[:2]
    address = board.plan["registers"]
    found: dict[str, Any] = {}

    def check(name: str) -> None:
        loads = board.loads
        words, seconds = told(board, network, images)
        board.no_faults()
        found[name] = words, seconds, board.loads - loads, network.selftest()

    def run_ends() -> Any:
        """A run by the registers alone: STATUS, ERRORS, interrupt, DMA at its end; ERRORS after a reset."""
        images_buffer, logits = network._buffers["pixels"], network._buffers["logits"]
        board.write(address["INTERRUPT"], 6)
        network._start(2, images_buffer, logits)
        board.wait(20_000)
        states = [network._dma.read(network._dma_registers[name + "_DMASR"]) for name in ("MM2S", "S2MM")]
        ended = board.read(address["STATUS"]), board.read(address["ERRORS"]), board.interrupt(), states
        board.no_faults()
        network.reset()
        return *ended, board.read(address["ERRORS"])

    for name, faults in FAULTS.items():
        board.fault(**faults)
        check(name)
    board.fault(dram_write_error=20)
    found["ends, error"] = *run_ends(), network.selftest()

    # Other weights in memory than in the file.
    weights = network._buffers["weights"]
    at = network._base("weights") - weights.device_address
    weights[at + 8] ^= 1
    weights.flush()
    network.reset()
    found["ends, other weights"] = run_ends()
    weights[at + 8] ^= 1
    weights.flush()
    network.reset()
    check("none")

    # Resets in the middle, as long as memory owes the network answers.
    owed = []
    wanted = network.logits(images).tolist()
    for number in range(RESETS):
        # Every second time most addresses wait when the reset comes.
        board.fault(dram_latency=150, dram_stall=(20_000, 60_000)[number % 2], seed=5 + number)
        network._start(2, network._buffers["pixels"], network._buffers["logits"])
        board.wait(300 + 83 * number)
        owed.append(board.owed())
        network.reset()
        board.no_faults()
        assert network.logits(images).tolist() == wanted, number
    found["owed"] = owed
    for number in range(6):
        network._start(2, network._buffers["pixels"], network._buffers["logits"])
        board.wait(500)
        board.fault(dram_stall=65_000, seed=2 * number + 2)
        while not board.waits():
            board.wait(1)
        board.write(address["CONTROL"], 2)
        board.wait(20)
        board.no_faults()
        network.reset()
        assert network.logits(images).tolist() == wanted, number
    board.no_faults()

    # Without bases nothing starts, and nothing is read.
    network._stop()
    reads = board.read(address["STATUS"]), board.read(address["WEIGHTS_BASE"])
    board.write(address["IMAGES"], 1)
    board.write(address["CONTROL"], 1)
    found["no bases"] = *reads, board.read(address["ERRORS"]), board.read(address["STATUS"])
    board.write(address["WEIGHTS_BASE"], 0x12345678)
    found["bases"] = board.read(address["WEIGHTS_BASE"])
    network._set_bases()
    network.reset()
    check("bases again")
    measured = network.measure(4)
    network.close()
    found["closed"] = len(board.buffers), network.selftest(), len(board.buffers)
    network.close()

    # Another one on the same bitstream takes the network's memory, and gives it back.
    second = driver.Network(board.folder / "bireal.bit")
    found["two"] = [one.selftest() for one in (network, second, network)]
    second.close()
    found["two"].append(network.selftest())
    network.close()
    found["two"].append(len(board.buffers))
    return {"found": found, "measured": measured}
