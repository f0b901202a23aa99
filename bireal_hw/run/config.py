"""The variables of a build: what they mean, how they are written, which values are possible."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bireal_hw import boards, zoo
from bireal_hw.errors import BirealError, nearest, out_of_range, unknown
from bireal_hw.lowering.pixels import WORDS as PIXELS
from bireal_hw.models.networks import NETWORKS
from bireal_hw.models.spec import ModelSpec
from bireal_hw.toml import read_toml
from bireal_hw.training.recipe import DEFAULT as DEFAULT_RECIPE
from bireal_hw.training.recipe import TECHNIQUES, load_recipe, shipped

#: Variables that describe the network itself.
SPEC = tuple(item.name for item in dataclasses.fields(ModelSpec))


#: Data sets by name: of images with labels, and of images with depth.
DATASETS = ("digits", "cifar10", "mnist", "folder", "rooms", "nyu")

#: Folders of build/ that are no runs: studies, kept simulators, synthesised modules, benchmark, other tools.
RESERVED = ("ablation", "bench", "crosscheck", "recipes", "sim", "study", "synth-cache")

BACKENDS = ("golden", "rtl")
"""What `predict` can ask for the logits of a picture: the golden model, or the simulated SystemVerilog."""

KERNELS = ("rtl", "hls")
"""What `board` puts behind the driver: the SystemVerilog, or the C++ for Vitis HLS."""


def _text(text: str) -> str:
    return text


def _model(text: str) -> str:
    if text.startswith(zoo.PREFIX):
        zoo.about(text.removeprefix(zoo.PREFIX))
    return text


def _dataset(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?", text):
        raise out_of_range("dataset", text, "a name, or owner/name as on the Hugging Face hub")
    if "/" not in text and text not in DATASETS:
        raise unknown("data set", text, [*DATASETS, "owner/name on the Hugging Face hub"])
    return text


def _folder(text: str) -> str:
    if not Path(text).is_dir():
        raise _no_path("data", text, "folder", "give one that holds parquet files or a folder per class")
    return text


def _no_path(name: str, text: str, kind: str, remedy: str) -> BirealError:
    """Describe a path that is no file, or no folder: what is there instead, or what is like it."""
    path = Path(text)
    if path.exists():
        return BirealError(f"{name}={text} is a {'folder' if path.is_dir() else 'file'}, not a {kind}: {remedy}")
    others = path.parent.iterdir() if path.parent.is_dir() else ()
    near = nearest(path.name, [one.name for one in others if one.is_dir() == (kind == "folder")], cutoff=0.6)
    hint = f"did you mean '{path.parent / near}'? " if near else ""
    return BirealError(f"{name}={text} is not a {kind}: {hint}{remedy}")


def _board(text: str) -> str:
    return boards.board(text).name


def run_name(text: str) -> str:
    """Return the name of a run, which is a folder in build/; raises BirealError unless it can be one."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", text):
        raise out_of_range("run", text, "letters, digits, '_', '-' and '.', at most 100, the first no '-' or '.'")
    if text in RESERVED:
        raise out_of_range("run", text, f"{', '.join(RESERVED)} are folders of build/ that belong to all runs")
    return text


def _image(text: str) -> tuple[int, int]:
    """Read `32` or `48x64` as (height, width) in pixels."""
    match = re.fullmatch(r"(\d{1,9})(?:x(\d{1,9}))?", text)
    if not match:
        raise out_of_range("image", text, "a side such as 32, or height x width such as 48x64")
    return int(match[1]), int(match[2] or match[1])


def _integer(name: str, low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"-?\d{1,18}", text) or not low <= int(text) <= high:
            raise out_of_range(name, text, f"an integer from {low} to {high}")
        return int(text)

    return parse


