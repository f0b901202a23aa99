"""Depth as pictures: what networks say beside the truth, and how they came to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import nn

from bireal_hw.models.depth import FAR, NEAR
from bireal_hw.training.checkpoint import replacing
from bireal_hw.training.depth.data import DepthData
from bireal_hw.training.evaluate import predict

SHOWN = 5
COLOURS = {"real": "#1f77b4", "binary": "#d62728"}
UNKNOWN = "#bbbbbb"
"""Colour of pixels whose depth is not known."""


def save_picture(networks: Mapping[str, nn.Module], data: DepthData, path: Path) -> None:
    """Draw test images from the first to the last, a column each: image, exact depth, that of every network.

    All depths of an image have the same colours, whose scale stands below it.
    """
    chosen = torch.linspace(0, len(data.test_images) - 1, min(SHOWN, len(data.test_images))).long()
    images, exact = data.test_images[chosen], data.test_labels[chosen]
    found = {"exact": exact} | {name: predict(network, images, 1) for name, network in networks.items()}
    height, width = data.image
    figure = Figure(figsize=(2.1 * len(chosen), 2.1 * (1 + len(found)) * height / width + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(1 + len(found), len(chosen), squeeze=False)
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
    for row, name in enumerate(("image", *found)):
        grid[row, 0].set_ylabel(name)
    for column in range(len(chosen)):
        grid[0, column].imshow(images[column].permute(1, 2, 0).numpy())
        truth = exact[column, 0].numpy()
        truth = np.where((truth >= NEAR) & (truth <= FAR), truth, np.nan)
        drawn = None
        for row, depth in enumerate(found.values(), start=1):
            values = truth if row == 1 else depth[column, 0].numpy()
            grid[row, column].set_facecolor(UNKNOWN)
            drawn = grid[row, column].imshow(values, vmin=np.nanmin(truth), vmax=np.nanmax(truth), cmap="viridis")
        assert drawn is not None
        bar = figure.colorbar(drawn, ax=grid[-1, column], orientation="horizontal", pad=0.03, aspect=16)
        bar.set_label("depth [m]", fontsize="small")
        bar.ax.tick_params(labelsize="small")
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=80)


def save_comparison(histories: Mapping[str, list[list[dict[str, Any]]]], mean: float, title: str, path: Path) -> None:
    """Draw over the epochs how many test pixels are within a factor of 1.25, a line for every training.

    Args:
        histories: for every network the metrics of its trainings.
        mean: the same of the mean depth, percent.
        title: of the plot.
        path: to write.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, trainings in histories.items():
        for number, history in enumerate(trainings):
            epochs, values = zip(*((row["epoch"], row["test_delta1"]) for row in history), strict=True)
            axes.plot(epochs, values, color=COLOURS[name], alpha=0.7, label=None if number else name, marker=".")
    axes.axhline(mean, color="#666666", linestyle="--", label="mean depth")
    axes.set_xlabel("epoch")
    axes.set_ylabel("test pixels within a factor of 1.25 [%]")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    axes.set_title(title)
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=110)
