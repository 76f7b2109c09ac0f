"""`otcondense export_samples`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.cli import run_on_directory, run_parser
from jobs.run_directory.run import Run
from otcondense.exports.samples import SAMPLE_EXPORTS


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = run_parser("export_samples")
    made.add_argument("--model", help="name of the model, if there are several")
    made.add_argument("--method", help="selection method it was trained on, if there are several")
    made.add_argument("--step", type=int, help="step of the checkpoint, if there are several")
    made.add_argument(
        "--format", choices=sorted(SAMPLE_EXPORTS), default="npz", help="output format [npz]"
    )
    made.add_argument(
        "--output",
        required=True,
        help="file (npz, parquet) or folder (png) to write; it must not exist yet",
    )
    return made


def work(run: Run, options: argparse.Namespace) -> None:
    """Run the verb on its run directory."""
    from jobs.export_samples.command import export

    export(run, options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    run_on_directory(parser(), work, arguments)


if __name__ == "__main__":
    main()
