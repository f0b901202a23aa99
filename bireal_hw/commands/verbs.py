"""What the user can ask for, in the order of the help."""

from __future__ import annotations

from bireal_hw.commands import all as everything
from bireal_hw.commands import bench, check, crosscheck, demo, depth, doctor, info, predict, report, steps, study, zoo

VERBS = {
    verb.name: verb
    for verb in (
        steps.TRAIN,
        steps.EXPORT,
        steps.LOWER,
        steps.FOLD,
        steps.RTL,
        steps.SIM,
        demo.VERB,
        steps.HLS,
        steps.SYNTH,
        steps.BITSTREAM,
        steps.BOARD,
        report.VERB,
        everything.VERB,
        bench.VERB,
        study.ABLATION,
        study.RECIPES,
        study.STUDY,
        depth.VERB,
        crosscheck.VERB,
        zoo.VERB,
        info.VERB,
        predict.VERB,
        check.VERB,
        doctor.VERB,
    )
}
"""All commands by name."""
