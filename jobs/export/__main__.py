"""`otcondense export`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.card_options import add_card_options
from jobs.command.cli import run_on_directory, run_parser
from jobs.export.options import WHAT, every_format
from jobs.run_directory.run import Run
from otcondense.exports.diffusers_folder import PROMPT


def parser() -> argparse.ArgumentParser:
    """Return the command line. Options that are not given are None, see `jobs.export.options`."""
    made = run_parser("export")
    made.usage = "otcondense export [RUN key=value ...] --output OUTPUT [options]"
    made.add_argument(
        "--what",
        choices=tuple(WHAT),
        default="subset",
        help="the chosen images, what became of every image, or all features [subset]",
    )
    made.add_argument("--method", help="the method that chose [geometry_aware; choices: all]")
    formats = "; ".join(f"{what}: {', '.join(known.formats)}" for what, known in WHAT.items())
    made.add_argument(
        "--format",
        choices=every_format(),
        metavar="FORMAT",
        help=f"{formats} [the first of each]",
    )
    made.add_argument(
        "--output", required=True, help="file or folder to write; it must not exist yet"
    )
    made.add_argument(
        "--class", action="append", metavar="NAME", help="choices: a class; again for more [all]"
    )
    made.add_argument(
        "--files",
        choices=("link", "copy"),
        help="folders of images: links, or copies [link]",
    )
    made.add_argument(
        "--images",
        action=argparse.BooleanOptionalAction,
        help="hf: with images [yes]; embedding_atlas: whole ones or none [thumbnails]",
    )
    add_card_options(made, needs_licence=False)
    made.add_argument(
        "--push",
        metavar="ORG/NAME",
        help="hf: upload the folder to this data set on the Hub; needs --license "
        "and a token (`hf auth login`)",
    )
    made.add_argument(
        "--private",
        action="store_true",
        default=None,
        help="hf: a new data set of --push is for its owners only",
    )
    made.add_argument(
        "--encode",
        choices=("keep", "jpg", "png"),
        help="webdataset: keep bytes, or make all JPEG or PNG [keep]",
    )
    made.add_argument("--prompt", help=f"diffusers: text [{{caption}}; {PROMPT}]")
    made.add_argument(
        "--logits", action="store_true", default=None, help="features: with the logits [without]"
    )
    return made


def work(run: Run, options: argparse.Namespace) -> None:
    """Run the verb on its run directory."""
    from jobs.export.command import export

    export(run, options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb and leave the process."""
    run_on_directory(parser(), work, arguments)


if __name__ == "__main__":
    main()
