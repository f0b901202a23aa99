"""How a command ends before its time: Ctrl-C, SIGTERM and a closed terminal, at any moment.

No exception is raised into whatever happens to run: an import, a callback from compiled code and a library's own
`except` would each make something else of it. The handler itself silences the process, ends its children, puts away
what is unfinished, says one line and leaves. Results are safe all the same, as files appear whole or not at all.

What is imported here comes before the handler stands, so it is little.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "the terminal was closed"}
"""What ends a command, and how the line about it begins."""
REST = "earlier results are as they were; the same command goes on from there"
GRACE = 2.0
"""Seconds that the children have to put their own things in order."""
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h

_tidying: list[Callable[[], None]] = []
_process = 0
"""The process that the handler ends in that way."""
_leaving = False
"""Whether the handler is at work: what other threads have not put away it puts away."""


def install() -> None:
    """Have this process, and none that it forks, end in the way described above; signals that are ignored stay so."""
    global _process
    _process = os.getpid()
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave)
    os.register_at_fork(after_in_child=_uninstall)
    with contextlib.suppress(ImportError, OSError, AttributeError):  # children of a parent that ended become ours
        import ctypes

        ctypes.CDLL(None).prctl(_SUBREAPER, 1)


def finished() -> None:
    """Ignore the signals from now on: the command has done its work, and Python tidies up behind it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _uninstall() -> None:
    for number in SIGNALS:
        if signal.getsignal(number) is _leave:
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def tidied(tidy: Callable[[], None]) -> Iterator[None]:
    """Call a function at the end of the block, even if the command ends within it."""
    _tidying.append(tidy)
    try:
        yield
    finally:
        tidy()
        _done(tidy)


@contextlib.contextmanager
def workplace(parent: Path) -> Iterator[Path]:
    """Make a new folder to work in, and remove it behind the block, or when the command ends within it.

    After an error it stays: what a tool left there tells why.
    """
    import shutil
    import uuid

    def remove() -> None:
        gone = folder.with_name(f".{folder.name}")
        with contextlib.suppress(OSError):
            folder.rename(gone)  # a thread that goes on making files in it finds no folder
        shutil.rmtree(gone, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)

    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f"run-{uuid.uuid4().hex[:12]}"
    _tidying.append(remove)  # before there is anything to remove: the command may end at any moment
    try:
        folder.mkdir()
        yield folder
        remove()
    finally:
        _done(remove)


def _done(tidy: Callable[[], None]) -> None:
    """Forget what was to be put away, unless the command ends: then its tool may have failed for that reason alone."""
    if not _leaving:
        _tidying.remove(tidy)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold what would end the command back until the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def _leave(number: int, frame: object) -> None:
    """End the process: the handler of `SIGNALS`."""
    global _leaving
    if os.getpid() != _process:  # forked, with a library's own handler around this one
        os._exit(128 + number)
    _leaving = True
    try:
        for other in (*SIGNALS, signal.SIGCHLD):  # a library may have a word to say when its workers end
            signal.signal(other, signal.SIG_IGN if other in SIGNALS else signal.SIG_DFL)
        words = os.dup(2)
        nothing = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nothing, stream)
        sys.addaudithook(_nothing_new)
        with contextlib.suppress(Exception):
            _end_children()
        for tidy in reversed(list(_tidying)):
            with contextlib.suppress(Exception):
                tidy()
        kind = getattr(sys.modules.get("tempfile"), "TemporaryDirectory", None)
        for folder in [one for one in gc.get_objects() if type(one) is kind]:
            with contextlib.suppress(Exception):
                folder.cleanup()
        line = f"{SIGNALS[signal.Signals(number)]}: {REST}\n"
        if os.isatty(words):
            line = f"\r\x1b[K\x1b[?25h{line}"  # over what a progress bar left, and with the cursor that it hid
        os.write(words, line.encode())
    finally:
        os._exit(128 + number)


def _nothing_new(event: str, arguments: tuple[object, ...]) -> None:
    """Hold up a thread that goes on while the main one leaves: it starts no process and makes no file."""
    if event in ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.mkdir") or (
        event == "open"
        and isinstance(arguments[2], int)
        and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        and threading.current_thread() is not threading.main_thread()
    ):
        threading.Event().wait()


def _end_children() -> None:
    """Ask all descendants to end, and after a while make them."""
    started = time.monotonic()
    asked: set[int] = set()
    while True:
        starting, running = _starting(), _descendants()
        if not starting and not running:
            return
        late = time.monotonic() - started > GRACE
        for process in running:
            if late or process not in asked:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL if late else signal.SIGTERM)
        asked.update(running)
        time.sleep(0.01)
        if time.monotonic() - started > 2 * GRACE:
            return


def _starting() -> bool:
    """Tell whether a thread that had passed the hook before it was there may be about to start a child."""
    return any(frame.f_code.co_name == "_execute_child" for frame in sys._current_frames().values())


def _descendants() -> list[int]:
    """Return the processes that this one started, directly or not, and that have not ended.

    Parents come first: a shell that outlives a command for a moment would have a word to say.
    """
    parents: dict[int, int] = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208, pathlib would be one import more
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{name}/stat", errors="replace") as file:  # noqa: PTH123
            state, parent = file.read().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                parents[int(name)] = int(parent)
    found, new = list[int](), [os.getpid()]
    while new:
        new = [process for process, parent in parents.items() if parent in new]
        found += new
    return found
