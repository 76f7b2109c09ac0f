"""Select the subsets of many trials with one pool, before their models are trained at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from actors.polish_unit import PolishUnit
from actors.selection_unit import SelectionUnit
from jobs.command.progress import Progress
from jobs.run_directory.bars import POLISH_BAR, Bar, selection_bar
from jobs.run_directory.budgets import check_budgets
from jobs.run_directory.run import Run
from jobs.select_subset.held_out import write_held_out_hashes
from jobs.select_subset.stage import Work, is_done, progress_of_unit, run_pool, write_manifests
from jobs.trials.trial import Trial, describe
from jobs.work_units.listed import Listed
from jobs.work_units.polish import polish_units
from jobs.work_units.selection import selection_units
from otcondense.errors import InputError


@dataclass(frozen=True)
class _Wanted:
    """The selections of one trial."""

    trial: Trial
    listed: Listed
    units: list[SelectionUnit]
    polishing: list[PolishUnit]

    @property
    def results(self) -> list[SelectionUnit]:
        """The selections that the manifest is made of."""
        polished = list(chain.from_iterable(unit.results for unit in self.polishing))
        return polished or self.units

    @property
    def run(self) -> Run:
        return self.trial.run


def select_trials(trials: Sequence[Trial]) -> list[Trial]:
    """Select the subset of each trial and write its manifest.

    Returns: the trials with a subset. The others fail for the same reason when they are run, and
        are recorded then.
    """
    wanted = [found for trial in trials if (found := _wanted(trial)) is not None]
    pools: dict[tuple[str, str | None], list[_Wanted]] = {}
    for each in wanted:
        run = each.run
        key = (run.selection_view().name, run.selection_confidences())
        pools.setdefault(key, []).append(each)
    for sharing in pools.values():
        run = sharing[0].run
        _work(sharing, selection_bar(run.config), lambda each: each.units)
        _work(sharing, POLISH_BAR, _ready)
    return [each.trial for each in wanted if _finish(each)]


def _wanted(trial: Trial) -> _Wanted | None:
    run = trial.run
    try:
        list(check_budgets(run))  # what it has to say, the trial says when it is run
        write_held_out_hashes(run)
        listed = Listed.of(run)
        (subset,) = run.config.selection.subsets
        units = list(selection_units(run, subset, listed))
        return _Wanted(trial, listed, units, list(polish_units(run, listed.groups, units)))
    except InputError:
        return None


def _ready(wanted: _Wanted) -> list[PolishUnit]:
    """Return the units of polishing whose groups are all selected."""
    return [
        unit
        for unit in wanted.polishing
        if all(is_done(wanted.run, source) for source in unit.sources)
    ]


def _work(
    wanted: Sequence[_Wanted], bar: Bar, units_of: Callable[[_Wanted], Sequence[Work]]
) -> None:
    """Work with one pool on what is missing; trials with the same selections share them."""
    first = wanted[0].run
    open_units: dict[tuple[str, str], Work] = {}
    for each in wanted:
        for unit in units_of(each):
            if not all(is_done(each.run, result) for result in unit.results):
                name = f"{describe(each.trial.values)}, {unit.name}"
                key = (unit.results[0].directory, unit.class_name)
                open_units[key] = replace(unit, name=name)
    if not open_units:
        return
    units = list(open_units.values())
    with Progress(first.store, *bar) as progress:
        progress.follow([progress_of_unit(first, unit, is_open=True) for unit in units])
        run_pool(_with_actors(first), units, progress)


def _with_actors(run: Run) -> Run:
    """Return the run with a pool of actors: no trial runs at the same time."""
    selection = run.config.selection
    if selection.pool.num_actors != 0:
        return run
    pool = selection.pool.model_copy(update={"num_actors": None})
    changes = {"selection": selection.model_copy(update={"pool": pool})}
    return Run(run.config.model_copy(update=changes))


def _finish(each: _Wanted) -> bool:
    """Write the manifest of a trial; tell whether all of its classes are selected."""
    if not all(is_done(each.run, unit) for unit in each.results):
        return False
    write_manifests(each.run, each.listed)
    return True
