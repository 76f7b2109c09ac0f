"""Starting a verb in this process, as `python -m jobs.VERB` does in its own."""

import importlib
from collections.abc import Sequence


def call(verb: str, arguments: Sequence[str]) -> None:
    """Run a verb; it raises SystemExit for every exit status but 0."""
    importlib.import_module(f"jobs.{verb}.__main__").main(list(arguments))
