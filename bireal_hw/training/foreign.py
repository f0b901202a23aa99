"""Files of PyTorch that others wrote: read without running code from them, and the network found in what they hold.

People save a network in many ways: bare, under some name beside an optimizer and arguments, with a prefix before every
key, or the whole module by pickle. A class that such a file names is never looked up: a `Foreign` stands in its place.
"""

from __future__ import annotations

import pickle
import types
import warnings
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bireal_hw.errors import BirealError

USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "module", "_orig_mod", "student")
"""What the network of a file is called; of several the one that stands further in front is taken."""

DEEPEST = 6
"""How deep in a file a network is looked for."""

LEGACY = b"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""The first bytes of what torch.save wrote before PyTorch 1.6."""

KINDS = (
    (b"\x89HDF", "is an HDF5 file, as Keras writes it, and not of PyTorch"),
    (b"\x1f\x8b", "is a gzip archive: unpack it"),
    (b"BZh", "is a bzip2 archive: unpack it"),
    (b"\x80", "is a pickle that torch.save did not write: save model.state_dict() with torch.save"),
    (b"<", "is a page of the web: download the file itself"),
    (b"version https://git-lfs", "is a pointer of Git LFS: fetch the file itself with git lfs pull"),
)
"""What a file is by its first bytes."""


class Foreign:
    """An object whose class is not known here: it holds what the file says of it, and does nothing.

    Attributes:
        kind: module and name of its class.
        held: its attributes, and its items if it is a dict of some kind.
    """

    kind = ""
    held: dict[Any, Any]

    def __new__(cls, *args: object, **options: object) -> Foreign:
        """Take any arguments, as they may be those of any class."""
        made = super().__new__(cls)
        made.held = {}
        return made

    def __init__(self, *args: object, **options: object) -> None:
        """Do nothing: unpickling need not come by here."""

    def __setstate__(self, state: object) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.held.update(part)

    def __setitem__(self, key: object, value: object) -> None:
        self.held[key] = value

    def append(self, item: object) -> None:
        """Forget an item of what is a list there."""

    def extend(self, items: object) -> None:
        """Forget items of what is a list there."""


class Unpickler(pickle.Unpickler):
    """An unpickler of tensors and plain values that gives a `Foreign` for everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a global name of the file; never what the name means in this process.

        Even of torch's own functions only wrappers are given, on which a file can change nothing.
        """
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return _wrapped(getattr(torch._utils, name))
        if module == "torch._utils" and name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
            return _wrapped(lambda data, *_: data)
        if module in ("torch", "torch.storage") and (
            name == "Size" or isinstance(getattr(torch, name, 0), torch.dtype)
        ):
            return getattr(torch, name)
        return type(name, (Foreign,), {"kind": f"{module}.{name}"})


def _wrapped(function: Any) -> Any:
    return lambda *args: function(*args)


def _load(file: Any, **options: Any) -> Any:
    return Unpickler(file, **options).load()


READER = types.SimpleNamespace(Unpickler=Unpickler, load=_load, __name__="bireal_hw.training.foreign")
"""What torch.load takes for the module pickle."""


