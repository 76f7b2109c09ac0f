"""`python -m jobs.verify`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.exit import exit_with
from jobs.command.parser import plain_parser


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = plain_parser("verify")
    made.add_argument("run", nargs="?", help="run directory; checked against its own config.yaml")
    made.add_argument("--config", help="configuration file to check the run against instead")
    made.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="settings that override the configuration file",
    )
    return made


def work(options: argparse.Namespace) -> int:
    """Run the verb."""
    from jobs.verify.command import verify_directory

    return verify_directory(options.run, options.config, options.overrides)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    exit_with(lambda: work(parser().parse_intermixed_args(arguments)))


if __name__ == "__main__":
    main()
