"""Two processes on one machine train what one does with the same batch."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bireal_hw.commands.join import join, joins
from bireal_hw.errors import BirealError
from bireal_hw.models.spec import ModelSpec
from bireal_hw.training import fit
from bireal_hw.training.data import load_data
from bireal_hw.training.fit import TrainConfig, train
from bireal_hw.training.parallel import Processes
from bireal_hw.training.recipe import Recipe, Stage

pytestmark = pytest.mark.torch

ROOT = Path(fit.__file__).parents[2]

STAGES = """
[[stage]]
name = "relu"
activation = "relu"
weights = "real"
steps = 3
[[stage]]
name = "binary"
teacher = "relu"
distillation = 0.5
weight_clip = true
steps = 3
settle = 0.5
[[stage]]
name = "batchnorm"
train = "batchnorm"
unit_weights = true
steps = 3
"""

PROGRAM = """
import json, os, sys
from pathlib import Path
from bireal_hw.models.quantizers import RangeQuant, WeightQuant
from bireal_hw.models.spec import ModelSpec
from bireal_hw.training.data import load_data
from bireal_hw.training.fit import TrainConfig, train
from bireal_hw.training.recipe import load_recipe
from bireal_hw.training.stage import StageTraining

# Rounding turns the noise of a sum's order into steps; without it the losses can be compared closely.
for quantizer in (RangeQuant, WeightQuant):
    quantizer.forward = lambda self, x: (x, self.one, self.zero_point, self.bit_width)
losses = []
original = StageTraining.training_step
def training_step(self, batch, batch_idx):
    loss = original(self, batch, batch_idx)
    losses.append(float(loss.detach()))
    return loss
StageTraining.training_step = training_step
folder = Path(sys.argv[1])
data = load_data("digits", image=(8, 8), limit=96)
spec = ModelSpec("bireal18", 0.125, (8, 8), 1, 10)
config = TrainConfig(spec, "digits", 4, batch=32, recipe=load_recipe(sys.argv[2]))
train(config, data, folder, progress=False)
(folder / f"losses-{os.environ.get('RANK', '0')}.json").write_text(json.dumps(losses))
"""


PLAIN = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
"""The same kernels on every processor: their order of adding decides where the signs of nearly zero sums part."""


def start(*words: str, processes: int, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in one process, or in several that torchrun starts."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"} | PLAIN
    # By its address, as this machine's name need not be one that can be looked up.
    several = ["-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    several += ["--nproc-per-node", str(processes)]
    command = [sys.executable, *(several if processes > 1 else []), *words]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)


def test_losses_are_those_of_one_process(tmp_path: Path) -> None:
    (tmp_path / "few.toml").write_text(STAGES)
    (tmp_path / "program.py").write_text(PROGRAM)
    losses = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        done = start("program.py", str(folder), "few.toml", processes=processes, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        parts = [json.loads((folder / f"losses-{rank}.json").read_text()) for rank in range(processes)]
        losses.append([sum(step) / processes for step in zip(*parts, strict=True)])
        assert (folder / "checkpoint.ckpt").exists()
    assert len(losses[0]) == 12  # 4 epochs of 3 steps
    assert losses[1] == pytest.approx(losses[0], abs=2e-5)
    weights = [torch.load(tmp_path / f"{count}/checkpoint.ckpt", weights_only=True)["state_dict"] for count in (1, 2)]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-3, atol=1e-3, msg=name)


@pytest.mark.slow
def test_the_command_line_trains_in_two_processes(tmp_path: Path) -> None:
    (tmp_path / "few.toml").write_text(STAGES)
    words = ["-m", "bireal_hw", "train", "recipe=few.toml", "width=0.125", "image=8", "epochs=3"]
    done = start(*words, "run=two", processes=2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 1/3") == 1  # one process speaks
    folder = tmp_path / "build" / "two"
    names = {path.name for path in folder.iterdir()}
    assert names == {"checkpoint.ckpt", "train.json", "metrics.csv", "curves.png", "steps.json", "stages"}
    assert json.loads((folder / "train.json").read_text())["test_images"] == 364
    with (folder / "metrics.csv").open() as file:
        assert [row["stage"] for row in csv.DictReader(file)] == ["relu", "binary", "batchnorm"]


def test_other_processes_join_for_training_only(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not joins()
    monkeypatch.setenv("RANK", "1")
    assert not joins()  # some other launcher's
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert joins()
    with pytest.raises(BirealError, match=r"^export is the work of one process: torchrun is for train$"):
        join("export", [])
    (workdir / "build" / "done").mkdir(parents=True)
    (workdir / "build" / "done" / "checkpoint.ckpt").touch()
    assert join("train", ["run=done"]) == 0  # nothing is left to train


def test_a_batch_that_cannot_be_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Processes.from_environment() == Processes(1, 3, 3)
    spec = ModelSpec("bireal18", 0.125, (8, 8), 1, 10)
    data = load_data("digits", image=(8, 8), limit=32)
    config = TrainConfig(spec, "digits", 1, batch=32, recipe=Recipe("r", (Stage("a"),)))
    with pytest.raises(BirealError) as caught:
        train(config, data, tmp_path, progress=False)
    assert str(caught.value) == "batch=32 is out of range: a multiple of the 3 processes that share it"
