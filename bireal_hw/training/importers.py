"""Weights from files: our own checkpoints, and those that the authors of Bi-Real Net and ReActNet wrote with PyTorch.

A foreign file cannot run code (`foreign.py`, which also finds the network in it). A file that does not fit is named
with the first key that differs.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from bireal_hw.errors import BirealError
from bireal_hw.models.activations import PowerPReLU
from bireal_hw.models.bireal import BiReal, build_model
from bireal_hw.models.spec import SMALL_IMAGE, ModelSpec
from bireal_hw.training.checkpoint import FORMAT, load_checkpoint, read
from bireal_hw.training.foreign import Foreign, networks

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Of the red, green and blue that the authors' networks read, in 0..1."""

REMEDY = "name another file"
"""What to do about a file that cannot be read."""

COUNTERS = ("num_batches_tracked",)
"""Last words of keys that need not be there: PyTorch before 0.4.1 kept none, and nothing here reads them."""
STRANGERS = ("total_ops", "total_params")
"""Last words of keys that profilers (thop) leave in a network; they are left out."""

NUMBERS = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
)
"""What weights may be kept as. They become float32."""


@dataclass(frozen=True)
class Entry:
    """One tensor of a foreign file: its key and shape there, and its key here (None: it is never used).

    Where two of theirs are one of ours, `first` is the first output channel of this one there.
    """

    key: str
    shape: tuple[int, ...]
    ours: str | None
    first: int | None = None


def layout(spec: ModelSpec) -> list[Entry]:
    """Return what a checkpoint of the authors holds for a network, in their order.

    `bireal18`, `bireal34` and `reactneta` flatten the 1-bit weights; the bottleneck networks keep two layers of a block
    in one, and a shortcut convolution that is never used; `react18` and `reactneta` keep shifts four-dimensional;
    `reactneta` has two convolutions side by side where ours is one of twice the channels.

    Raises BirealError for a network of which no release exists.
    """
    if spec.model not in LAYOUTS:
        raise BirealError(f"init: there is no release of {spec.model} to import; there is of {', '.join(LAYOUTS)}")
    side, stem = spec.stem[0], STEMS.get(spec.model, "")
    return [
        Entry(f"{stem}conv1.weight", (spec.stem_channels, spec.channels, side, side), "conv1.weight"),
        *_batchnorm(f"{stem}bn1", spec.stem_channels, "bn1"),
        *LAYOUTS[spec.model](spec),
        Entry("fc.weight", (spec.classes, spec.features), "fc.weight"),
        Entry("fc.bias", (spec.classes,), "fc.bias"),
    ]


def _batchnorm(key: str, channels: int, ours: str, first: int | None = None) -> Iterator[Entry]:
    for name in ("weight", "bias", "running_mean", "running_var"):
        yield Entry(f"{key}.{name}", (channels,), f"{ours}.{name}", first)
    yield Entry(f"{key}.num_batches_tracked", (), f"{ours}.num_batches_tracked")


def _flat(spec: ModelSpec) -> Iterator[Entry]:
    """Blocks of birealnet18 and 34."""
    for stage, units in enumerate(spec.stages(), start=1):
        for index, unit in enumerate(units):
            name = f"layer{stage}.{index}"
            yield Entry(f"{name}.binary_conv.weights", (9 * unit.cin * unit.cout, 1), f"{name}.binary_conv.weight")
            yield from _batchnorm(f"{name}.bn1", unit.cout, f"{name}.bn1")
            if unit.shortcut and unit.shortcut.cin:
                yield Entry(
                    f"{name}.downsample.1.weight", (unit.cout, unit.shortcut.cin, 1, 1), f"{name}.downsample.1.weight"
                )
                yield from _batchnorm(f"{name}.downsample.2", unit.cout, f"{name}.downsample.2")


def _react(spec: ModelSpec) -> Iterator[Entry]:
    """Blocks of ReActNet on birealnet18: four-dimensional weights, shifts and slopes."""
    units = {
        f"layer{stage}.{i}": unit for stage, row in enumerate(spec.stages(), start=1) for i, unit in enumerate(row)
    }
    for entry in _flat(spec):
        name, _, rest = entry.key.partition(".binary_conv.")
        if not rest:
            yield entry
            continue
        unit = units[name]
        yield Entry(f"{name}.move0.bias", (1, unit.cin, 1, 1), f"{name}.move0.bias")
        yield Entry(f"{name}.binary_conv.weight", (unit.cout, unit.cin, 3, 3), f"{name}.binary_conv.weight")
        for move in ("move1", "move2"):
            yield Entry(f"{name}.{move}.bias", (1, unit.cout, 1, 1), f"{name}.{move}.bias")
        yield Entry(f"{name}.prelu.weight", (unit.cout,), f"{name}.prelu.weight")


