"""A folder of pictures as a data set: the names of its folders are the classes.

    DIR/CLASS/**/picture                   a part of each class is set aside for testing
    DIR/train/CLASS/**/picture             the same, or with DIR/test (or val, ...) beside it

Names are taken as they are: no character of a name has a meaning, and links are followed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bireal_hw.errors import BirealError, nearest
from bireal_hw.training.images import Labelled, Picture, PictureSet

TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "validation", "valid", "val", "eval", "evaluation", "dev")
"""Folders and files of these names, in letters of any case, hold a split; of several test splits the first counts."""

IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"
)  # fmt: skip
SHOWN = 5
"""Names in a message; of more it says how many."""


@dataclass(frozen=True)
class Files:
    """Pictures in files."""

    paths: list[Path]

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, positions: list[int]) -> list[Picture]:
        """Return those at some positions."""
        return [Picture(self.paths[position], shown(self.paths[position])) for position in positions]

    def select(self, positions: list[int]) -> Files:
        """Keep those at some positions."""
        return Files([self.paths[position] for position in positions])


@dataclass
class Branch:
    """What lies below a folder: its pictures, and other files by the ends of their names."""

    pictures: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


@dataclass
class Level:
    """A folder whose folders may be classes: what lies below each by its name, and beside them."""

    folders: dict[str, Branch]
    loose: Branch

    @property
    def classes(self) -> list[str]:
        """Names of the folders that hold pictures."""
        return [name for name, branch in self.folders.items() if branch.pictures]


def find_images(folder: Path) -> PictureSet:
    """Find the classes of a folder, their pictures, and what is trained on.

    The folders are splits where one called `train` has two classes or more, and a folder for testing lies beside it, or
    no other with pictures does. A folder for testing counts if it has classes of `train`. Hidden files and folders
    (their names begin with `.` or `__`) are left out.

    Raises BirealError for a folder without pictures or with one class, a class without pictures, and classes that are
    in a folder for testing only.
    """
    hidden: Counter[str] = Counter()
    try:
        top = _level(folder, hidden)
        splits = [name for names in (TRAIN_NAMES, TEST_NAMES) for name in _by_name(top.classes, names)]
        levels = {name: _level(folder / name, Counter()) for name in splits}
    except OSError as error:
        raise BirealError(f"cannot read {shown(str(error.filename))}: {error.strerror}") from None
    others = [name for name in top.classes if name not in levels]
    trains = [
        name
        for name in _by_name(top.classes, TRAIN_NAMES)
        if levels[name].classes and (not others or (len(levels[name].folders) > 1 and len(levels) > 1))
    ]
    if len(trains) > 1:
        raise BirealError(f"data={shown(folder)} holds {_listed(trains)}: only one of them can be trained on")
    if trains:
        return _split(folder, trains[0], top, levels, others, hidden)
    if levels and not others:
        _refuse_splits(folder, levels)
    _check(folder, top)
    found = {name: branch.pictures for name, branch in top.folders.items()}
    return PictureSet(tuple(found), _labelled(found, list(found)), None, notes=_notes(top, hidden))


def _refuse_splits(folder: Path, levels: dict[str, Level]) -> None:
    """Raise BirealError for folders that are all named after splits, but of which none can be trained on."""
    where = f"data={shown(folder)}"
    first = next(iter(levels))
    if first.casefold() in TRAIN_NAMES:
        if len(levels) > 1:
            raise BirealError(f"{where}: the pictures of '{first}' lie in no folder for each class")
    elif len(levels) > 1 or levels[first].classes:
        raise BirealError(f"{where} has a {first} split but no train split")


def _split(
    folder: Path, train: str, top: Level, levels: dict[str, Level], others: list[str], hidden: Counter[str]
) -> PictureSet:
    """Take the classes below `train` and those for testing out of the first folder that has some of them."""
    level = levels[train]
    _check(folder / train, level)
    classes = list(level.folders)
    notes = list(_notes(level, hidden))
    test = None
    for name in levels:
        if name == train:
            continue
        count = sum(len(branch.pictures) for branch in [*levels[name].folders.values(), levels[name].loose])
        same = [one for one in levels[name].classes if one.casefold() in {other.casefold() for other in classes}]
        if test is not None:
            notes.append(f"{name}: not used ({count:,} pictures), as {test} is for testing")
        elif not same:
            lies = f"in {_listed(levels[name].classes)}" if levels[name].classes else "without a folder for each class"
            notes.append(f"{name}: not used, as its {count:,} pictures lie {lies}, of no class of {train}")
        else:
            _check_classes(folder / name, train, levels[name].classes, classes)
            test = name
            notes += [f"{name}: {note}" for note in _notes(levels[name], Counter())]
            if lacking := [one for one in classes if one not in levels[name].classes]:
                notes.append(f"{name}: no pictures of {_listed(lacking)}")
    if others:
        notes.append(f"beside {train}: {_listed(others)} not used")
    if top.loose.pictures:
        notes.append(f"beside {train}: {len(top.loose.pictures):,} pictures not used")
    found = {name: branch.pictures for name, branch in level.folders.items()}
    tested = {name: levels[test].folders[name].pictures for name in levels[test].classes} if test else {}
    parts = f"folders {train} and {test}" if test else ""
    return PictureSet(
        tuple(classes),
        _labelled(found, classes),
        _labelled(tested, classes) if test else None,
        parts,
        tuple(notes),
    )


def _level(folder: Path, hidden: Counter[str]) -> Level:
    """Look at a folder; adds what is hidden to the counts of files and folders."""
    level = Level({}, Branch())
    for path in sorted(folder.iterdir()):
        if is_hidden(path.name):
            hidden["hidden folder" if path.is_dir() else "hidden file"] += 1
        elif path.is_dir():
            _utf8(path)
            level.folders[path.name] = _branch(path, hidden)
        else:
            _add(level.loose, path)
    return level


def _branch(folder: Path, hidden: Counter[str]) -> Branch:
    """Look at everything below a folder, links included; one that leads back up is not followed again."""
    branch = Branch()
    pending, seen = [folder], {folder.resolve()}
    while pending:
        for path in pending.pop().iterdir():
            if is_hidden(path.name):
                hidden["hidden folder" if path.is_dir() else "hidden file"] += 1
            elif not path.is_dir():
                _add(branch, path)
            elif (real := path.resolve()) not in seen:
                seen.add(real)
                pending.append(path)
    branch.pictures.sort()
    return branch


def _add(branch: Branch, path: Path) -> None:
    if path.suffix.lower() in IMAGE_SUFFIXES:
        branch.pictures.append(path)
    else:
        branch.others[path.suffix.lower() or path.name] += 1


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is somebody's other than the user's: `.DS_Store`, `._x.png`, `__MACOSX`."""
    return name.startswith((".", "__"))


