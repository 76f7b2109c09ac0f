"""What subsets are measured against: features of held-out images, and of the chosen ones, from one network."""

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from jobs.cluster.start import start_ray
from jobs.command.progress import Progress
from jobs.run_directory.run import Run
from jobs.trials.trial import Sweep
from otcondense.datasets import list_images
from otcondense.evaluation import subset_quality
from otcondense.store import (
    array_column,
    array_field,
    class_file,
    fingerprint,
    read_array,
    read_class_features,
    read_class_selection,
    read_fingerprint,
    read_manifest,
    read_table,
    stored_metadata,
    write_table,
)
from pipeline.extract import extract_features


def class_names(run: Run) -> list[str]:
    """Return the names of the source's classes, sorted."""
    return sorted({record.class_name for record in list_images(run.config.source)})


def contents(run: Run, directory: str) -> list[str]:
    """Return the digest of every class's features in a directory."""
    found = [stored_metadata(run.store, class_file(directory, name)) for name in class_names(run)]
    assert all(found), f"features are extracted before they are asked for: {directory}"
    return [str(metadata["content"]) for metadata in found if metadata]


def write_reference(sweep: Sweep) -> str:
    """Write the features that subsets are compared with, unless they are there; returns their digest."""
    run, name = sweep.run, reference_file(sweep)
    judge = run.config.judge_or_encoder
    held_out = run.config.held_out if run.config.source.has_images else None
    other = Run(run.config.model_copy(update={"source": held_out})) if held_out else run
    directory = other.features_directory(judge)
    if held_out:
        start_ray()
        with Progress(
            run.store, "extract_features-held_out", "extract held-out images", "image"
        ) as progress:
            key = fingerprint(other.features_key(judge))
            extract_features(
                run.store.root,
                directory,
                held_out,
                judge,
                run.config.extraction,
                key,
                progress.show,
            )
    digest = fingerprint([contents(other, directory), sweep.config.reference_images])
    if read_fingerprint(run.store, name) != digest:
        rows = _evenly(other, directory, sweep.config.reference_images)
        table = pa.Table.from_arrays(
            [array_column(rows)], schema=pa.schema([array_field("features", rows)])
        )
        write_table(run.store, name, table, fingerprint=digest)
    return digest


def reference_file(sweep: Sweep) -> str:
    """Return the name of the features that subsets are compared with."""
    return f"{sweep.directory}/reference.parquet"


def _evenly(run: Run, directory: str, limit: int) -> Float32[np.ndarray, "n d"]:
    """Return the features of at most `limit` images, evenly spaced over all in the order of classes."""
    names = class_names(run)
    sizes = [len(read_class_features(run.store, directory, name).image_ids) for name in names]
    total = sum(sizes)
    wanted = np.unique(np.linspace(0, total - 1, min(limit, total)).round().astype(np.int64))
    starts = np.cumsum([0, *sizes])
    parts = []
    for name, start, size in zip(names, starts, sizes, strict=False):
        rows = wanted[(wanted >= start) & (wanted < start + size)] - start
        parts.append(read_class_features(run.store, directory, name).features[rows])
    return np.concatenate(parts)


def measure_subset(run: Run, reference: str) -> dict[str, float]:
    """Return how good the subset of a trial is without training, and what its selection says of itself.

    Args:
        run: the trial's run, selected already.
        reference: name of the features to compare with.
    """
    (method,) = run.config.selection.methods
    quality = subset_quality(
        _chosen(run, method),
        read_array(read_table(run.store, reference), "features"),
        run.config.evaluation.neighbours,
    )
    names = class_names(run)
    selections = [
        read_class_selection(run.store, run.selection_directory(method), name) for name in names
    ]
    objectives = [
        each.summary["objective"] for each in selections if each.summary["objective"] is not None
    ]
    told = {"proven_share": float(np.mean([each.summary["swap_optimal"] for each in selections]))}
    if objectives:
        told["objective"] = float(f"{np.mean(objectives):.9g}")
    told["left_out_share"] = float(
        f"{np.mean([each.summary['left_out_share'] for each in selections]):.9g}"
    )
    return {name: float(value) for name, value in {**quality, **told}.items()}


def _chosen(run: Run, method: str) -> Float32[np.ndarray, "n d"]:
    """Return the judge's features of the chosen images, class by class."""
    directory = run.features_directory(run.config.judge_or_encoder)
    chosen: dict[str, list[str]] = {}
    for row in read_manifest(run.store, run.manifest(method)).to_pylist():
        chosen.setdefault(row["class_name"], []).append(row["image_id"])
    parts = []
    for name, image_ids in chosen.items():
        features = read_class_features(run.store, directory, name)
        positions = {image_id: row for row, image_id in enumerate(features.image_ids)}
        parts.append(features.features[[positions[image_id] for image_id in image_ids]])
    return np.concatenate(parts)
