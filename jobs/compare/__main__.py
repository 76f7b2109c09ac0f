"""`otcondense compare`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.cli import describe_file, run_on_directory, run_parser
from jobs.compare.config import CompareConfig
from jobs.run_directory.run import Run


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = run_parser("compare")
    made.add_argument(
        "--compare",
        help="comparison file, or the name of a shipped one, such as demo (--help-settings compare "
        "lists its fields); by default the methods of the run are compared",
    )
    made.add_argument("--output", help="second directory to write the tables and the page to")
    describe_file(made, "--compare", CompareConfig)
    return made


def work(run: Run, options: argparse.Namespace) -> None:
    """Run the verb on its run directory."""
    from jobs.compare.command import compare

    compare(run, options.compare, options.output)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    run_on_directory(parser(), work, arguments)


if __name__ == "__main__":
    main()