def _number(name: str, low: float, high: float, unit: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        allowed = f"a number from {low:.12g} to {high:.12g}{unit}"
        try:
            value = float(text)
        except ValueError:
            raise BirealError(f"{name}={text} is not {allowed}") from None
        if not low <= value <= high:
            raise out_of_range(name, text, allowed)
        return value

    return parse


def _target_fps(text: str) -> float | str:
    near = nearest(text, ["max"])
    if near and text != near:
        raise unknown("target_fps", text, [near, "a number of frames per second"])
    return near or _number("target_fps", 0.001, 1e6, " frames per second, or 'max'")(text)


def _file(name: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not Path(text).is_file():
            raise _no_path(name, text, "file", "give one that exists")
        return text

    return parse


def _existing(name: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not Path(text).exists():
            raise _no_path(name, text, "file or folder", "give one that exists")
        return text

    return parse


def _one_of(name: str, choices: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise unknown(name, text, choices)
        return text

    return parse


def _recipe(text: str) -> str:
    load_recipe(text)
    return text


def _flag(name: str) -> Callable[[str], bool]:
    def parse(text: str) -> bool:
        try:
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
        except KeyError:
            raise out_of_range(name, text, "0 or 1") from None

    return parse


def _variable(parse: Callable[[str], Any], help: str) -> Any:
    """Declare a field of `BuildConfig`: how its text is read, and one line for `--help`."""
    return field(default=None, metadata={"parse": parse, "help": help})


class UsageError(BirealError):
    """The arguments of the command line themselves are wrong, whatever their values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildConfig:
    """What the user asked for; None where nothing was said, so that a run's recorded values or the defaults apply."""

    model: str | None = _variable(
        _model, f"network: {', '.join(NETWORKS)} (default bireal18), or a trained one, {zoo.PREFIX}NAME"
    )
    dataset: str | None = _variable(
        _dataset, "digits (default), mnist, cifar10, folder, or a name on Hugging Face's hub"
    )
    data: str | None = _variable(_folder, "folder with the data set's parquet files, or with one folder per class")
    width: float | None = _variable(
        _number("width", 0.125, 1, ""), "multiplies the channels of every stage: 0.125 to 1"
    )
    image: tuple[int, int] | None = _variable(_image, "side in pixels, or height x width such as 48x64")
    classes: int | None = _variable(_integer("classes", 2, 10_000), "number of classes, 2 to 10000")
    channels: int | None = _variable(_integer("channels", 1, 3), "channels of the image: 1 or 3")
    shortcut_bits: int | None = _variable(
        _integer("shortcut_bits", 8, 16), "bits of the shortcut stream, 8 to 16 (default 16)"
    )
    epochs: int | None = _variable(_integer("epochs", 1, 100_000), "passes over the training images")
    batch: int | None = _variable(
        _integer("batch", 2, 100_000), "images per step of the training (default: by the number of images)"
    )
    learning_rate: float | None = _variable(
        _number("learning_rate", 1e-7, 10, ""), "highest learning rate of the training (default: the recipe's)"
    )
    train_images: int | None = _variable(
        _integer("train_images", 2, 10**9), "train on that many images, as many of each class (default: all)"
    )
    recipe: str | None = _variable(
        _recipe, f"stages of the training: {', '.join(shipped())}, or a TOML file (default {DEFAULT_RECIPE})"
    )
    without: str | None = _variable(
        _text, f"techniques of the recipe to leave out: {', '.join(TECHNIQUES)}, or a stage"
    )
    init: str | None = _variable(_file("init"), "checkpoint to begin with: ours, Bi-Real Net's or ReActNet's")
    label: str | None = _variable(_text, "column of parquet files or hub data with the labels (default: the only one)")
    image_column: str | None = _variable(_text, "column of them with the pictures (default: the only one)")
    pixels: str | None = _variable(
        _text, f"what a stored pixel stands for in a file of others: {PIXELS} (default: as its first quantizer says)"
    )
    calibration: str | None = _variable(
        _existing("calibration"),
        "pictures (a folder) or numbers (.npy) that tell the ranges in a file of others (default: dataset=)",
    )
    skip_broken: bool | None = _variable(_flag("skip_broken"), "1: leave out images that cannot be decoded")
    seed: int | None = _variable(_integer("seed", 0, 2**31 - 1), "seed of every random choice (default 0)")
    seeds: int | None = _variable(
        _integer("seeds", 1, 100),
        "trainings of each row of an ablation, recipes or study, or of each network of depth (default 3; depth 1)",
    )
    rows: str | None = _variable(
        _text, "rows of an ablation, recipes or study to train, separated by commas (default: all)"
    )
    images: int | None = _variable(_integer("images", 1, 10_000), "images to simulate (default 4; hls 256)")
    clock: float | None = _variable(_number("clock", 1, 1000, " MHz"), "clock in MHz (default: the board's)")
    target_fps: float | str | None = _variable(
        _target_fps, "frames per second to reach, or max (default 1000, or what fits if that is less)"
    )
    folding: str | None = _variable(_file("folding"), "file with pe and simd of each convolution, for no target_fps")
    run: str | None = _variable(run_name, "name of the folder in build/ (default <model>-<dataset>)")
    board: str | None = _variable(_board, f"{', '.join(boards.names())} (default: the run's last, at first pynq-z2)")
    real: bool | None = _variable(
        _flag("real"), "1: depth trains the real-valued network only; 0: the binary one only (default: both)"
    )
    untrained: bool | None = _variable(_flag("untrained"), "1: random weights and images, no data set")
    stalls: bool | None = _variable(_flag("stalls"), "0: sim leaves out its second run, the one with random stalls")
    whole: bool | None = _variable(_flag("whole"), "1: synth also takes the network as one design; 0: not")
    cosim: bool | None = _variable(_flag("cosim"), "1: hls also co-simulates where Vitis HLS is installed")
    picture: str | None = _variable(_existing("picture"), "image file, or folder of them, that predict looks at")
    by: str | None = _variable(
        _one_of("by", BACKENDS), "predict: golden (default), or rtl, the simulated SystemVerilog"
    )
    logits: str | None = _variable(_file("logits"), "predict: file of a board's logits (.npy or text) in place of by=")
    kernel: str | None = _variable(
        _one_of("kernel", KERNELS), "board: rtl (default), or hls, the C++ for Vitis HLS as g++ compiles it"
    )
    waves: bool | None = _variable(
        _flag("waves"), "1: sim also writes waves.fst (.vcd.gz where the headers of lz4 or zlib are missing)"
    )

    def given(self) -> dict[str, Any]:
        """Return the variables that were given a value, by name."""
        return {
            item.name: value for item in dataclasses.fields(self) if (value := getattr(self, item.name)) is not None
        }


def variables() -> dict[str, str]:
    """Return the variables of a build with one line of description each."""
    return {item.name: item.metadata["help"] for item in dataclasses.fields(BuildConfig)} | {
        "config": "TOML file with any of these; the command line wins over it"
    }


def choices(name: str) -> list[str]:
    """Return how a variable can be written, for a shell to complete: its values if they have names, else `name=`.

    >>> choices("untrained"), choices("epochs"), choices("board")[0]
    (['untrained=0', 'untrained=1'], ['epochs='], 'board=alveo-u250')
    """
    flags = [item.name for item in dataclasses.fields(BuildConfig) if "bool" in str(item.type)]
    values: dict[str, Iterable[str]] = {
        "model": (*NETWORKS, *(zoo.PREFIX + name for name in zoo.names())),
        "dataset": DATASETS,
        "recipe": shipped(),
        "board": boards.names(),
        "by": BACKENDS,
        "kernel": KERNELS,
    }
    return [f"{name}={value}" for value in values.get(name, ("0", "1") if name in flags else ("",))]


def parse_arguments(arguments: Iterable[str]) -> BuildConfig:
    """Read `key=value` arguments; `config=FILE` adds the values of a TOML file, which the other arguments override.

    Raises:
        UsageError: an unknown key, a key given twice, a word without a value.
        BirealError: a value that is not possible, a file that cannot be read.

    >>> parse_arguments(["image=48x64", "width=0.25"]).given()
    {'width': 0.25, 'image': (48, 64)}
    """
    values: dict[str, str] = {}
    for word in arguments:
        key, equals, value = word.partition("=")
        if not equals:
            written = {choice.partition("=")[2]: choice for name in variables() for choice in choices(name)}
            near = nearest(word, filter(None, written), cutoff=0.75)
            raise UsageError(f"'{word}' is not understood: write key=value, for example {written[near or 'bireal18']}")
        if key not in variables():
            raise UsageError(unknown("variable", key, variables()))
        if key in values:
            raise UsageError(f"{key} is given twice: {key}={values[key]} and {key}={value}")
        if not value:
            raise UsageError(f"{key}= has no value: {variables()[key]}")
        values[key] = value
    file = values.pop("config", None)
    found = {key: _parse(key, value) for key, value in values.items()}
    if not file:
        return _buildable(found)
    name = f"config={file}"
    others = {key: value for key, value in _read_config(Path(file), name).items() if key not in found}
    try:
        return _buildable({key: _parse(key, value) for key, value in others.items()} | found)
    except BirealError as error:
        _buildable(found)  # else it is not the file's
        raise BirealError(f"{name}: {error}") from None


def _parse(key: str, text: str) -> Any:
    return next(item.metadata["parse"] for item in dataclasses.fields(BuildConfig) if item.name == key)(text)


def _buildable(values: dict[str, Any]) -> BuildConfig:
    """Put values together; raises BirealError if they describe a network that cannot be built."""
    config = BuildConfig(**values)
    if not packed(config):
        ModelSpec(**{key: value for key, value in values.items() if key in SPEC})
    return config


def packed(config: BuildConfig) -> str | None:
    """Return the name of the network of the zoo that a command is about; None if it is about another."""
    model = config.model or ""
    return model.removeprefix(zoo.PREFIX) if model.startswith(zoo.PREFIX) else None


def _read_config(path: Path, name: str) -> dict[str, str]:
    """Return what a TOML file says, as it would stand on the command line."""
    allowed = {key: text for key, text in variables().items() if key != "config"}
    texts = {}
    for key, value in read_toml(path, name).items():
        if key not in allowed:
            raise BirealError(f"{name}: {unknown('variable', key, allowed)}")
        if not isinstance(value, str | int | float):
            what = "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else "a date or time"
            raise BirealError(
                f"{name}: {key} = {value} is {what}: write text in quotes, a number or true ({allowed[key]})"
            )
        texts[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return texts
