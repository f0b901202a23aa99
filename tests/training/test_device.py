"""Nothing of a step comes back to the host, and a step is one graph: what keeps a GPU busy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from bireal_hw.errors import BirealError
from bireal_hw.models.bireal import build_model, set_observing
from bireal_hw.models.spec import ModelSpec
from bireal_hw.training import fit
from bireal_hw.training.data import Data, load_data
from bireal_hw.training.fit import Run, TrainConfig, check_device, train
from bireal_hw.training.parallel import Processes
from bireal_hw.training.recipe import Recipe, Stage
from bireal_hw.training.stage import Setting, StageTraining, begin, prepare

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),  # torch's own tracing
]

READS = {"_local_scalar_dense", "is_nonzero", "equal", "nonzero"}
"""Operators that make the host wait for the device."""


class Operators(TorchDispatchMode):
    """Count the operators that are called, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))

    @property
    def reads(self) -> dict[str, int]:
        return {name: self.counts[name] for name in READS if self.counts[name]}


def counted(limit: int, folder: Path, model: str, optimizer: str) -> Operators:
    """Train on `limit` images, test on as many, in three stages, and count."""
    folder.mkdir()
    data = load_data("digits", image=(8, 8), limit=limit)
    stages = (
        Stage("relu", activation="relu", weights="real", optimizer="sgd", settle=0.0),
        Stage("binary", share=2, teacher="relu", distillation=0.5, weight_clip=True, settle=0.5, optimizer=optimizer),
        Stage("batchnorm", train="batchnorm", unit_weights=True),
    )
    config = TrainConfig(ModelSpec(model, 0.125, (8, 8), 1, 10), "digits", 4, batch=32, recipe=Recipe("r", stages))
    with Operators() as operators:
        train(config, data, folder, progress=False)
    return operators


