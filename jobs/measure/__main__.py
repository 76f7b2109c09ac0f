"""`otcondense measure`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.exit import exit_with
from jobs.command.settings_help import VerbParser
from jobs.command.verbs import VERBS
from jobs.measure.config import MeasureConfig


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = VerbParser(
        prog="otcondense measure", description=f"{VERBS['measure'].summary}.", allow_abbrev=False
    )
    made.sections[""] = ("settings (key=value on the command line)", MeasureConfig)
    made.add_argument("--config", help="YAML file of the same settings")
    made.add_argument("--output", help="JSON file for the metrics and their inputs")
    made.add_argument(
        "settings",
        nargs="*",
        default=[],
        metavar="key=value",
        help="samples, against, training, ... (--help-settings)",
    )
    return made


def work(options: argparse.Namespace) -> None:
    """Run the verb."""
    from jobs.measure.command import measure_and_print

    measure_and_print(options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    exit_with(lambda: work(parser().parse_intermixed_args(arguments)))


if __name__ == "__main__":
    main()
