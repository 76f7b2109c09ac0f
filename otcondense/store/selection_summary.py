"""The summary of one class's selection: objective, lower bound, history and diagnostics."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from otcondense.history import Step
from otcondense.store.copy_summary import CopySummary

DIAGNOSTIC_MEASURES = ("gap", "swaps")
"""Diagnostics that can be compared between classes."""


@dataclass(frozen=True)
class SelectionSummary:
    """Results of one selection that are not per image; stored as JSON in the selection file."""

    objective: float | None = None
    """Objective of the subset, in units of the cost; None if the selector has none."""
    lower_bound: float | None = None
    """No subset of this size has a lower objective; None if unknown."""
    swap_optimal: bool = False
    """Whether it is proven that no single swap lowers the objective."""
    terms: Mapping[str, float] = field(default_factory=dict)
    """Parts of the objective by name."""
    history: tuple[Step, ...] = ()
    """The steps of the selection, in order."""
    diagnostics: Mapping[str, object] = field(default_factory=dict)
    """Facts about the computation by name; JSON values only."""
    left_out_share: float = 0.0
    """Share of the images of the class that no chosen image represents, 0 to 1."""
    copies: CopySummary = field(default_factory=CopySummary)
    """Copies in the class, and what was done about them."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "SelectionSummary":
        """Return the summary stored as `value`; absent keys get their defaults."""
        steps = value.get("history", [])
        return cls(
            objective=value.get("objective"),
            lower_bound=value.get("lower_bound"),
            swap_optimal=value.get("swap_optimal", False),
            terms=value.get("terms", {}),
            history=tuple(_step(step) for step in steps),
            diagnostics=value.get("diagnostics", {}),
            left_out_share=value.get("left_out_share", 0.0),
            copies=CopySummary.from_json(value.get("copies", {})),
        )

    def to_json(self) -> dict[str, object]:
        """Return the JSON object that selection files hold."""
        value: dict[str, object] = {
            "objective": self.objective,
            "lower_bound": self.lower_bound,
            "swap_optimal": self.swap_optimal,
            "terms": dict(self.terms),
            "history": [asdict(step) for step in self.history],
            "diagnostics": dict(self.diagnostics),
            "left_out_share": self.left_out_share,
        }
        # Files from before copies were looked for have no such entry.
        if self.copies != CopySummary():
            value["copies"] = self.copies.to_json()
        return value


def _step(value: Mapping[str, Any]) -> Step:
    return Step(
        step=value["step"],
        stage=value["stage"],
        added=value["added"],
        removed=value["removed"],
        objective=value["objective"],
    )


def selection_measures(summary: SelectionSummary) -> dict[str, float]:
    """Return the figures that can be compared between classes; unknown ones are left out.

    Args:
        summary: of a `ClassSelection`.

    Returns: `objective`, `lower_bound` and each term (`transport`, `statistics`, `confidence`) in
        units of the cost, `gap` (share of the objective by which it may exceed the best one),
        `left_out_share` (0 to 1), `swap_optimal` (1 if proven), `swaps`.
    """
    measures: dict[str, Any] = {
        "objective": summary.objective,
        "lower_bound": summary.lower_bound,
        "left_out_share": summary.left_out_share,
        "swap_optimal": summary.swap_optimal,
    }
    for name in DIAGNOSTIC_MEASURES:
        measures[name] = summary.diagnostics.get(name)
    measures.update(summary.terms)

    known = {name: value for name, value in measures.items() if value is not None}
    return {name: float(value) for name, value in known.items() if np.isfinite(value)}
