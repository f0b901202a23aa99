"""The steps of a run, one file each; importing this package registers them, in the order of the data."""

from bireal_hw.run.engine import STEPS
from bireal_hw.steps import (
    bitstream,
    board,
    board_hls,
    export,
    fold,
    hls,
    import_file,
    lower,
    report,
    rtl,
    sim,
    synth,
    train,
)

for _module in (train, import_file, export, lower, fold, rtl, sim, hls, synth, bitstream, board, board_hls, report):
    STEPS[_module.STEP.name] = _module.STEP
