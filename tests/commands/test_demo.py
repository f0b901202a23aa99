from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bireal_hw import cli
from bireal_hw.commands import demo
from bireal_hw.commands.demo import as_integers
from bireal_hw.errors import BirealError
from bireal_hw.results.checks import SIMULATED, Check, check_accuracy, check_hardware, check_same
from bireal_hw.sim.results import Simulation

GOOD = Simulation(
    images=4,
    frames=4,
    runs=2,
    outputs_compared=40,
    mismatches=0,
    first_mismatch=None,
    cycles_per_frame=900,
    cycles_predicted=900,
    latency_cycles=1_000,
    seconds_build=1.0,
    seconds_run=1.0,
)


def held(checks: list[Check]) -> list[bool]:
    return [check.holds for check in checks]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, [True, True]),
        ({"mismatches": 1}, [False, True]),
        ({"images": 3}, [False, True]),
        ({"runs": 1}, [False, True]),
        ({"outputs_compared": 0}, [False, True]),
        ({"cycles_per_frame": 901}, [True, False]),
        ({"cycles_per_frame": 899}, [True, False]),
    ],
)
def test_the_hardware_is_judged(change: dict[str, Any], expected: list[bool]) -> None:
    assert held(check_hardware(GOOD.model_copy(update=change))) == expected


@pytest.mark.parametrize(
    ("top1_float", "right", "expected"),
    [
        (97.5, 351, [True, True, True]),
        (97.5, 348, [True, True, True]),
        (97.5, 347, [True, True, False]),
        (95.0, 342, [True, True, True]),
        (95.0, 341, [True, False, True]),
        (94.7222, 341, [False, False, True]),
        (94.7222, 345, [False, True, True]),
    ],
)
def test_the_accuracy_is_judged(top1_float: float, right: int, expected: list[bool]) -> None:
    assert held(check_accuracy(top1_float, right, total=360)) == expected


def test_a_large_test_set_may_lose_a_fifth_of_a_point() -> None:
    assert held(check_accuracy(96.0, 9580, total=10_000)) == [True, True, True]
    assert held(check_accuracy(96.0, 9579, total=10_000)) == [True, True, False]


def test_one_logit_of_one_image_counts() -> None:
    golden = np.arange(12).reshape(4, 3)
    other = golden.copy()
    other[2, 1] += 1
    assert check_same("Q", golden, golden) == Check("Q = G on every test image", "0 of 4 differ", True)
    assert check_same("Q", other, golden) == Check("Q = G on every test image", "1 of 4 differ", False)


def test_logits_are_read_on_their_grid() -> None:
    assert as_integers(np.array([[-0.75, 2.0]], np.float32), 2).tolist() == [[-3, 8]]
    with pytest.raises(BirealError, match=r"^logit 0\.125 is not a multiple of 2\^-2$"):
        as_integers(np.array([[0.125, 2.0]], np.float32), 2)


@pytest.mark.torch
@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.usefixtures("workdir")
def test_the_exit_status_is_the_verdict(
    holds: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = [Check("first", "1", True), Check("second", "2", holds), Check("third", "3", holds)]
    monkeypatch.setattr(demo, "demo", lambda build: checks)
    assert cli.run(["demo"]) == (0 if holds else 1)
    out, err = capsys.readouterr()
    assert err == ("" if holds else "error: the demo does not hold: second; third\n")
    assert out.count("FAILS") == (0 if holds else 2)


@pytest.mark.torch
@pytest.mark.usefixtures("workdir")
def test_a_demo_is_about_a_trained_network_and_enough_images(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["demo", "images=3"]) == 1
    assert capsys.readouterr().err == "error: images=3 is out of range: demo simulates at least 4\n"
    assert cli.run(["demo", "untrained=1"]) == 1
    assert capsys.readouterr().err == (
        "error: run 'bireal18-digits' has random weights, so there is nothing to train: choose another run=NAME\n"
    )
    assert SIMULATED == 4
