"""`otcondense status`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.exit import exit_with
from jobs.command.parser import plain_parser


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = plain_parser("status")
    made.add_argument("run", help="run directory, or its URI such as s3://bucket/run")
    made.add_argument("--json", action="store_true", help="print one JSON object, not a table")
    return made


def work(options: argparse.Namespace) -> int:
    """Run the verb."""
    from jobs.status.command import status

    return status(options.run, as_json=options.json)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    exit_with(lambda: work(parser().parse_args(arguments)))


if __name__ == "__main__":
    main()
