"""`otcondense extract_features`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.cli import run_on_directory, run_parser
from jobs.run_directory.run import Run


def work(run: Run, _: argparse.Namespace) -> None:
    """Run the verb on its run directory."""
    from jobs.extract_features.stage import extract

    extract(run)


def forecast(run: Run, on: str | None) -> None:
    """Print what the verb would do on some hardware."""
    from jobs.extract_features.dry_run import forecast_features

    forecast_features(run, on)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    run_on_directory(run_parser("extract_features"), work, arguments, forecast)


if __name__ == "__main__":
    main()