def _by_name(found: Iterable[str], names: tuple[str, ...]) -> list[str]:
    """Return those of `names` that were found, in letters of any case, in the order of `names`."""
    found = list(found)
    return [one for name in names for one in found if one.casefold() == name]


def _check(folder: Path, level: Level) -> None:
    """Raise BirealError unless every folder is a class with pictures, and there are two of them."""
    where = f"data={shown(folder)}"
    if not level.classes:
        if level.loose.pictures:
            raise BirealError(
                f"{where} holds {len(level.loose.pictures):,} pictures but no folder for each class: "
                "put those of a class into a folder of its name"
            )
        kinds = sum((branch.others for branch in [*level.folders.values(), level.loose]), Counter())
        found = f" (it has {_kinds(kinds)})" if kinds else ""
        raise BirealError(
            f"{where} holds no images{found}; expected parquet files or one subfolder of images per class"
        )
    if empty := [name for name in level.folders if name not in level.classes]:
        others = level.folders[empty[0]].others
        found = f" ('{shown(empty[0])}' has {_kinds(others)})" if others else ""
        which = f"class folder {_listed(empty)} holds" if len(empty) == 1 else f"class folders {_listed(empty)} hold"
        raise BirealError(f"{where}: {which} no images{found}: add some, or take the folder away")
    if len(level.classes) < 2:
        only = level.classes[0]
        below = _level(folder / only, Counter()).classes
        hint = f": did you mean data={shown(folder / only)}?" if len(below) > 1 else ""
        raise BirealError(f"{where} has images in one class folder only, '{only}'; a classifier needs two{hint}")


def _check_classes(folder: Path, train: str, found: list[str], classes: list[str]) -> None:
    """Raise BirealError for a class for testing that is not trained."""
    if foreign := next((name for name in found if name not in classes), None):
        near = nearest(foreign, classes)
        hint = f": did you mean '{shown(near)}'?" if near else ""
        raise BirealError(f"class '{shown(foreign)}' of {shown(folder)} is not in {train}{hint}")


def _labelled(found: dict[str, list[Path]], classes: list[str]) -> Labelled:
    numbers = {name: number for number, name in enumerate(classes)}
    paths = [path for pictures in found.values() for path in pictures]
    return Labelled(Files(paths), [numbers[name] for name, pictures in found.items() for _ in pictures])


def _notes(level: Level, hidden: Counter[str]) -> tuple[str, ...]:
    """Say what was left out."""
    kinds: Counter[str] = sum((branch.others for branch in level.folders.values()), Counter(level.loose.others))
    counts = [
        (hidden, f"left out: {_hidden(hidden)}"),
        (level.loose.pictures, f"left out: {len(level.loose.pictures):,} pictures outside of the class folders"),
        (kinds, f"left out, as no pictures: {_kinds(kinds)}"),
    ]
    return tuple(text for found, text in counts if found)


def _kinds(counts: Counter[str]) -> str:
    """Write how many there are of each kind, the most frequent ones first.

    >>> _kinds(Counter({".txt": 3, ".heic": 12}))
    '12 .heic, 3 .txt'
    """
    return _listed([f"{count:,} {kind}" for kind, count in counts.most_common()], "")


def _hidden(counts: Counter[str]) -> str:
    return _listed((_plural(count, kind) for kind, count in counts.most_common()), "")


def _plural(count: int, kind: str) -> str:
    return f"{count:,} {kind}{'s'[: count != 1]}"


def _listed(names: Iterable[str], quote: str = "'") -> str:
    """Write a few names; of more, how many."""
    names = [f"{quote}{shown(name)}{quote}" for name in names]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def shown(name: str | Path) -> str:
    r"""Write a name on one line of a terminal, whatever characters are in it.

    >>> shown("a\nb")
    'a?b'
    """
    return "".join(letter if letter.isprintable() else "?" for letter in str(name))


def _utf8(path: Path) -> None:
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise BirealError(f"the name of folder {os.fsencode(path)!r} is not UTF-8: rename it") from None
