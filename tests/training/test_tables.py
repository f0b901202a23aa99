"""Parquet files and the hub: which columns are taken, what labels may be, which splits count."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from bireal_hw.errors import BirealError
from bireal_hw.training.data import Data, load_data

pytestmark = pytest.mark.torch

NAMES = ["cat", "dog", "owl"]


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), value).save(file, "png")
    return file.getvalue()


def write(path: Path, columns: dict[str, tuple[Any, list[Any]]]) -> None:
    """Write a table; a column is its kind and its cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    features = datasets.Features({name: kind for name, (kind, _) in columns.items()})
    cells = {name: found for name, (_, found) in columns.items()}
    datasets.Dataset.from_dict(cells, features=features).to_parquet(path)


def pictures(count: int, first: int = 0) -> tuple[Any, list[Any]]:
    return datasets.Image(), [{"bytes": png(first + number), "path": None} for number in range(count)]


def load(folder: Path, **options: Any) -> Data:
    return load_data("folder", folder, (8, 8), 1, **options)


def failure(folder: Path, **options: Any) -> str:
    with pytest.raises(BirealError) as caught:
        load(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(folder), "DIR")


def of_class(data: Data) -> list[str]:
    """The class of every training image, in the order in which they were written."""
    values = data.train_images[:][:, 0, 0, 0].tolist()
    found = dict(zip(values, data.train_labels.tolist(), strict=True))
    return [data.class_names[found[value]] for value in sorted(found)]


KINDS: dict[str, tuple[Any, list[Any], list[str], tuple[str, ...]]] = {
    "ClassLabel": (datasets.ClassLabel(names=NAMES), [2, 0, 1, 2], ["owl", "cat", "dog", "owl"], tuple(NAMES)),
    "int64": (datasets.Value("int64"), [2, 0, 1, 2], ["2", "0", "1", "2"], ("0", "1", "2")),
    "uint8": (datasets.Value("uint8"), [1, 0, 1, 0], ["1", "0", "1", "0"], ("0", "1")),
    "gaps": (datasets.Value("int32"), [7, 1, 3, 7], ["7", "1", "3", "7"], ("1", "3", "7")),
    "string": (datasets.Value("string"), ["b", "a", "ü [x]", "b"], ["b", "a", "ü [x]", "b"], ("a", "b", "ü [x]")),
    "bool": (datasets.Value("bool"), [True, False, True, True], ["True", "False", "True", "True"], ("False", "True")),
}


