"""Selections and manifests: made from the features that are there, and saying the same."""

from collections.abc import Iterator

from jobs.run_directory import Run
from jobs.select_subset import selection_units
from jobs.verification.evidence import Evidence
from jobs.verification.files import Problem, read_hashes
from otcondense.store import class_file, manifest_table, read_class_selection, read_manifest, selection_file

VERB = "select_subset"


def check_selections(evidence: Evidence) -> Iterator[Problem]:
    """Check that each class with features has a selection by every method, made from these features and this configuration."""
    run = evidence.run
    for method in run.config.selection.methods:
        needed = (run.features_directory(run.config.encoder), run.confidence_directory(), run.difficulty_directory(method))
        inputs = [directory for directory in needed if directory is not None]
        whole = [name for name in evidence.images if all(class_file(directory, name) in evidence.facts for directory in inputs)]
        records = [record for name in whole for record in evidence.images[name]]
        if run.store.exists(run.manifest(method)) or evidence.has_any(run.selection_directory(method)):
            for unit in selection_units(run, method, records):
                yield from evidence.check(selection_file(unit["directory"], unit["class_name"]), VERB, unit["fingerprint"])


def check_manifests(evidence: Evidence, broken: set[str]) -> Iterator[Problem]:
    """Check that each manifest is what its selections say, and that its images have features with the same SHA-256."""
    run = evidence.run
    for method in run.config.selection.methods:
        name, directory = run.manifest(method), run.selection_directory(method)
        parts = [each for each in evidence.facts if each.startswith(f"{directory}/class_name=")]
        if not run.store.exists(name):
            if any(method == chosen and run.store.list(run.training_directory(model, method)) for model, chosen in run.trainings()):
                yield Problem(name, "the file is missing", VERB)
        elif name in evidence.facts:
            yield from _check_rows(evidence, method)
            if parts and not any(each.startswith(f"{directory}/") for each in broken):
                yield from _check_content(run, method, [str(evidence.facts[each].class_name) for each in parts])


def _check_content(run: Run, method: str, classes: list[str]) -> Iterator[Problem]:
    expected = manifest_table([read_class_selection(run.store, run.selection_directory(method), name) for name in classes])
    if not expected.equals(read_manifest(run.store, run.manifest(method)).replace_schema_metadata(None)):
        yield Problem(run.manifest(method), "differs from the selections of its classes", VERB)


def _check_rows(evidence: Evidence, method: str) -> Iterator[Problem]:
    run = evidence.run
    rows = read_manifest(run.store, run.manifest(method)).select(["image_id", "class_name", "sha256"]).to_pylist()
    image_ids = [row["image_id"] for row in rows]
    if len(set(image_ids)) != len(image_ids):
        yield Problem(run.manifest(method), "an image is listed twice", VERB)
    for class_name in sorted({row["class_name"] for row in rows}):
        name = class_file(run.features_directory(run.config.encoder), class_name)
        known = read_hashes(run.store, name) if name in evidence.facts else None
        wrong = [
            row["image_id"] for row in rows if row["class_name"] == class_name and known and known.get(row["image_id"]) != row["sha256"]
        ]
        if wrong:
            yield Problem(run.manifest(method), f"{wrong[0]} and {len(wrong) - 1} more are not images of {name}", VERB)
