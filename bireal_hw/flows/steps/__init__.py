"""The steps of a run, one file each; importing this package registers them, in the order of the data."""

from bireal_hw.flows.engine import STEPS
from bireal_hw.flows.steps import bitstream, bring_in, export, fold, hls, lower, report, rtl, sim, synth, train

for _module in (train, bring_in, export, lower, fold, rtl, sim, hls, synth, bitstream, report):
    STEPS[_module.STEP.name] = _module.STEP
