"""One reading of a picture: the same pixels in training, in evaluation and on the host, for files of every kind."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from bireal_hw import preprocess
from bireal_hw.errors import BirealError
from bireal_hw.preprocess import PictureError, middle, read_picture
from bireal_hw.synth import host
from bireal_hw.training.augment import VIEW
from bireal_hw.training.data import load_data

pytestmark = pytest.mark.torch

ORIENTATION = 0x0112


def photograph(width: int = 96, height: int = 54) -> Image.Image:
    """A picture without any symmetry, smooth enough that a lossy file keeps it."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    planes = [40 + 200 * x, 220 - 180 * y * x, 120 + 100 * np.sin(3 * x + 5 * y)]
    return Image.fromarray(np.stack(planes, -1).astype(np.uint8))


def turned(orientation: int, suffix: str = "jpg") -> tuple[str, Callable[[Path], None]]:
    def save(path: Path) -> None:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        photograph().save(path, exif=exif)

    return f"turned-{orientation}.{suffix}", save


def mode(name: str, suffix: str = "png") -> tuple[str, Callable[[Path], None]]:
    return f"mode-{name}.{suffix}", lambda path: photograph().convert(name).save(path)


def wide(suffix: str) -> tuple[str, Callable[[Path], None]]:
    """16 bits of gray."""

    def save(path: Path) -> None:
        gray = np.asarray(photograph().convert("L")).astype(np.uint16)
        Image.fromarray(gray * 257).save(path)

    return f"wide.{suffix}", save


def transparent(path: Path) -> None:
    picture = photograph().convert("RGBA")
    alpha = np.zeros((54, 96), np.uint8)
    alpha[:, 30:70] = 255
    alpha[:, 70:] = 128
    picture.putalpha(Image.fromarray(alpha))
    picture.save(path)


def transparent_palette(path: Path) -> None:
    photograph().quantize(16).save(path, transparency=3)


FILES: dict[str, Callable[[Path], None]] = dict(
    [
        *(turned(orientation) for orientation in range(1, 9)),
        turned(6, "png"), turned(8, "webp"), turned(3, "tiff"),
        mode("L"), mode("1"), mode("P"), mode("P", "gif"), mode("RGBA"), mode("LA"), mode("CMYK", "jpg"),
        mode("CMYK", "tif"), mode("YCbCr", "jpg"), mode("RGB", "bmp"), mode("RGB", "ppm"), mode("L", "pgm"),
        wide("png"), wide("tif"),
        ("transparent.png", transparent), ("transparent-palette.png", transparent_palette),
        ("tall.png", lambda path: photograph(40, 97).save(path)),
        ("tiny.png", lambda path: photograph(7, 5).save(path)),
        ("exact.png", lambda path: photograph(32, 24).save(path)),
        ("capital.JPG", lambda path: photograph().save(path)),
    ]
)  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    for name, save in FILES.items():
        save(folder / name)
    return {name: folder / name for name in FILES}


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The host script with its second file, as it lies in a network's folder."""
    monkeypatch.setitem(sys.modules, "preprocess", preprocess)
    return host


@pytest.mark.parametrize("name", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "I", "F"])
@pytest.mark.parametrize("entry", [False, True])
def test_what_may_be_transparent_is_what_pillow_says(name: str, entry: bool) -> None:
    picture = Image.new(name, (2, 2))
    if entry:
        picture.info["transparency"] = 0
    assert preprocess.is_transparent(picture) == picture.has_transparency_data


def test_a_palette_may_be_transparent(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (1, 2, 3, 4)).quantize(2).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "P"
        assert picture.has_transparency_data
        assert preprocess.is_transparent(picture)


@pytest.mark.parametrize("channels", [1, 3])
def test_training_evaluation_and_host_see_the_same(
    files: dict[str, Path], tmp_path: Path, channels: int, beside: ModuleType
) -> None:
    image = (24, 32)
    for split in ("train", "test"):
        (tmp_path / split / "other").mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / split / "other" / "x.png")
        (tmp_path / split / "files").mkdir()
        for name, path in files.items():
            (tmp_path / split / "files" / name).write_bytes(path.read_bytes())
    data = load_data("folder", tmp_path, image, channels)
    for number, name in enumerate(sorted(files)):
        trained = data.train_images[:][number].numpy().transpose(1, 2, 0)
        tested = data.test_images[:][number].numpy().transpose(1, 2, 0)
        assert np.array_equal(trained, read_picture(files[name], image, channels)), name
        assert np.array_equal(tested, read_picture(files[name], image, channels, VIEW)), name
        sent = np.frombuffer(beside.read_image(files[name], (*image, channels), VIEW), np.uint8)
        assert np.array_equal(sent.reshape(tested.shape), tested), name


