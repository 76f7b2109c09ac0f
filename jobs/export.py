"""Export a subset in a form that other tools read: `python -m jobs.export --method NAME --format NAME --output PATH`."""

import argparse

from jobs.cli import parser_for, run_verb
from jobs.progress import note
from jobs.run_directory import Run
from otcondense.errors import InputError
from otcondense.store import read_manifest
from pipeline.exports import EXPORTS, ExportConfig, export_subset


def export(run: Run, options: argparse.Namespace) -> None:
    """Write the subset of one method in another form."""
    if options.method not in run.config.selection.methods:
        raise InputError(f"--method must be among selection.methods {', '.join(run.config.selection.methods)}, found {options.method}")
    config = ExportConfig(output=options.output, format=options.format, files=options.files, images=options.images)
    count = export_subset(read_manifest(run.store, run.manifest(options.method)), run.config.source, config)
    note("export", f"{count} images as {options.format}: {options.output}")


if __name__ == "__main__":
    parser = parser_for("export", __doc__)
    parser.add_argument("--method", default="geometry_aware", help="selection method whose subset is exported [geometry_aware]")
    parser.add_argument(
        "--format", choices=sorted(EXPORTS), default="json", help=f"{ExportConfig.model_fields['format'].description} [json]"
    )
    parser.add_argument("--output", required=True, help="file or folder to write; it must not exist yet")
    parser.add_argument("--files", choices=("link", "copy"), default="link", help="image_folder: link to the images or copy them [link]")
    parser.add_argument("--images", action="store_true", help=ExportConfig.model_fields["images"].description)
    run_verb(parser, export)
