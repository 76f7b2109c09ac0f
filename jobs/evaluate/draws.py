"""Compares each subset with random draws of the same sizes, through the judge, without training."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from jobs.answers.draws import (
    DRAWN_METRICS,
    LEAST_HELD_OUT,
    DrawRecord,
    read_draws,
    write_draws,
)
from jobs.command.progress import Progress, note
from jobs.command.wording import earlier_part
from jobs.judging.full_images import class_names, contents, extract_held_out, held_out_run, places
from jobs.run_directory.bars import DRAWS_BAR
from jobs.run_directory.budgets import forced_ids
from jobs.run_directory.config import BASELINE
from jobs.run_directory.groups import ignores_labels, selection_groups
from jobs.run_directory.held_out import read_held_out_hashes
from jobs.run_directory.identity import identity
from jobs.run_directory.run import Run
from otcondense.counts import counted
from otcondense.datasets import order_classes
from otcondense.evaluation import METRICS_VERSION
from otcondense.evaluation.random_draws import ClassRows, compare_with_draws
from otcondense.store import fingerprint, read_class_features, read_class_selection, read_manifest

DRAWS_VERSION = 1
"""Part of the fingerprint; a change of the draws needs a new number."""


def compare_with_random(run: Run) -> None:
    """Write the comparison of each subset with random draws, unless it is there.

    Raises: InputError as the extraction of features does.
    """
    if run.config.num_draws == 0:
        return
    subsets = list(_large_enough(run))
    if not subsets:
        return
    other = held_out_run(run)
    held_out = extract_held_out(run, other)
    judge = run.config.judge_or_encoder
    digests = [contents(run, run.features_directory(judge)), contents(other, held_out)]
    features = [read_class_features(run.store, held_out, name) for name in class_names(other)]
    rows = np.concatenate([each.features for each in features])
    least = max(LEAST_HELD_OUT, run.config.evaluation.minimum_images)
    if len(rows) < least:
        found = counted(len(rows), "held-out image")
        note("evaluate", f"{found}: too few to compare subsets with, which takes {least}")
        with Progress(run.store, *DRAWS_BAR) as progress:
            progress.show(0, 0)
        return
    expected = {subset: _fingerprint(run, subset, digests) for subset in subsets}
    missing = {name: key for name, key in expected.items() if not _is_compared(run, name, key)}
    finished = len(subsets) - len(missing)
    _compare(run, missing, finished, rows)
    note(
        "evaluate",
        f"{counted(len(subsets), 'subset')} against {run.config.num_draws} random draws"
        f"{earlier_part(finished, len(subsets), 'subset')}",
    )


def _is_compared(run: Run, subset: str, expected: str) -> bool:
    record = read_draws(run, subset)
    return record is not None and record.fingerprint == expected


def _compare(run: Run, missing: Mapping[str, str], finished: int, held_out: np.ndarray) -> None:
    """Write the comparisons that are missing.

    Args:
        run: the run.
        missing: fingerprints by the names of their subsets.
        finished: number of subsets that are compared already.
        held_out: features of the held-out images.
    """
    draws = run.config.num_draws
    total = (finished + len(missing)) * draws
    with Progress(run.store, *DRAWS_BAR) as progress:
        count = itertools.count(finished * draws)

        def advance() -> None:
            progress.show(next(count), total)

        advance()
        for subset, expected in missing.items():
            write_draws(run, subset, _record(run, subset, held_out, expected, advance))


def _large_enough(run: Run) -> Iterator[str]:
    """Yield the subsets, without those of the baseline, that have the images which metrics need."""
    least = run.config.evaluation.minimum_images
    for subset in run.config.selection.subsets:
        if _is_baseline(run, subset):
            continue
        size = read_manifest(run.store, run.manifest(subset)).num_rows
        if size < least:
            found = counted(size, "image")
            note("evaluate", f"{subset} has {found}, too few to compare, which takes {least}")
            continue
        yield subset


def _is_baseline(run: Run, subset: str) -> bool:
    return run.config.selection.subset(subset).method == BASELINE


def _fingerprint(run: Run, subset: str, digests: list[list[str]]) -> str:
    """Return the fingerprint of everything that the comparison depends on."""
    settings = identity(run.config.evaluation)
    versions = [DRAWS_VERSION, METRICS_VERSION, list(DRAWN_METRICS)]
    manifest = run.manifest_fingerprint(subset)
    return fingerprint([versions, run.config.num_draws, settings, manifest, digests])


def _record(
    run: Run, subset: str, held_out: np.ndarray, expected: str, on_draw: Callable[[], None]
) -> DrawRecord:
    config = run.config
    classes = list(_classes(run, subset))
    found = compare_with_draws(
        classes, held_out, config.num_draws, config.evaluation, DRAWN_METRICS, on_draw
    )
    name = config.judge_or_encoder.name
    return DrawRecord(expected, name, len(held_out), found.values, found.draws)


def _classes(run: Run, subset: str) -> Iterator[ClassRows]:
    """Yield the classes of a subset; copies of held-out images and excluded ones are not drawn.

    All images are one class if groups ignore the labels.
    """
    excluded = set(forced_ids(run)[1])
    held_out = read_held_out_hashes(run)
    groups = selection_groups(run)
    members: dict[str, list[str]] = {}
    for name, of_class in groups.class_of.items():
        members.setdefault(of_class, []).append(name)
    for of_class in order_classes(members):
        chosen, candidates = [], []
        seen = _judged(run, of_class)
        rows = places(seen.image_ids)
        for name in members[of_class]:
            found = read_class_selection(run.store, run.selection_directory(subset), name)
            chosen += [rows[found.image_ids[index]] for index in found.indices]
            candidates += [
                rows[image_id]
                for image_id, sha256 in zip(found.image_ids, found.sha256, strict=True)
                if image_id in rows and image_id not in excluded and sha256 not in held_out
            ]
        yield ClassRows(seen.features, np.array(chosen, np.int64), np.array(candidates, np.int64))


@dataclass(frozen=True)
class _Judged:
    """Images through the judge."""

    image_ids: list[str]
    features: Float32[np.ndarray, "n d"]


def _judged(run: Run, class_name: str) -> _Judged:
    """Return the images of a class through the judge, or of all classes if labels are ignored."""
    directory = run.features_directory(run.config.judge_or_encoder)
    names = class_names(run) if ignores_labels(run.config) else [class_name]
    found = [read_class_features(run.store, directory, name) for name in names]
    image_ids = [image_id for each in found for image_id in each.image_ids]
    return _Judged(image_ids, np.concatenate([each.features for each in found]))
