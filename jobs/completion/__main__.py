"""`otcondense completion`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.exit import exit_with
from jobs.command.parser import plain_parser

SHELLS = ("bash", "zsh", "fish")
EPILOG = """Write the output where your shell looks for it; new shells then have it:
  otcondense completion bash \\
    > ~/.local/share/bash-completion/completions/otcondense
  otcondense completion zsh > "${fpath[1]}/_otcondense"
  otcondense completion fish > ~/.config/fish/completions/otcondense.fish
It holds the verbs, options and settings of this version; write it again after
an update."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = plain_parser("completion", epilog=EPILOG)
    made.add_argument("shell", choices=SHELLS, help="the shell that completes")
    return made


def work(options: argparse.Namespace) -> None:
    """Run the verb."""
    from jobs.completion.command import completion

    print(completion(options.shell), end="")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    exit_with(lambda: work(parser().parse_args(arguments)))


if __name__ == "__main__":
    main()
