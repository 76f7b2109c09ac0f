"""`otcondense stream`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.exit import exit_with
from jobs.command.settings_help import VerbParser
from jobs.command.verbs import VERBS
from otcondense.streaming import StreamSettings

EPILOG = """\
SOURCE is a .npy, .npz or .parquet file, a pattern, a folder of such files, or
- for a stream of Arrow on the standard input. Files are read in the order of
their names, each row once.

  otcondense stream features/ --budget 100 --state state --output subset.json
"""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = VerbParser(
        prog="otcondense stream",
        description=f"{VERBS['stream'].summary}.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.sections[""] = ("settings (key=value on the command line)", StreamSettings)
    made.add_argument("source", metavar="SOURCE", help="where the features come from")
    made.add_argument("--labels", help="column of the class of each row [labels]")
    made.add_argument("--ids", help="column of the name of each row [ids, else its place]")
    made.add_argument("--budget", type=int, default=10, help="rows of each class [%(default)s]")
    made.add_argument("--seed", type=int, default=0, help="of the samples [%(default)s]")
    made.add_argument("--state", metavar="DIR", help="keep the state here, to go on after a stop")
    made.add_argument("--follow", action="store_true", help="wait for new files in a folder")
    made.add_argument(
        "--idle", type=float, metavar="SECONDS", help="stop following after so long without a file"
    )
    made.add_argument(
        "--output",
        required=True,
        help=".json: list of ids, else of places; .npy: places; .parquet: a table",
    )
    made.add_argument(
        "settings",
        nargs="*",
        default=[],
        metavar="key=value",
        help="reservoir=2000, block=500, kappa=1.05, ... (--help-settings)",
    )
    return made


def work(options: argparse.Namespace) -> None:
    """Run the verb."""
    from jobs.stream.command import stream

    stream(options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    exit_with(
        lambda: work(parser().parse_intermixed_args(arguments)),
        "With --state, finished work is kept; run the same command again to go on.",
    )


if __name__ == "__main__":
    main()
