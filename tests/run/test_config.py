import re
from pathlib import Path

import pytest

from bireal_hw.errors import BirealError
from bireal_hw.models.networks import NETWORKS
from bireal_hw.run.config import BuildConfig, UsageError, parse_arguments, variables

NAMES = (
    "model, dataset, data, width, image, classes, channels, shortcut_bits, epochs, batch, learning_rate, "
    "train_images, recipe, without, init, label, image_column, pixels, calibration, skip_broken, seed, seeds, rows, "
    "images, clock, target_fps, folding, run, board, real, untrained, stalls, whole, cosim, picture, by, logits, "
    "kernel, waves"
)


def test_all_variables_are_read() -> None:
    words = (
        "model=bireal34 dataset=uoft-cs/cifar10 data=. width=0.5 image=48x64 classes=7 channels=1 shortcut_bits=12 "
        "epochs=3 seed=9 images=2 clock=150 target_fps=250.5 run=mine board=kv260 untrained=1 stalls=0 waves=yes "
        "whole=1 cosim=1 folding=pyproject.toml recipe=paper without=settle init=pyproject.toml skip_broken=1 "
        "train_images=900 seeds=5 rows=plain real=0 batch=24 learning_rate=3e-4 label=fine image_column=img "
        "pixels=0..1 calibration=. picture=pyproject.toml by=rtl logits=pyproject.toml kernel=hls"
    )
    assert parse_arguments(words.split()).given() == {
        "model": "bireal34",
        "dataset": "uoft-cs/cifar10",
        "data": ".",
        "width": 0.5,
        "image": (48, 64),
        "classes": 7,
        "channels": 1,
        "shortcut_bits": 12,
        "epochs": 3,
        "seed": 9,
        "images": 2,
        "clock": 150.0,
        "target_fps": 250.5,
        "run": "mine",
        "board": "kv260",
        "untrained": True,
        "stalls": False,
        "cosim": True,
        "waves": True,
        "whole": True,
        "folding": "pyproject.toml",
        "recipe": "paper",
        "without": "settle",
        "init": "pyproject.toml",
        "skip_broken": True,
        "train_images": 900,
        "seeds": 5,
        "rows": "plain",
        "real": False,
        "batch": 24,
        "learning_rate": 3e-4,
        "label": "fine",
        "image_column": "img",
        "pixels": "0..1",
        "calibration": ".",
        "picture": "pyproject.toml",
        "by": "rtl",
        "logits": "pyproject.toml",
        "kernel": "hls",
    }
    assert {word.split("=")[0] for word in words.split()} | {"config"} == set(variables())


def test_nothing_given_is_nothing_assumed() -> None:
    assert parse_arguments([]) == BuildConfig()
    assert parse_arguments([]).given() == {}


BAD_VALUES = {
    "model=birael18": f"unknown model 'birael18': did you mean 'bireal18'? choose from {', '.join(NETWORKS)}",
    "board=pynq-z3": (
        "unknown board 'pynq-z3': did you mean 'pynq-z2'? choose from alveo-u250, kv260, pynq-z1, pynq-z2, ultra96-v2, "
        "ulx3s-85f, zcu102, zcu104"
    ),
    "dataset=../x": "dataset=../x is out of range: a name, or owner/name as on the Hugging Face hub",
    "data=/nowhere": "data=/nowhere is not a folder: give one that holds parquet files or a folder per class",
    "width=2": "width=2 is out of range: a number from 0.125 to 1",
    "width=wide": "width=wide is not a number from 0.125 to 1",
    "width=nan": "width=nan is out of range: a number from 0.125 to 1",
    "image=33": "image=33x33 is out of range: sides are multiples of 8; nearest is 32",
    "image=100000": "image=100000x100000 is out of range: sides are at most 2048 pixels",
    "image=64x96x3": "image=64x96x3 is out of range: a side such as 32, or height x width such as 48x64",
    "image=-8": "image=-8 is out of range: a side such as 32, or height x width such as 48x64",
    "image=40x72": ("image=40x72 is out of range: sides are multiples of 32, as one side exceeds 64; nearest is 32"),
    "classes=1": "classes=1 is out of range: an integer from 2 to 10000",
    "channels=2": "channels=2 is out of range: choose 1 (grey) or 3 (RGB)",
    "channels=4": "channels=4 is out of range: an integer from 1 to 3",
    "shortcut_bits=7": "shortcut_bits=7 is out of range: an integer from 8 to 16",
    "epochs=0": "epochs=0 is out of range: an integer from 1 to 100000",
    "epochs=1.5": "epochs=1.5 is out of range: an integer from 1 to 100000",
    "seed=-1": "seed=-1 is out of range: an integer from 0 to 2147483647",
    "images=0": "images=0 is out of range: an integer from 1 to 10000",
    "clock=0": "clock=0 is out of range: a number from 1 to 1000 MHz",
    "target_fps=maxx": "unknown target_fps 'maxx': did you mean 'max'? choose from max, a number of frames per second",
    "target_fps=fast": "target_fps=fast is not a number from 0.001 to 1000000 frames per second, or 'max'",
    "run=../up": ("run=../up is out of range: letters, digits, '_', '-' and '.', at most 100, the first no '-' or '.'"),
    "run=sim": (
        "run=sim is out of range: ablation, bench, crosscheck, recipes, sim, study, synth-cache are folders of build/ "
        "that belong to all runs"
    ),
    "untrained=maybe": "untrained=maybe is out of range: 0 or 1",
    "config=/nowhere.toml": "config=/nowhere.toml cannot be read: No such file or directory",
}


