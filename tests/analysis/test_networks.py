"""The cost model against Yosys on whole networks, none of whose layers the calibration saw."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bireal_hw.cli import run
from bireal_hw.steps import synth

NETWORKS = {
    "demo": "",
    "cifar": "dataset=cifar10 width=0.5 target_fps=3000",
    "deep": "model=bireal34 image=16x24",
    "large": "dataset=cifar10 width=0.125 image=224 classes=100",
}
"""What stands behind `make synth untrained=1 whole=0`; docs/resources.md has a table of the results."""


@pytest.mark.slow
@pytest.mark.synth
@pytest.mark.parametrize("words", NETWORKS.values(), ids=NETWORKS)
def test_predicted_against_synthesised(
    words: str, workdir: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """Results of Yosys are kept from one run of the tests to the next, under a hash of all they depend on."""
    monkeypatch.setattr(synth, "CACHE", pytestconfig.cache.mkdir("synth"))
    assert run(["synth", "run=it", "untrained=1", "whole=0", *words.split()]) == 0
    report = json.loads((workdir / "build/it/pynq-z2/synth.json").read_text())
    used, predicted = {kind: report[kind]["used"] for kind in report["predicted"]}, report["predicted"]
    assert report["fits"]
    assert (predicted["bram36"], predicted["dsp"]) == (used["bram36"], used["dsp"])
    assert predicted["lut"] == pytest.approx(used["lut"], rel=0.1)
    assert predicted["ff"] == pytest.approx(used["ff"], rel=0.1)
    for instance in (one for layer in report["layers"] for one in layer["instances"]):
        assert (instance["predicted"]["bram36"], instance["predicted"]["dsp"]) == (instance["bram36"], instance["dsp"])
        assert instance["predicted"]["lut"] == pytest.approx(instance["lut"], rel=0.25, abs=20), instance["name"]
