"""Selects a subset of rows of features, class by class, in this process."""

import argparse
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from jaxtyping import Float, Int

from actors.class_selection import run_selector
from actors.reduced_class import CopyRules
from jobs.command.progress import note
from jobs.command.settings import build, override
from jobs.command.yaml_text import parse_yaml
from jobs.run_directory.budget_rules import check_budget, is_exact, resolve
from jobs.run_directory.selection_config import SelectionConfig
from jobs.select.arrays import ArrayFile, find_array, find_features, open_arrays
from otcondense.counts import counted
from otcondense.datasets import order_classes
from otcondense.encoders.confidence import cross_entropy
from otcondense.errors import InputError
from otcondense.exports.outputs import new_output
from otcondense.near_names import did_you_mean
from otcondense.selection import SELECTORS
from otcondense.store import (
    ClassFeatures,
    ClassSelection,
    Store,
    canonical_json,
    manifest_table,
    sha256_bytes,
)

OUTPUTS = (".json", ".npy", ".parquet")
CHOICES = ("include", "exclude")
"""Settings that hold numbers of rows."""
ONE_CLASS = "all"
"""Name of the class of rows without labels."""


@dataclass(frozen=True)
class Rows:
    """The rows of all classes and what is known of them."""

    features: Float[np.ndarray, "n d"]
    labels: list[str]
    ids: list[str]
    """All different."""
    has_ids: bool
    """Whether they were given; else they are the numbers of the rows."""
    cross_entropy: Float[np.ndarray, " n"] | None
    logits: Float[np.ndarray, "n c"] | None

    @property
    def classes(self) -> dict[str, Int[np.ndarray, " _"]]:
        """Rows of each class in the order of their ids, by name in order."""
        order = sorted(range(len(self.ids)), key=self.ids.__getitem__)
        found: dict[str, list[int]] = {name: [] for name in order_classes(set(self.labels))}
        for row in order:
            found[self.labels[row]].append(row)
        return {name: np.array(rows) for name, rows in found.items()}


def select(options: argparse.Namespace) -> None:
    """Select a subset and write it.

    Raises: InputError for files, budgets or settings that cannot be used, or an output that exists.
    """
    if not options.output.endswith(OUTPUTS):
        raise InputError(f"--output must end in {', '.join(OUTPUTS)}, found {options.output}")
    if options.method not in SELECTORS:
        raise InputError(
            f"--method must be among {', '.join(SELECTORS)}, found {options.method}"
            f"{did_you_mean(options.method, SELECTORS)}"
        )
    output = new_output(options.output)
    settings = _settings(options)
    rows = read_rows(options)
    selections = list(_select(rows, options, settings))
    _write(output.absolute(), rows, selections)
    chosen = sum(len(each.indices) for each in selections)
    classes = counted(len(selections), "class")
    note("select", f"{chosen:,} of {counted(len(rows.ids), 'row')} in {classes}: {options.output}")
    proven = sum(each.summary.swap_optimal for each in selections)
    if proven:
        note("select", f"no single swap lowers the objective: proven for {proven} of {classes}")


def read_rows(options: argparse.Namespace) -> Rows:
    """Read the features and all that is known of them.

    Raises: InputError if a file is missing or damaged, or lengths do not fit.
    """
    file = open_arrays(options.features)
    features = find_features(file)
    count = len(features)
    names = ("labels", "ids", "cross_entropy", "logits")
    found = {name: _of_length(file, name, getattr(options, name), count) for name in names}
    labels, ids = found["labels"], found["ids"]
    width = len(str(count))
    plain = [f"{row:0{width}d}" for row in range(count)]  # sorted as numbers are
    named = plain if ids is None else _texts("ids", ids)
    if len(set(named)) < count:
        raise InputError("ids must all be different, found some twice")
    return Rows(
        features=features,
        labels=[ONE_CLASS] * count if labels is None else _texts("labels", labels),
        ids=named,
        has_ids=ids is not None,
        cross_entropy=_numbers("cross_entropy", found["cross_entropy"], 1),
        logits=_numbers("logits", found["logits"], 2),
    )


