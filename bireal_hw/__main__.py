"""Entry of the program: `bireal-hw`, or `python -m bireal_hw`."""

import os
import signal
import sys

from bireal_hw import tools

INTERRUPTED = 130
MESSAGE = "interrupted: earlier results are as they were; the same command goes on from there\n"

# Threads of OpenMP that spin while they wait make the training of small layers ten times slower on cores shared with
# other programs, and no faster on idle ones. The library reads this once, when torch is imported.
tools.settle()  # before anything reads it
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main() -> None:
    """Run the command line and leave with its exit status; Ctrl-C at any moment is one line and status 130."""
    before = signal.signal(signal.SIGINT, _leave)
    from bireal_hw.cli import run  # takes a second or two

    signal.signal(signal.SIGINT, before)
    try:
        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.stderr.write(MESSAGE)
        sys.exit(INTERRUPTED)


def _leave(*_: object) -> None:
    """End at once: while modules are loaded there is nothing to put in order, and not every one lets Ctrl-C through."""
    os.write(sys.stderr.fileno(), MESSAGE.encode())
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
