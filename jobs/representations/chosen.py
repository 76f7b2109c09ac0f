"""The images whose latents or tokens a run needs, from its own tables."""

import pyarrow as pa

from jobs.run_directory.run import Run
from otcondense.errors import MissingInputError
from otcondense.store import class_files, read_columns, read_manifest, stored_metadata

COLUMNS = ("image_id", "sha256")


def chosen_images(run: Run, images: str) -> pa.Table:
    """Return `image_id` and `sha256` of images, each once.

    Args:
        run: the run.
        images: `subsets`, those of all subsets, or `source`, all that have features.

    Raises: InputError if subsets or features are missing.
    """
    tables = _of_subsets(run) if images == "subsets" else _with_features(run)
    plain = [table.replace_schema_metadata(None) for table in tables]
    return pa.concat_tables(plain).group_by(list(COLUMNS)).aggregate([])


def _of_subsets(run: Run) -> list[pa.Table]:
    """Return the images of every subset."""
    manifests = [run.manifest(method) for method in run.config.selection.subsets]
    return [read_manifest(run.store, name).select(COLUMNS) for name in manifests]


def _with_features(run: Run) -> list[pa.Table]:
    """Return the images of each class that have features."""
    directory = run.features_directory(run.config.encoder)
    names: list[str] = []
    for file in run.store.list(directory):
        if file.endswith("/part-0.parquet"):
            names += class_files(run.store, directory, _class_of(file))
    if not names:
        raise MissingInputError(f"run {run.store.root} has no features yet", file=directory)
    for name in names:
        if stored_metadata(run.store, name) is None:
            raise MissingInputError(f"{run.store.path(name)} is missing or damaged", file=name)
    return [read_columns(run.store, name, COLUMNS) for name in names]


def _class_of(file: str) -> str:
    """Return the class of a feature file."""
    return file.split("/")[-2].removeprefix("class_name=")
