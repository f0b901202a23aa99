"""The command line: `bireal-hw VERB [FILE.onnx] [key=value ...]`.

Annotations are evaluated here, unlike elsewhere: typer reads them, and that of a word's form belongs to its verb.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from bireal_hw import __version__
from bireal_hw.errors import BirealError, unknown
from bireal_hw.flows.config import UsageError, variables
from bireal_hw.flows.verbs import VERBS, Verb

USAGE, FAILED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit status.

    0: done. 1: it could not be done, or a check did not hold; one line says why. 2: the command line is wrong.
    130: Ctrl-C.
    """
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status; errors go to stderr as one line."""
    warnings.filterwarnings("ignore", module=r"brevitas\..*")  # advice on optional packages that nothing here uses
    try:
        verb = next((word for word in arguments if not word.startswith("-")), None)
        if verb is not None and verb not in VERBS:
            raise UsageError(unknown("command", verb, VERBS))
        return _app()(args=arguments, prog_name="bireal-hw", standalone_mode=False) or 0
    except UsageError as error:
        _say("error", str(error))
        return USAGE
    except BirealError as error:
        _say("error", str(error))
        return FAILED
    except KeyboardInterrupt:
        _say("interrupted", "nothing was left half written; the same command goes on from the last finished step")
        return INTERRUPTED


def _say(kind: str, text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"{kind}: {' '.join(escape(text).split())}")


def _app() -> typer.Typer:
    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,  # an unexpected error is a bug: its plain traceback is what a report needs
        rich_markup_mode="rich",
        help="From a Bi-Real Net in PyTorch to streaming hardware that computes the same integers.",
        epilog=f"bireal_hw {__version__}",
    )
    for verb in VERBS.values():
        app.command(
            verb.name,
            help=verb.help,
            epilog="\n\n".join(f"[bold]{name}=[/bold]  {escape(text)}" for name, text in variables().items()),
            context_settings={"ignore_unknown_options": True},
        )(_command(verb))
    return app


def _command(verb: Verb) -> Callable[[list[str] | None], int]:
    def command(
        words: Annotated[list[str] | None, typer.Argument(metavar=verb.words, help="the variables below")] = None,
    ) -> int:
        return verb.run(_joined(words or []))

    return command


def _joined(words: list[str]) -> list[str]:
    """Turn `--key value` into `key=value`.

    >>> _joined(["--width", "0.25", "--image=32", "run=a"])
    ['width=0.25', 'image=32', 'run=a']
    """
    joined: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("--"):
            joined.append(word)
        elif "=" in word:
            joined.append(word[2:])
        else:
            joined.append(f"{word[2:]}={next(rest, '')}")
    return joined


if __name__ == "__main__":
    main()
