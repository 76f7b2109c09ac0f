"""Selections and manifests: computed from the current features, and consistent with each other."""

from collections.abc import Collection, Iterator
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa

from jobs.run_directory.groups import class_indices, selection_groups, unit_word
from jobs.run_directory.run import Run
from jobs.run_directory.subset_manifest import subset_manifest
from jobs.verify.evidence import Evidence, known
from jobs.verify.files import DUPLICATE, MISSING, Problem, read_hashes
from otcondense.counts import plural_of
from otcondense.errors import InputError
from otcondense.store import (
    chosen_only,
    class_files,
    read_class_selection,
    read_manifest,
    selection_file,
)

if TYPE_CHECKING:
    from actors.selection_unit import SelectionUnit
    from jobs.work_units.listed import Listed


def check_selections(evidence: Evidence) -> Iterator[Problem]:
    """Check the selection of each class with features, by every method.

    It must be computed from the current features and the current configuration.
    """
    run = evidence.run
    started = []
    for subset in run.config.selection.subsets:
        is_written = run.store.exists(run.manifest(subset))
        if is_written or evidence.has_any(run.selection_directory(subset)):
            started.append(subset)
    if not started:
        return
    from jobs.work_units.listed import Listed
    from jobs.work_units.paths import path_units
    from jobs.work_units.selection import selection_units

    groups = groups_of(evidence)
    if groups is None:
        return
    listed = Listed.of(run)
    indices = class_indices(run)
    problems: list[Problem] = []
    for unit in path_units(run, listed):
        name = selection_file(unit.directory, unit.class_name)
        problems += evidence.check(name, unit.fingerprint)
    yield from problems
    if problems:
        return  # the numbers of images are not known
    for subset in started:
        units = selection_units(run, subset, listed, _selectable(evidence, subset, groups))
        if run.is_polished(subset):
            by_themselves = list(units)
            for unit in by_themselves:
                name = selection_file(unit.directory, unit.class_name)
                yield from evidence.check(name, unit.fingerprint)
            units = _polished(run, listed, by_themselves)
        for unit in units:
            name = selection_file(unit.directory, unit.class_name)
            yield from evidence.check(name, unit.fingerprint)
            yield from _check_index(evidence, name, indices[unit.class_name])


def _polished(
    run: Run, listed: "Listed", units: "list[SelectionUnit]"
) -> "Iterator[SelectionUnit]":
    """Yield the polished selections of the classes whose groups are all there."""
    from jobs.work_units.polish import polish_units

    polished = polish_units(run, listed.groups, units)
    return chain.from_iterable(unit.results for unit in polished)


def groups_of(evidence: Evidence) -> Collection[str] | None:
    """Return the names of the classes or groups that are selected from.

    Returns: None if the table of groups is missing or damaged, which another check reports.
    """
    if evidence.run.config.groups is None:
        return evidence.images.keys()
    found = known("selections", lambda: selection_groups(evidence.run))
    return None if found is None else found.sizes.keys()


def _check_index(evidence: Evidence, name: str, expected: int) -> Iterator[Problem]:
    """Check that a class or group has the index that the source gives it now."""
    facts = evidence.facts.get(name)
    if facts is not None and facts.class_index not in (None, expected):
        yield Problem(name, f"has class index {facts.class_index}, now it is {expected}")


def _selectable(evidence: Evidence, subset: str, groups: Collection[str]) -> set[str]:
    """Return the classes or groups that have all inputs of the selection of a subset."""
    run = evidence.run
    hashes = run.held_out_hashes()
    if hashes is not None and hashes not in evidence.facts:
        return set()
    method = run.config.selection.subset(subset).method
    from jobs.work_units.selection_fingerprints import input_directories

    directories = input_directories(run, method)
    found = set()
    for class_name in groups:
        files: list[str] = []
        for directory in directories:
            files += class_files(run.store, directory, class_name)
        if all(file in evidence.facts for file in files):
            found.add(class_name)
    return found


def check_manifests(evidence: Evidence, broken: set[str]) -> Iterator[Problem]:
    """Check each manifest against the selections and the features of its classes.

    Args:
        evidence: the files of the run.
        broken: files that other checks have found.
    """
    run = evidence.run
    for method in run.config.selection.subsets:
        name = run.manifest(method)
        if not run.store.exists(name):
            if _is_trained(run, method):
                yield Problem(name, MISSING)
        elif name in evidence.facts:
            try:
                manifest = read_manifest(run.store, name)
            except InputError as error:
                yield Problem(name, str(error))
            else:
                yield from _check_rows(evidence, name, manifest, broken)
                yield from _check_content(evidence, method, manifest, broken)


def _is_trained(run: Run, method: str) -> bool:
    """Tell whether a training on the subset has started."""
    directories = [
        run.training_directory(model, chosen)
        for model, chosen in run.trainings()
        if chosen == method
    ]
    return any(run.store.list(directory) for directory in directories)


def _check_content(
    evidence: Evidence, method: str, manifest: pa.Table, broken: set[str]
) -> Iterator[Problem]:
    store = evidence.run.store
    directory = evidence.run.selection_directory(method)
    classes = [
        str(facts.class_name)
        for name, facts in evidence.facts.items()
        if name.startswith(f"{directory}/class_name=")
    ]
    if not classes or any(name.startswith(f"{directory}/") for name in broken):
        return
    selections = [chosen_only(read_class_selection(store, directory, name)) for name in classes]
    expected = known("manifests", lambda: subset_manifest(evidence.run, selections))
    if expected is not None and not expected.equals(manifest.replace_schema_metadata(None)):
        units = plural_of(unit_word(evidence.run.config))
        yield Problem(evidence.run.manifest(method), f"differs from the selections of its {units}")


def _check_rows(
    evidence: Evidence, name: str, manifest: pa.Table, broken: set[str]
) -> Iterator[Problem]:
    if len(manifest.column("image_id").unique()) != len(manifest):
        yield Problem(name, DUPLICATE)

    directory = evidence.run.features_directory(evidence.run.config.encoder)
    for class_name, expected in sorted(_hashes_by_class(manifest).items()):
        files = class_files(evidence.run.store, directory, class_name)
        if any(file not in evidence.facts or file in broken for file in files):
            continue
        hashes: dict[str, str] = {}
        for file in files:
            hashes |= read_hashes(evidence.run.store, file, expected.keys())
        wrong = [image_id for image_id in expected if hashes.get(image_id) != expected[image_id]]
        if wrong:
            found = f"{wrong[0]} and {len(wrong) - 1} more are not images of {files[0]}"
            yield Problem(name, found)


def _hashes_by_class(manifest: pa.Table) -> dict[str, dict[str, str]]:
    """Return the SHA-256 of the chosen images of each class, by their ids, in one pass."""
    columns = [manifest.column(each).to_pylist() for each in ("class_name", "image_id", "sha256")]
    found: dict[str, dict[str, str]] = {}
    for class_name, image_id, digest in zip(*columns, strict=True):
        found.setdefault(class_name, {})[image_id] = digest
    return found