def _bottleneck(spec: ModelSpec) -> Iterator[Entry]:
    """Blocks of birealnet50: three convolutions each, numbered through all stages."""
    block = 0
    for stage, units in enumerate(spec.stages(), start=1):
        for first in range(0, len(units), 3):
            theirs = f"layers.{block}"
            for number, unit in enumerate(units[first : first + 3], start=1):
                name = f"layer{stage}.{first + number - 1}"
                conv = "binary_conv" if unit.binary else "real_conv"
                shape = (unit.cout, unit.cin, unit.kernel, unit.kernel)
                yield Entry(f"{theirs}.conv{number}.weight", shape, f"{name}.{conv}.weight")
                yield from _batchnorm(f"{theirs}.bn{number}", unit.cout, f"{name}.bn1")
                if unit.shortcut and unit.shortcut.cin and not unit.shortcut.norm:
                    down = (unit.cout, unit.shortcut.cin, 1, 1)
                    yield Entry(f"{theirs}.down_conv1x1.weight", down, f"{name}.downsample.1.weight")
                elif unit.shortcut and unit.shortcut.cin:
                    down = (unit.cout, unit.shortcut.cin, 1, 1)
                    yield Entry(f"{theirs}.downsample.1.weight", down, f"{name}.downsample.1.weight")
                    yield from _batchnorm(f"{theirs}.downsample.2", unit.cout, f"{name}.downsample.2")
                elif not unit.binary:
                    yield Entry(f"{theirs}.down_conv1x1.weight", (unit.cout, unit.cout // 4, 1, 1), None)
            block += 1


def _separable(spec: ModelSpec) -> Iterator[Entry]:
    """Blocks of ReActNet-A: 3x3 and 1x1, numbered through all stages from 1."""
    names = [
        (f"layer{stage}.{i}", unit) for stage, row in enumerate(spec.stages(), start=1) for i, unit in enumerate(row)
    ]
    for number, ((deep, three), (wide, one)) in enumerate(zip(names[::2], names[1::2], strict=True), start=1):
        theirs = f"feature.{number}"
        for part, name, cin, cout in ((1, deep, three.cin, three.cout), (2, wide, one.cin, one.cout)):
            for move, size in enumerate((cin, cout, cout)):
                yield Entry(f"{theirs}.move{part}{move + 1}.bias", (1, size, 1, 1), f"{name}.move{move}.bias")
            yield Entry(f"{theirs}.prelu{part}.weight", (cout,), f"{name}.prelu.weight")
        yield Entry(f"{theirs}.binary_3x3.weights", (9 * three.cin * three.cout, 1), f"{deep}.binary_conv.weight")
        yield from _batchnorm(f"{theirs}.bn1", three.cout, f"{deep}.bn1")
        if one.cin == one.cout:
            yield Entry(f"{theirs}.binary_pw.weights", (one.cin * one.cout, 1), f"{wide}.binary_conv.weight")
            yield from _batchnorm(f"{theirs}.bn2", one.cout, f"{wide}.bn1")
            continue
        for part in range(one.cout // one.cin):
            key, first = f"{theirs}.binary_pw_down{part + 1}.weights", part * one.cin
            yield Entry(key, (one.cin * one.cin, 1), f"{wide}.binary_conv.weight", first)
            yield from _batchnorm(f"{theirs}.bn2_{part + 1}", one.cin, f"{wide}.bn1", first)


LAYOUTS = {
    "bireal18": _flat,
    "bireal34": _flat,
    "bireal50": _bottleneck,
    "bireal101": _bottleneck,
    "bireal152": _bottleneck,
    "react18": _react,
    "reactneta": _separable,
}
"""Entries of the blocks, by network; 101 and 152 layers continue the release for 50."""
STEMS = {"reactneta": "feature.0."}
"""What stands before the keys of the stem."""


def load_weights(path: Path, spec: ModelSpec, class_names: tuple[str, ...]) -> BiReal:
    """Build a network with the weights of a file, ours or the authors'; in training mode, on the CPU.

    Raises BirealError for a file that is missing, broken, of another network, or of other classes.
    """
    content = read(path, REMEDY)
    if content.get("format") == FORMAT:
        model, found, info = load_checkpoint(path, REMEDY)
        check_classes(path, found.classes, info.get("class_names"), class_names)
        for name, want in spec.to_json().items():
            got = found.to_json()[name]
            if got != want and name != "shortcut_bits":
                raise BirealError(f"checkpoint {path} is of a network with {name}={got}, not {want}")
        weights = {key: tensor for key, tensor in model.state_dict().items() if tensor.is_floating_point()}
        fresh = build_model(spec)  # its shortcut may have another width
        fresh.load_state_dict(model.state_dict() if found == spec else weights, strict=found == spec)
        return fresh.train()
    return _import(path, content, spec, class_names)


def check_classes(path: Path, count: int, names: list[str] | None, want: tuple[str, ...]) -> None:
    """Raise BirealError unless a checkpoint has as many classes as a data set, of the same names if it says."""
    if count != len(want):
        raise BirealError(f"checkpoint {path} has {count} classes, the data set {len(want)}: both must be the same")
    for index, (ours, theirs) in enumerate(zip(names or want, want, strict=True)):
        if ours != theirs:
            raise BirealError(f"class {index} is '{ours}' in checkpoint {path} and '{theirs}' in the data set")


def _import(path: Path, content: dict[str, Any], spec: ModelSpec, class_names: tuple[str, ...]) -> BiReal:
    """Build a network from a file of the authors."""
    if spec.channels != 3:
        raise BirealError(f"channels={spec.channels} does not go with init={path}: the authors' networks read RGB")
    entries = layout(spec)
    state, left_out = _state(path, content, entries)
    state = _spelled(state, entries)
    bias = state.get("fc.bias")
    if isinstance(bias, Tensor) and bias.dim() == 1:
        check_classes(path, len(bias), None, class_names)
    _compare(path, content, state, entries, spec)
    if left_out:
        _say(f"{path}: {left_out}")
    model = build_model(spec)
    ours = model.state_dict()
    for entry in entries:
        if entry.ours and entry.key in state:
            own, tensor = ours[entry.ours], state[entry.key]
            if entry.first is not None:
                own = own[entry.first :][: tensor.numel() // own[0].numel()]
            own.copy_(tensor.reshape(own.shape))
    _renormalise(ours)
    model.load_state_dict(ours)
    _tell_changes(path, state, model)
    return model.train()


def _state(path: Path, content: dict[str, Any], entries: list[Entry]) -> tuple[dict[str, Any], str]:
    """Return what a file has under the names of a network, of several networks the usual one, and what is left out."""
    found = networks(content, {entry.key for entry in entries})
    if not found:
        names = ", ".join(f"'{key}'" for key in list(content)[:5]) or "nothing"
        raise BirealError(f"checkpoint {path} holds no tensors by name, but {names}: save model.state_dict() in it")
    first, others, left_out = found[0], found[1:], ""
    if others and others[0].rank == first.rank:
        raise BirealError(
            f"checkpoint {path} holds {len(found)} networks, {' and '.join(one.name for one in found)}: save the "
            "state_dict of one of them alone"
        )
    if others:
        left = ", ".join(one.name for one in others)
        left_out = f"the network of {first.name} is taken, not {left}; to take another, save its state_dict alone"
    elif first.outside:
        left_out = f"{len(first.outside)} entries without '{first.prefix}' are left out, as '{first.outside[0]}'"
    return {key: value for key, value in first.values.items() if key.rpartition(".")[2] not in STRANGERS}, left_out


def _spelled(state: dict[str, Any], entries: list[Entry]) -> dict[str, Any]:
    """Give 1-bit weights the names of the layout: `weights` of one row and `weight` of four axes hold the same."""
    for entry in entries:
        if entry.key not in state and (entry.ours or "").endswith("binary_conv.weight"):
            other = entry.key.removesuffix("s") if entry.key.endswith("s") else f"{entry.key}s"
            tensor = state.get(other)
            if isinstance(tensor, Tensor) and tensor.numel() == math.prod(entry.shape):
                state[entry.key] = state.pop(other).reshape(entry.shape)
    return state


def _tell_changes(path: Path, state: dict[str, Any], model: BiReal) -> None:
    """Say what of a file's values is not taken as it is there."""
    kinds = {tensor.dtype for key, tensor in state.items() if isinstance(tensor, Tensor) and not _counts(key)}
    if other := sorted(str(kind).removeprefix("torch.") for kind in kinds - {torch.float32}):
        _say(f"{path}: weights are kept as {', '.join(other)} and become float32")
    zeros = sum(
        int((tensor == 0).sum()) for key, tensor in model.state_dict().items() if key.endswith("binary_conv.weight")
    )
    if zeros:
        _say(f"{path}: {zeros:,} 1-bit weights are exactly 0 and become +1")
    found = [module for module in model.modules() if isinstance(module, PowerPReLU)]
    if found:
        slopes = torch.cat([module.weight.detach() for module in found])
        moved = (torch.cat([torch.exp2(-module.shift.float()) for module in found]) - slopes).abs()
        if float(moved.max()) > 0:
            _say(
                f"{path}: {int((moved > 0).sum()):,} of {len(slopes):,} slopes of PReLU become powers of two, moved by "
                f"{float(moved.mean()):.3f} in the mean, {float(moved.max()):.3f} at most"
            )


def _say(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(text)


def _counts(key: str) -> bool:
    return key.rpartition(".")[2] in COUNTERS


def _compare(path: Path, content: dict[str, Any], state: dict[str, Any], entries: list[Entry], spec: ModelSpec) -> None:
    """Raise BirealError naming the first key that is missing, is no tensor of its shape, is not finite or not known."""
    known = {entry.key for entry in entries}
    foreign = [key for key, value in state.items() if key not in known and isinstance(value, Tensor)]
    whose = f"checkpoint {path} is not one of {spec.model}"
    for entry in entries:
        tensor = state.get(entry.key)
        if tensor is None:
            if _counts(entry.key):
                continue
            near = difflib.get_close_matches(entry.key, foreign, n=1)
            hint = _what_it_is(content, spec) or (f"; nearest is '{near[0]}'" if near else "")
            raise BirealError(f"{whose}: key '{entry.key}' is missing{hint}")
        if problem := _unreadable(tensor):
            raise BirealError(f"checkpoint {path}: key '{entry.key}' {problem}")
        if tuple(tensor.shape) != entry.shape:
            raise BirealError(
                f"{whose}: key '{entry.key}' has the shape {tuple(tensor.shape)}, not {entry.shape}"
                f"{_what_it_is(content, spec) or _shape_hint(entry, tensor, spec)}"
            )
        if not bool(tensor.float().isfinite().all()):
            raise BirealError(f"checkpoint {path} is broken: key '{entry.key}' holds NaN or infinity")
        if (entry.ours or "").endswith("binary_conv.weight") and set(tensor.unique().tolist()) == {0, 1}:
            raise BirealError(f"checkpoint {path}: key '{entry.key}' holds 0 and 1; 1-bit weights are -1 and +1")
    if foreign:
        raise BirealError(f"{whose}: key '{foreign[0]}' is not known{_what_it_is(content, spec)}")


def _what_it_is(content: dict[str, Any], spec: ModelSpec) -> str:
    """Return the network whose keys a file has, or the class of a whole module; nothing if neither is known."""
    for model in LAYOUTS.keys() - {spec.model}:
        entries = layout(replace(spec, model=model))
        for found in networks(content, {entry.key for entry in entries})[:1]:
            keys = _spelled(dict(found.values), entries).keys()
            if {key for key in keys if not _counts(key)} == {one.key for one in entries if not _counts(one.key)}:
                return f"; the file is one of model={model}"
    kinds = [kind for kind, value in content.items() if isinstance(value, Foreign) and kind == value.kind]
    return f"; the file is a pickled {kinds[0]}" if kinds else ""


def _unreadable(value: Any) -> str:
    """Say why a value of a file cannot be weights; nothing if it can."""
    if not isinstance(value, Tensor):
        kind = value.kind if isinstance(value, Foreign) else type(value).__name__
        return f"holds a {kind}, not a tensor: save model.state_dict()"
    if value.dtype not in NUMBERS:
        return f"is kept as {str(value.dtype).removeprefix('torch.')}: save it as float32"
    return ""


def _shape_hint(entry: Entry, tensor: Tensor, spec: ModelSpec) -> str:
    """Return what of the spec a first convolution of another shape speaks for."""
    if entry.ours != "conv1.weight" or tensor.dim() != 4:
        return ""
    cout, channels, side = (int(size) for size in tensor.shape[:3])
    if channels != spec.channels:
        return f"; it reads {channels} channels, and only RGB is imported"
    if cout != spec.stem_channels:
        return f"; it is that of width={cout * spec.network.stem.share / 64:g}"
    where = f"with a side above {SMALL_IMAGE}" if side == 7 else f"up to {SMALL_IMAGE} pixels"
    return f"; it is that of images {where}" if side in (3, 7) else ""


def _renormalise(state: dict[str, Tensor]) -> None:
    """Let the first convolution read (p - m_c) / 128, m_c whole, where it read (p / 255 - mean) / std.

    The factor goes into its weights; what rounding m_c moves, at most half a pixel value, into its BatchNorm (exact
    but for the zero padding, which is that half pixel value off).
    """
    mean, std = torch.tensor(MEAN).double() * 255, torch.tensor(STD).double() * 255
    whole = mean.round()
    weight = state["conv1.weight"].double()
    moved = torch.einsum("ocyx,c->o", weight, (whole - mean) / std)
    state["mean"] = whole.to(state["mean"])
    state["conv1.weight"] = (weight * (128 / std).view(1, -1, 1, 1)).to(state["conv1.weight"])
    state["bn1.running_mean"] = (state["bn1.running_mean"].double() - moved).to(state["bn1.running_mean"])
