"""Selects a subset of rows of features, class by class, in this process."""

import argparse
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from jaxtyping import Int

from actors.class_selection import run_selector
from actors.reduced_class import CopyRules
from jobs.command.progress import note
from jobs.run_directory.selection_config import SelectionConfig
from jobs.select.names import check_method
from jobs.select.rows import Rows, read_rows
from jobs.select.settings import SelectSettings, budgets_of, listed_rows, read_settings
from otcondense.counts import counted
from otcondense.encoders.confidence import cross_entropy
from otcondense.errors import InputError
from otcondense.exports.outputs import new_output
from otcondense.store import (
    ClassFeatures,
    ClassSelection,
    Store,
    canonical_json,
    manifest_table,
    sha256_bytes,
)
from otcondense.unit_rows import COSINE, CostName, unit_rows

OUTPUTS = (".json", ".npy", ".parquet")


def select(options: argparse.Namespace) -> None:
    """Select a subset and write it.

    Raises: InputError for files, budgets or settings that cannot be used, or an output that exists.
    """
    if not options.output.endswith(OUTPUTS):
        raise InputError(f"--output must end in {', '.join(OUTPUTS)}, found {options.output}")
    check_method(options.method, "--method")
    output = new_output(options.output)
    settings = read_settings(options)
    rows = read_rows(options)
    selections = list(_select(rows, options, settings))
    _write(output.absolute(), rows, selections)
    chosen = sum(len(each.indices) for each in selections)
    classes = counted(len(selections), "class")
    note("select", f"{chosen:,} of {counted(len(rows.ids), 'row')} in {classes}: {options.output}")
    proven = sum(each.summary.swap_optimal for each in selections)
    if proven:
        note("select", f"no single swap lowers the objective: proven for {proven} of {classes}")


def _select(
    rows: Rows, options: argparse.Namespace, settings: SelectSettings
) -> Iterator[ClassSelection]:
    """Yield the selection of each class, the same as in a run on the same features."""
    classes = rows.classes
    sizes = {name: len(each) for name, each in classes.items()}
    budgets, must_meet = budgets_of(options.budget, sizes)
    near = SelectionConfig.model_fields["near_copies"].default
    rules = CopyRules(options.duplicates, 0.0 if options.duplicates == "keep" else near)
    listed = listed_rows(rows, settings.shared)
    for number, (name, of_class) in enumerate(classes.items()):
        used = {
            **settings.of_method,
            "budget": budgets[name],
            **_own_rows(rows, listed, of_class),
        }
        if not must_meet[name]:
            used["small_class"] = "take_all"
        found = _class_features(rows, name, number, of_class)
        try:
            features = as_cost(found, settings.shared.cost)
            yield run_selector(options.method, used, features, rules=rules)
        except InputError as error:
            raise InputError(f"class {name}: {error}") from error


def as_cost(found: ClassFeatures, cost: CostName) -> ClassFeatures:
    """Return features whose squared distances are a cost; ids and hashes are those of the rows.

    Raises: InputError for a row of zeros, which has no cosine.
    """
    if cost != COSINE:
        return found
    return replace(found, features=unit_rows(found.features, found.image_ids))


def _own_rows(
    rows: Rows, listed: Mapping[str, list[int]], of_class: Int[np.ndarray, " k"]
) -> dict[str, list[str]]:
    """Return the ids of the rows of one class that are included, and excluded."""
    own = set(of_class.tolist())
    return {
        name: [rows.ids[row] for row in chosen if row in own] for name, chosen in listed.items()
    }


def _class_features(
    rows: Rows, name: str, number: int, of_class: Int[np.ndarray, " k"]
) -> ClassFeatures:
    """Return the rows of one class; with logits, the cross-entropy is that of the class's index."""
    features = rows.features[of_class]
    logits = None if rows.logits is None else rows.logits[of_class]
    entropy = None if rows.cross_entropy is None else rows.cross_entropy[of_class]
    if entropy is None and logits is not None:
        if number >= logits.shape[1]:
            raise InputError(
                f"logits must have a column for each class, found {logits.shape[1]} columns"
            )
        labels = torch.full((len(logits),), number)
        entropy = cross_entropy(torch.from_numpy(logits), labels).numpy()
    nothing = np.zeros(len(of_class), np.int32)
    return ClassFeatures(
        class_name=name,
        class_index=number,
        image_ids=[rows.ids[row] for row in of_class],
        features=features,
        logits=logits,
        cross_entropy=entropy,
        entropy=None,
        max_prob=None,
        width=nothing,
        height=nothing,
        sha256=[sha256_bytes(row.tobytes()) for row in features],
    )


def _write(target: Path, rows: Rows, selections: list[ClassSelection]) -> None:
    """Write the subset in the format of the suffix."""
    manifest = manifest_table(selections)
    ids: list[str] = manifest.column("image_id").to_pylist()
    places = {image_id: row for row, image_id in enumerate(rows.ids)}
    numbers = [places[each] for each in ids]
    output = io.BytesIO()
    if target.suffix == ".parquet":
        pq.write_table(manifest, output)
    elif target.suffix == ".npy":
        np.save(output, np.array(numbers, np.int64))
    else:
        output.write(f"{canonical_json(ids if rows.has_ids else numbers)}\n".encode())
    Store(str(target.parent)).write_bytes(target.name, output.getvalue())
