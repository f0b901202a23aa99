"""Entry of the program: `bireal-hw`, or `python -m bireal_hw`."""

import os
import sys

from bireal_hw import ending

ending.install()  # before the next import: Ctrl-C may come at any moment

from bireal_hw import tools  # noqa: E402

tools.settle()  # before anything reads the environment
# Threads of OpenMP that spin while they wait make the training of small layers ten times slower on cores shared with
# other programs, and no faster on idle ones. The library reads this once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main() -> None:
    """Run the command line and leave with its exit status; Ctrl-C at any moment is one line and status 130."""
    from bireal_hw.cli import run  # takes a second or two

    status = run(sys.argv[1:])
    ending.finished()
    sys.exit(status)


if __name__ == "__main__":
    main()
