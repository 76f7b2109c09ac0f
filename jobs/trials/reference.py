"""The features that subsets are compared with, and their comparison, through one network."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from jobs.answers.selections import read_units, unrepresented
from jobs.judging.full_images import class_names, contents, extract_held_out, held_out_run
from jobs.run_directory.groups import selection_groups
from jobs.run_directory.run import Run
from jobs.run_directory.subset_manifest import stored_composed
from jobs.trials.trial import Sweep
from otcondense.evaluation import subset_quality
from otcondense.store import (
    SelectionSummary,
    array_column,
    array_field,
    fingerprint,
    read_array,
    read_class_features,
    read_class_selection,
    read_fingerprint,
    read_manifest,
    read_table,
    write_table,
)


def write_reference(sweep: Sweep) -> str:
    """Write the features that subsets are compared with, unless they exist; return their digest."""
    other = held_out_run(sweep.run)
    directory = other.features_directory(other.config.judge_or_encoder)
    if other is not sweep.run:
        extract_held_out(sweep.run, other)

    name = reference_file(sweep)
    digest = fingerprint([contents(other, directory), sweep.config.reference_images])
    if read_fingerprint(sweep.run.store, name) != digest:
        rows = _evenly(other, directory, sweep.config.reference_images)
        schema = pa.schema([array_field("features", rows)])
        table = pa.Table.from_arrays([array_column(rows)], schema=schema)
        write_table(sweep.run.store, name, table, fingerprint=digest)
    return digest


def reference_file(sweep: Sweep) -> str:
    """Return the name of the features that subsets are compared with."""
    return f"{sweep.directory}/reference.parquet"


def _evenly(run: Run, directory: str, limit: int) -> Float32[np.ndarray, "n d"]:
    """Return the features of at most `limit` images, evenly spaced over all classes in order."""
    names = class_names(run)
    sizes = [len(read_class_features(run.store, directory, name).image_ids) for name in names]
    total = sum(sizes)
    wanted = np.unique(np.linspace(0, total - 1, min(limit, total)).round().astype(np.int64))

    parts = []
    start = 0
    for name, size in zip(names, sizes, strict=True):
        rows = wanted[(wanted >= start) & (wanted < start + size)] - start
        parts.append(read_class_features(run.store, directory, name).features[rows])
        start += size
    return np.concatenate(parts)


def measure_subset(run: Run, reference: str) -> dict[str, float]:
    """Return the metrics of the subset of a trial, and means over its selections.

    Args:
        run: the run of the trial, after selection.
        reference: name of the features to compare with.
    """
    (method,) = run.config.selection.methods
    held_out = read_array(read_table(run.store, reference), "features")
    quality = subset_quality(_chosen(run, method), held_out, run.config.evaluation)

    directory = run.selection_directory(method)
    names = class_names(run) if run.config.groups is None else list(selection_groups(run).sizes)
    selections = [read_class_selection(run.store, directory, name) for name in names]
    means = _selection_means([selection.summary for selection in selections])
    composed = stored_composed(run, method)
    if composed is not None:
        means["objective"] = float(f"{composed.objective:.9g}")
    if run.config.groups is not None:
        means["left_out_share"] = float(f"{unrepresented(read_units(run, method)) or 0.0:.9g}")
    return {name: float(value) for name, value in {**quality, **means}.items()}


def _selection_means(summaries: Sequence[SelectionSummary]) -> dict[str, float]:
    """Return means over classes: share of proven ones, objective if known, share left out."""
    proven = [summary.swap_optimal for summary in summaries]
    left_out = [summary.left_out_share for summary in summaries]
    objectives = [summary.objective for summary in summaries]
    known = [objective for objective in objectives if objective is not None]

    means = {"proven_share": float(np.mean(proven))}
    if known:
        means["objective"] = float(f"{np.mean(known):.9g}")
    means["left_out_share"] = float(f"{np.mean(left_out):.9g}")
    return means


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
