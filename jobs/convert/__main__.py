"""`otcondense convert`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.exit import exit_with
from jobs.command.parser import plain_parser
from otcondense.diffusion.sizes import FAMILIES

WAYS = {
    "from-public": "Write a public file as one of our checkpoints.",
    "to-public": "Write one of our checkpoints under the public names.",
    "to-diffusers": "Write one of our checkpoints as a folder for DiTPipeline.from_pretrained.",
}
"""The sub-commands."""


def parser() -> argparse.ArgumentParser:
    """Return the command line: one sub-command for each way."""
    made = plain_parser("convert")
    ways = made.add_subparsers(required=True, metavar="DIRECTION", dest="way")
    parsers = {name: _way(ways, name, meaning) for name, meaning in WAYS.items()}

    public = parsers["from-public"]
    public.add_argument(
        "--family", choices=FAMILIES, required=True, help="family the model was trained as"
    )
    public.add_argument(
        "--num-heads", type=int, help="attention heads, if no named size has the width and depth"
    )
    public.add_argument(
        "--data-first",
        action="store_true",
        help="t=0 is data and the velocity is noise - data, as in REPA",
    )

    diffusers = parsers["to-diffusers"]
    diffusers.add_argument(
        "--autoencoder",
        required=True,
        help="autoencoder of diffusers: a local folder or a name on the hub",
    )
    diffusers.add_argument("--class-names", help="JSON file of readable names by class index")
    return made


def _way(
    ways: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, meaning: str
) -> argparse.ArgumentParser:
    way = ways.add_parser(name, help=meaning, description=meaning)
    way.add_argument("source", help="input: a file, or the directory of one of our checkpoints")
    way.add_argument("target", help="output file or directory")
    way.add_argument(
        "--weights", choices=("ema", "model"), default="ema", help="averaged or last weights [ema]"
    )
    return way


def work(options: argparse.Namespace) -> None:
    """Run the verb."""
    from jobs.convert.command import COMMANDS

    COMMANDS[options.way](options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    exit_with(lambda: work(parser().parse_args(arguments)))


if __name__ == "__main__":
    main()
