"""List the verbs: `otcondense`, or `python -m jobs` in a checkout."""

import sys
from collections.abc import Sequence

from jobs.command.exit import exit_with
from jobs.command.verbs import GROUPS, VERBS
from otcondense.errors import InputError
from otcondense.near_names import did_you_mean

NAME_WIDTH = 18
FIRST_COMMANDS = (
    ("run --dry-run", "what the example on digits will take"),
    ("run", "the example: from images to report.html"),
)
"""The commands to begin with, and what each is for."""
COMMAND_WIDTH = 32


def main(arguments: Sequence[str] | None = None) -> None:
    """Print every verb with its summary, by group."""
    exit_with(lambda: _list_verbs(sys.argv[1:] if arguments is None else arguments))


def _list_verbs(arguments: Sequence[str]) -> None:
    if arguments and arguments[0] not in ("-h", "--help"):
        raise InputError(_unknown(arguments[0]))
    print("usage: otcondense VERB ...     (otcondense VERB --help shows its options)")
    for number, (group, verbs) in enumerate(GROUPS.items()):
        print(f"\n{group}" if number else group)
        for verb in verbs:
            print(f"  {verb.name:<{NAME_WIDTH}}{verb.summary}")
    print("\nTo begin with")
    for command, purpose in FIRST_COMMANDS:
        print(f"  {f'otcondense {command}':<{COMMAND_WIDTH}}{purpose}")


def _unknown(word: str) -> str:
    """Return the sentence about a word that is not a verb."""
    if word in VERBS:
        return f"a verb is started as `otcondense {word}`, or here as `python -m jobs.{word}`"
    hint = did_you_mean(word, VERBS, 3) or "; `otcondense` lists the verbs"
    return f"{word} is not a verb{hint}"


if __name__ == "__main__":
    main()
