"""`otcondense run`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.cli import run_on_directory, run_parser
from jobs.run_directory.run import Run


def work(run: Run, _: argparse.Namespace) -> None:
    """Run the verb on its run directory."""
    from jobs.run.command import run_all

    run_all(run)


def forecast(run: Run, on: str | None) -> None:
    """Print what the verb would do on some hardware."""
    from jobs.run.dry_run import forecast_run

    forecast_run(run, on)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    run_on_directory(run_parser("run"), work, arguments, forecast)


if __name__ == "__main__":
    main()
