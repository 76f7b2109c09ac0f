"""`otcondense compare`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.choice import chosen_config
from jobs.command.cli import describe_file, run_on_directory, run_parser
from jobs.compare.config import CompareConfig
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from otcondense.exports.outputs import check_output


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


def choose(options: argparse.Namespace) -> RunConfig:
    """Return the configuration of the run, once the options of the comparison are checked.

    Raises: InputError for a mistake.
    """
    from jobs.compare.command import comparison

    comparison(options.compare)
    if options.output is not None:
        check_output(options.output, is_folder=True)
    return chosen_config(options.verb, options.config, options.run, options.words)


def work(run: Run, options: argparse.Namespace) -> None:
    """Run the verb on its run directory."""
    from jobs.compare.command import compare

    compare(run, options.compare, options.output)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    run_on_directory(parser(), work, arguments, choose=choose)


if __name__ == "__main__":
    main()
