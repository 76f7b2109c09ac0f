"""Plot data from stored selections and loss curves."""

import math

import numpy as np

from otcondense.history import Step
from otcondense.report import LossPoint, class_history, class_map, loss_curve
from otcondense.store import ClassSelection, SelectionSummary


def selection(*objectives: float) -> ClassSelection:
    steps = [
        Step(step=number, stage="greedy", added=number, removed=None, objective=objective)
        for number, objective in enumerate(objectives)
    ]
    return ClassSelection(
        class_name="3",
        class_index=3,
        image_ids=["a", "b", "c"],
        indices=np.array([1]),
        received_mass=np.array([0.5, 0.5, 0.0]),
        assignment=np.array([1, 1, -1]),
        cross_entropy=None,
        sha256=["x", "y", "z"],
        rank=np.array([0]),
        gain=np.array([1.0]),
        summary=SelectionSummary(objective=2.0, lower_bound=1.5, history=tuple(steps)),
    )


def test_a_history_has_the_steps_with_an_objective() -> None:
    found = class_history(selection(math.nan, 3.0, 2.0), "geometry_aware")
    assert found is not None
    assert found.objective.tolist() == [3.0, 2.0]
    assert found.stages == ("greedy", "greedy")
    assert found.bound == 1.5
    assert class_history(selection(math.nan), "random") is None


def test_a_map_has_chosen_and_left_out_images_of_every_method() -> None:
    features = np.zeros((3, 2))
    found = class_map(features, {"ours": selection(), "random": selection()})
    assert (found.class_name, list(found.chosen)) == ("3", ["ours", "random"])
    assert found.left_out["random"].tolist() == [2]
    assert found.assignment == {}
    drawn = class_map(features, {"ours": selection()}, with_assignment=True)
    assert drawn.assignment["ours"].tolist() == [1, 1, -1]


def test_a_loss_curve_is_in_the_order_of_steps_and_the_last_line_of_a_step_counts() -> None:
    lines = [LossPoint(2, 0.5), LossPoint(1, 1.0), LossPoint(2, 0.4)]
    found = loss_curve("sit", "random", lines)
    assert found is not None
    assert found.steps.tolist() == [1, 2]
    assert found.loss.tolist() == [1.0, 0.4]
    assert loss_curve("sit", "random", []) is None
