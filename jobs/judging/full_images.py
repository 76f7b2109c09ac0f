"""Features through the judge of the images as they are, not in the size of samples."""

from collections.abc import Mapping, Sequence

from jobs.cluster.start import start_ray
from jobs.command.progress import Progress
from jobs.run_directory.bars import HELD_OUT_BAR
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.datasets import order_classes
from otcondense.store import class_files, fingerprint, read_columns, stored_metadata
from pipeline.extract import extract_features
from pipeline.quarantine import quarantine_file


def class_names(run: Run) -> list[str]:
    """Return the names of the source's classes in order."""
    return order_classes(run_listing(run).names)


def contents(run: Run, directory: str) -> list[str]:
    """Return the digest of every file of features in a directory."""
    digests = []
    for name in class_names(run):
        for file in class_files(run.store, directory, name):
            metadata = stored_metadata(run.store, file)
            assert metadata, f"features are extracted before their digests are read: {directory}"
            digests.append(str(metadata["content"]))
    return digests


def held_out_run(run: Run) -> Run:
    """Return a run whose source is the held-out images; `run` itself if it has none."""
    held_out = run.config.held_out
    if held_out is None or not run.config.source.has_images:
        return run
    return Run(run.config.model_copy(update={"source": held_out}))


def extract_held_out(run: Run, other: Run) -> str:
    """Extract the features of the held-out images through the judge.

    Args:
        run: the run.
        other: the same with the held-out images as source.

    Returns: their directory.
    """
    if run.config.extraction.uses_cluster:
        start_ray()
    judge = run.config.judge_or_encoder
    directory = other.features_directory(judge)
    key = fingerprint(other.features_key(judge))
    with Progress(run.store, *HELD_OUT_BAR) as progress:
        extract_features(
            run.store.root,
            directory,
            other.config.source,
            judge,
            run.config.extraction,
            key,
            progress.show,
            run.config.cluster,
        )
    return directory


def unreadable_held_out(run: Run) -> list[str]:
    """Return the ids of the held-out images that the extraction of their features could not read.

    They are in no measurement then, so that a folder with some can be measured.
    """
    other = held_out_run(run)
    name = quarantine_file(other.features_directory(other.config.judge_or_encoder))
    if other is run or not run.store.exists(name):
        return []
    ids: list[str] = read_columns(run.store, name, ["image_id"]).column(0).to_pylist()
    return ids


def places(image_ids: Sequence[str]) -> Mapping[str, int]:
    """Return the row of each image."""
    return {image_id: row for row, image_id in enumerate(image_ids)}
