"""The parsers of verbs; those with options of their own only import no configuration."""

import argparse
from importlib import import_module

from jobs.command.verbs import VERBS


def plain_parser(
    verb: str, description: str | None = None, epilog: str | None = None
) -> argparse.ArgumentParser:
    """Return the parser of a verb that has options of its own only.

    Args:
        verb: name in `VERBS`.
        description: longer than the summary in `VERBS`, where that is not enough.
        epilog: text below the options, printed as it stands.
    """
    return argparse.ArgumentParser(
        prog=f"otcondense {verb}",
        description=description or VERBS[verb].summary + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def parser_of(verb: str) -> argparse.ArgumentParser:
    """Return the parser of a verb as its own command makes it.

    Args:
        verb: name in `VERBS`.
    """
    from jobs.command.cli import add_dry_run, run_parser

    main = import_module(f"jobs.{verb}.__main__")
    parser: argparse.ArgumentParser = main.parser() if hasattr(main, "parser") else run_parser(verb)
    if hasattr(main, "forecast"):
        add_dry_run(parser)
    return parser
