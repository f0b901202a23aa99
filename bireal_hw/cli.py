"""The command line: `bireal-hw VERB [FILE.onnx] [key=value ...]`.

Annotations are evaluated here, unlike elsewhere: typer reads them, and that of a word's form belongs to its verb.
"""

import warnings
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from bireal_hw import __version__
from bireal_hw.errors import BirealError, unknown
from bireal_hw.flows.config import UsageError, variables
from bireal_hw.flows.training import join, joins
from bireal_hw.flows.verbs import VERBS, Verb
from bireal_hw.tools import lacks, require

FAILED, USAGE, INTERRUPTED = 1, 2, 130

TRAIN_PACKAGES = ("torch", "brevitas", "lightning", "qonnx", "datasets", "sklearn", "matplotlib", "PIL")
"""Packages of the train extra by the names they are imported by; the other commands work without them."""

Chosen = tuple[Verb, list[str]]


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status; what goes wrong is one line on stderr.

    0: done. 1: it could not be done, or a check did not hold. 2: the command line is wrong.
    """
    warnings.filterwarnings("ignore", module=r"brevitas\..*")  # advice on optional packages that nothing here uses
    try:
        return _run(arguments)
    except BirealError as error:
        line = " ".join(escape(str(error)).split())
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {line}")
        return USAGE if isinstance(error, UsageError) else FAILED


def _run(arguments: list[str]) -> int:
    name = next((word for word in arguments if not word.startswith("-")), None)
    if name is not None and name not in VERBS:
        raise UsageError(unknown("command", name, VERBS))
    chosen = _app()(args=arguments or ["--help"], prog_name="bireal-hw", standalone_mode=False)
    if chosen == INTERRUPTED:
        raise KeyboardInterrupt  # typer turns Ctrl-C into a status
    if not isinstance(chosen, tuple):
        return 0  # help was shown
    verb, words = chosen
    require(verb.name)
    try:
        return join(verb.name, words) if joins() else verb.run(words)
    except ModuleNotFoundError as error:
        if error.name not in TRAIN_PACKAGES:
            raise
        raise lacks(verb.name, error.name, work=("train",)) from None


def _app() -> typer.Typer:
    """Return the parser and its help; a command returns its verb and words, to be run outside of it."""
    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,  # an unexpected error is a bug: its plain traceback is what a report needs
        help="From a Bi-Real Net in PyTorch to streaming hardware that computes the same integers.",
        epilog=f"bireal_hw {__version__}",
    )
    for verb in VERBS.values():
        taken = {name: text for name, text in variables().items() if name in verb.takes}
        app.command(
            verb.name,
            help=verb.help,
            epilog="\n\n".join(f"[bold]{name}=[/bold]  {escape(text)}" for name, text in taken.items()),
            context_settings={"ignore_unknown_options": True},
        )(_command(verb))
    return app


def _command(verb: Verb) -> Callable[[list[str] | None], Chosen]:
    text = "the variables below" if verb.takes else "all if none"

    def command(words: Annotated[list[str] | None, typer.Argument(metavar=verb.words, help=text)] = None) -> Chosen:
        return verb, _joined(words or [])

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
