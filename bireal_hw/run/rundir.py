"""One run's folder, `build/<run>/`: who may write, what is up to date, and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from bireal_hw.ending import tidied, uninterrupted
from bireal_hw.errors import BirealError
from bireal_hw.files import UNFINISHED, read_json, remove, write_json

LEDGER = "steps.json"
_LOCK = ".lock"
SHARED = ("sim", "synth-cache")
"""Folders of build/ that hold what all runs use."""


class RunDir:
    """The folder of one run.

    `steps.json` is its ledger: the network's variables (`values`), and for every step the content hashes of what it
    read (`made_from`) and the settings it used. A step is up to date when its outputs exist and nothing it would read
    or use differs; dates of files play no part.

    Attributes:
        path: the folder; it exists once `locked` has been entered.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self, wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the folder for this process; it is created if need be, and leftovers of a killed process are removed.

        A folder that holds no result in the end is removed again.

        Args:
            wait: called before waiting for another process that holds the folder; without it that is an error.

        Raises:
            BirealError: the folder cannot be written, or another process holds it.
        """
        with self._lock(wait):
            self._clean()
            with tidied(self._let_go):
                yield

    def _lock(self, wait: Callable[[], None] | None) -> IO[str]:
        """Return the lock file, held until it is closed."""
        while True:
            handle = self._open()
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if wait is None:
                    handle.close()
                    raise BirealError(
                        f"run '{self.path.name}' is in use by another process: wait for it, or choose another run=NAME"
                    ) from None
                wait()
                fcntl.flock(handle, fcntl.LOCK_EX)
            with contextlib.suppress(OSError):
                if os.path.samestat((self.path / _LOCK).stat(), os.fstat(handle.fileno())):
                    return handle
            handle.close()  # whoever held it has removed it meanwhile

    def _open(self) -> IO[str]:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            os.close(
                tempfile.mkstemp(prefix=UNFINISHED, dir=self.path)[0]
            )  # the lock alone would not tell of a full disk
            return (self.path / _LOCK).open("a+")
        except OSError as error:
            file = next((parent for parent in self.path.parents if parent.is_file()), None)
            reason = f"{file} is a file, not a folder" if file else error.strerror
            raise BirealError(f"cannot write to {self.path}: {reason}") from None

    def _clean(self) -> None:
        for leftover in self.path.glob(UNFINISHED + "*"):
            remove(leftover)

    def _let_go(self) -> None:
        """Leave the folder in order; one that holds a ledger and no result is none of a run."""
        self._clean()
        (self.path / _LOCK).unlink(missing_ok=True)
        if self.is_empty():
            shutil.rmtree(self.path)

    def is_empty(self) -> bool:
        """Tell whether the folder, which exists, holds nothing yet that a command was to make."""
        return {path.name for path in self.path.iterdir()} <= {LEDGER, _LOCK}

    def discard(self) -> None:
        """Remove everything in the folder, which is locked."""
        for path in self.path.iterdir():
            if path.name != _LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def ledger(self) -> dict[str, Any]:
        """Return the ledger: `values` and `steps`, both empty in a new run."""
        if not (self.path / LEDGER).exists():
            return {"values": {}, "steps": {}}
        content = read_json(self.path / LEDGER, "values", "steps", remedy=self._remedy)
        for key in ("values", "steps"):
            if not isinstance(content[key], dict):
                raise BirealError(f"{self.path / LEDGER} is broken: '{key}' is not an object; {self._remedy}")
        return content

    @property
    def _remedy(self) -> str:
        """What to do about a broken ledger: only a checkpoint knows its network without it."""
        if (self.path / "checkpoint.ckpt").exists():
            return "remove it to build again from the checkpoint"
        return f"remove the folder {self.path}, or choose another run=NAME"

    def write_ledger(self, content: dict[str, Any]) -> None:
        """Replace the ledger in one move."""
        write_json(self.path / LEDGER, content)

    @contextmanager
    def publish(self, name: str, outputs: list[str], record: dict[str, Any]) -> Iterator[Path]:
        """Give a step a folder to write in; when it ends well, move `outputs` into place and enter `record`.

        Whatever goes wrong before the move, Ctrl-C included, leaves the earlier results and their entry as they were.

        Args:
            name: the step's entry in the ledger.
            outputs: files or folders it makes, relative to the run's folder; those not made this time are removed.
            record: what stands in the ledger afterwards; the step may add to it while it runs.
        """
        stage = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self.path))
        try:
            yield stage
            with uninterrupted():
                ledger = self.ledger()
                if ledger["steps"].pop(name, None):
                    self.write_ledger(ledger)  # not up to date while its files are being exchanged
                for output in outputs:
                    self._replace(stage, output)
                ledger["steps"][name] = record
                self.write_ledger(ledger)
        finally:
            shutil.rmtree(stage, ignore_errors=True)

    def _replace(self, stage: Path, output: str) -> None:
        target = self.path / output
        if target.exists():
            target.rename(stage / (output.replace("/", "-") + ".old"))
        if (stage / output).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            (stage / output).rename(target)


def sweep(folder: Path) -> None:
    """Remove what killed processes left in the runs of a folder, and where nothing else is left the run."""
    for lock in [*folder.glob(f"*/{_LOCK}"), *folder.glob(f"*/*/{_LOCK}"), *folder.glob(f"*/*/*/{_LOCK}")]:
        if lock.relative_to(folder).parts[0] in SHARED:
            continue  # of the compilers' own
        with contextlib.suppress(BirealError), RunDir(lock.parent).locked():
            pass
