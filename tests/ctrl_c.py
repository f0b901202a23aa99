"""Ctrl-C, and SIGTERM, at any moment of a command: what is left of it, what it says, what lies on disk.

    python -m tests.ctrl_c FOLDER MOMENTS SEED [COMMAND...]   e.g. 20 moments of every command, if none is named

A command runs in a session of its own and the signal goes to its process group, as a terminal sends it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAM = (str(Path(sys.executable).with_name("bireal-hw")),)
SAID = {signal.SIGINT: "interrupted: ", signal.SIGTERM: "terminated: "}
UNFINISHED = (".stage-", ".lock", "run-", ".hls-", ".model.onnx.")
"""How the names begin of what no command leaves."""


@dataclass(frozen=True)
class Outcome:
    """What a command did after the signal; `problems` is empty if that was right.

    over       whether it had ended before the signal
    finished   whether that is so, or its work was done, or Python had not come to it yet
    seconds    from the signal to its end
    """

    over: bool
    finished: bool
    seconds: float
    problems: tuple[str, ...]


def processes(session: int) -> set[int]:
    """Return the processes of a session that have not ended."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if words[0] not in "ZX" and int(words[3]) == session:
            found.add(int(path.parent.name))
    return found


def results(build: Path) -> dict[str, str]:
    """Return the files of all runs with their contents' hashes; kept simulators and synthesised modules are no runs."""
    return {
        str(path.relative_to(build)): hashlib.sha256(path.read_bytes()).hexdigest()
        for run in build.iterdir()
        if run.name not in ("sim", "synth-cache")
        for path in run.rglob("*")
        if path.is_file()
    }


def unfinished(folder: Path) -> list[str]:
    """Return what a command that has ended should not have left, in its build folder or among temporary files."""
    return sorted(
        str(path) for path in folder.rglob("*") if path.name.startswith(UNFINISHED) and "hls-headers" not in str(path)
    )


def broken(build: Path) -> list[str]:
    """Return the JSON files that are none: half of a file was written."""
    found = []
    for path in build.glob("**/*.json"):
        try:
            json.loads(path.read_text())
        except ValueError:
            found.append(f"broken: {path}")
    return found


@contextlib.contextmanager
def _temporary(parent: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=parent) as name:
        yield Path(name)


