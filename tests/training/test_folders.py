"""Folders of pictures: names x levels x forms of splits give the same classes and counts; what is lost is said."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from bireal_hw.errors import BirealError
from bireal_hw.training.folders import TEST_NAMES, TRAIN_NAMES, Files, find_images
from bireal_hw.training.images import Labelled, PictureSet

pytestmark = pytest.mark.torch

NAMES = {
    "plain": ("cat", "dog"),
    "brackets": ("cat [old]", "[dog]"),
    "glob": ("cat*", "d?g", "**"),
    "set": ("[a-z]", "{a,b}", "!x"),
    "blanks": ("  cat", "a big dog", "owl."),
    "alphabets": ("猫", "Hündchen", "сова"),
    "words": ("train", "bus", "car"),
    "both": ("test", "train", "valley"),
    "data": ("data", "images", "parquet"),
    "case": ("A", "a", "B"),
    "signs": ("a=b", "50%", "it's", 'the "x"', "-1", "~", "$HOME"),
    "numbers": ("10", "9", "1"),
}
LEVELS = ("", "one", "one/two [x]", "train", "images/*")
"""Folders between a class and its pictures."""


def fill(folder: Path, count: int = 3, first: int = 0, suffix: str = ".png") -> None:
    """Leave files with the names of pictures: nothing here looks into them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        (folder / f"im[{number}] *{suffix}").touch()


def paths(part: Labelled | None) -> list[Path]:
    assert part is not None
    assert isinstance(part.pictures, Files)
    return part.pictures.paths


def counts(source: PictureSet, part: Labelled | None) -> dict[str, int]:
    """Pictures of each class, found by their labels; each must lie in the folder of its class."""
    assert part is not None
    for path, label in zip(paths(part), part.labels, strict=True):
        assert source.class_names[label] in path.parts
    return dict(Counter(source.class_names[label] for label in part.labels))


def failure(folder: Path) -> str:
    with pytest.raises(BirealError) as caught:
        find_images(folder)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(str(folder), "DIR")


@pytest.mark.parametrize("root", ["data", "set [v2]", "a*?"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_the_first_level_is_the_class(tmp_path: Path, names: tuple[str, ...], level: str, root: str) -> None:
    for number, name in enumerate(names, start=1):
        fill(tmp_path / root / name / level, number)
    source = find_images(tmp_path / root)
    assert source.class_names == tuple(sorted(names))
    assert counts(source, source.train) == {name: number for number, name in enumerate(names, start=1)}
    assert source.test is None
    assert source.notes == ()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "test"), ("train", "val"), ("Train", "TEST"), ("Training", "validation"), ("train", "")],
)
def test_splits_hold_the_same_classes(
    tmp_path: Path, train: str, test: str, names: tuple[str, ...], level: str
) -> None:
    for number, name in enumerate(names, start=1):
        fill(tmp_path / train / name / level, number)
        if test:
            fill(tmp_path / test / name / level, 2 * number)
    source = find_images(tmp_path)
    assert source.class_names == tuple(sorted(names))
    assert counts(source, source.train) == {name: number for number, name in enumerate(names, start=1)}
    if test:
        assert counts(source, source.test) == {name: 2 * number for number, name in enumerate(names, start=1)}
        assert source.parts == f"folders {train} and {test}"
    else:
        assert source.test is None
    assert source.notes == ()


HIDDEN = (".ipynb_checkpoints", ".git", "__MACOSX", "._cat", ".Trash-1000")


@pytest.mark.parametrize("place", [".", "cat", "cat/deep"])
@pytest.mark.parametrize("form", ["classes", "splits"])
@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_folders_and_files_are_left_out_and_counted(tmp_path: Path, name: str, form: str, place: str) -> None:
    root = tmp_path / "train" if form == "splits" else tmp_path
    for kind in ("cat/deep", "dog"):
        fill(root / kind)
    fill(root / place / name, 4)
    for file in (".DS_Store", "._im0.png"):
        (root / place / file).touch()
    source = find_images(tmp_path)
    assert counts(source, source.train) == {"cat": 3, "dog": 3}
    assert source.notes == ("left out: 2 hidden files, 1 hidden folder",)


def test_what_else_is_left_out_is_counted(tmp_path: Path) -> None:
    for kind in ("cat", "dog"):
        fill(tmp_path / kind)
    fill(tmp_path / "dog", 2, suffix=".heic")
    fill(tmp_path, 5)
    (tmp_path / "labels.csv").touch()
    assert find_images(tmp_path).notes == (
        "left out: 5 pictures outside of the class folders",
        "left out, as no pictures: 2 .heic, 1 .csv",
    )


