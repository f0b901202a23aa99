"""A study's results for the eye: a table in Markdown, and a plot of every seed beside the mean of its row."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bireal_hw.results.accuracy import DEPLOY, TRAINED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTE = (
    f"Top-1 accuracies in percent, means of the seeds. {DEPLOY.name}: of {DEPLOY.meaning}; of a real-valued network in "
    f"floating point. {TRAINED.name}: of {TRAINED.meaning}."
)
GAINS = (
    " gain: over the row above, or the one that is named; within the spread if some seed of the two says otherwise. "
    "One seed shows nothing."
)
RATES = " rate: of those tried with the first seed, the one of the highest accuracy; the other seeds have it too."
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


def columns(report: dict[str, Any]) -> dict[str, list[str]]:
    """Write the rows of a study as columns by their headings, without those that have nothing to say.

    Gains that the seeds of two rows cannot tell from nothing say so.
    """
    labels = {row["name"]: row["label"] for row in report["rows"]}
    rows = [_cells(row, labels) for row in report["rows"]]
    table = {heading: [cells[heading] for cells in rows] for heading in rows[0]}
    return {heading: texts for heading, texts in table.items() if any(texts)}


def _cells(row: dict[str, Any], labels: dict[str, str]) -> dict[str, str]:
    gain = "" if row["gain"] is None else f"{row['gain']:+.2f}"
    if gain and row["over"]:
        gain += f" over {labels[row['over']]}"
    if gain and not row["beyond_spread"]:
        gain += " (one seed)" if row["beyond_spread"] is None else " (within the spread)"
    rates = [rate if found is not None else f"{rate} (diverged)" for rate, found in row["tried"].items()]
    return {
        "row": row["label"],
        "rate": f"{row['learning_rate']:g} of {', '.join(rates)}" if rates else "",
        DEPLOY.name: f"{row['accuracy']:.2f}",
        "lowest to highest": f"{row['lowest']:.2f} to {row['highest']:.2f}",
        "gain": gain,
        TRAINED.name: f"{row[TRAINED.key]:.2f}",
        "epochs": str(row["epochs"]),
        "minutes": f"{row['minutes']:g}",
    }


def table(report: dict[str, Any]) -> str:
    """Write a study as Markdown."""
    found = columns(report)
    lines = [f"# {report['title']}", "", f"{conditions(report)}.", ""]
    lines += [f"| {' | '.join(found)} |", f"|---|{'---:|' * (len(found) - 1)}"]
    lines += [f"| {' | '.join(cells)} |" for cells in zip(*found.values(), strict=True)]
    lines += ["", textwrap.fill(NOTE + _notes(report, found), 120)]
    return "\n".join(lines) + "\n"


def _notes(report: dict[str, Any], found: dict[str, list[str]]) -> str:
    """Explain the columns that not every study has, and the gains that it cannot give."""
    names = [row["name"] for row in report["rows"]]
    lacking = dict.fromkeys(row["over"] for row in report["rows"] if row["over"] and row["over"] not in names)
    notes = (GAINS if "gain" in found else "") + (RATES if "rate" in found else "")
    return notes + (f" No gain over {' and '.join(lacking)}, not among the rows: add it to rows=." if lacking else "")


def plot(report: dict[str, Any]) -> Figure:
    """Draw the rows from top to bottom: a dot for every seed, a line at the mean, which stands beside it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = report["rows"]
    figure = Figure(figsize=(8, 1.4 + 0.55 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for place, row in enumerate(rows):
        values = [one["accuracy"] for one in row["trainings"]]
        axes.plot(values, [place] * len(values), "o", color=DOT, alpha=0.6, label="a seed")
        axes.vlines(row["accuracy"], place - 0.28, place + 0.28, color=MEAN, label="mean")
        mean, beside = f"{row['accuracy']:.1f}", (max(values), place)
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
    figure.supxlabel("\n".join(textwrap.wrap(conditions(report), 130)), fontsize="x-small")
    return figure


def save_plot(report: dict[str, Any], path: Path) -> None:
    """Write the plot as a PNG file."""
    plot(report).savefig(path, format="png", dpi=110)
