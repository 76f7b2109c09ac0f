"""What a fit of a selector sets: its results, in the units of the caller."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from otcondense.history import Step, represented_mass
from otcondense.selection.candidates import Candidates
from otcondense.selection.diagnostics import Diagnostics
from otcondense.selection.gap import in_words
from otcondense.selection.nearest import first_minimum
from otcondense.selection.shown import Chosen, Shown
from otcondense.selection.watch import Moment, Watcher

GAIN_TIE = 1e-6
"""Gains closer than this share of the largest one are equal: those of copies, up to rounding."""


class Results(Shown):
    """Results of one class, as `Selector` describes them."""

    indices_: Int[np.ndarray, " budget"]
    objective_: float
    lower_bound_: float
    history_: list[Step]
    gain_: Float[np.ndarray, " budget"]
    rank_: Int[np.ndarray, " budget"]
    represented_mass_: Float[np.ndarray, " budget"]
    received_mass_: Float[np.ndarray, " n"]
    assignment_: Int[np.ndarray, " n"]
    terms_: dict[str, float]
    diagnostics_: Diagnostics

    _watcher: Watcher
    _cost_unit: float

    def __repr__(self) -> str:
        """Return the constructor call and, after `fit`, the result in words."""
        call = super().__repr__()
        if not hasattr(self, "indices_"):
            return call
        size = len(self.assignment_)
        return f"{call}: {in_words(len(self.indices_), size, self.objective_, self.lower_bound_)}"

    def _chosen(self) -> Chosen:
        share = self.represented_mass_
        return Chosen(self.indices_, self.rank_, self.gain_, share, share * len(share))

    def _histories(self) -> dict[str, list[Step]]:
        return {"objective": self.history_}

    def _reset(self) -> None:
        """Set the results that a selector need not compute."""
        self._clear_results()
        self.objective_ = float("nan")
        self.lower_bound_ = float("nan")
        self.history_ = []
        self.terms_ = {}
        self.diagnostics_ = Diagnostics()
        self.gain_ = np.empty(0)
        self.received_mass_ = np.empty(0)
        self.assignment_ = np.empty(0, dtype=np.int64)

    def _represent(self, candidates: Candidates) -> None:
        """Assign each image to the nearest chosen one, unless the selector has assigned it."""
        if not len(self.assignment_):
            chosen = np.sort(self.indices_)
            self.assignment_ = chosen[first_minimum(candidates.distances().to(chosen))]
        if not len(self.received_mass_):
            self.received_mass_ = candidates.mass
        self.represented_mass_ = represented_mass(
            self.indices_, self.assignment_, self.received_mass_
        )

    def _rank(self) -> None:
        """Rank the chosen images by their gains, which are nan if the selector has set none."""
        if not len(self.gain_):
            self.gain_ = np.full(len(self.indices_), np.nan)
        largest = np.abs(self.gain_).max(initial=0, where=np.isfinite(self.gain_))
        steps = np.rint(self.gain_ / (GAIN_TIE * largest or 1.0))
        # Nan is last in the order of numbers.
        self.rank_ = np.empty(len(self.indices_), dtype=np.int64)
        self.rank_[np.argsort(-steps, kind="stable")] = np.arange(len(self.indices_))

    def _record(self, index: int, objective: float = float("nan")) -> None:
        """Append the choice of one image to the history and report it to the watcher."""
        step = Step(len(self.history_), "greedy", index, None, objective)
        self.history_.append(step)
        known = objective if np.isfinite(objective) else None
        self._tell(Moment("greedy", chosen=len(self.history_), objective=known))

    def _tell(self, moment: Moment) -> None:
        """Report a moment to the watcher, in the units of the caller."""
        if moment.objective is not None:
            moment = replace(moment, objective=moment.objective * self._cost_unit)
        self._watcher(moment)

    def _restore_units(self, cost_unit: float) -> None:
        """Multiply every result that is a cost by the unit of cost."""
        self.objective_ *= cost_unit
        self.gain_ = self.gain_ * cost_unit
        self.lower_bound_ *= cost_unit
        self.terms_ = {name: value * cost_unit for name, value in self.terms_.items()}
        self.history_ = [
            replace(step, objective=step.objective * cost_unit) for step in self.history_
        ]
