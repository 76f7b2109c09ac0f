"""Swaps in groups under the statistics of the whole class, group by group."""

from collections.abc import Callable

import numpy as np
import pytest

from otcondense.selection.candidates import Candidates, validate_candidates
from otcondense.selection.engine.whole_statistics import Moments
from otcondense.selection.geometry_aware_config import GeometryAwareConfig
from otcondense.selection.polishing import GroupToPolish, polish_groups
from otcondense.selection.watch import Moment

SIZES = (25, 12, 18)
NUMBER = 3


def classes(seed: int = 0, scale: float = 1.0) -> list[np.ndarray]:
    """Return the features of each group of a class."""
    generator = np.random.default_rng(seed)
    return [
        (generator.normal(size=(size, 5)) + 2 * number) * scale for number, size in enumerate(SIZES)
    ]


def loader(features: np.ndarray, entropy: np.ndarray | None) -> Callable[[], Candidates]:
    return lambda: validate_candidates(features, cross_entropy=entropy)


def groups_of(
    features: list[np.ndarray],
    config: GeometryAwareConfig,
    entropy: list[np.ndarray] | None = None,
) -> list[GroupToPolish]:
    """Return groups that begin with their first images."""
    start = tuple(range(NUMBER))
    entropies = entropy or [None] * len(features)
    return [
        GroupToPolish(loader(rows, values), config, start)
        for rows, values in zip(features, entropies, strict=True)
    ]


def test_moments_of_parts_are_those_of_the_whole() -> None:
    parts = classes(3)
    found = Moments.of(parts[0]) + Moments.of(parts[1]) + Moments.of(parts[2])
    whole = np.concatenate(parts)
    assert found.count == len(whole)
    assert found.mean == pytest.approx(whole.mean(axis=0))
    assert found.deviations == pytest.approx(whole.std(axis=0, ddof=1))
    assert found.distance(Moments.of(whole)) == pytest.approx(0, abs=1e-20)


def test_the_statistics_before_and_after_are_those_of_numpy() -> None:
    features = classes()
    done = polish_groups(groups_of(features, GeometryAwareConfig(alpha=2.0)))
    whole = np.concatenate(features)
    for places, value in (((0, 1, 2),) * 3, done.before), (done.chosen, done.after):
        mine = np.concatenate([features[n][list(each)] for n, each in enumerate(places)])
        means = np.square(mine.mean(axis=0) - whole.mean(axis=0)).sum()
        spread = np.square(mine.std(axis=0, ddof=1) - whole.std(axis=0, ddof=1)).sum()
        assert value == pytest.approx(2 * (means + spread))
    assert done.swaps > 0


def test_forced_images_stay_and_barred_ones_stay_out() -> None:
    config = GeometryAwareConfig(include=(1,), exclude=tuple(range(NUMBER, 10)))
    done = polish_groups(groups_of(classes(), config))
    for places in done.chosen:
        assert 1 in places
        assert len(set(places)) == NUMBER
        assert not set(places) & set(range(NUMBER, 10))


def test_images_with_confident_labels_are_preferred() -> None:
    features = classes()
    generator = np.random.default_rng(1)
    entropy = [generator.random(len(rows)) for rows in features]
    means = []
    for beta in (0.0, 100.0):
        config = GeometryAwareConfig(beta=beta)
        done = polish_groups(groups_of(features, config, entropy))
        chosen = [values[list(each)] for values, each in zip(entropy, done.chosen, strict=True)]
        means.append(np.concatenate(chosen).mean())
    assert means[1] < means[0] / 2


@pytest.mark.parametrize("scale", [2.0**-300, 2.0**300])
def test_the_choice_does_not_depend_on_the_unit_of_the_features(scale: float) -> None:
    config = GeometryAwareConfig()
    plain = polish_groups(groups_of(classes(), config))
    scaled = polish_groups(groups_of(classes(scale=scale), config))
    assert scaled.chosen == plain.chosen


def test_a_group_is_read_again_only_while_others_change() -> None:
    calls: list[int] = []
    features = classes()

    def counted(number: int) -> Callable[[], Candidates]:
        def load() -> Candidates:
            calls.append(number)
            return validate_candidates(features[number])

        return load

    config = GeometryAwareConfig()
    first = polish_groups(groups_of(features, config))
    again = [GroupToPolish(counted(n), config, places) for n, places in enumerate(first.chosen)]
    assert polish_groups(again).chosen == first.chosen
    assert calls == [0, 1, 2, 0, 1, 2]


def test_the_watcher_is_told_and_can_stop_the_swaps() -> None:
    moments: list[Moment] = []
    polish_groups(groups_of(classes(), GeometryAwareConfig()), moments.append)
    assert {moment.stage for moment in moments} == {"polish"}
    assert {moment.chosen for moment in moments} == {NUMBER * len(SIZES)}

    def stop(_: Moment) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        polish_groups(groups_of(classes(), GeometryAwareConfig()), stop)
