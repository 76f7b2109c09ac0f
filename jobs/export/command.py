"""Export a subset in a format of other tools."""

import argparse
from pathlib import Path

from jobs.command.progress import note
from jobs.run_directory.run import Run
from otcondense.errors import InputError
from otcondense.exports.subsets import ExportConfig, export_subset
from otcondense.store import read_manifest


def export(run: Run, options: argparse.Namespace) -> None:
    """Write the subset of one method in another format."""
    subsets = run.config.selection.subsets
    if options.method not in subsets:
        raise InputError(
            f"--method must be one of the run's subsets ({', '.join(subsets)}), "
            f"found {options.method}"
        )
    _refuse_source(options.output, run)
    config = ExportConfig(
        output=options.output, format=options.format, files=options.files, images=options.images
    )
    manifest = read_manifest(run.store, run.manifest(options.method))
    count = export_subset(manifest, run.config.source, config)
    note("export", f"{count} images as {options.format}: {options.output}")


def _refuse_source(output: str, run: Run) -> None:
    """Refuse an output in the folder of the images: it would become one of them.

    Raises: InputError.
    """
    place = Path(output).expanduser().resolve()
    for source in (run.config.source, run.config.held_out):
        if source is not None and place.is_relative_to(Path(source.path).expanduser().resolve()):
            raise InputError(f"--output must not be in the source {source.path}, found {output}")
