"""Reads what a run found from its files; nothing is computed or written."""

import math
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jobs.answers.draws import (
    DRAWN_METRICS,
    LEAST_HELD_OUT,
    DrawRecord,
    read_draws,
)
from jobs.answers.left_out import Chosen, candidates, chosen_of, left_out
from jobs.answers.selections import Unit, read_units, unrepresented
from jobs.answers.short_training import short_training
from jobs.run_directory.config import BASELINE
from jobs.run_directory.results import CheckpointMetrics, read_metrics
from jobs.run_directory.run import Run
from jobs.run_directory.selection_config import Subset
from jobs.run_directory.subset_manifest import stored_composed
from otcondense.datasets import SOURCES, SourceConfig, list_images
from otcondense.reading import with_home
from otcondense.report.answer import Answer, Compared, RandomComparison, SubsetAnswer
from otcondense.store import read_manifest

MODEL_METRICS = ("fid", "mind", "coverage", "recall", "held_out_loss")
"""Metrics of trained models that the answer tells."""


def read_answer(run: Run) -> Answer:
    """Return what a run has found so far.

    Raises: InputError if a manifest is damaged, or the source is needed and cannot be listed.
    """
    chosen: dict[str, Chosen] = {}
    for subset in _in_order(run):
        if run.store.exists(run.manifest(subset.name)):
            manifest = read_manifest(run.store, run.manifest(subset.name))
            chosen[subset.name] = chosen_of(manifest)
    units = {name: list(read_units(run, name)) for name in chosen}
    subsets = tuple(_subset(run, name, found, units[name]) for name, found in chosen.items())
    copies = [unit.copies for unit in next(iter(units.values()), []) if unit.copies is not None]
    is_compared = any(subset.compared for subset in subsets)
    return Answer(
        run=run.store.root,
        subsets=subsets,
        left_out=tuple(left_out(run, chosen, copies)) if chosen else (),
        not_compared="" if is_compared or not subsets else _why_not(run),
        remark=short_training(run) if subsets else "",
        next_command=next_command(run, subsets),
    )


def _in_order(run: Run) -> list[Subset]:
    """Return the subsets of the run, those of the baseline last."""
    selection = run.config.selection
    every = [subset for method in selection.methods for subset in selection.subsets_of(method)]
    return sorted(every, key=lambda subset: subset.method == BASELINE)


def _subset(run: Run, name: str, found: Chosen, units: Sequence[Unit]) -> SubsetAnswer:
    sizes = candidates(run)
    is_baseline = run.config.selection.subset(name).method == BASELINE
    return SubsetAnswer(
        method=name,
        manifest=run.store.path(run.manifest(name)),
        num_chosen=sum(found.counts.values()),
        num_images=sum(sizes.get(each, 0) for each in found.counts),
        num_classes=found.num_classes,
        unrepresented=unrepresented(units),
        proof=_proof(run, name),
        compared=() if is_baseline else tuple(comparisons(run, name)),
    )


def _proof(run: Run, name: str) -> str:
    """Return objective, bound and gap of all groups together; empty without them."""
    found = stored_composed(run, name)
    return "" if found is None else found.words()


def comparisons(run: Run, name: str) -> Iterator[Compared]:
    """Yield the comparison of the chosen images with random draws, then that of each model."""
    record = read_draws(run, name)
    if record is not None:
        yield _of_images(record)
    yield from _of_models(run, name)


def _of_images(record: DrawRecord) -> Compared:
    metrics = [
        RandomComparison(metric, record.values[metric], tuple(record.draws[metric]))
        for metric in DRAWN_METRICS
        if metric in record.values
    ]
    return Compared("the chosen images", record.network, record.num_held_out, tuple(metrics))


def _of_models(run: Run, name: str) -> Iterator[Compared]:
    """Yield the comparison of each model with the one that was trained on a random draw."""
    last: dict[tuple[str, str], CheckpointMetrics] = {}
    for row in read_metrics(run):
        last[row.model, row.method] = row
    baseline = _baseline_of(run, name)
    for (model, method), row in last.items():
        other = last.get((model, baseline))
        if method == name and other is not None and other.step == row.step:
            yield Compared(
                what=f"model {model} after {row.step:,} steps",
                network=row.record.encoder,
                num_held_out=row.record.num_held_out,
                metrics=tuple(_of_records(row.record.values, other.record.values)),
            )


def _baseline_of(run: Run, name: str) -> str:
    """Return the random subset of the same budget."""
    selection = run.config.selection
    budgets = selection.subset(name).budgets
    same = [each.name for each in selection.subsets_of(BASELINE) if each.budgets == budgets]
    return same[0] if same else BASELINE


def _of_records(
    values: Mapping[str, float], random: Mapping[str, float]
) -> Iterator[RandomComparison]:
    for metric in MODEL_METRICS:
        if metric in values and metric in random:
            errors = [each.get(f"{metric}_std", math.nan) for each in (values, random)]
            error = math.hypot(*errors)
            known = None if math.isnan(error) else error
            yield RandomComparison(metric, values[metric], (random[metric],), known)


def _why_not(run: Run) -> str:
    config = run.config
    if not config.source.has_images:
        return "the source has features without images"
    if config.held_out is None:
        return "no images are held out; set held_out"
    if all(config.selection.subset(each).method == BASELINE for each in config.selection.subsets):
        return f"{BASELINE} is the only method"
    if config.num_draws == 0:
        return "random_draws is 0, or unset with models that random is not trained with"
    held_out = len(list_images(config.held_out))
    if held_out < LEAST_HELD_OUT:
        return f"{held_out} held-out images are too few, at least {LEAST_HELD_OUT} are needed"
    least = config.evaluation.minimum_images
    if all(len(read_manifest(run.store, run.manifest(each))) < least for each in _written(run)):
        return f"it has fewer than {least} images, which the metrics need"
    return "it is not measured yet; run otcondense evaluate"


def _written(run: Run) -> list[str]:
    """Return the subsets that are chosen, without those of the baseline."""
    selection = run.config.selection
    others = [each for each in selection.subsets if selection.subset(each).method != BASELINE]
    return [each for each in others if run.store.exists(run.manifest(each))]


def next_command(run: Run, subsets: tuple[SubsetAnswer, ...]) -> str:
    """Return the export of the first subset; empty if there is none."""
    if not subsets:
        return ""
    words = ["otcondense", "export", run.config.run, "--method", subsets[0].method]
    if SOURCES[run.config.source.kind].images_are_files:
        name = run.config.run.rstrip("/").rpartition("/")[2]
        output = _outside(run.config.source, f"{name}-subset")
        words += ["--format", "image_folder", "--output", output]
    else:
        words += ["--output", "subset.json"]
    return shlex.join(words)


def _outside(source: SourceConfig, name: str) -> str:
    """Return a path in the working directory, or next to the source if that directory is in it."""
    root = with_home(source.path).resolve()
    return os.path.relpath(root.parent / name) if Path.cwd().is_relative_to(root) else name
