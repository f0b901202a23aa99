"""What all tests share: a scratch folder as working directory on request, and the reproduction of random draws."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from bireal_hw import tools

tools.settle()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job, whose programs would not heed it
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["BIREAL_CHECKS"] = "1"  # assertions on every stream, in every simulation; see bireal_hw/sim/verilator.py
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see bireal_hw/__main__.py

collect_ignore = ["lowering/keras_networks.py"]  # needs TensorFlow, in an environment of its own

settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("repeatable")


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, as a user would in a project of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
