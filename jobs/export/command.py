"""Export a subset in a form that other tools read: `python -m jobs.export --method NAME --format NAME --output PATH`."""

import argparse

from jobs.command.progress import note
from jobs.run_directory.run import Run
from otcondense.errors import InputError
from otcondense.exports.subsets import ExportConfig, export_subset
from otcondense.store import read_manifest


def export(run: Run, options: argparse.Namespace) -> None:
    """Write the subset of one method in another form."""
    if options.method not in run.config.selection.methods:
        raise InputError(
            f"--method must be among selection.methods {', '.join(run.config.selection.methods)}, found {options.method}"
        )
    config = ExportConfig(
        output=options.output, format=options.format, files=options.files, images=options.images
    )
    count = export_subset(
        read_manifest(run.store, run.manifest(options.method)), run.config.source, config
    )
    note("export", f"{count} images as {options.format}: {options.output}")
