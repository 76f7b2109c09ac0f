"""List the verbs: `python -m jobs`."""

import sys
from collections.abc import Sequence

from jobs.command.exit import exit_with
from jobs.command.verbs import GROUPS
from otcondense.errors import InputError

NAME_WIDTH = 18


def main(arguments: Sequence[str] | None = None) -> None:
    """Print every verb with its summary, by group."""
    exit_with(lambda: _list_verbs(sys.argv[1:] if arguments is None else arguments))


def _list_verbs(arguments: Sequence[str]) -> None:
    if arguments and arguments[0] not in ("-h", "--help"):
        raise InputError(
            f"a verb is started as `python -m jobs.VERB`, found `python -m jobs {arguments[0]}`; "
            "`python -m jobs` lists the verbs"
        )
    print("usage: python -m jobs.VERB --help")
    for group, verbs in GROUPS.items():
        print(f"\n{group}")
        for verb in verbs:
            print(f"  {verb.name:<{NAME_WIDTH}}{verb.summary}")


if __name__ == "__main__":
    main()
