"""`otcondense doctor`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.exit import exit_with
from jobs.command.parser import plain_parser
from otcondense.errors import InputError


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = plain_parser("doctor")
    made.add_argument(
        "--storage", default="runs", help="directory or URI below which runs are kept [runs]"
    )
    made.add_argument("--address", help="dashboard of a cluster, such as http://127.0.0.1:8265")
    made.add_argument(
        "--config", help="configuration file: also check its weights and what it compiles"
    )
    made.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="key=value",
        help="settings that override the configuration file",
    )
    made.add_argument("--json", action="store_true", help="print one JSON object, not lines")
    return made


def work(options: argparse.Namespace) -> int:
    """Run the verb.

    Raises: InputError for an empty name, or settings without a configuration.
    """
    from jobs.doctor.command import Options, doctor

    if not options.storage.strip():
        raise InputError("--storage must name a directory, found an empty name")
    if options.overrides and options.config is None:
        raise InputError(
            f"settings belong to a configuration, found {options.overrides[0]!r} without one; "
            "name it with --config FILE"
        )
    chosen = Options(options.storage, options.address, options.config, tuple(options.overrides))
    return doctor(chosen, as_json=options.json)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    exit_with(lambda: work(parser().parse_intermixed_args(arguments)))


if __name__ == "__main__":
    main()
