"""The parsers of verbs; those with options of their own only import no configuration."""

import argparse
from importlib import import_module

from jobs.command.verbs import VERBS
from otcondense.near_names import did_you_mean


class OwnParser(argparse.ArgumentParser):
    """A command line that answers a mistyped choice with the nearest one."""

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(each) for each in action.choices]
        hint = did_you_mean(str(value), known)
        raise argparse.ArgumentError(
            action, f"must be one of {', '.join(known)}, found {str(value)!r}{hint}"
        )


def plain_parser(
    verb: str, description: str | None = None, epilog: str | None = None
) -> argparse.ArgumentParser:
    """Return the parser of a verb that has options of its own only.

    Args:
        verb: name in `VERBS`.
        description: longer than the summary in `VERBS`, where that is not enough.
        epilog: text below the options, printed as it stands.
    """
    return OwnParser(
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