@pytest.mark.parametrize("suffix", [".JPG", ".jpeg", ".Png", ".TIFF", ".webp", ".gif", ".bmp", ".jfif"])
def test_pictures_are_known_by_the_end_of_their_names(tmp_path: Path, suffix: str) -> None:
    for kind in ("cat", "dog"):
        fill(tmp_path / kind, suffix=suffix)
    assert len(find_images(tmp_path).train.labels) == 6


# ---- folders for testing ----


@pytest.mark.parametrize("below", ["images", "", "cats/all"])
def test_a_folder_for_testing_without_the_classes_is_not_used(tmp_path: Path, below: str) -> None:
    for kind in ("cat", "dog"):
        fill(tmp_path / "train" / kind)
        fill(tmp_path / "val" / kind, 2)
    fill(tmp_path / "test" / below, 6)
    source = find_images(tmp_path)
    assert source.class_names == ("cat", "dog")
    assert counts(source, source.test) == {"cat": 2, "dog": 2}
    where = f"in '{below.split('/')[0]}'" if below else "without a folder for each class"
    assert source.notes == (f"test: not used, as its 6 pictures lie {where}, of no class of train",)
    for path in (tmp_path / "val").rglob("*.png"):
        path.unlink()
    assert find_images(tmp_path).test is None


def test_of_several_folders_for_testing_the_first_counts(tmp_path: Path) -> None:
    for number, name in enumerate(["train", *TEST_NAMES], start=1):
        for kind in ("cat", "dog"):
            fill(tmp_path / name / kind, number)
    source = find_images(tmp_path)
    assert source.parts == "folders train and test"
    assert source.notes[0] == "testing: not used (6 pictures), as test is for testing"
    assert len(source.notes) == len(TEST_NAMES) - 1


def test_folders_beside_the_splits_are_named(tmp_path: Path) -> None:
    for name in ("train", "test"):
        for kind in ("cat", "dog"):
            fill(tmp_path / name / kind)
    fill(tmp_path / "unlabeled")
    fill(tmp_path, 1)
    (tmp_path / "docs").mkdir()
    assert find_images(tmp_path).notes == ("beside train: 'unlabeled' not used", "beside train: 1 pictures not used")


def test_classes_without_pictures_for_testing_are_named(tmp_path: Path) -> None:
    for kind in ("cat", "dog", "owl"):
        fill(tmp_path / "train" / kind)
    fill(tmp_path / "test" / "cat")
    (tmp_path / "test" / "dog").mkdir()
    assert find_images(tmp_path).notes == ("test: no pictures of 'dog', 'owl'",)


# ---- links ----


@pytest.mark.parametrize("what", ["file", "class", "below", "root", "split"])
def test_links_are_followed(tmp_path: Path, what: str) -> None:
    root, store = tmp_path / "data", tmp_path / "store"
    train = root / "train" if what == "split" else root
    fill(train / "dog")
    fill(store / "cat" / "deep")
    if what == "file":
        (train / "cat").mkdir()
        for path in (store / "cat" / "deep").iterdir():
            (train / "cat" / path.name).symlink_to(path)
    elif what == "below":
        (train / "cat").mkdir()
        (train / "cat" / "link").symlink_to(store / "cat")
    else:
        (train / "cat").symlink_to(store / "cat")
    if what == "root":
        (tmp_path / "other").symlink_to(root)
        root = tmp_path / "other"
    source = find_images(root)
    assert counts(source, source.train) == {"cat": 3, "dog": 3}


@pytest.mark.parametrize("target", ["..", ".", "../.."])
def test_links_that_lead_back_end(tmp_path: Path, target: str) -> None:
    for kind in ("cat", "dog"):
        fill(tmp_path / "data" / kind)
    (tmp_path / "data" / "cat" / "back").symlink_to(target)
    found = find_images(tmp_path / "data")
    assert counts(found, found.train)["dog"] == 3


