"""`otcondense card`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.card_options import add_card_options
from jobs.command.cli import run_on_directory, run_parser
from jobs.run_directory.run import Run


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = run_parser("card")
    made.add_argument("--method", help="the method that chose the subset [geometry_aware]")
    add_card_options(made, needs_licence=True)
    made.add_argument(
        "--images",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="the card of a data set with the images, or of a list of them [--images]",
    )
    made.add_argument(
        "--repository", metavar="ORG/NAME", help="name on the Hub, for the lines that load it"
    )
    made.add_argument(
        "--output", help="file to write; it must not exist yet [print it]", metavar="FILE"
    )
    made.add_argument(
        "--validate",
        action="store_true",
        help="ask the Hub whether the metadata is valid; needs a network, no token",
    )
    return made


def work(run: Run, options: argparse.Namespace) -> None:
    """Run the verb on its run directory."""
    from jobs.card.command import card

    card(run, options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    run_on_directory(parser(), work, arguments)


if __name__ == "__main__":
    main()
