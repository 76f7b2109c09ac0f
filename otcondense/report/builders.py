"""Builds the data of plots from stored results; the report and the page of a run share it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from otcondense.report.data import FeatureMap, LossCurve, ObjectiveHistory
from otcondense.store import ClassSelection


def class_history(selection: ClassSelection, method: str) -> ObjectiveHistory | None:
    """Return the objective of one class after each step; None if the method records none."""
    steps = [step for step in selection.summary.history if np.isfinite(step.objective)]
    if not steps:
        return None
    objective = np.array([step.objective for step in steps])
    stages = tuple(step.stage for step in steps)
    bound = selection.summary.lower_bound
    return ObjectiveHistory(selection.class_name, method, objective, stages, bound)


def class_map(
    features: Float[np.ndarray, "n d"],
    selections: Mapping[str, ClassSelection],
    *,
    with_assignment: bool = False,
) -> FeatureMap:
    """Return the map of one class.

    Args:
        features: of all images of the class.
        selections: selections of this class, by method; at least one.
        with_assignment: whether to join each image to the chosen one that represents it.
    """
    class_name = next(iter(selections.values())).class_name
    chosen = {method: each.indices for method, each in selections.items()}
    assignment = {method: each.assignment for method, each in selections.items()}
    left_out = {method: np.flatnonzero(rows < 0) for method, rows in assignment.items()}
    drawn = assignment if with_assignment else {}
    return FeatureMap(class_name, features, chosen, left_out, drawn)


@dataclass(frozen=True)
class LossPoint:
    """What a plot needs of a line of a loss curve."""

    step: int
    loss: float


def loss_curve(model: str, method: str, lines: Iterable[LossPoint]) -> LossCurve | None:
    """Return the training loss of one model; None without any.

    Args:
        model: name of the model.
        method: method of its subset.
        lines: in any order; the last one of a step counts.
    """
    losses = {line.step: line.loss for line in lines}
    if not losses:
        return None
    steps = sorted(losses)
    return LossCurve(model, method, np.array(steps), np.array([losses[step] for step in steps]))
