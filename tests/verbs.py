"""Starting a verb in this process, as `python -m jobs.VERB` does in its own."""

import importlib
import io
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout


def call(verb: str, arguments: Sequence[str]) -> None:
    """Run a verb; it raises SystemExit for every exit status but 0."""
    importlib.import_module(f"jobs.{verb}.__main__").main(list(arguments))


def output_of(verb: str, arguments: Sequence[str]) -> str:
    """Run a verb and return everything that it printed."""
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        call(verb, arguments)
    return printed.getvalue()