def close(name: str, want: Image.Image, files: dict[str, Path], most: float = 4) -> None:
    """Assert that a file shows what it should, up to what lossy formats and palettes change."""
    size = (want.height, want.width)
    found = read_picture(files[name], size, len(want.getbands()))
    difference = np.abs(found.astype(int) - np.asarray(want).reshape(found.shape))
    assert difference.mean() < most, name


def test_files_show_what_was_saved(files: dict[str, Path]) -> None:
    whole, gray = photograph(), photograph().convert("L")
    for name in FILES:
        if name.startswith(("capital", "mode-RGB", "mode-CMYK", "mode-YCbCr", "turned-1")):
            close(name, whole, files)
        if name.startswith(("wide", "mode-L")):
            close(name, gray, files)
            close(name, gray.convert("RGB"), files)
    for orientation, way in (
        (2, Image.Transpose.FLIP_LEFT_RIGHT), (3, Image.Transpose.ROTATE_180), (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE), (6, Image.Transpose.ROTATE_270), (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_90),
    ):  # fmt: skip
        close(f"turned-{orientation}.jpg", whole.transpose(way), files)
    close("turned-6.png", whole.transpose(Image.Transpose.ROTATE_270), files, 0.5)
    close("turned-8.webp", whole.transpose(Image.Transpose.ROTATE_90), files)
    close("turned-3.tiff", whole.transpose(Image.Transpose.ROTATE_180), files, 0.5)


def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path) -> None:
    values = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    for suffix in ("png", "tif"):
        Image.fromarray(values + 255).save(tmp_path / f"a.{suffix}")
        assert np.array_equal(read_picture(tmp_path / f"a.{suffix}", (16, 16), 1)[..., 0], values >> 8)


def test_what_is_transparent_is_white_whatever_colour_is_behind_it(files: dict[str, Path]) -> None:
    whole, found = np.asarray(photograph()).astype(int), read_picture(files["transparent.png"], (54, 96), 3)
    assert (found[:, :30] == 255).all()
    assert np.array_equal(found[:, 30:70], whole[:, 30:70])
    assert np.abs(found[:, 70:] - (whole[:, 70:] * 128 + 255 * 127) / 255).max() <= 1
    palette = Image.open(files["transparent-palette.png"])
    hidden = np.asarray(palette) == 3
    shown = read_picture(files["transparent-palette.png"], (54, 96), 3)
    assert hidden.any()
    assert (shown[hidden] == 255).all()
    assert np.array_equal(shown[~hidden], np.asarray(palette.convert("RGB"))[~hidden])


@pytest.mark.parametrize(("width", "height", "image", "view"), [(160, 90, (32, 32), 1.0), (90, 160, (24, 32), 0.875)])
def test_the_middle_has_the_shape_of_the_image(width: int, height: int, image: tuple[int, int], view: float) -> None:
    left, top, right, bottom = middle(width, height, image, view)
    assert (left + right, top + bottom) == pytest.approx((width, height))
    assert (right - left) / (bottom - top) == pytest.approx(image[1] / image[0])
    assert max((right - left) / width, (bottom - top) / height) == pytest.approx(view)


@pytest.mark.parametrize("kind", ["I", "F"])
def test_pixels_without_a_range_are_refused(tmp_path: Path, kind: str, beside: ModuleType) -> None:
    Image.new(kind, (8, 8), 1).save(tmp_path / "a.tif")
    what = {"I": "32 bits", "F": "floating point"}[kind]
    with pytest.raises(
        PictureError, match=f"^its pixels are of {what}, which have no range: save it with 8 or 16 bits$"
    ):
        read_picture(tmp_path / "a.tif", (8, 8), 3)
    with pytest.raises(beside.LinkError, match=f"a.tif cannot be read: its pixels are of {what}"):
        beside.read_image(tmp_path / "a.tif", (8, 8, 3), 1.0)
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(2):
            Image.new(kind, (8, 8), 1).save(tmp_path / "data" / name / f"{number}.tif")
    with pytest.raises(BirealError, match=f"a/[01].tif cannot be decoded: its pixels are of {what}"):
        load_data("folder", tmp_path / "data", (8, 8))


@pytest.mark.parametrize("name", ["turned-6.jpg", "wide.tif", "mode-P.gif", "mode-RGB.bmp", "turned-8.webp"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5])
def test_a_broken_file_is_one_line(files: dict[str, Path], tmp_path: Path, name: str, part: float) -> None:
    content = files[name].read_bytes()
    (tmp_path / name).write_bytes(content[: int(part * len(content))])
    with pytest.raises(PictureError, match=r"^[^\n]+$"):
        read_picture(tmp_path / name, (8, 8), 3)
