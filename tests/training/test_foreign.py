"""What other people's code writes with torch.save: every wrapping is taken or named, and nothing of it is run."""

from __future__ import annotations

import argparse
import collections
import io
import os
import pickle
import tarfile
import types
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bireal_hw.errors import BirealError
from bireal_hw.training.checkpoint import read
from bireal_hw.training.foreign import Foreign, Found, Unpickler, load, networks

pytestmark = pytest.mark.torch

State = dict[str, Any]

STATE: State = {
    "conv1.weight": torch.arange(12.0).view(2, 2, 3) - 5,
    "bn1.running_var": torch.ones(2),
    "layer1.0.conv1.weight": torch.full((2, 2), -1.0),
    "fc.bias": torch.tensor([1.0, 2.0]),
}
OTHER: State = {key: tensor + 1 for key, tensor in STATE.items()}


class Config(dict[str, Any]):
    """A dict with attributes, as configurations are."""


def tree(state: State) -> nn.Module:
    """Build a module that has the given tensors under their names."""
    root = nn.Module()
    for key, tensor in state.items():
        *path, name = key.split(".")
        module = root
        for part in path:
            if part not in dict(module.named_children()):
                module.add_module(part, nn.Module())
            module = module.get_submodule(part)
        if "running" in name:
            module.register_buffer(name, tensor)
        else:
            module.register_parameter(name, nn.Parameter(tensor))
    return root


PREFIXES = ["", "module.", "model.", "_orig_mod.", "module.module.", "net._orig_mod.", "ema.shadow.", "a.b.c.d."]
CONTAINERS: dict[str, Callable[[State], Any]] = {
    "bare": lambda state: state,
    "ordered": collections.OrderedDict,
    "state_dict": lambda state: {"epoch": 3, "state_dict": state, "best_top1_acc": torch.tensor(5.0), "optimizer": {}},
    "model": lambda state: {"model": state, "args": argparse.Namespace(lr=0.1, gpus=[0, 1])},
    "model_state_dict": lambda state: {"model_state_dict": state, "best": np.float64(50.2), "history": np.zeros(9)},
    "net": lambda state: {"net": state, "acc": 91.0, "where": Path("x"), "config": Config(lr=0.1)},
    "network": lambda state: {"network": state, "seen": {1, 2}, "rng": torch.get_rng_state(), "names": [Config()]},
    "nested": lambda state: {"runner": {"model": {"state_dict": state}}, "hook": os.getcwd},
    "unheard of": lambda state: {"weights of my network": state, "count": collections.defaultdict(list, a=[1])},
    "beside an optimizer": lambda state: {
        "model": state,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3), "step": torch.tensor(1.0)}}, "param_groups": []},
    },
    "attribute": lambda state: {"trainer": types.SimpleNamespace(model=state)},
    "whole module": lambda state: tree(state),
    "whole module in a dict": lambda state: {"epoch": 1, "model": tree(state)},
}


def save(content: Any, path: Path, old: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return path


def only(found: list[Found]) -> Found:
    assert len(found) == 1
    return found[0]


def is_state(found: Found, state: State) -> bool:
    same = [torch.equal(found.values[key].to(tensor.dtype), tensor) for key, tensor in state.items()]
    return all(same) and found.values.keys() == state.keys()


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_wrapping_and_prefix(prefix: str, container: str, old: bool, tmp_path: Path) -> None:
    content = CONTAINERS[container]({prefix + key: tensor for key, tensor in STATE.items()})
    found = only(networks(read(save(content, tmp_path / "a.pth", old), ""), STATE.keys()))
    assert is_state(found, STATE)
    assert (found.prefix, found.hits, found.outside) == (prefix, len(STATE), [])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.int64])
def test_every_kind_of_number(dtype: torch.dtype, tmp_path: Path) -> None:
    state = {key: tensor.to(dtype) for key, tensor in STATE.items()}
    found = only(networks(load(save({"state_dict": state}, tmp_path / "a.pth"), ""), STATE.keys()))
    assert is_state(found, state)
    assert {tensor.dtype for tensor in found.values.values()} == {dtype}


