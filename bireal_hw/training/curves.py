"""The curves of a training run as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bireal_hw.training.checkpoint import replacing

LOSS, TRAIN, TEST = "#666666", "#1f77b4", "#d62728"


def save_curves(
    history: list[dict[str, Any]], title: str, path: Path, score: str = "top1", scored: str = "top-1 accuracy"
) -> None:
    """Draw loss and accuracy over the epochs, one above the other, and replace `path` in one move.

    `history` has one row per epoch: epoch, stage, train_loss, train_<score>, test_<score> (percent); `scored` describes
    them. Where there are several stages, each begins at a dotted line with its name.
    """
    epochs = [row["epoch"] for row in history]
    marker = "o" if len(epochs) < 3 else ""
    figure = Figure(figsize=(7, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    loss, accuracy = figure.subplots(2, 1, sharex=True)
    loss.plot(epochs, [row["train_loss"] for row in history], color=LOSS, marker=marker)
    loss.set_ylabel("training loss")
    loss.set_ylim(bottom=0)
    for name, color, label in ((f"train_{score}", TRAIN, "training (augmented)"), (f"test_{score}", TEST, "test")):
        accuracy.plot(epochs, [row[name] for row in history], color=color, label=label, marker=marker)
    best = history[-1][f"test_{score}"]
    accuracy.annotate(
        f"{best:.1f}", (epochs[-1], best), (5, 0), textcoords="offset points", color=TEST, va="center", clip_on=False
    )
    accuracy.set_ylabel(f"{scored} [%]")
    accuracy.set_xlabel("epoch")
    accuracy.set_ylim(top=100.5)
    accuracy.xaxis.set_major_locator(MaxNLocator(integer=True))
    accuracy.legend(loc="lower right", frameon=False)
    for axes in (loss, accuracy):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    firsts = {row["stage"]: row["epoch"] for row in reversed(history)}
    for stage, epoch in firsts.items() if len(firsts) > 1 else ():
        for axes in (loss, accuracy):
            axes.axvline(epoch - 0.5, color=LOSS, linestyle=":", linewidth=1)
        height = loss.get_xaxis_transform()
        loss.annotate(stage, (epoch - 0.5, 0), (3, 3), height, "offset points", fontsize="small", color=LOSS)
    loss.set_title(title)
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=110)
