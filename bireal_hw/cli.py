"""The command line: `bireal-hw VERB [FILE.onnx] [key=value ...]`.

Annotations are evaluated here, unlike elsewhere: typer reads them, and that of a word's form belongs to its verb.
"""

import os
import sys
import warnings
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from bireal_hw import __version__
from bireal_hw.commands.join import join, joins
from bireal_hw.commands.verb import Verb
from bireal_hw.commands.verbs import VERBS
from bireal_hw.errors import BirealError, unknown
from bireal_hw.run.config import UsageError, choices
from bireal_hw.run.network import BUILD
from bireal_hw.tools import lacks, require

FAILED, USAGE = 1, 2

BUG_REPORT = BUILD / "bug-report.txt"
"""What is left where a library failed inside of a file's node."""

TRAIN_PACKAGES = ("torch", "brevitas", "lightning", "datasets", "sklearn", "matplotlib")
"""Packages of the train extra by the names they are imported by; the other commands work without them."""

Chosen = tuple[Verb, list[str]]


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status; what goes wrong is one line on stderr.

    0: done. 1: it could not be done, or a check did not hold. 2: the command line is wrong.
    """
    warnings.filterwarnings("ignore", module=r"brevitas\..*")  # advice on optional packages that nothing here uses
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except BirealError as error:
        line = " ".join(escape(f"{error}{_reported(error)}").split())
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {line}")
        return USAGE if isinstance(error, UsageError) else FAILED
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return status


def _reported(error: BirealError) -> str:
    """Leave what a developer needs to know in a file; return the words that point to it, nothing if there is none."""
    if not error.report:
        return ""
    try:
        BUG_REPORT.parent.mkdir(exist_ok=True)
        BUG_REPORT.write_text(f"bireal_hw {__version__}\n{' '.join(sys.argv[1:])}\n{error}\n\n{error.report}")
    except OSError:
        return ""
    return f"; {BUG_REPORT} tells more, for a report"


def _run(arguments: list[str]) -> int:
    if arguments and not arguments[0].startswith("-") and arguments[0] not in VERBS:
        raise UsageError(unknown("command", arguments[0], VERBS))
    try:
        chosen = _app()(args=arguments or ["--help"], prog_name="bireal-hw", standalone_mode=False)
    except typer.TyperException as error:
        raise UsageError(f"{error.format_message().rstrip('.')}: bireal-hw --help lists commands and options") from None
    if not isinstance(chosen, tuple):
        return chosen or 0  # an option such as --help has done its work
    verb, arguments = chosen
    require(verb.name)
    try:
        return join(verb.name, arguments) if joins() else verb(arguments)
    except ModuleNotFoundError as error:
        if error.name not in TRAIN_PACKAGES:
            raise
        raise lacks(verb.name, error.name, work=("train",)) from None


def _version(asked: bool) -> None:
    if asked:
        Console(highlight=False).print(f"bireal-hw {__version__}")
        raise typer.Exit


def _app() -> typer.Typer:
    """Return the parser and its help; a command returns its verb and arguments, to be run outside of it."""
    app = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,  # an unexpected error is a bug: its plain traceback is what a report needs
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=f"bireal_hw {__version__}",
    )

    @app.callback(help="From a Bi-Real Net in PyTorch to streaming hardware that computes the same integers.")
    def options(
        version: Annotated[
            bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show the version and exit.")
        ] = False,
    ) -> None: ...

    for verb in VERBS.values():
        app.command(
            verb.name,
            help=verb.help,
            epilog="\n\n".join(f"[bold]{name}=[/bold]  {escape(text)}" for name, text in verb.variables.items()),
            context_settings={"ignore_unknown_options": True},
        )(_command(verb))
    return app


def _command(verb: Verb) -> Callable[[list[str] | None], Chosen]:
    text = "the variables below" if verb.name != "bench" else "all if none"

    def complete(incomplete: str) -> list[str]:
        return [word for name in verb.variables for word in choices(name) if word.startswith(incomplete)]

    def command(
        arguments: Annotated[
            list[str] | None, typer.Argument(metavar=verb.usage, help=text, autocompletion=complete)
        ] = None,
    ) -> Chosen:
        return verb, _joined(arguments or [])

    return command


def _joined(arguments: list[str]) -> list[str]:
    """Turn `--key value` into `key=value`.

    >>> _joined(["--width", "0.25", "--image=32", "run=a"])
    ['width=0.25', 'image=32', 'run=a']
    """
    joined: list[str] = []
    rest = iter(arguments)
    for word in rest:
        if not word.startswith("--"):
            joined.append(word)
        elif "=" in word:
            joined.append(word[2:])
        else:
            joined.append(f"{word[2:]}={next(rest, '')}")
    return joined
