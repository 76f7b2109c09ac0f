"""Selections and manifests: made from the features that are there, and saying the same."""

from collections.abc import Iterator

import pyarrow as pa

from jobs.verify.evidence import Evidence
from jobs.verify.files import Problem, read_hashes
from jobs.work_units.selection import selection_units
from otcondense.errors import InputError
from otcondense.store import (
    class_file,
    manifest_table,
    read_class_selection,
    read_manifest,
    selection_file,
)

VERB = "select_subset"


def check_selections(evidence: Evidence) -> Iterator[Problem]:
    """Check that each class with features has a selection by every method, made from these features and this configuration."""
    run = evidence.run
    for method in run.config.selection.methods:
        needed = (
            run.features_directory(run.config.encoder),
            run.confidence_directory(),
            run.difficulty_directory(method),
        )
        inputs = [directory for directory in needed if directory is not None]
        whole = [
            name
            for name in evidence.images
            if all(class_file(directory, name) in evidence.facts for directory in inputs)
        ]
        records = [record for name in whole for record in evidence.images[name]]
        if run.store.exists(run.manifest(method)) or evidence.has_any(
            run.selection_directory(method)
        ):
            for unit in selection_units(run, method, records):
                yield from evidence.check(
                    selection_file(unit["directory"], unit["class_name"]), VERB, unit["fingerprint"]
                )


def check_manifests(evidence: Evidence, broken: set[str]) -> Iterator[Problem]:
    """Check that each manifest is what its selections say, and that its images have features with the same SHA-256."""
    run = evidence.run
    for method in run.config.selection.methods:
        name = run.manifest(method)
        if not run.store.exists(name):
            if any(
                method == chosen and run.store.list(run.training_directory(model, method))
                for model, chosen in run.trainings()
            ):
                yield Problem(name, "the file is missing", VERB)
        elif name in evidence.facts:
            try:
                manifest = read_manifest(run.store, name)
            except InputError as error:
                yield Problem(name, str(error), VERB)
            else:
                yield from _check_rows(evidence, name, manifest, broken)
                yield from _check_content(evidence, method, manifest, broken)


def _check_content(
    evidence: Evidence, method: str, manifest: pa.Table, broken: set[str]
) -> Iterator[Problem]:
    store, directory = evidence.run.store, evidence.run.selection_directory(method)
    classes = [
        str(facts.class_name)
        for name, facts in evidence.facts.items()
        if name.startswith(f"{directory}/class_name=")
    ]
    if not classes or any(name.startswith(f"{directory}/") for name in broken):
        return
    expected = manifest_table([read_class_selection(store, directory, name) for name in classes])
    if not expected.equals(manifest.replace_schema_metadata(None)):
        yield Problem(
            evidence.run.manifest(method), "differs from the selections of its classes", VERB
        )


def _check_rows(
    evidence: Evidence, name: str, manifest: pa.Table, broken: set[str]
) -> Iterator[Problem]:
    rows = manifest.select(["image_id", "class_name", "sha256"]).to_pylist()
    image_ids = [row["image_id"] for row in rows]
    if len(set(image_ids)) != len(image_ids):
        yield Problem(name, "an image is listed twice", VERB)
    for class_name in sorted({row["class_name"] for row in rows}):
        features = class_file(
            evidence.run.features_directory(evidence.run.config.encoder), class_name
        )
        if features not in evidence.facts or features in broken:
            continue
        known = read_hashes(evidence.run.store, features)
        wrong = [
            row["image_id"]
            for row in rows
            if row["class_name"] == class_name and known.get(row["image_id"]) != row["sha256"]
        ]
        if wrong:
            yield Problem(
                name, f"{wrong[0]} and {len(wrong) - 1} more are not images of {features}", VERB
            )
