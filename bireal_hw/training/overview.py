"""What is said before the first epoch: the classes, what is trained on, and how many steps there are."""

from __future__ import annotations

from bireal_hw.training.data import Data
from bireal_hw.training.fit import TrainConfig
from bireal_hw.training.folders import shown
from bireal_hw.training.recipe import LEAST_STEPS, PREVIOUS, SCRATCH
from bireal_hw.training.stage import flips_alternate, steps_an_epoch

SHOWN = 12
"""Classes that are listed; of more, those with the fewest and the most images."""
FEW_TESTS = 500
"""With fewer test images the accuracy comes with its uncertainty."""


def overview(config: TrainConfig, data: Data) -> list[str]:
    """Return a few lines about a training that begins."""
    train, test = len(data.train_images), len(data.test_images)
    counts = data.train_labels.bincount(minlength=data.classes).tolist()
    tested = data.test_labels.bincount(minlength=data.classes).tolist()
    each = [
        f"{shown(name)} {one:,}+{other:,}" for name, one, other in zip(data.class_names, counts, tested, strict=True)
    ]
    if len(each) > SHOWN:
        order = sorted(range(len(each)), key=lambda index: counts[index] + tested[index])
        each = [each[order[0]], "...", each[order[-1]]]
    stages = list(zip(config.recipe.stages, config.recipe.epochs_of(config.epochs), strict=True))
    steps = [steps_an_epoch(stage, train, config.batch) for stage, _ in stages]
    total = sum(one * epochs for one, (_, epochs) in zip(steps, stages, strict=True))
    rates = ", ".join(f"{stage.learning_rate:g} {stage.schedule}" for stage, _ in stages)
    lines = [
        f"classes: {data.classes} ({', '.join(each)}; training+test images)",
        f"split: {train:,} training and {test:,} test images, no validation ({data.parts})",
        f"steps: {total:,}, {'/'.join(f'{one:,}' for one in dict.fromkeys(steps))} an epoch; "
        f"batch {config.batch}, learning rate {rates}, recipe {config.recipe.name}, seed {config.seed}",
        *data.notes,
    ]
    if data.broken:
        lines.append(f"left out: {len(data.broken):,} broken images, the first: {data.broken[0]}")
    return lines + _hints(config, total, train, test)


def _hints(config: TrainConfig, steps: int, train: int, test: int) -> list[str]:
    """Say what is to be expected of few steps and few images."""
    hints = []
    if steps < LEAST_STEPS and any(stage.train == "all" for stage in config.recipe.stages):
        hints.append(
            f"hint: {steps:,} steps are few; {LEAST_STEPS:,} and more are usual: more epochs=, or a smaller batch="
        )
    if test < FEW_TESTS:
        points = 100 / test**0.5  # two standard deviations of a share of one half
        hints.append(f"hint: {test:,} test images tell the accuracy to within {points:.0f} points or so")
    whitened: dict[str, bool] = {}
    before = ""
    for stage in config.recipe.stages:
        source = before if stage.start == PREVIOUS else stage.start
        fresh = source == SCRATCH or not (source or config.init)
        whitened[stage.name] = stage.stem == "whitened" if fresh else whitened.get(source, False)
        if stage.stem == "whitened" and not whitened[stage.name]:
            hints.append(
                f"hint: stem=whitened of stage '{stage.name}' whitens nothing, it holds the first convolution still: "
                "only new networks are whitened"
            )
        before = stage.name
        if stage.flips == "alternate" and not flips_alternate(stage, config.dataset):
            hints.append(f"hint: flips=alternate of stage '{stage.name}' changes nothing: no image is mirrored here")
    return hints