@pytest.mark.parametrize("word", BAD_VALUES)
def test_impossible_values(word: str) -> None:
    with pytest.raises(BirealError) as caught:
        parse_arguments([word])
    assert str(caught.value) == BAD_VALUES[word]
    assert not isinstance(caught.value, UsageError)


BAD_WORDS = {
    "modle=bireal18": (f"unknown variable 'modle': did you mean 'model'? choose from {NAMES}, config"),
    "bireal18": "'bireal18' is not understood: write key=value, for example model=bireal18",
    "width=": "width= has no value: multiplies the channels of every stage: 0.125 to 1",
    "seed=1 seed=2": "seed is given twice: seed=1 and seed=2",
}


@pytest.mark.parametrize("words", BAD_WORDS)
def test_words_that_are_no_variables(words: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(BAD_WORDS[words])}$"):
        parse_arguments(words.split())


def test_the_command_line_wins_over_the_file(workdir: Path) -> None:
    (workdir / "a.toml").write_text('model = "bireal34"\nwidth = 0.5\nimage = "48x64"\nuntrained = true\nseed = 3\n')
    config = parse_arguments(["config=a.toml", "width=0.25"])
    assert config.given() == {
        "model": "bireal34", "width": 0.25, "image": (48, 64), "untrained": True, "seed": 3
    }  # fmt: skip


BAD_FILES = {
    'modle = "x"': (f"config=a.toml: unknown variable 'modle': did you mean 'model'? choose from {NAMES}"),
    "image = [48, 64]": (
        "config=a.toml: image = [48, 64] is a list: write text in quotes, a number or true "
        "(side in pixels, or height x width such as 48x64)"
    ),
    "seed = 2.5": "config=a.toml: seed=2.5 is out of range: an integer from 0 to 2147483647",
    "[seed]": (
        "config=a.toml: seed = {} is a table: write text in quotes, a number or true "
        "(seed of every random choice (default 0))"
    ),
    "image = 33": "config=a.toml: image=33x33 is out of range: sides are multiples of 8; nearest is 32",
    "seed = 2020-01-01": (
        "config=a.toml: seed = 2020-01-01 is a date or time: write text in quotes, a number or true "
        "(seed of every random choice (default 0))"
    ),
    'config = "b.toml"': (f"config=a.toml: unknown variable 'config': did you mean 'cosim'? choose from {NAMES}"),
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_files_with_mistakes(workdir: Path, text: str) -> None:
    (workdir / "a.toml").write_text(text)
    with pytest.raises(BirealError, match=f"^{re.escape(BAD_FILES[text])}$"):
        parse_arguments(["config=a.toml"])


def test_what_the_command_line_says_wrong_is_not_the_files_fault(workdir: Path) -> None:
    (workdir / "a.toml").write_text("seed = 2")
    with pytest.raises(BirealError, match=r"^image=33x33 is out of range"):
        parse_arguments(["config=a.toml", "image=33"])


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbfseed = 3\r\nimage = 32\r\n", b"seed = 3\r\nimage = 32", "seed = 3 # né\nimage = 32".encode()],
)
def test_files_from_other_systems(workdir: Path, content: bytes) -> None:
    (workdir / "a.toml").write_bytes(content)
    assert parse_arguments(["config=a.toml"]).given() == {"seed": 3, "image": (32, 32)}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("seed = 3".encode("utf-16"), "it is UTF-16; save it as UTF-8"),
        ("seed = 3\n# né".encode("latin-1"), "line 2 is not UTF-8 text"),
    ],
)
def test_files_in_other_encodings(workdir: Path, content: bytes, reason: str) -> None:
    (workdir / "a.toml").write_bytes(content)
    with pytest.raises(BirealError, match=rf"^config=a.toml cannot be read: {reason}$"):
        parse_arguments(["config=a.toml"])


@pytest.mark.parametrize("content", [b"model = ", b"\xff\xfe\x00"])
def test_files_that_are_no_toml(workdir: Path, content: bytes) -> None:
    (workdir / "a.toml").write_bytes(content)
    with pytest.raises(BirealError, match=r"^config=a.toml cannot be read: .+$") as caught:
        parse_arguments(["config=a.toml"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "flows").glob("*.toml")), ids=lambda path: path.name
)
def test_the_flows_that_ship_are_valid(path: Path) -> None:
    given = parse_arguments([f"config={path}"]).given()
    assert given["model"] == "bireal18"
    assert given["dataset"] == path.stem