@pytest.mark.parametrize("test", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_every_kind(tmp_path: Path, kind: str, test: bool) -> None:
    feature, cells, want, names = KINDS[kind]
    write(tmp_path / "train.parquet", {"x": pictures(8), "y": (feature, cells * 2)})
    if test:
        write(tmp_path / "test.parquet", {"x": pictures(2), "y": (feature, cells[:2])})
    data = load(tmp_path)
    assert data.class_names == names
    assert of_class(data) == want * 2 if test else len(of_class(data)) == 8 - len(data.test_labels)
    assert all(name == (want * 2)[value] for value, name in zip(
        sorted(data.train_images[:][:, 0, 0, 0].tolist()), of_class(data), strict=True
    ))  # fmt: skip
    gaps = "no image has label 0, 2, 4 to 6 in column 'y'" if kind == "gaps" else None
    assert [note[: len(gaps or "")] for note in data.notes] == ([gaps] if gaps else [])


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """Two columns of pictures, two of integers, one of text."""
    for name in ("train", "test"):
        write(
            tmp_path / f"{name}.parquet",
            {
                "left": pictures(4),
                "right": pictures(4, 100),
                "fine": (datasets.Value("int64"), [0, 1, 2, 3]),
                "coarse": (datasets.Value("int64"), [0, 0, 1, 1]),
                "caption": (datasets.Value("string"), ["a", "b", "a", "b"]),
                "score": (datasets.Value("float32"), [0.0, 1.0, 2.0, 3.0]),
            },
        )
    return tmp_path


@pytest.mark.parametrize(("label", "classes"), [("fine", 4), ("coarse", 2), ("caption", 2)])
@pytest.mark.parametrize(("column", "first"), [("left", 0), ("right", 100)])
def test_columns_are_chosen(several: Path, label: str, classes: int, column: str, first: int) -> None:
    data = load(several, label=label, image_column=column)
    assert data.classes == classes
    assert data.train_images[:][:, 0, 0, 0].tolist() == [first, first + 1, first + 2, first + 3]


@pytest.mark.parametrize(
    ("image_column", "label", "text"),
    [
        (None, None, "'DIR' has several image columns (left, right): choose one, for example image_column=left"),
        ("left", None, "'DIR' has several label columns (fine, coarse): choose one, for example label=fine"),
        ("lef", None, "image_column=lef: 'DIR' has no such column: did you mean 'left'? it has LIST"),
        ("score", None, "image_column=score: this column of 'DIR' holds no PICTURES; it has LIST"),
        ("left", "Fine", "label=Fine: 'DIR' has no such column: did you mean 'fine'? it has LIST"),
        ("left", "score", "label=score: this column of 'DIR' holds no ClassLabel, integers or text; it has LIST"),
    ],
)
def test_columns_that_cannot_be(several: Path, image_column: str | None, label: str | None, text: str) -> None:
    columns = "left (Image), right (Image), fine (int64), coarse (int64), caption (string), score (float32)"
    text = text.replace("LIST", columns).replace("PICTURES", "pictures, or their files as bytes")
    assert failure(several, image_column=image_column, label=label) == text


def test_pictures_as_plain_bytes(tmp_path: Path) -> None:
    cells = (datasets.Value("binary"), [png(value) for value in range(6)])
    write(tmp_path / "train.parquet", {"png": cells, "y": (datasets.Value("int64"), [0, 1, 0, 1, 0, 1])})
    assert sorted(load(tmp_path).train_images[:][:, 0, 0, 0].tolist())[0] in (0, 1, 2)


def test_a_missing_picture_is_a_broken_one(tmp_path: Path) -> None:
    cells = (datasets.Image(), [{"bytes": png(1), "path": None}, None, {"bytes": png(3), "path": None}])
    for name in ("train", "test"):
        write(tmp_path / f"{name}.parquet", {"x": cells, "y": (datasets.Value("int64"), [0, 1, 1])})
    assert failure(tmp_path).startswith("image  (row 1) cannot be decoded: ")
    assert len(load(tmp_path, skip_broken=True).broken) == 2


@pytest.mark.parametrize(
    ("kind", "train", "test", "text"),
    [
        (datasets.Value("int64"), [0, None, 1], [0], "row 1 of the train split has no label in COLUMN"),
        (datasets.Value("string"), ["a", "b", "b"], ["a", None], "row 1 of the test split has no label in COLUMN"),
        (datasets.Value("int64"), [0, 1, -2], [0], "label -2 in COLUMN is out of range: at least 0"),
        (
            datasets.Value("int64"), [0, 1, 1], [2],
            "class '2' in COLUMN is in the test split, but not in the train split",
        ),
        (
            datasets.Value("string"), ["cat", "dog", "dog"], ["Cat"],
            "class 'Cat' in COLUMN is in the test split, but not in the train split: did you mean 'cat'?",
        ),
        (datasets.ClassLabel(names=NAMES), [0, 1, -1], [0], "label -1 in COLUMN is out of range: 0..2"),
        (datasets.ClassLabel(names=NAMES), [0, 2, 2], [0], "class 'dog' of 'DIR' has no training images"),
        (datasets.Value("string"), ["a", "a", "a"], ["a"], "COLUMN has 1 class; a classifier needs at least 2"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be(tmp_path: Path, kind: Any, train: list[Any], test: list[Any], text: str) -> None:
    write(tmp_path / "train.parquet", {"x": pictures(len(train)), "y": (kind, train)})
    write(tmp_path / "test.parquet", {"x": pictures(len(test)), "y": (kind, test)})
    assert failure(tmp_path) == text.replace("COLUMN", "column 'y' of 'DIR'")


def test_a_class_of_one_image_has_none_to_train_on(tmp_path: Path) -> None:
    write(tmp_path / "all.parquet", {"x": pictures(4), "y": (datasets.Value("string"), ["a", "a", "a", "b"])})
    assert failure(tmp_path) == (
        "class 'b' of 'DIR' has no training images: 'b' has 1 image of the 2 that it needs, one to train and one to "
        "test"
    )


@pytest.mark.parametrize("none", [-1, None])
def test_a_split_without_labels_is_not_used(tmp_path: Path, none: int | None) -> None:
    kind = datasets.ClassLabel(names=NAMES[:2])
    splits: dict[str, list[Any]] = {"train": [0, 1] * 5, "test": [none] * 3, "validation": [1, 0]}
    for name, labels in splits.items():
        write(tmp_path / f"{name}-0.parquet", {"x": pictures(len(labels)), "y": (kind, labels)})
    data = load(tmp_path)
    assert (len(data.test_labels), data.parts) == (2, "splits train and validation")
    assert data.notes == ("test: not used, as its 3 images have no labels",)


@pytest.mark.parametrize("folder", ["set [v2]", "a*b?", "{x}", ".hidden", "__private", "50% off", "ü"])
@pytest.mark.parametrize("file", ["train", "Train-00000-of-00001", "training", "my [data]"])
def test_names_of_files_are_taken_as_they_are(tmp_path: Path, folder: str, file: str) -> None:
    kind = datasets.Value("int64")
    write(tmp_path / folder / f"{file}.parquet", {"x": pictures(10), "y": (kind, [0, 1] * 5)})
    write(tmp_path / folder / "VAL.parquet", {"x": pictures(2), "y": (kind, [0, 1])})
    (tmp_path / folder / "._train.parquet").write_bytes(b"of another program")
    data = load(tmp_path / folder)
    assert (len(data.train_labels), len(data.test_labels)) == (10, 2)


@pytest.mark.parametrize("option", ["label", "image_column"])
def test_columns_are_for_tables(tmp_path: Path, option: str) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(png(1))
    given: dict[str, Any] = {option: "y"}
    assert failure(tmp_path, **given) == (
        f"{option}=y names a column of parquet files or of a data set on the hub: the classes of data=DIR are its "
        "folders"
    )
    with pytest.raises(BirealError, match=f"^{option}=y names a column of .*: data set 'digits' has none$"):
        load_data("digits", **given)
