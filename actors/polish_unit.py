"""The unit of polishing: the selections of the groups of one class, improved together."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from actors.class_selection import PreparedClass
from actors.selection_unit import SelectionUnit
from actors.units import UnitChanges
from otcondense.history import Step
from otcondense.selection.candidates import Candidates, validate_candidates
from otcondense.selection.gap import gap
from otcondense.selection.geometry_aware import GeometryAwareSelector
from otcondense.selection.watch import Watcher
from otcondense.store import (
    ClassFeatures,
    ClassSelection,
    SelectionSummary,
    Store,
    read_class_selection,
    write_class_selection,
)

if TYPE_CHECKING:
    from otcondense.selection.polishing import GroupToPolish, Polished

POLISH = "polish"
"""Key of what polishing did in the diagnostics of a selection."""
AS_IT_IS = {"max_passes": 0, "rebuilds": 0, "lower_bound": None, "small_class": "take_all"}
"""Settings with which a selector measures a subset and changes nothing."""
OF_SUBSET = ("marginal_error", "certified_error", "rounding_error", "transport_cost", "lp_value")
"""Diagnostics that belong to the subset; the others tell of the search in the group."""


@dataclass(frozen=True)
class PolishUnit:
    """The selections of all groups of a class, or one that stays as it is."""

    name: str
    subset: str
    """Name of the subset."""
    class_name: str
    size: int
    """Images in the class."""
    sources: tuple[SelectionUnit, ...]
    """The selections of the groups by themselves. A single one is copied."""
    results: tuple[SelectionUnit, ...]
    """Directory and fingerprint of each polished selection; else as in `sources`."""


def polish_unit(
    store: Store, unit: PolishUnit, read: Callable[[str], ClassFeatures], watcher: Watcher
) -> UnitChanges:
    """Polish the selections of the groups of a class and write one file for each.

    Args:
        store: the run.
        unit: the unit.
        read: returns features and confidences of a group.
        watcher: called at every step; an exception that it raises ends the work.

    Returns: the progress of the finished unit.
    """
    from otcondense.selection.polishing import polish_groups  # imports torch, the driver does not

    groups = [_Group(store, source, read) for source in unit.sources]
    facts: dict[str, float] = {}
    found = [group.stored for group in groups]
    if len(groups) > 1:
        done = polish_groups([group.to_polish() for group in groups], watcher)
        facts = _facts(done)
        pairs = zip(groups, done.chosen, strict=True)
        found = [group.polished(places, facts) for group, places in pairs]
    for selection, result in zip(found, unit.results, strict=True):
        write_class_selection(store, result.directory, selection, fingerprint=result.fingerprint)
    return {"step": "", "swaps": int(facts.get("swaps", 0)), "measures": facts}


def _facts(done: "Polished") -> dict[str, float]:
    return {
        "swaps": done.swaps,
        "whole_statistics_before": done.before,
        "whole_statistics": done.after,
    }


@dataclass(frozen=True)
class _Group:
    """One group: its selection, and its features, which are read when they are needed."""

    store: Store
    source: SelectionUnit
    read: Callable[[str], ClassFeatures]

    @cached_property
    def stored(self) -> ClassSelection:
        """The selection of the group by itself."""
        return read_class_selection(self.store, self.source.directory, self.source.class_name)

    def to_polish(self) -> "GroupToPolish":
        """Return the group for the swaps; only places and ids of its images stay in memory."""
        from otcondense.selection.polishing import GroupToPolish

        prepared = self._prepared()
        rows = prepared.reduced.rows
        selector = prepared.selector(self.source.method)
        assert isinstance(selector, GeometryAwareSelector)

        def load() -> Candidates:
            features = self.read(self.source.class_name)
            entropy = features.cross_entropy
            return validate_candidates(
                features.features[rows],
                cross_entropy=None if entropy is None else entropy[rows],
            )

        chosen = np.searchsorted(rows, self.stored.indices)
        return GroupToPolish(load, selector.config, tuple(chosen.tolist()))

    def polished(self, places: tuple[int, ...], facts: dict[str, float]) -> ClassSelection:
        """Return the selection with other chosen images, measured by the objective of the group."""
        prepared = self._prepared()
        chosen = prepared.reduced.rows[np.array(places)]
        if set(chosen.tolist()) == set(self.stored.indices.tolist()):
            return replace(self.stored, summary=_with_facts(self.stored.summary, facts))
        prepared.settings.update(AS_IT_IS, budget=len(places))
        selector = prepared.selector(self.source.method)
        assert isinstance(selector, GeometryAwareSelector)
        data = prepared.data()
        selector.fit_from(data.pop("features"), places, **data)
        measured = prepared.selection(selector)
        return replace(measured, summary=self._summary(measured, facts))

    def _prepared(self) -> PreparedClass:
        features = self.read(self.source.class_name)
        return PreparedClass.of(features, self.source.settings, self.source.rules(self.store))

    def _summary(self, measured: ClassSelection, facts: dict[str, float]) -> SelectionSummary:
        """Return the summary of a changed selection: the bound of the group holds for it, too."""
        own, before = measured.summary, self.stored.summary
        assert own.objective is not None
        diagnostics = {**before.diagnostics}
        for name in OF_SUBSET:
            if name in own.diagnostics:
                diagnostics[name] = own.diagnostics[name]
        if before.lower_bound is not None:
            diagnostics["gap"] = gap(own.objective, before.lower_bound)
        changed = replace(
            own,
            lower_bound=before.lower_bound,
            swap_optimal=False,
            history=(*before.history, *_steps(self.stored, measured, own.objective)),
            diagnostics=diagnostics,
        )
        return _with_facts(changed, facts)


def _with_facts(summary: SelectionSummary, facts: dict[str, float]) -> SelectionSummary:
    return replace(summary, diagnostics={**summary.diagnostics, POLISH: facts})


def _steps(before: ClassSelection, after: ClassSelection, objective: float) -> list[Step]:
    """Return one step for each place with another image; the last has the objective."""
    first = len(before.summary.history)
    steps: list[Step] = []
    for old, new in zip(before.indices.tolist(), after.indices.tolist(), strict=True):
        if old != new:
            steps.append(Step(first + len(steps), POLISH, new, old, math.nan))
    return [*steps[:-1], replace(steps[-1], objective=objective)]
