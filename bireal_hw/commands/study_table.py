"""A study's results for the eye: a table in Markdown, and a plot of every seed beside the mean of its row."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bireal_hw.results.accuracy import DEPLOY, TRAINED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADINGS = ("row", DEPLOY.name, "lowest to highest", "gain", TRAINED.name, "epochs", "minutes")
NOTE = (
    f"Top-1 accuracies in percent, means of the seeds. {DEPLOY.name}: of {DEPLOY.meaning}. gain: over the row above, "
    "or over the one that a row starts from; within the spread if some seed of the two rows says otherwise. "
    f"{TRAINED.name}: of {TRAINED.meaning}."
)
DOT, MEAN = "#1f77b4", "#d62728"


def conditions(report: dict[str, Any]) -> str:
    """Say in one sentence how the networks were trained."""
    height, width = report["image"]
    seeds = f"seed{'s' if len(report['seeds']) > 1 else ''} {', '.join(map(str, report['seeds']))}"
    unfinished = report["trainings_wanted"] - report["trainings"]
    missing = f"; {unfinished} of {report['trainings_wanted']} trainings are missing" if unfinished else ""
    return (
        f"{report['dataset']}, {report['train_images']:,} training and {report['test_images']:,} test images of "
        f"{height}x{width} pixels; width {report['width']:g}, {report['epochs']} epochs of batch {report['batch']}, "
        f"{seeds}; {report['minutes']:g} minutes on {' and '.join(report['devices'])}{missing}"
    )


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Write a row's figures, in the order of HEADINGS; those that its seeds cannot tell from the row above say so."""
    gain = "" if row["gain"] is None else f"{row['gain']:+.2f}"
    if row["beyond_spread"] is False:
        gain += " (within the spread)"
    return (
        row["label"],
        f"{row[DEPLOY.key]:.2f}",
        f"{row['lowest']:.2f} to {row['highest']:.2f}",
        gain,
        f"{row[TRAINED.key]:.2f}",
        str(row["epochs"]),
        f"{row['minutes']:g}",
    )


def table(report: dict[str, Any]) -> str:
    """Write a study as Markdown."""
    lines = [f"# {report['title']}", "", f"{conditions(report)}.", ""]
    lines += [f"| {' | '.join(HEADINGS)} |", f"|---|{'---:|' * (len(HEADINGS) - 1)}"]
    lines += [f"| {' | '.join(cells(row))} |" for row in report["rows"]]
    lines += ["", textwrap.fill(NOTE, 120)]
    return "\n".join(lines) + "\n"


def plot(report: dict[str, Any]) -> Figure:
    """Draw the rows from top to bottom: a dot for every seed, a line at the mean, which stands beside it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = report["rows"]
    figure = Figure(figsize=(8, 1.4 + 0.55 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for place, row in enumerate(rows):
        values = [one[DEPLOY.key] for one in row["trainings"]]
        axes.plot(values, [place] * len(values), "o", color=DOT, alpha=0.6, label="a seed")
        axes.vlines(row[DEPLOY.key], place - 0.28, place + 0.28, color=MEAN, label="mean")
        mean, beside = f"{row[DEPLOY.key]:.1f}", (max(values), place)
        axes.annotate(mean, beside, (8, 0), textcoords="offset points", va="center", color=MEAN)
    axes.set_yticks(range(len(rows)), [textwrap.fill(row["label"], 40) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.margins(x=0.1)
    axes.set_xlabel(f"{DEPLOY.title} [%]")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[:2], labels[:2], frameon=False, loc="best")
    figure.suptitle(report["title"], fontsize="large")
    axes.set_title("\n".join(textwrap.wrap(conditions(report), 100)), fontsize="x-small")
    return figure


def save_plot(report: dict[str, Any], path: Path) -> None:
    """Write the plot as a PNG file."""
    plot(report).savefig(path, format="png", dpi=110)