def press(
    words: list[str],
    folder: Path,
    after: float,
    number: signal.Signals = signal.SIGINT,
    group: bool = True,
    undisturbed: tuple[int, str] = (0, ""),
) -> Outcome:
    """Run a command in a folder and send a signal after some seconds.

    Args:
        words: the command.
        folder: to work in; results in its `build` have to be as they were, or whole new ones.
        after: seconds.
        number: the signal.
        group: whether all processes of the command get it, as from a terminal, or the first one only.
        undisturbed: its status and the last line that it says where nothing disturbs it.
    """
    with _temporary(folder.parent) as scratch:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)}
        with subprocess.Popen(
            words,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(after)
            over = finished = process.poll() is not None
            if not over:
                (os.killpg if group else os.kill)(process.pid, number)
            sent = time.monotonic()
            _, err = process.communicate(timeout=120)
            seconds = time.monotonic() - sent
        left = processes(process.pid)
        problems = [f"goes on: {' '.join(map(str, left))}"] if left else []
        # Python had not come to the program yet
        early = ("Traceback" in err and "/bireal_hw/" not in err) or (process.returncode == -number and after < 1)
        # its work was done
        late = process.returncode == 0 or (words[0] == "make" and " Error " not in err)
        status, line = undisturbed
        status = 2 if status and words[0] == "make" else status  # make's own
        late = late or (process.returncode, last_line(err)) == (status, line)
        finished = finished or early or late
        if not finished:
            problems += _problems(process.returncode, err, number, words[0] == "make")
        problems += [f"left in the temporary folder: {path.name}" for path in scratch.iterdir() if not _library(path)]
    problems += [f"left: {path}" for path in unfinished(folder / "build")]
    return Outcome(over, finished, seconds, tuple(problems))


def last_line(text: str) -> str:
    """Return the last line of what a program said, but for make's."""
    lines = [line for line in text.splitlines() if not line.startswith("make: ")]
    return lines[-1] if lines else ""


def _library(path: Path) -> bool:
    """Tell whether a temporary folder is one that a library leaves whatever ends the process."""
    return path.name.startswith(("torchinductor", "pymp-", "."))


def _problems(status: int, err: str, number: signal.Signals, by_make: bool) -> list[str]:
    lines = [line for line in err.splitlines() if not line.startswith(("synthesis", "place and route", "make: "))]
    found = []
    if by_make and status in (2, -number):
        status = 128 + number  # make's own
    if status != 128 + number:
        found.append(f"status {status}")
    if len(lines) != 1 or not lines[0].startswith(SAID[number]):
        found.append(f"said {lines}")
    return found


CAMPAIGN = {
    "demo": "demo width=0.125 image=8 epochs=1 run=new",
    "train": "train width=0.125 image=8 epochs=3 run=new",
    "sim": "sim run=net images=1 stalls=0",
    "hls": "hls run=net images=2",
    "synth": "synth run=net",
    "report": "report run=net",
    "bitstream": "bitstream run=net board=ulx3s-85f",
    "export": "export untrained=1 width=0.125 image=8 run=new",
    "lower": "lower run=net",
    "fold": "fold run=net target_fps=2000",
    "rtl": "rtl run=net",
    "zoo": "zoo",
    "info": "info bireal18",
}
"""Commands on a small network `net`, and on a new one."""


def main(folder: Path, moments: int, seed: int, *names: str) -> int:
    """Press Ctrl-C at random moments of commands, every fourth time through make; return how often it was wrong."""
    draw = random.Random(seed)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    make = ["make", "--no-print-directory", "-f", str(ROOT / "Makefile"), f"VENV={Path(sys.executable).parents[1]}"]
    if not folder.exists():
        folder.mkdir(parents=True)
        for name in ("pyproject.toml", "constraints.txt"):
            (folder / name).symlink_to(ROOT / name)
        first = "rtl untrained=1 width=0.125 image=8 run=net"
        subprocess.run([*PROGRAM, *first.split()], cwd=folder, env=environment, check=True)
    wrong = 0
    for name in names or CAMPAIGN:
        words, before = CAMPAIGN[name].split(), results(folder / "build")
        started = time.monotonic()
        whole = subprocess.run(
            [*PROGRAM, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        length = time.monotonic() - started
        ends, outcomes = (whole.returncode, last_line(whole.stderr)), []
        for count in range(moments):
            forget(folder, "new", *(("sim", "synth-cache") if count % 2 else ()))  # else no compiler would be called
            after = draw.uniform(0, 0.8 * length)
            outcome = press([*(make if count % 4 == 3 else PROGRAM), *words], folder, after, undisturbed=ends)
            now = results(folder / "build")
            lost = [f"lost {file}" for file in before if file not in now]
            outcomes.append(outcome)
            length = min(length, after) if outcome.over else length  # the first time files had to be read
            if problems := [*outcome.problems, *lost, *broken(folder / "build")]:
                wrong += 1
                _say(f"  {name} after {after:.2f} s of {length:.1f}: {'; '.join(problems)}")
        pressed = [one for one in outcomes if not one.finished]
        slowest = max((one.seconds for one in pressed), default=0)
        _say(f"{name}: {len(pressed)} of {moments} before its end ({length:.1f} s), slowest answer {slowest:.2f} s")
    _say(f"wrong: {wrong}")
    return wrong


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def forget(folder: Path, *names: str) -> None:
    """Remove folders of a build folder."""
    for name in names:
        shutil.rmtree(folder / "build" / name, ignore_errors=True)


if __name__ == "__main__":
    place, moments, seed, *names = sys.argv[1:]
    sys.exit(main(Path(place).absolute(), int(moments), int(seed), *names) > 0)
