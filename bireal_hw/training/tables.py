"""Parquet files and the Hugging Face hub as data sets, read by its library `datasets`."""

from __future__ import annotations

import atexit
import functools
import glob
import io
import logging
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bireal_hw.errors import BirealError, nearest
from bireal_hw.preprocess import reason
from bireal_hw.training.folders import TEST_NAMES, TRAIN_NAMES, is_hidden, shown
from bireal_hw.training.images import Labelled, Picture, PictureSet

HUB_SECONDS = 10
"""How long the hub may take to give a sign of life."""
MOST_CLASSES = 10_000
"""A column with more different values holds no classes, and no network has so many."""


@dataclass(frozen=True)
class Column:
    """Pictures in a column of a table."""

    rows: Any
    name: str

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, positions: list[int]) -> list[Picture]:
        """Return those at some positions."""
        chosen = self.rows.select(positions).with_format("arrow")[:]  # one read, not one a cell
        pictures = []
        for position, cell in zip(positions, chosen[self.name].to_pylist(), strict=True):
            path = cell["path"] if cell else None
            name = f"{shown(path or '')} (row {position})"
            content = cell["bytes"] if cell else b""
            pictures.append(Picture(Path(path) if path and content is None else io.BytesIO(content or b""), name))
        return pictures

    def select(self, positions: list[int]) -> Column:
        """Keep those at some positions."""
        return Column(self.rows.select(positions), self.name)


def find_tables(splits: dict[str, Any], where: str, label: str | None, image_column: str | None) -> PictureSet:
    """Find images, labels and classes in the splits of a data set.

    Classes are those of a ClassLabel column, else the different values of a column of integers or text. For testing is
    the first split of TEST_NAMES that has labels.

    Args:
        splits: tables by name, one of them `train`.
        where: what messages call them.
        label: the column with the labels; None: the only one that can be it.
        image_column: the same of the pictures.

    Raises BirealError for columns that are missing or ambiguous, and labels that are missing or out of range.
    """
    import datasets

    features = splits["train"].features
    pictures = _column(features, where, "image", image_column, (_is_image, _is_bytes))
    labels = _column(features, where, "label", label, (_is_class, _is_integer, _is_text))
    notes: list[str] = []
    test = None
    for name in _in_order(splits, TEST_NAMES):
        if not _has_labels(splits[name], labels):
            notes.append(f"{name}: not used, as its {len(splits[name]):,} images have no labels")
        elif test is not None:
            notes.append(f"{name}: not used ({len(splits[name]):,} images), as {test} is for testing")
        else:
            test = name
    names = ["train", *([test] if test else [])]
    values = {name: list(splits[name][labels]) for name in names}
    classes, numbers = _numbered(values, features[labels], f"column '{labels}' of '{where}'", notes)
    parts = {
        name: Labelled(
            Column(splits[name].cast_column(pictures, datasets.Image(decode=False)), pictures),
            [numbers[value] for value in values[name]],
        )
        for name in names
    }
    about = f"splits train and {test}" if test else ""
    return PictureSet(classes, parts["train"], parts[test] if test else None, about, tuple(notes))


def _has_labels(split: Any, column: str) -> bool:
    """Tell whether a split has labels; -1 stands for none where all have it."""
    return column in split.column_names and not set(split.unique(column)) <= {None, -1}


