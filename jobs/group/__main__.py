"""`otcondense group`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.cli import run_on_directory, run_parser
from jobs.run_directory.run import Run


def work(run: Run, _: argparse.Namespace) -> None:
    """Run the verb on its run directory."""
    from jobs.group.stage import group

    group(run)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    run_on_directory(run_parser("group"), work, arguments)


if __name__ == "__main__":
    main()
