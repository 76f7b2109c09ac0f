"""`python -m jobs.export`: the command line."""

import argparse
from collections.abc import Sequence

from jobs.command.cli import run_on_directory, run_parser
from jobs.run_directory.run import Run
from otcondense.exports.subsets import EXPORTS, ExportConfig


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = run_parser("export")
    made.add_argument(
        "--method",
        default="geometry_aware",
        help="selection method whose subset is exported [geometry_aware]",
    )
    fields = ExportConfig.model_fields
    made.add_argument(
        "--format",
        choices=sorted(EXPORTS),
        default="json",
        help=f"{fields['format'].description} [json]",
    )
    made.add_argument(
        "--output", required=True, help="file or folder to write; it must not exist yet"
    )
    made.add_argument(
        "--files",
        choices=("link", "copy"),
        default="link",
        help="image_folder: link to the images or copy them [link]",
    )
    made.add_argument("--images", action="store_true", help=fields["images"].description)
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
