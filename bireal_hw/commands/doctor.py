"""The command `doctor`: what is installed, and what is missing."""

from __future__ import annotations

from bireal_hw import doctor
from bireal_hw.commands.verb import Verb
from bireal_hw.run.config import UsageError


def _doctor(arguments: list[str]) -> int:
    if arguments:
        raise UsageError(f"doctor takes no words, not '{arguments[0]}'")
    return doctor.doctor()


VERB = Verb("doctor", "list tools and packages: what is here, who needs it, what to install", (), _doctor, "")