def test_views_and_shared_storages(tmp_path: Path) -> None:
    whole = torch.arange(24.0)
    state = {"a": whole[4:10].view(2, 3), "b": whole.view(4, 6).t(), "c": nn.Parameter(whole[::2])}
    got = load(save(state, tmp_path / "a.pth"), "")
    for key, tensor in state.items():
        assert torch.equal(got[key], tensor.detach()), key


# ---- several networks ----


@pytest.mark.parametrize(
    ("content", "taken", "left"),
    [
        ({"state_dict": STATE, "state_dict_ema": OTHER}, "state_dict", ["state_dict_ema"]),
        ({"state_dict_ema": OTHER, "state_dict": STATE}, "state_dict", ["state_dict_ema"]),
        ({"model_ema": OTHER, "model": STATE}, "model", ["model_ema"]),
        ({"ema": {"module": OTHER}, "net": STATE}, "net", ["ema/module"]),
        ({"model": OTHER, "state_dict": STATE}, "state_dict", ["model"]),
    ],
)
def test_of_several_networks_the_usual_one_comes_first(content: State, taken: str, left: list[str]) -> None:
    found = networks(content, STATE.keys())
    assert is_state(found[0], STATE)
    assert [one.name for one in found] == [taken, *left]
    assert found[0].rank < found[1].rank


def test_a_teacher_beside_a_student() -> None:
    both = {f"teacher.{key}": one for key, one in OTHER.items()} | {f"model.{key}": one for key, one in STATE.items()}
    found = networks({"state_dict": both}, STATE.keys())
    assert [one.prefix for one in found] == ["model.", "teacher."]
    assert is_state(found[0], STATE)
    assert is_state(found[1], OTHER)


def test_the_same_network_twice_is_one() -> None:
    copied = {key: tensor.clone() for key, tensor in STATE.items()}
    assert only(networks({"model": STATE, "state_dict": copied}, STATE.keys())).name == "state_dict"


def test_networks_without_a_usual_name_are_of_one_rank() -> None:
    first, second = networks({"generator": STATE, "critic": OTHER}, STATE.keys())
    assert first.rank == second.rank


def test_a_part_of_a_network_is_no_rival() -> None:
    part = {"fc.bias": torch.zeros(2)}
    assert only(networks({"state_dict": part, "model_ema": STATE}, STATE.keys())).where == "model_ema"


def test_what_lacks_the_prefix_is_counted() -> None:
    state = {f"model.{key}": tensor for key, tensor in STATE.items()} | {"loss.weight": torch.ones(3)}
    found = only(networks(state, STATE.keys()))
    assert found.outside == ["loss.weight"]
    assert is_state(found, STATE)


def test_a_file_that_holds_itself_and_one_without_tensors() -> None:
    content: State = {"a": {}, "epoch": 3}
    content["a"]["again"] = content
    assert networks(content, STATE.keys()) == []


def test_what_comes_nearest_is_the_mapping_with_most_tensors() -> None:
    found = only(networks({"a": {"x": torch.ones(1)}, "b": {"y": torch.ones(1), "z": torch.ones(1)}}, STATE.keys()))
    assert set(found.values) == {"y", "z"}


# ---- nothing is run ----


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("function", ["os.mkdir", "eval", "exec", "os.system", "torch.save"])
def test_no_code_of_a_file_is_run(function: str, old: bool, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    calls = {
        "os.mkdir": Call(os.mkdir, str(mark)),
        "eval": Call(eval, f"__import__('os').mkdir({str(mark)!r})"),
        "exec": Call(exec, f"import os; os.mkdir({str(mark)!r})"),
        "os.system": Call(os.system, f"mkdir {mark}"),
        "torch.save": Call(torch.save, 1, str(mark)),
    }
    path = save({"state_dict": STATE, "more": calls[function]}, tmp_path / "a.pth", old)
    content = load(path, "")
    assert not mark.exists()
    assert isinstance(content["more"], Foreign)
    assert is_state(only(networks(content, STATE.keys())), STATE)
    torch.load(path, weights_only=False)  # the file does what it says, where it is let
    assert mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        "builtins.getattr", "builtins.__import__", "os.system", "posix.system", "subprocess.Popen", "torch.load",
        "torch.hub.load", "torch.nn.modules.linear.Linear", "torch._utils._import_dotted_name", "collections.Counter",
        "bireal_hw.training.foreign.load", "torch.storage.pickle", "torch.float32.__class__", "functools.partial",
    ],
)  # fmt: skip
def test_a_name_of_a_file_is_never_looked_up(name: str) -> None:
    found = Unpickler(io.BytesIO()).find_class(*name.rsplit(".", 1))
    assert issubclass(found, Foreign)
    assert found.kind == name


