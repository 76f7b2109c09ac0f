"""The forecast of choosing one subset: the search, and what groups add to it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from jobs.forecasts.image_stages import SourceFacts
from jobs.run_directory.budget_rules import resolve
from jobs.run_directory.config import RunConfig
from jobs.run_directory.groups import ExpectedUnit, expected_units, expected_words, selected_sizes
from jobs.run_directory.polish_rules import POLISHED
from jobs.run_directory.selection_config import Subset
from jobs.work_units.paths import PATH_FACTOR
from jobs.work_units.polish import MOST_POLISHED
from otcondense.forecast.hardware import Hardware
from otcondense.forecast.selection import (
    SelectionWork,
    paths_term,
    polishing_term,
    selection_stage,
)
from otcondense.forecast.stages import Stage, Term, Workers, workers_of


def subset_stage(
    config: RunConfig, subset: Subset, facts: SourceFacts, hardware: Hardware
) -> Stage:
    """Return the time of selecting one subset, on cores only."""
    sizes = selected_sizes(config, facts.sizes)
    budgets = resolve(subset.budgets[-1], sizes)
    units = expected_units(config, sizes, budgets)
    work = _work(config, subset, units)
    pool = config.selection.pool
    workers = workers_of(hardware, asked=pool.num_actors, gpus_each=0, cores_each=pool.num_cpus)
    stage = selection_stage(work, workers)
    added: list[Term] = []
    if config.groups is not None:
        added += _of_groups(config, subset, work, workers)
        added += _polishing(config, subset, sizes, budgets, workers)
    return replace(stage, subject=(subset.name,), terms=(*stage.terms, *added))


def _work(config: RunConfig, subset: Subset, units: list[ExpectedUnit]) -> SelectionWork:
    settings = config.selection.selector_settings(subset.method, 1)
    return SelectionWork(
        title=f"{subset.name}, {expected_words(config, len(units))}",
        sizes=[unit.size for unit in units],
        budgets=[unit.budget for unit in units],
        method=subset.method,
        bound=settings.get("lower_bound") is not None,
    )


def _of_groups(
    config: RunConfig, subset: Subset, work: SelectionWork, workers: Workers
) -> Iterator[Term]:
    """Yield the greedy choices that share the budget, which the first method makes for all."""
    selection = config.selection
    if selection.allocation == "objective" and subset.method == selection.methods[0]:
        images = [PATH_FACTOR * each for each in work.budgets]
        yield paths_term(replace(work, budgets=images), workers)


def _polishing(
    config: RunConfig,
    subset: Subset,
    sizes: Mapping[str, int],
    budgets: Mapping[str, int],
    workers: Workers,
) -> Iterator[Term]:
    if not config.selection.polish or subset.method != POLISHED:
        return
    classes = []
    for name, size in sizes.items():
        units = expected_units(config, {name: size}, budgets)
        if len(units) > 1 and size <= MOST_POLISHED:
            classes.append(_work(config, subset, units))
    yield polishing_term(classes, workers)