@pytest.mark.parametrize(("model", "optimizer"), [("bireal18", "adam"), ("react18", "muon")])
def test_no_step_of_training_or_evaluation_reads_a_number(
    model: str, optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read is read once an epoch: nine steps an epoch, and two batches to test on, read what two steps do."""
    monkeypatch.setattr(Run, "finished", lambda run: {})  # the deploy model is made once
    few, many = (counted(limit, tmp_path / str(limit), model, optimizer) for limit in (64, 288))
    assert many.counts["convolution"] > 2 * few.counts["convolution"]
    assert few.reads
    assert many.reads == few.reads


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits", image=(16, 16), limit=32)


def fitting_of(spec: ModelSpec, stage: Stage, digits: Data, folder: Path) -> StageTraining:
    torch.manual_seed(0)
    model = build_model(spec)
    prepare(model, stage)
    begin(model, stage, fresh=True)
    setting = Setting(digits, "digits", 16, 0, 2, 0, 2, "title", folder, False, Processes())
    teacher: nn.Module | None = build_model(spec).eval().requires_grad_(False) if stage.teacher else None
    return StageTraining(stage, setting, model, teacher)


def gradients(fitting: StageTraining, answered: Any, images: Tensor, labels: Tensor) -> list[Tensor]:
    """Loss, hits and gradients of a step."""
    fitting.model.zero_grad()
    loss, hits = answered(images, labels)
    loss.backward()
    found = [parameter.grad for parameter in fitting.model.parameters() if parameter.grad is not None]
    return [loss.detach(), hits, *(grad.clone() for grad in found)]


@pytest.mark.parametrize(
    ("model", "precision"),
    [
        ("bireal18", "float32"),
        pytest.param("react18", "bfloat16", marks=pytest.mark.slow),
        pytest.param("bireal50", "float32", marks=pytest.mark.slow),
        pytest.param("reactneta", "bfloat16", marks=pytest.mark.slow),
    ],
)
def test_a_step_is_one_graph_and_computes_the_same(model: str, precision: str, digits: Data, tmp_path: Path) -> None:
    side = 32 if model == "bireal50" else 16
    spec = ModelSpec(model, 0.125, (side, side), 1, 10)
    images = torch.randint(0, 256, (4, 1, side, side), generator=torch.Generator().manual_seed(0)).float()
    labels = digits.train_labels[:4]
    fitting = fitting_of(
        spec, Stage("a", teacher="t.ckpt", distillation=0.5) if model == "bireal18" else Stage("a"), digits, tmp_path
    )
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(fitting.answered, backend=backend, fullgraph=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        for count, observing in enumerate((True, False), start=1):
            set_observing(fitting.model, observing)
            before = {name: tensor.clone() for name, tensor in fitting.model.state_dict().items()}
            want = gradients(fitting, fitting.answered, images, labels)
            for name, tensor in fitting.model.state_dict().items():
                tensor.copy_(before[name])  # `load_state_dict` would make the quantizers anew
            got = gradients(fitting, compiled, images, labels)
            assert len(graphs) == count
            assert len(want) > 50
            for one, other in zip(got, want, strict=True):
                assert torch.equal(one, other)
        evaluated = torch.compile(fitting.model.eval(), backend=backend, fullgraph=True)
        with torch.no_grad():
            assert torch.equal(evaluated(images), fitting.model(images))
    assert len(graphs) == 3
    torch.compiler.reset()


# ---- what the device lacks ----


def fast(**changes: Any) -> Recipe:
    return Recipe("r", (Stage("a"),), **changes)


def test_half_precision_that_the_device_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        with pytest.raises(
            BirealError, match=r"^precision=16-mixed: processors have no float16: choose bf16-mixed or "
        ):
            check_device(fast(precision="16-mixed"))
        check_device(fast(precision="bf16-mixed"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Old GPU")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    check_device(fast(precision="16-mixed"))
    with pytest.raises(
        BirealError, match=r"^precision=bf16-mixed: Old GPU has no bfloat16: choose 16-mixed or 32-true$"
    ):
        check_device(fast(precision="bf16-mixed"))


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    check_device(fast())
    if not torch.cuda.is_available():
        check_device(fast(compile="gpu"))
    with pytest.raises(BirealError) as caught:
        check_device(fast(compile="always"))
    assert str(caught.value) == (
        "compile=always in recipe 'r': torch.compile needs no-such-compiler, which is not here: "
        'install it, or write compile = "never"'
    )


@pytest.mark.parametrize(
    ("room", "said"),
    [
        (9, "batch=32 does not fit into the memory of .*: batch=8 does"),
        (0, ".* has too little memory for this network, at any batch: .*"),
    ],
)
def test_too_little_memory(room: int, said: str, digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = StageTraining.answered

    def answered(self: StageTraining, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if len(labels) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")
        return original(self, pixels, labels)

    monkeypatch.setattr(StageTraining, "answered", answered)
    config = TrainConfig(ModelSpec("bireal18", 0.125, (16, 16), 1, 10), "digits", 1, batch=32, recipe=fast())
    with pytest.raises(BirealError, match=f"^{said}$"):
        train(config, digits, tmp_path, progress=False)


def test_a_run_that_goes_on_on_another_device_says_so(
    digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = TrainConfig(ModelSpec("bireal18", 0.125, (16, 16), 1, 10), "digits", 2, batch=32, recipe=fast())
    monkeypatch.setattr(fit, "device", lambda: "some GPU")
    with monkeypatch.context() as patch:
        patch.setattr(Run, "finished", lambda run: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(config, digits, tmp_path, progress=False)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(fit, "device", lambda: "1 CPU thread")
    train(config, digits, tmp_path, progress=False)
    assert capsys.readouterr().out == (
        "note: begun on some GPU, goes on on 1 CPU thread: the training is the same, its network to the bit is not\n"
    )


@pytest.mark.slow
def test_a_compiled_training_resumes_to_the_bit(digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a stand-in for the compiler, which takes the graphs as they are."""
    original, compiled = torch.compile, []

    def compile_as_it_is(function: Any, fullgraph: bool) -> Any:
        compiled.append(function)
        return original(function, backend="eager", fullgraph=fullgraph)

    monkeypatch.setattr(torch, "compile", compile_as_it_is)
    stages = Stage("a", weights="real"), Stage("b", settle=0.0), Stage("c", train="batchnorm", unit_weights=True)
    config = TrainConfig(
        ModelSpec("bireal18", 0.125, (16, 16), 1, 10),
        "digits",
        4,
        batch=16,
        recipe=Recipe("r", stages, compile="always"),
    )
    networks = []
    for name, stop in (("whole", None), ("resumed", 2)):
        folder = tmp_path / name
        folder.mkdir()
        if stop:
            with monkeypatch.context() as patch:
                patch.setattr(StageTraining, "_test", lambda self: {"test_top1": 0.0} if self._epoch < 3 else 1 / 0)
                with pytest.raises(ZeroDivisionError):
                    train(config, digits, folder, progress=False)
        train(config, digits, folder, progress=False)
        networks.append(torch.load(folder / "checkpoint.ckpt", weights_only=True)["state_dict"])
    assert len(compiled) == 3 * 2  # stages a and b in the whole run, the interrupted and the resumed one
    for key, tensor in networks[0].items():
        assert torch.equal(networks[1][key], tensor), key
    torch.compiler.reset()
