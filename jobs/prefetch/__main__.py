"""`python -m jobs.prefetch`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.exit import exit_with
from jobs.command.parser import plain_parser
from jobs.requirements.kinds import KINDS


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = plain_parser("prefetch")
    made.add_argument("config", help="configuration file")
    made.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="key=value",
        help="settings that override the configuration file",
    )
    made.add_argument(
        "--also",
        nargs="+",
        choices=KINDS,
        default=[],
        help="representations to extract in addition to those the models need",
    )
    made.add_argument("--list", action="store_true", help="list the files, download nothing")
    made.add_argument(
        "--offline", action="store_true", help="check local files without asking the hub"
    )
    return made


def work(options: argparse.Namespace) -> None:
    """Run the verb."""
    from jobs.prefetch.command import prefetch_all

    prefetch_all(
        options.config,
        options.overrides,
        options.also,
        only_list=options.list,
        offline=options.offline,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    exit_with(lambda: work(parser().parse_intermixed_args(arguments)))


if __name__ == "__main__":
    main()
