"""`otcondense sweep`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.choice import chosen_config
from jobs.command.cli import describe_file, run_on_directory, run_parser
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from jobs.trials.config import SweepConfig


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = run_parser("sweep")
    made.add_argument(
        "--sweep",
        required=True,
        help="sweep file, or the name of a shipped one, such as demo (--help-settings sweep lists "
        "its fields)",
    )
    describe_file(made, "--sweep", SweepConfig)
    return made


def choose(options: argparse.Namespace) -> RunConfig:
    """Return the configuration of the run, once the file of the sweep is checked.

    Raises: InputError for a mistake.
    """
    from jobs.sweep.command import read_sweep

    read_sweep(options.sweep)
    return chosen_config(options.verb, options.config, options.run, options.words)


def work(run: Run, options: argparse.Namespace) -> None:
    """Run the verb on its run directory."""
    from jobs.sweep.command import sweep_settings

    sweep_settings(run, options.sweep)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    run_on_directory(parser(), work, arguments, choose=choose)


if __name__ == "__main__":
    main()