def load(path: Path, remedy: str) -> Any:
    """Read a file of torch.save: dicts, lists, tensors on the CPU, plain values, and a `Foreign` for anything else.

    No code of the file is run, and no class that it names is imported. The checksums of its archive are compared first.

    Raises BirealError for a file that cannot be read; `remedy` is what to do about a broken one.
    """
    if not path.stat().st_size:
        raise BirealError(f"checkpoint {path} is empty; {remedy}")
    if problem := _problem(path, remedy):
        raise BirealError(f"checkpoint {path} {problem}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a file that is refused a moment later
            return torch.load(path, map_location="cpu", pickle_module=READER, weights_only=False)
    except Exception as error:  # torch and pickle raise many types; each means that it cannot be read
        raise BirealError(f"checkpoint {path} is broken, truncated or not a checkpoint; {remedy}") from error


def _problem(path: Path, remedy: str) -> str:
    """Say what a file is that is none of torch.save, or what is broken in its archive; nothing if it looks right."""
    with path.open("rb") as file:
        start = file.read(300)
    if start.startswith(b"PK"):
        return _problem_of_archive(path, remedy)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return "is a safetensors file: save safetensors.torch.load_file(FILE) with torch.save"
    if start[257:262] == b"ustar":
        return "is a tar archive: unpack it"
    return next((what for first, what in KINDS if start.startswith(first) and not start.startswith(LEGACY)), "")


def _problem_of_archive(path: Path, remedy: str) -> str:
    """Say whether a bit of an archive has changed; torch itself reads on."""
    try:
        with zipfile.ZipFile(path) as archive:
            scripted = any("/code/" in name for name in archive.namelist())
            bad = archive.testzip()
    except Exception:  # zipfile raises many types; each means that the archive is not whole
        return f"is broken, truncated or not a checkpoint; {remedy}"
    if bad is not None:
        return f"is broken: the checksum of '{bad}' in its archive is not that of its content; {remedy}"
    return "is a TorchScript archive: save model.state_dict() of it with torch.save" if scripted else ""


@dataclass(frozen=True)
class Found:
    """A network in a file.

    Attributes:
        where: the names under which it lies, as `state_dict` or `runner/model`; empty for the file's top.
        prefix: what stands before its keys.
        values: what the file has under its keys, without the prefix; tensors, if it is right.
        outside: keys beside it that lack the prefix.
        hits: how many of the known keys it has.
    """

    where: str
    prefix: str
    values: dict[str, Any]
    outside: list[str]
    hits: int

    @property
    def name(self) -> str:
        """How it is called in messages."""
        return "/".join(part for part in (self.where, self.prefix.rstrip(".")) if part) or "the bare one"

    @property
    def rank(self) -> int:
        """Place among several: where the least usual of its names stands in USUAL."""
        parts = [part for part in self.name.replace(".", "/").split("/") if self.where or self.prefix]
        return max((USUAL.index(part) if part in USUAL else len(USUAL) for part in parts), default=0)

    def same(self, other: Found) -> bool:
        """Tell whether both hold the same tensors."""
        if self.values.keys() != other.values.keys():
            return False
        pairs = [(value, other.values[key]) for key, value in self.values.items()]
        return all(isinstance(a, Tensor) and isinstance(b, Tensor) and a.equal(b) for a, b in pairs)


def networks(content: Any, known: Collection[str]) -> list[Found]:
    """Return the networks of a file that have at least half of the known keys, the usual one first.

    Without any, what comes nearest: the one with the most of them, or the mapping with the most tensors. Networks that
    are there twice are given once.
    """
    found, rest = [], []
    for where, mapping in _mappings(content, "", 0, set()):
        counts = Counter(key[: -len(one)] for key in mapping for one in _tails(key) if one in known)
        for prefix, hits in counts.items():
            values = {key.removeprefix(prefix): value for key, value in mapping.items() if key.startswith(prefix)}
            outside = [key for key in mapping if not key.startswith(prefix)]
            found.append(Found(where, prefix, values, outside, hits))
        rest.append(Found(where, "", mapping, [], sum(isinstance(value, Tensor) for value in mapping.values())))
    if not found:
        return sorted((one for one in rest if one.hits), key=lambda one: -one.hits)[:1]
    whole = [one for one in found if 2 * one.hits >= len(known)] or [max(found, key=lambda one: one.hits)]
    ordered = sorted(whole, key=lambda one: one.rank)
    return [one for index, one in enumerate(ordered) if not any(one.same(other) for other in ordered[:index])]


def _tails(key: str) -> Iterator[str]:
    """Yield a key and all that is left of it behind a dot.

    >>> list(_tails("module.fc.bias"))
    ['module.fc.bias', 'fc.bias', 'bias']
    """
    yield key
    while "." in key:
        key = key.partition(".")[2]
        yield key


def _mappings(value: Any, where: str, depth: int, seen: set[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every mapping by text in a value, with the names that lead to it; a module as its state_dict."""
    if isinstance(value, Foreign):
        if isinstance(value.held.get("_modules"), dict):
            yield where, dict(_of_module(value, "", 0))
            return
        value = value.held
    if not isinstance(value, dict) or depth > DEEPEST or id(value) in seen:
        return
    seen.add(id(value))
    yield where, {key: one for key, one in value.items() if isinstance(key, str)}
    for key, one in value.items():
        yield from _mappings(one, f"{where}/{key}".lstrip("/"), depth + 1, seen)


def _of_module(module: Foreign, prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield what the state_dict of a module holds that was pickled whole."""
    for part in ("_parameters", "_buffers"):
        for name, value in dict(module.held.get(part) or {}).items():
            if value is not None:
                yield f"{prefix}{name}", value
    for name, child in dict(module.held.get("_modules") or {}).items():
        if isinstance(child, Foreign) and depth < 50:
            yield from _of_module(child, f"{prefix}{name}.", depth + 1)
