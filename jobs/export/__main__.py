"""`otcondense export`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.cli import run_on_directory, run_parser
from jobs.export.options import WHAT, every_format
from jobs.run_directory.run import Run


def parser() -> argparse.ArgumentParser:
    """Return the command line. Options that are not given are None, see `jobs.export.options`."""
    made = run_parser("export")
    made.add_argument(
        "--what",
        choices=tuple(WHAT),
        default="subset",
        help="images that a method chose, or all features [subset]",
    )
    made.add_argument("--method", help="subset: the method that chose it [geometry_aware]")
    defaults = ", ".join(f"{what}: {known.default}" for what, known in WHAT.items())
    formats = " ".join(f"{what}: {known.meanings}." for what, known in WHAT.items())
    made.add_argument(
        "--format", choices=every_format(), metavar="FORMAT", help=f"{formats} [{defaults}]"
    )
    made.add_argument(
        "--output", required=True, help="file or folder to write; it must not exist yet"
    )
    made.add_argument(
        "--files",
        choices=("link", "copy"),
        help="image_folder: link to the images or copy them [link]",
    )
    made.add_argument(
        "--images",
        action=argparse.BooleanOptionalAction,
        help="hf: with the images, or only a list of them [--images]",
    )
    made.add_argument(
        "--encode",
        choices=("keep", "jpg", "png"),
        help="webdataset: keep the bytes of the images (key jpg), or make all JPEG or PNG [keep]",
    )
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