def _of_length(file: ArrayFile, name: str, named: str | None, count: int) -> np.ndarray | None:
    values = find_array(file, name, named)
    if values is not None and len(values) != count:
        raise InputError(f"{name} must have a value for each of {count} rows, found {len(values)}")
    return values


def _texts(name: str, values: np.ndarray) -> list[str]:
    """Return labels or ids as texts.

    Raises: InputError if they are not one axis of texts or numbers, or one of them is missing.
    """
    if values.ndim != 1:
        raise InputError(f"{name} must have one axis [n], found {list(values.shape)}")
    texts = []
    for row, each in enumerate(values.tolist()):
        is_missing = each is None or each == "" or each != each
        if is_missing or not isinstance(each, (str, bytes, int, float)):
            raise InputError(
                f"{name} must be a text or a number in each row, found {each!r} in row {row}"
            )
        texts.append(each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each))
    return texts


def _numbers(name: str, values: np.ndarray | None, axes: int) -> np.ndarray | None:
    if values is None:
        return None
    if values.ndim != axes or values.dtype.kind not in "fiu":
        expected = "[n]" if axes == 1 else "[n, classes]"
        raise InputError(
            f"{name} must be numbers {expected}, found {values.dtype} {list(values.shape)}"
        )
    return values.astype(np.float32, copy=False)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the method.

    Raises: InputError for an unknown one or a wrong value.
    """
    given: dict[str, Any] = {}
    override(given, options.settings)
    known = SELECTORS[options.method].Config.model_fields
    for name in given:
        if name not in known or name in ("budget", "seed"):
            hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            raise InputError(f"{name} is not a setting of {options.method}{hint}")
    included = given.get("include")
    least = max(1, len(included) if isinstance(included, list) else 1)  # the budget comes later
    values = {**given, "budget": least, "seed": options.seed}
    return build(SELECTORS[options.method].Config, values, None).model_dump(mode="json")


def _budgets(text: str, sizes: Mapping[str, int]) -> tuple[dict[str, int], dict[str, bool]]:
    """Return the budget of each class, and whether the class must meet it.

    Raises: InputError if it is no budget, or does not fit the classes.
    """
    budget = parse_yaml(text, "--budget")
    try:
        budget = SelectionConfig(budget=budget).budget
        check_budget(budget, "--budget")
    except ValueError as error:
        raise InputError(f"--budget must be a number, a share or a total, found {text}") from error
    return resolve(budget, sizes), {name: is_exact(budget, name) for name in sizes}


def _select(
    rows: Rows, options: argparse.Namespace, settings: Mapping[str, Any]
) -> Iterator[ClassSelection]:
    """Yield the selection of each class, the same as in a run on the same features."""
    classes = rows.classes
    sizes = {name: len(each) for name, each in classes.items()}
    budgets, must_meet = _budgets(options.budget, sizes)
    near = SelectionConfig.model_fields["near_copies"].default
    rules = CopyRules(options.duplicates, 0.0 if options.duplicates == "keep" else near)
    _check_rows(rows, settings)
    for number, (name, of_class) in enumerate(classes.items()):
        used = {**settings, "budget": budgets[name], **_own_rows(rows, settings, of_class)}
        if not must_meet[name]:
            used["small_class"] = "take_all"
        features = _class_features(rows, name, number, of_class)
        try:
            yield run_selector(options.method, used, features, rules=rules)
        except InputError as error:
            raise InputError(f"class {name}: {error}") from error


def _check_rows(rows: Rows, settings: Mapping[str, Any]) -> None:
    for name in CHOICES:
        outside = [row for row in settings[name] if row >= len(rows.ids)]
        if outside:
            raise InputError(
                f"{name} must hold numbers of rows below {len(rows.ids)}, found {outside[0]}"
            )


def _own_rows(
    rows: Rows, settings: Mapping[str, Any], of_class: Int[np.ndarray, " k"]
) -> dict[str, list[str]]:
    """Return the ids of the rows of one class that are included, and excluded."""
    own = set(of_class.tolist())
    return {name: [rows.ids[row] for row in settings[name] if row in own] for name in CHOICES}


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
