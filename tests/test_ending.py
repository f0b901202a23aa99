"""What Ctrl-C, SIGTERM and a closed terminal leave: of small programs at awkward moments, and of real commands."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bireal_hw import ending
from tests.ctrl_c import PROGRAM, press, processes

REST = "earlier results are as they were; the same command goes on from there\n"
SAY = "print('ready', flush=True)"
START = (
    "import os, signal, subprocess, sys, tempfile, threading, time\nfrom bireal_hw import ending\nending.install()\n"
)
READY = f"\n{SAY}\n"
WAIT = "time.sleep(60)"
AWKWARD = {
    "swallowed": f"{READY}while True:\n    try:\n        {WAIT}\n    except BaseException:\n        pass",
    "turned into another": f"{READY}try:\n    {WAIT}\nexcept BaseException:\n    raise ValueError('what?') from None",
    "in a finaliser": f"class A:\n    def __del__(self):\n        {WAIT}\na = A(){READY}del a",
    "in a callback": f"import ctypes\nf = ctypes.CFUNCTYPE(None)(lambda: {WAIT}){READY}f()",
    "in an exit handler": f"import atexit\natexit.register(lambda: {WAIT}){READY}",
    "with children": f"for _ in range(3):\n    subprocess.Popen(['sh', '-c', 'sleep 60 & sleep 60']){READY}{WAIT}",
    "with a deaf child": f"subprocess.Popen(['sh', '-c', 'trap \"\" INT TERM; sleep 60; sleep 60']){READY}{WAIT}",
    "with a child that is heard": "subprocess.run(['sh', '-c', 'echo ready; sleep 60'])\nprint('oh', file=sys.stderr)",
    "with a forked child": f"if os.fork() == 0:\n    {WAIT}{READY}{WAIT}",
    "with a forked child behind another handler": (
        "own = signal.getsignal(signal.SIGINT)\nsignal.signal(signal.SIGINT, lambda *words: own(*words))\n"
        "open('kept', 'w').close()\nending._tidying.append(lambda: os.unlink('kept'))\n"
        "if (child := os.fork()) == 0:\n    os.kill(os.getpid(), signal.SIGINT)\n    os._exit(1)\n"
        f"assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130\nassert os.path.exists('kept'){READY}{WAIT}"
    ),
    "with a thread that starts children": (
        "def work():\n    while True:\n        subprocess.run(['sleep', '60'])\n"
        f"for _ in range(4):\n    threading.Thread(target=work).start(){READY}{WAIT}"
    ),
    "with temporary folders": f"t = tempfile.TemporaryDirectory(dir='.')\nos.mkdir(t.name + '/x'){READY}{WAIT}",
    "in a workplace": (
        "from pathlib import Path\n"
        f"with ending.workplace(Path('.')) as place:\n    (place / 'x').touch()\n    {SAY}\n    {WAIT}"
    ),
    "in workplaces of threads whose tools end too": (
        "from pathlib import Path\ndef work():\n    with ending.workplace(Path('.')) as place:\n"
        "        subprocess.run(['sleep', '60'], check=True)\n"
        f"for _ in range(4):\n    threading.Thread(target=work).start()\ntime.sleep(0.5){READY}{WAIT}"
    ),
    "with a thread that makes files in a workplace": (
        "from pathlib import Path\ndef work():\n    with ending.workplace(Path('.')) as place:\n"
        "        for number in range(10**9):\n            (place / str(number)).touch()\n"
        f"threading.Thread(target=work).start(){READY}{WAIT}"
    ),
    "in a tidied block": (
        f"open('half', 'w').close()\nwith ending.tidied(lambda: os.unlink('half')):\n    {SAY}\n    {WAIT}"
    ),
}
"""Programs that wait at an awkward moment, once they have said so."""


def interrupt(code: str, folder: Path, number: signal.Signals) -> tuple[int, str]:
    """Run a program, send it a signal when it says that it is ready; return its status and what it said as an error."""
    with subprocess.Popen(
        [sys.executable, "-c", START + code],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        env={"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": "/usr/bin:/bin"},
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert processes(process.pid) == set()
    return process.returncode, err


@pytest.mark.parametrize("code", AWKWARD)
def test_one_line_whatever_runs(workdir: Path, code: str) -> None:
    assert interrupt(AWKWARD[code], workdir, signal.SIGINT) == (130, f"interrupted: {REST}")
    assert list(workdir.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "line"), [(signal.SIGTERM, "terminated"), (signal.SIGHUP, "the terminal was closed")]
)
def test_other_signals(workdir: Path, number: signal.Signals, line: str) -> None:
    assert interrupt(AWKWARD["with children"], workdir, number) == (128 + number, f"{line}: {REST}")


def test_a_block_that_is_not_interrupted(workdir: Path) -> None:
    code = f"with ending.uninterrupted():\n    {SAY}\n    time.sleep(1)\n    open('whole', 'w').close()\n{WAIT}"
    assert interrupt(code, workdir, signal.SIGINT) == (130, f"interrupted: {REST}")
    assert [path.name for path in workdir.iterdir()] == ["whole"]


def test_a_signal_that_is_ignored_stays_so(workdir: Path) -> None:
    code = f"signal.signal(signal.SIGINT, signal.SIG_IGN)\nending.install(){READY}time.sleep(1)\nsys.exit(7)"
    program = START.replace("ending.install()\n", "") + code
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env={"PYTHONPATH": str(Path(__file__).parents[1])}
    ) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
    assert process.returncode == 7


def test_a_workplace_stays_where_an_error_tells_of_it(workdir: Path) -> None:
    from bireal_hw.ending import workplace

    with workplace(workdir / "new") as folder:
        (folder / "log").touch()
    assert list((workdir / "new").iterdir()) == []
    with pytest.raises(FileNotFoundError), workplace(workdir) as folder:
        (folder / "log").rename(folder / "no such folder" / "log")
    assert folder.is_dir()


@pytest.mark.parametrize("after", [0.2, 0.9, 2.0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_while_it_loads(workdir: Path, after: float, number: signal.Signals) -> None:
    (workdir / "build").mkdir()
    outcome = press([*PROGRAM, "lower", "model=zoo:bireal18-digits"], workdir, after, number)
    assert outcome.problems == ()


def test_a_workplace_goes_however_fast_files_are_made_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more appears whenever the folder has just been emptied."""
    rmdir = os.rmdir

    def late(*args: Any, **kwargs: Any) -> None:
        with contextlib.suppress(OSError):
            (place / "late").touch()
        rmdir(*args, **kwargs)

    monkeypatch.setattr(os, "rmdir", late)
    with ending.workplace(tmp_path) as place:
        (place / "first").touch()
    assert list(tmp_path.iterdir()) == []