def _numbered(
    values: dict[str, list[Any]], kind: Any, where: str, notes: list[str]
) -> tuple[tuple[str, ...], dict[Any, int]]:
    """Return the classes in order, and the number of each label; adds to the notes what is unusual.

    Raises BirealError for labels that are missing, out of range, or in the test split only, and for fewer than 2 or too
    many classes.
    """
    for split, found in values.items():
        if None in found:
            raise BirealError(f"row {found.index(None)} of the {split} split has no label in {where}")
    if _is_class(kind):
        classes = list(kind.names)
        labels: list[Any] = list(range(len(classes)))
        allowed = f"0..{len(classes) - 1}"
    else:
        labels = sorted(set(values["train"]))
        classes = [shown(str(label)) for label in labels]
        allowed = "at least 0"
    if not _is_text(kind):
        for found in values.values():
            if bad := [label for label in found if label < 0 or (_is_class(kind) and label >= len(classes))]:
                raise BirealError(f"label {bad[0]} in {where} is out of range: {allowed}")
    for split, found in values.items():
        if foreign := sorted(set(found) - set(labels)):
            near = nearest(str(foreign[0]), classes)
            hint = f": did you mean '{near}'?" if near and _is_text(kind) else ""
            name = shown(str(foreign[0]))
            raise BirealError(f"class '{name}' in {where} is in the {split} split, but not in the train split{hint}")
    if len(classes) < 2:
        raise BirealError(f"{where} has {len(classes)} class; a classifier needs at least 2")
    if len(classes) > MOST_CLASSES:
        raise BirealError(
            f"{where} has {len(classes):,} different values, and at most {MOST_CLASSES:,} can be classes: choose the "
            "column by label="
        )
    if _is_integer(kind) and (gaps := _gaps(labels)):
        notes.append(f"no image has label {gaps} in {where}: the {len(classes)} labels there are numbered 0 and on")
    return tuple(classes), {label: number for number, label in enumerate(labels)}


def _in_order(found: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    return [one for name in names for one in found if str(one).casefold() == name]


def _gaps(values: list[int]) -> str:
    """Write the integers from 0 on that are not among sorted values.

    >>> _gaps([1, 2, 5, 9])
    '0, 3 to 4, 6 to 8'
    """
    gaps = []
    for low, high in zip([-1, *values], values, strict=False):
        if high - low > 1:
            gaps.append(f"{low + 1}" if high - low == 2 else f"{low + 1} to {high - 1}")
    return ", ".join(gaps)


# ---- columns ----


def _is_image(kind: Any) -> bool:
    """Tell whether a column holds pictures, or is what they are stored as in files without metadata."""
    import datasets

    return isinstance(kind, datasets.Image) or (isinstance(kind, dict) and set(kind) == {"bytes", "path"})


def _is_bytes(kind: Any) -> bool:
    return str(getattr(kind, "dtype", "")) in ("binary", "large_binary")


def _is_class(kind: Any) -> bool:
    import datasets

    return isinstance(kind, datasets.ClassLabel)


def _is_integer(kind: Any) -> bool:
    return not _is_class(kind) and "int" in str(getattr(kind, "dtype", ""))


def _is_text(kind: Any) -> bool:
    return str(getattr(kind, "dtype", "")) in ("string", "large_string", "bool")


def _kind(kind: Any) -> str:
    """Write what a column holds."""
    return "Image" if _is_image(kind) else "ClassLabel" if _is_class(kind) else getattr(kind, "dtype", None) or "nested"


EXPECTED = {"image": "pictures, or their files as bytes", "label": "ClassLabel, integers or text"}
VARIABLES = {"image": "image_column", "label": "label"}


def _column(features: Any, where: str, what: str, chosen: str | None, kinds: tuple[Any, ...]) -> str:
    """Return the column that the user chose, else the only one of the first kind that there is."""
    listing = ", ".join(f"{shown(name)} ({_kind(kind)})" for name, kind in features.items())
    variable = VARIABLES[what]
    fitting = [[name for name, kind in features.items() if fits(kind)] for fits in kinds]
    if chosen is not None:
        if any(chosen in names for names in fitting):
            return chosen
        if chosen in features:
            raise BirealError(
                f"{variable}={chosen}: this column of '{where}' holds no {EXPECTED[what]}; it has {listing}"
            )
        near = nearest(chosen, features)
        hint = f" did you mean '{near}'?" if near else ""
        raise BirealError(f"{variable}={chosen}: '{where}' has no such column:{hint} it has {listing}")
    found = next((names for names in fitting if names), [])
    if len(found) == 1:
        return found[0]
    if found:
        raise BirealError(
            f"'{where}' has several {what} columns ({', '.join(map(shown, found))}): "
            f"choose one, for example {variable}={found[0]}"
        )
    raise BirealError(f"'{where}' has no {what} column ({EXPECTED[what]}); it has {listing}")


# ---- where they come from ----


def parquet_files(folder: Path) -> list[Path]:
    """Return the parquet files of a folder, directly in it or in its `data`."""
    for place in (folder, folder / "data"):
        if found := [path for path in sorted(place.glob("*.parquet")) if not is_hidden(path.name)]:
            return found
    return []


def load_parquet(folder: Path, cache: Path | None) -> dict[str, Any]:
    """Load the parquet files of a folder, by split; the first word of a file's name is that of its split.

    Files of no split are to train on where none is called `train`. Raises BirealError for files that cannot be read,
    and a test split alone.
    """
    import datasets

    files: dict[str, list[str]] = {}
    for path in parquet_files(folder):
        word = re.split(r"[-_.]", path.name)[0].casefold()
        name = "train" if word in TRAIN_NAMES else word if word in TEST_NAMES else ""
        files.setdefault(name, []).append(glob.escape(str(path)))
    rest = files.pop("", [])
    if "train" not in files:
        if not rest:
            raise BirealError(f"data={shown(folder)} has a {next(iter(files))} split but no train split")
        files["train"] = rest
    with _offline(), _without_chatter():
        try:
            loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(cache or _temporary_cache()))
        except Exception as error:  # datasets raises many types; each means unreadable files
            raise BirealError(f"cannot read parquet files in data={shown(folder)}: {reason(error)}") from error
    return dict(loaded)


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep the libraries' own lines about retries and broken files back: what went wrong is said in one."""
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub", "httpx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def load_hub(name: str, dataset: str, cache: Path | None, local: bool = False) -> dict[str, Any]:
    """Load a data set by its name on the hub, from its local cache if it has been fetched before or `local` asks so."""
    import datasets

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    silent = None if local else _silence()
    if not local and not silent:
        console.print(f"reading data set '{dataset}' ({name}) from the Hugging Face hub")
    try:
        with _offline() if local or silent else _with_progress(console.is_terminal), _without_chatter():
            loaded = datasets.load_dataset(name, cache_dir=str(cache) if cache else None)
    except Exception as error:  # connection, permission and format errors of several libraries
        raise BirealError(
            f"cannot load data set '{dataset}' ({name}) from the Hugging Face hub: {silent or reason(error)}; "
            "or give data=DIR"
        ) from error
    if "train" not in loaded:
        raise BirealError(f"data set '{name}' has no train split; it has {', '.join(map(str, loaded))}")
    return dict(loaded)