def test_a_link_to_nothing_is_a_picture_that_cannot_be_read(tmp_path: Path) -> None:
    for kind in ("cat", "dog"):
        fill(tmp_path / kind)
    (tmp_path / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert tmp_path / "cat" / "gone.png" in paths(find_images(tmp_path).train)


# ---- refused ----


@pytest.mark.parametrize("names", [*NAMES.values()], ids=[*NAMES])
@pytest.mark.parametrize("form", ["", "train", "Training"])
@pytest.mark.parametrize("content", ["", "deep", ".hidden.png", "scan.heic"])
def test_a_class_without_pictures_is_named(tmp_path: Path, names: tuple[str, ...], form: str, content: str) -> None:
    *rest, empty = (*names, "zebra")
    for name in rest:
        fill(tmp_path / form / name)
    (tmp_path / form / empty).mkdir()
    if content == "deep":
        (tmp_path / form / empty / content).mkdir()
    elif content:
        (tmp_path / form / empty / content).touch()
    has = " ('zebra' has 1 .heic)" if content == "scan.heic" else ""
    where = f"DIR/{form}" if form else "DIR"
    assert failure(tmp_path) == (
        f"data={where}: class folder 'zebra' holds no images{has}: add some, or take the folder away"
    )


def test_many_classes_without_pictures_are_counted(tmp_path: Path) -> None:
    for name in "ab":
        fill(tmp_path / name)
    for name in "cdefghij":
        (tmp_path / name).mkdir()
    assert failure(tmp_path) == (
        "data=DIR: class folders 'c', 'd', 'e', 'f', 'g' and 3 more hold no images: add some, or take the folder away"
    )


@pytest.mark.parametrize(("train", "test"), [("Cat", "cat"), ("cat", "CAT"), ("straße", "STRASSE")])
@pytest.mark.parametrize("others", [0, 2])
def test_a_class_of_another_case_is_named(tmp_path: Path, train: str, test: str, others: int) -> None:
    for name in (train, *"xyz"):
        fill(tmp_path / "train" / name)
    for name in (test, *"xyz"[:others]):
        fill(tmp_path / "test" / name)
    text = failure(tmp_path)
    assert text.startswith(f"class '{test}' of DIR/test is not in train: did you mean '{train}'?")


def test_a_class_for_testing_only_is_named(tmp_path: Path) -> None:
    for name in ("train", "val"):
        for kind in ("cat", "dog"):
            fill(tmp_path / name / kind)
    fill(tmp_path / "val" / "elephant")
    assert failure(tmp_path) == "class 'elephant' of DIR/val is not in train"


@pytest.mark.parametrize("name", TEST_NAMES)
def test_a_split_for_testing_alone(tmp_path: Path, name: str) -> None:
    for kind in ("cat", "dog"):
        fill(tmp_path / name / kind)
    assert failure(tmp_path) == f"data=DIR has a {name} split but no train split"


@pytest.mark.parametrize("test", ["flat", "classes"])
def test_a_train_folder_without_classes(tmp_path: Path, test: str) -> None:
    fill(tmp_path / "train")
    fill(tmp_path / "test" / ("cat" if test == "classes" else ""))
    assert failure(tmp_path) == "data=DIR: the pictures of 'train' lie in no folder for each class"


def test_two_folders_to_train_on(tmp_path: Path) -> None:
    for name in TRAIN_NAMES:
        for kind in ("cat", "dog"):
            fill(tmp_path / name / kind)
    assert failure(tmp_path) == "data=DIR holds 'train', 'training': only one of them can be trained on"


def test_pictures_without_folders(tmp_path: Path) -> None:
    fill(tmp_path, 40)
    assert failure(tmp_path) == (
        "data=DIR holds 40 pictures but no folder for each class: put those of a class into a folder of its name"
    )


@pytest.mark.parametrize("split", ["", "train"])
def test_one_class(tmp_path: Path, split: str) -> None:
    fill(tmp_path / split / "cat")
    where = "DIR/train" if split else "DIR"
    assert failure(tmp_path) == (f"data={where} has images in one class folder only, 'cat'; a classifier needs two")


def test_a_folder_above_the_data_set(tmp_path: Path) -> None:
    for kind in ("cat", "dog"):
        fill(tmp_path / "pets" / kind)
    assert failure(tmp_path).endswith("'pets'; a classifier needs two: did you mean data=DIR/pets?")


def test_names_that_are_not_text(tmp_path: Path) -> None:
    for kind in ("cat", "dog"):
        fill(tmp_path / kind)
    fill(tmp_path / os.fsdecode(b"ow\xff"))
    assert failure(tmp_path).endswith("ow\\xff' is not UTF-8: rename it")


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "cat")
    original = Path.iterdir

    def iterdir(self: Path) -> object:
        if self.name == "cat":
            raise PermissionError(13, "Permission denied", str(self))
        return original(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert failure(tmp_path) == "cannot read DIR/cat: Permission denied"
