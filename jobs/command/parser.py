"""The parser of verbs that have options of their own only; it imports no configuration."""

import argparse

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
