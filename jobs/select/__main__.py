"""`otcondense select`: the command line."""

import argparse
from collections.abc import Sequence
from typing import Any

from jobs.command.exit import MISTAKE, exit_with
from jobs.command.parser import plain_parser

EPILOG = """\
FEATURES is .npy [n, d], or .npz or .parquet with features and, where known,
labels, ids, cross_entropy and logits. An option names a file (.npy, or .txt
with a line for each row), or an array of FEATURES. Without labels: one class.

  otcondense select features.npy --labels labels.npy --output subset.json
"""


class _HelpSettings(argparse.Action):
    """Prints the settings of the methods, or of one."""

    def __call__(self, parser: argparse.ArgumentParser, _: Any, values: Any, *__: Any) -> None:
        from jobs.select.names import check_method
        from jobs.select.settings import settings_lines
        from otcondense.errors import InputError

        try:
            if values:
                check_method(values, "--help-settings")
        except InputError as error:
            parser.exit(MISTAKE, f"error: {error}\n")
        print("\n".join(settings_lines(values)))
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = plain_parser("select", epilog=EPILOG)
    made.add_argument(
        "--help-settings",
        action=_HelpSettings,
        nargs="?",
        const="",
        metavar="METHOD",
        help="list the settings of all methods, or of one, and exit",
    )
    made.add_argument("features", metavar="FEATURES", help="file of features, a row for each image")
    made.add_argument("--labels", help="class of each row, whole numbers or text [labels]")
    made.add_argument("--ids", help="name of each row, all different [ids, else the row's number]")
    made.add_argument("--cross-entropy", help="of the own class, in nats [cross_entropy]")
    made.add_argument("--logits", help="outputs of a classifier, [n, classes] [logits]")
    made.add_argument(
        "--budget",
        default="10",
        help="rows of each class, a share such as 1%% or 0.01, or {total: N} [10]",
    )
    made.add_argument("--method", default="geometry_aware", help="selection method [%(default)s]")
    made.add_argument("--seed", type=int, default=0, help="of methods that draw [%(default)s]")
    made.add_argument(
        "--duplicates",
        choices=("merge", "drop", "keep"),
        default="merge",
        help="copies in a class: one candidate of their weight, no weight, or as others [merge]",
    )
    made.add_argument(
        "--output",
        required=True,
        help=".json: list of ids, else of row numbers; .npy: row numbers; .parquet: the manifest",
    )
    made.add_argument(
        "settings",
        nargs="*",
        default=[],
        metavar="key=value",
        help="settings of the method: kappa=1.2; rows by id, else by number: include=[3, 7]",
    )
    return made


def work(options: argparse.Namespace) -> None:
    """Run the verb."""
    from jobs.select.command import select

    select(options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    exit_with(lambda: work(parser().parse_intermixed_args(arguments)))


if __name__ == "__main__":
    main()