def _silence() -> str | None:
    """Ask the hub for a sign of life; return what is wrong, None if it answers.

    The libraries try for more than a minute without a word, and looking up a name keeps to no time limit.
    """
    from huggingface_hub import constants, get_session

    said: list[str | None] = []

    def ask() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=HUB_SECONDS)
            said.append(None)
        except Exception as error:  # those of the HTTP library, a proxy, TLS
            said.append(f"{constants.ENDPOINT} cannot be reached ({reason(error)})")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(HUB_SECONDS)
    return said[0] if said else f"{constants.ENDPOINT} does not answer within {HUB_SECONDS} s"


@contextmanager
def _with_progress(shown: bool) -> Iterator[None]:
    """Show the libraries' progress bars for a while, or not."""
    import datasets

    if shown:
        datasets.enable_progress_bars()
    try:
        yield
    finally:
        datasets.disable_progress_bars()


@contextmanager
def _offline() -> Iterator[None]:
    """Keep `datasets` and `huggingface_hub` off the network, and quiet, while local files are read."""
    import datasets
    import huggingface_hub

    settings = [(datasets.config, "HF_HUB_OFFLINE"), (huggingface_hub.constants, "HF_HUB_OFFLINE")]
    before = [getattr(owner, name) for owner, name in settings]
    datasets.disable_progress_bars()
    for owner, name in settings:
        setattr(owner, name, True)
    try:
        yield
    finally:
        for (owner, name), value in zip(settings, before, strict=True):
            setattr(owner, name, value)


@functools.cache
def _temporary_cache() -> str:
    """Return a folder for this process that is removed when it ends."""
    folder = tempfile.TemporaryDirectory(prefix="bireal-hw-")
    atexit.register(folder.cleanup)
    return folder.name
