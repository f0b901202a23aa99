"""Entry of the program: `bireal-hw`, or `python -m bireal_hw`."""

import sys

INTERRUPTED = 130


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
