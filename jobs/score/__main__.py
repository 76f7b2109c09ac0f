"""`otcondense score`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.cli import run_on_directory, run_parser
from jobs.run_directory.run import Run
from otcondense.store.score_kinds import SCORE_KINDS


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = run_parser("score")
    made.add_argument(
        "--kind",
        choices=SCORE_KINDS,
        help="denoising: error of a frozen model (D2C); aum: area under the margin (CCS); "
        "by default all kinds that the selection methods use",
    )
    return made


def work(run: Run, options: argparse.Namespace) -> None:
    """Run the verb on its run directory."""
    from jobs.score.stage import score, score_difficulty

    if options.kind is None:
        score_difficulty(run)
    else:
        score(run, options.kind)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    run_on_directory(parser(), work, arguments)


if __name__ == "__main__":
    main()
