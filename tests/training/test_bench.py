"""Throughput measurements: turns are fair, what is measured is what is said, and nothing else changes."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch

from bireal_hw.bench.throughput import throughput
from bireal_hw.models.bireal import build_model
from bireal_hw.models.randomise import random_images
from bireal_hw.models.reference import ReferenceBiReal
from bireal_hw.models.spec import ModelSpec
from bireal_hw.training import bench, evaluate
from bireal_hw.training.bench import (
    alternate,
    evaluation_bytes_per_image,
    kept_bytes_per_image,
    training_throughput,
)

pytestmark = pytest.mark.torch

SPEC = ModelSpec("bireal18", 0.125, (8, 8), 1, 10)


def test_contenders_take_turns_and_the_first_round_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    calls: list[str] = []

    def work(name: str, seconds: list[float]) -> None:
        nonlocal clock
        clock += seconds[calls.count(name)]
        calls.append(name)

    monkeypatch.setattr(time, "perf_counter", lambda: clock)
    median = alternate({"a": lambda: work("a", [100, 1, 9, 2]), "b": lambda: work("b", [0, 5, 6, 7])}, rounds=3)
    assert median == {"a": 2, "b": 6}
    assert calls == ["a", "b"] * 4


def test_training_throughput_names_both_figures_and_leaves_the_random_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "alternate", lambda contenders, rounds: {"ours": 0.5, "bf16": 0.4, "reference": 1.0})
    before = torch.get_rng_state()
    found = training_throughput(SPEC, batch=4, steps=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert found["train_images_per_second"] == 16.0
    assert found["train_reference_images_per_second"] == 8.0
    assert found["train_speedup"] == 2.0
    assert (found["train_bf16_images_per_second"], found["train_bf16_speedup"]) == (20.0, 2.5)
    assert found["train_conditions"]["image"] == "8x8"
    assert found["train_conditions"]["batch"] == 4


def test_each_contender_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    """All really change their weights, and by the same number of steps."""
    steps: list[int] = []
    original = torch.optim.Adam.step

    def step(self: torch.optim.Adam, closure: None = None) -> None:
        parameter = self.param_groups[0]["params"][0]
        before = parameter.detach().clone()
        original(self, closure)
        assert not torch.equal(parameter, before)
        steps.append(id(self))

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    training_throughput(SPEC, batch=4, rounds=1, steps=3)
    assert len(steps) == 18
    assert steps[:9] == [steps[0]] * 3 + [steps[3]] * 3 + [steps[6]] * 3
    assert len(set(steps)) == 3


@pytest.mark.slow
def test_training_is_half_again_as_fast_as_the_plain_version() -> None:
    assert training_throughput()["train_speedup"] >= 1.5


def test_bytes_kept_for_the_backward_pass_by_hand() -> None:
    """Of each image: the input (8 floats), the rectified values and the logarithms of softmax (16 each), the label."""
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU())
    labels = torch.zeros(4, dtype=torch.int64)
    assert kept_bytes_per_image(model, torch.zeros(4, 8), labels) == 4 * (8 + 16 + 16) + 8


@pytest.mark.parametrize("make", [build_model, ReferenceBiReal])
def test_every_image_keeps_the_same_bytes(make: Callable[[ModelSpec], torch.nn.Module]) -> None:
    model = make(SPEC)
    found = {
        kept_bytes_per_image(model, torch.zeros(batch, 1, 8, 8), torch.zeros(batch, dtype=torch.int64))
        for batch in (4, 8, 16)
    }
    assert len(found) == 1
    assert found.pop() > 4 * 64


def test_bytes_alive_in_an_evaluation_by_hand() -> None:
    """Most are alive as ReLU ends: the pixels (8 bytes), their floats (8), the input and output of ReLU (16 each)."""
    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2), torch.nn.Softmax(dim=1)
    )
    images = torch.zeros(8, 1, 2, 4, dtype=torch.uint8)
    assert evaluation_bytes_per_image(model, images) == 8 + 4 * (8 + 16 + 16)


@pytest.mark.parametrize("make", [build_model, ReferenceBiReal])
def test_every_image_takes_the_same_bytes_of_an_evaluation(make: Callable[[ModelSpec], torch.nn.Module]) -> None:
    model = make(SPEC)
    found = {evaluation_bytes_per_image(model, random_images(SPEC, batch, seed=0)) for batch in (4, 8, 16)}
    assert len(found) == 1
    assert found.pop() > 4 * 64  # more than the floats of the pixels


def test_the_figures_of_the_throughput_section(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each quotient is that of its two figures, and the contenders are the three that they are said to be."""
    seconds = {"golden": 0.5, "torch": 1.0, "reference": 2.0, "ours": 1.0, "bf16": 0.5}
    calls: list[str] = []

    def alternate(contenders: dict[str, Callable[[], object]], rounds: int = 1) -> dict[str, float]:
        for contender in contenders.values():
            contender()
        return seconds

    def predict(model: torch.nn.Module, images: torch.Tensor, batch: int) -> torch.Tensor:
        calls.append(type(model).__name__)
        return original(model, images, batch)

    original = evaluate.predict
    monkeypatch.setattr(bench, "alternate", alternate)
    monkeypatch.setattr(bench, "BENCH_SPEC", SPEC)
    monkeypatch.setattr(bench, "WIDE_SPEC", SPEC)
    monkeypatch.setattr(evaluate, "predict", predict)
    figures = throughput().figures
    assert calls == ["BiReal", "ReferenceBiReal"]
    assert [figures[f"{name}_images_per_second"] for name in ("golden", "torch", "torch_reference")] == [128, 64, 32]
    assert (figures["golden_speedup"], figures["torch_speedup"]) == (2.0, 2.0)
    assert (figures["train_wide_speedup"], figures["train_wide_bf16_speedup"]) == (2.0, 4.0)
    assert figures["torch_bytes_per_image"] > 0
    assert figures["torch_reference_bytes_per_image"] > 0
