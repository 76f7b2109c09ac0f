"""Print or write the card of a subset."""

import argparse
from functools import partial

from jobs.answers.card_facts import card_facts
from jobs.command.card_options import licence_of, origin_of
from jobs.command.progress import note
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from jobs.run_directory.subset_names import checked_subset
from otcondense.exports.card.card import card_text
from otcondense.exports.card.sections import Files
from otcondense.exports.export import Export
from otcondense.exports.hub_push import check_repository, validate_card
from otcondense.exports.outputs import new_output
from otcondense.exports.parquet_tables import subset_schema
from otcondense.store import read_manifest
from otcondense.store.local_files import write_whole


def card(run: Run, options: argparse.Namespace) -> None:
    """Print the card of the subset of one method, or write it to a file.

    It is the one that `otcondense export --format hf` writes, without the sizes of the files.

    Raises: InputError for a licence that the Hub does not know, a subset that the run has not, or
        an output that cannot be written.
    """
    licence, origin = licence_of(options), origin_of(options)
    if options.repository is not None:
        check_repository(options.repository, "--repository")
    output = None if options.output is None else new_output(options.output)
    subset = checked_subset(run, options.method)
    about = card_facts(run, subset, licence, origin, options.repository)
    manifest = read_manifest(run.store, run.manifest(subset))
    export = Export(manifest, [], run.config.source, partial(run_listing, run))
    names = export.class_names()
    schema = subset_schema(
        manifest,
        names,
        with_images=options.images,
        with_captions=run.config.source.captions is not None,
    )
    files = Files(schema, manifest.num_rows, len(export.named_classes()))
    text = card_text(about, files, names)
    if options.validate:
        validate_card(text)
    if output is None:
        print(text, end="")
        return
    with write_whole(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    note("card", str(options.output))
