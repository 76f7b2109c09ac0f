"""What became of every image of a run, for `otcondense export --what choices`."""

import functools
import json
import shlex
from collections.abc import Sequence

import pyarrow.parquet as pq

from jobs.run_directory.captions import run_captions
from jobs.run_directory.groups import Groups, selection_groups
from jobs.run_directory.held_out import read_held_out_hashes
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from jobs.run_directory.subset_names import checked_subset
from otcondense.errors import InputError
from otcondense.exports.choices import ChoicesExport
from otcondense.near_names import did_you_mean
from otcondense.reading import with_home
from otcondense.store import read_manifest

ATLAS_OPTIONS = ("x", "y", "neighbors", "image", "text")
"""Columns of the file that are named after the option of embedding-atlas that takes them."""


def choices_of(run: Run, method: str | None, classes: Sequence[str] | None) -> ChoicesExport:
    """Return what one method, or all that have chosen a subset, made of some or all classes.

    Raises: InputError if the run has no such method or class, or no subset yet.
    """
    methods = _methods(run, method)
    listing = functools.cache(lambda: run_listing(run))
    return ChoicesExport(
        store=run.store,
        source=run.config.source,
        listing=listing,
        features=run.selection_view(),
        selections={each: run.selection_directory(each) for each in methods},
        classes=_selected(selection_groups(run), classes),
        held_out=read_held_out_hashes(run),
        sizes=selection_groups(run).sizes,
        is_grouped=run.config.groups is not None,
        captions=functools.partial(run_captions, run),
    )


def _methods(run: Run, method: str | None) -> list[str]:
    wanted = list(run.config.selection.subsets)
    if method is not None:
        wanted = [checked_subset(run, method)]
    found = [each for each in wanted if run.store.exists(run.manifest(each))]
    if not found:
        read_manifest(run.store, run.manifest(wanted[0]))
    return found


def _selected(groups: Groups, wanted: Sequence[str] | None) -> list[str]:
    """Return the names of the groups of some classes, or of all; a group can be named, too."""
    classes = list(groups.class_sizes())
    for name in wanted or ():
        if name not in classes and name not in groups.sizes:
            raise InputError(
                f"--class must name a class of the run, found {name}{did_you_mean(name, classes)}"
            )
    names = groups.class_of.items()
    return [name for name, of in names if wanted is None or name in wanted or of in wanted]


def opening_command(form: str, output: str) -> str:
    """Return the command that opens what was written, to be copied."""
    if form == "fiftyone":
        opened = f"fo.Dataset.from_dir({json.dumps(output)}, fo.types.FiftyOneDataset)"
        program = f"import fiftyone as fo; fo.launch_app({opened}).wait(-1)"
        return f"python -c {shlex.quote(program)}"
    names = pq.read_schema(with_home(output)).names
    options = "".join(f" --{name} {name}" for name in ATLAS_OPTIONS if name in names)
    return f"embedding-atlas {shlex.quote(output)}{options}"
