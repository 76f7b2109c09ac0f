"""`otcondense measure`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.cli import settings_lines
from jobs.command.exit import exit_with
from jobs.command.fields import describe_fields
from jobs.command.parser import plain_parser
from jobs.measure.config import MeasureConfig


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    settings = "\n".join(settings_lines(describe_fields(MeasureConfig)))
    made = plain_parser("measure", epilog=f"settings:\n{settings}")
    made.add_argument("--config", help="YAML file of the same settings")
    made.add_argument("--output", help="JSON file for the metrics and their inputs")
    made.add_argument(
        "settings", nargs="*", metavar="key=value", help="samples, against, training, ... (below)"
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
