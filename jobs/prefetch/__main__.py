"""`otcondense prefetch`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.exit import exit_with
from jobs.command.parser import plain_parser
from jobs.requirements.kinds import KINDS
from otcondense.errors import InputError


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = plain_parser("prefetch")
    made.add_argument("file", nargs="?", metavar="config", help="configuration file")
    made.add_argument("--config", help="the same, as other verbs name it")
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
        metavar="KIND",
        help=f"representations ({', '.join(KINDS)}) to extract besides those the models need",
    )
    made.add_argument("--list", action="store_true", help="list the files, download nothing")
    made.add_argument(
        "--offline", action="store_true", help="check local files without asking the hub"
    )
    return made


def work(options: argparse.Namespace) -> None:
    """Run the verb.

    Raises: InputError if no configuration is named.
    """
    from jobs.prefetch.command import prefetch_all

    config, overrides = options.file, options.overrides
    if options.config is not None:
        # With --config, all other words are settings.
        config, overrides = options.config, [*filter(None, [options.file]), *overrides]
    if config is None:
        raise InputError("prefetch needs a configuration file, found none; add --config FILE")
    prefetch_all(
        config,
        overrides,
        options.also,
        only_list=options.list,
        offline=options.offline,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    exit_with(lambda: work(parser().parse_intermixed_args(arguments)))


if __name__ == "__main__":
    main()
