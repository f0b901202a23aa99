"""Entry of the program: `bireal-hw`, or `python -m bireal_hw`."""

import os
import sys

INTERRUPTED = 130

# Threads of OpenMP that spin while they wait make the training of small layers ten times slower on cores shared with
# other programs, and no faster on idle ones. The library reads this once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main() -> None:
    """Run the command line and leave with its exit status; Ctrl-C at any moment is one line and status 130."""
    try:
        from bireal_hw.cli import run  # takes a second: Ctrl-C may come before it is there

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: earlier results are as they were; the same command goes on from there\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
