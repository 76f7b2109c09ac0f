"""A subset beside random subsets of the same sizes."""

import numpy as np
import pytest

from otcondense.errors import InputError
from otcondense.evaluation import EvaluationConfig, frechet_distance, subset_quality
from otcondense.evaluation.random_draws import ClassRows, DrawnFigures, compare_with_draws

METRICS = ("frechet_distance", "mind", "coverage", "recall")
CONFIG = EvaluationConfig(kid_subsets=1, error_groups=0)


def classes(chosen: np.ndarray) -> list[ClassRows]:
    """Two classes of 40 images; the second is far from the first."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(2, 40, 4)).astype(np.float32) + np.array([[[0]], [[9]]])
    return [ClassRows(each.astype(np.float32), chosen, np.arange(38)) for each in rows]


def held_out() -> np.ndarray:
    generator = np.random.default_rng(1)
    return np.concatenate([generator.normal(size=(30, 4)), generator.normal(size=(30, 4)) + 9])


def measured(chosen: np.ndarray, draws: int = 5) -> DrawnFigures:
    seen: list[None] = []
    found = compare_with_draws(
        classes(chosen), held_out(), draws, CONFIG, METRICS, lambda: seen.append(None)
    )
    assert len(seen) == draws
    return found


def test_values_are_those_of_a_subset_in_every_other_file() -> None:
    chosen = np.arange(10)
    found = measured(chosen)
    rows = np.concatenate([each.features[chosen] for each in classes(chosen)])
    quality = subset_quality(rows, held_out(), CONFIG)
    assert found.values == {name: quality[name] for name in METRICS}
    assert found.values["frechet_distance"] == pytest.approx(frechet_distance(rows, held_out()))


def test_draws_are_the_same_each_time_and_a_longer_list_begins_with_them() -> None:
    three, five = measured(np.arange(10), 3), measured(np.arange(20, 30), 5)
    assert all(five.draws[name][:3] == three.draws[name] for name in METRICS)
    assert len(set(five.draws["mind"])) == 5


def test_a_subset_of_one_corner_is_worse_than_every_draw() -> None:
    first = classes(np.arange(10))[0].features[:, 0]
    found = measured(np.argsort(first)[:10])
    assert found.values["frechet_distance"] > max(found.draws["frechet_distance"])


def test_draws_are_made_from_candidates_alone() -> None:
    """All candidates are drawn: each draw is the same set."""
    rows = [
        ClassRows(each.features, np.arange(38), each.candidates) for each in classes(np.arange(1))
    ]
    found = compare_with_draws(rows, held_out(), 3, CONFIG, ["coverage"])
    assert found.draws["coverage"] == [found.values["coverage"]] * 3


def test_too_few_images_are_refused() -> None:
    with pytest.raises(InputError, match="subset"):
        measured(np.arange(1))