def test_a_file_changes_no_function_of_torch(tmp_path: Path) -> None:
    """BUILD with a pair sets attributes on what stands on the stack, also where that is a function."""
    for name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
        text = b"".join(b"X" + len(one).to_bytes(4, "little") + one for one in (b"mine", b"yes"))
        code = b"\x80\x02ctorch._utils\n" + name.encode() + b"\nN}" + text + b"s\x86b."
        Unpickler(io.BytesIO(code)).load()
        function = getattr(torch._utils, name)
        assert not hasattr(function, "mine")
        pickle.loads(code)  # as pickle itself does it
        assert function.mine == "yes"
        del function.mine


# ---- files that are something else, and broken ones ----


def failure(path: Path) -> str:
    with pytest.raises(BirealError) as caught:
        load(path, "REMEDY")
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(path), "FILE")


def test_files_of_other_kinds(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)
    assert failure(path) == ("checkpoint FILE is a TorchScript archive: save model.state_dict() of it with torch.save")
    with tarfile.open(path, "w") as archive:
        archive.add(__file__)
    assert failure(path) == "checkpoint FILE is a tar archive: unpack it"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(__file__)
    assert failure(path) == "checkpoint FILE is a gzip archive: unpack it"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert failure(path) == (
        "checkpoint FILE is a pickle that torch.save did not write: save model.state_dict() with torch.save"
    )
    path.write_bytes((40).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' + bytes(4))
    assert failure(path) == (
        "checkpoint FILE is a safetensors file: save safetensors.torch.load_file(FILE) with torch.save"
    )
    path.write_bytes(b"<!DOCTYPE html><title>Sign in</title>")
    assert failure(path) == "checkpoint FILE is a page of the web: download the file itself"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    assert failure(path) == "checkpoint FILE is a pointer of Git LFS: fetch the file itself with git lfs pull"
    path.write_bytes(b"")
    assert failure(path) == "checkpoint FILE is empty; REMEDY"
    for content in (b"x", b"PK\x03\x04 and no archive", bytes(range(256)) * 4):
        path.write_bytes(content)
        assert failure(path) == "checkpoint FILE is broken, truncated or not a checkpoint; REMEDY"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no checkpoint")
    assert failure(path) == "checkpoint FILE is broken, truncated or not a checkpoint; REMEDY"


def test_a_bit_that_has_changed(tmp_path: Path) -> None:
    """One bit of every byte in turn: the file is refused, or reads as the same (where a byte means nothing)."""
    path = save({"state_dict": {"a": torch.arange(40.0)}, "epoch": 3}, tmp_path / "a.ckpt")
    content = path.read_bytes()
    want: Tensor = load(path, "")["state_dict"]["a"]
    refused = 0
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 1 << (at % 8)
        path.write_bytes(changed)
        try:
            got = load(path, "")
        except BirealError:
            refused += 1
        else:
            assert got["epoch"] == 3, at
            assert list(got) == ["state_dict", "epoch"], at
            assert torch.equal(got["state_dict"]["a"], want), at
    place = content.index(want.numpy().tobytes())
    path.write_bytes(content[: place + 9] + bytes([content[place + 9] ^ 64]) + content[place + 10 :])
    assert failure(path) == (
        "checkpoint FILE is broken: the checksum of 'a/data/0' in its archive is not that of its content; REMEDY"
    )
    assert refused > len(content) / 4


def test_a_file_that_ends_early(tmp_path: Path) -> None:
    for old in (False, True):
        path = save({"state_dict": STATE}, tmp_path / "a.pth", old)
        content = path.read_bytes()
        for length in range(1, len(content), 97):
            path.write_bytes(content[:length])
            assert failure(path).startswith("checkpoint FILE is ")
