"""What the finished stages of a run show: read from its files, for whatever tracker."""

import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jobs.answers.draws import read_draws
from jobs.answers.selections import read_units, unrepresented
from jobs.run_directory.results import CheckpointMetrics, read_metrics, read_subset_quality
from jobs.run_directory.run import Run
from jobs.run_directory.subset_manifest import stored_composed
from jobs.trackers.tracker import Row
from otcondense.diffusion.loss_lines import CURVE_FILE, LossLine
from otcondense.diffusion.train_job import LOSSES_FILE
from otcondense.selection.gap import gap
from otcondense.store import SelectionSummary, read_manifest, selected_names, stored_summary
from otcondense.store.selection_summary import selection_measures


@dataclass(frozen=True)
class Values:
    """Values of one group, at a step or as one value each."""

    group: str
    values: Mapping[str, float]
    step: int | None = None


def selection_rows(run: Run) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each chosen subset with its figures.

    They are: `images`, `classes`; means over the classes of `objective`, `lower_bound`,
    `left_out_share` and `swap_optimal` (the share of classes proven swap-optimal); `gap` of the
    means, a share of the objective. What a method does not have is left out. A run with groups has
    `groups`, the share of groups proven swap-optimal, and the other figures of all groups together.
    """
    for subset in run.config.selection.subsets:
        if run.store.exists(run.manifest(subset)):
            yield subset, _selection(run, subset)


def _selection(run: Run, subset: str) -> dict[str, float]:
    manifest = read_manifest(run.store, run.manifest(subset))
    names = selected_names(manifest)
    directory = run.selection_directory(subset)
    summaries = [stored_summary(run.store, directory, name) for name in names]
    num_classes = len(manifest.column("class_name").unique())
    values: dict[str, float] = {"images": manifest.num_rows, "classes": num_classes}
    values |= _means([each for each in summaries if each is not None])
    if run.config.groups is not None:
        values |= {"groups": len(names)} | _of_groups(run, subset)
    if "objective" in values and "lower_bound" in values:
        values["gap"] = gap(values["objective"], values["lower_bound"])
    return values


def _of_groups(run: Run, subset: str) -> dict[str, float]:
    """Return objective, lower bound and share left out of all groups together."""
    values = {"left_out_share": unrepresented(read_units(run, subset))}
    found = stored_composed(run, subset)
    if found is not None:
        values |= {"objective": found.objective, "lower_bound": found.lower_bound}
    known = {name: value for name, value in values.items() if value is not None}
    return {name: value for name, value in known.items() if math.isfinite(value)}


def _means(summaries: list[SelectionSummary]) -> dict[str, float]:
    """Return the mean of each figure that every class has."""
    measured = [selection_measures(each) for each in summaries]
    means = {}
    for name in ("objective", "lower_bound", "left_out_share", "swap_optimal"):
        if measured and all(name in each for each in measured):
            means[name] = statistics.fmean(each[name] for each in measured)
    return means


def measured(run: Run) -> Iterator[Values]:
    """Yield the metrics of each checkpoint and of each subset, with their standard errors."""
    for found in read_metrics(run):
        yield Values(f"evaluate/{found.model}-{found.method}", found.record.values, found.step)
    for subset, record in read_subset_quality(run).items():
        yield Values(f"subset/{subset}", record.values)
    for subset in run.config.selection.subsets:
        draws = read_draws(run, subset)
        if draws is None:
            continue
        yield Values(f"subset/{subset}", draws.values)
        means = {name: statistics.fmean(each) for name, each in draws.draws.items() if each}
        yield Values(f"random_draws/{subset}", means)


def metric_row(found: CheckpointMetrics) -> Row:
    """Return the metrics of a checkpoint as a row."""
    place: dict[str, str | float] = {
        "model": found.model,
        "subset": found.method,
        "step": found.step,
    }
    return place | dict(found.record.values)


def stored_lines(run: Run, model: str, subset: str) -> list[LossLine]:
    """Return the loss curve of a training so far; the times of its steps are not in it."""
    name = f"{run.training_directory(model, subset)}/{CURVE_FILE}"
    return run.store.read_lines(name, LossLine)


def held_out_losses(run: Run, model: str, subset: str) -> dict[int, float]:
    """Return the loss on held-out images by step; empty for a training without."""
    name = f"{run.training_directory(model, subset)}/{LOSSES_FILE}"
    if not run.store.exists(name):
        return {}
    losses = run.store.read_json(name)["losses"]
    return {int(step): float(loss) for step, loss in losses.items()}
