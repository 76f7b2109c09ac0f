"""Select the subsets of many trials with one pool, before their models are trained at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from actors.selection_unit import SelectionUnit
from jobs.command.progress import Progress
from jobs.run_directory.bars import selection_bar
from jobs.run_directory.budgets import check_budgets
from jobs.run_directory.run import Run
from jobs.select_subset.held_out import write_held_out_hashes
from jobs.select_subset.stage import is_done, progress_of_unit, run_pool, write_manifests
from jobs.trials.trial import Trial, describe
from jobs.work_units.listed import Listed
from jobs.work_units.selection import selection_units
from otcondense.errors import InputError


@dataclass(frozen=True)
class _Wanted:
    """The selections of one trial."""

    trial: Trial
    listed: Listed
    units: list[SelectionUnit]

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
        _select(sharing)
    return [each.trial for each in wanted if _finish(each)]


def _wanted(trial: Trial) -> _Wanted | None:
    run = trial.run
    try:
        list(check_budgets(run))  # what it has to say, the trial says when it is run
        write_held_out_hashes(run)
        listed = Listed.of(run)
        (subset,) = run.config.selection.subsets
        return _Wanted(trial, listed, list(selection_units(run, subset, listed)))
    except InputError:
        return None


def _select(wanted: Sequence[_Wanted]) -> None:
    """Select with one pool what is missing; trials with the same selections share them."""
    first = wanted[0].run
    open_units: dict[tuple[str, str], SelectionUnit] = {}
    for each in wanted:
        for unit in each.units:
            if not is_done(each.run, unit):
                name = f"{describe(each.trial.values)}, {unit.name}"
                open_units[unit.directory, unit.class_name] = replace(unit, name=name)
    if not open_units:
        return
    units = list(open_units.values())
    with Progress(first.store, *selection_bar(first.config)) as progress:
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
    if not all(is_done(each.run, unit) for unit in each.units):
        return False
    write_manifests(each.run, each.listed)
    return True
