"""Each baseline against its definition, written out plainly, or a case whose answer is known."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from otcondense.errors import InputError
from otcondense.selection import SELECTORS, forecast
from otcondense.selection.baselines.ccs import CcsDiagnostics, CcsSelector, allocate
from otcondense.selection.baselines.d2c import D2cDiagnostics, D2cSelector
from otcondense.selection.baselines.dq import DqDiagnostics, DqSelector
from otcondense.selection.baselines.herding import HerdingSelector
from otcondense.selection.baselines.k_center import KCenterSelector
from otcondense.selection.baselines.k_means import KMeansSelector
from otcondense.selection.baselines.k_medoids import KMedoidsSelector
from otcondense.selection.baselines.nearest_mean import NearestMeanSelector
from otcondense.selection.baselines.random_choice import RandomSelector

Array = NDArray[np.float64]
STEPS = np.array([-0.5, 0.0, 0.5])
BLOBS = np.array([[10.0 * (i // 3) + STEPS[i % 3], 0.0] for i in range(12)])
"""Four blobs of three points on a line."""


def points(seed: int, n: int = 40, d: int = 6) -> Array:
    return np.random.default_rng(seed).normal(size=(n, d))


def squared(features: Array) -> Array:
    return np.asarray(((features[:, None] - features[None]) ** 2).sum(-1))


def test_random_draws_every_image_equally_often_and_weighted_in_proportion() -> None:
    features = np.zeros((4, 1))
    plain = np.zeros(4)
    weighted = np.zeros(4)
    for seed in range(500):
        selector = RandomSelector(budget=1, seed=seed)
        plain[selector.fit(features).indices_] += 1
        weighted[selector.fit(features, weights=[0, 1, 1, 2]).indices_] += 1
    assert plain / 500 == pytest.approx([0.25] * 4, abs=0.08)
    assert weighted / 500 == pytest.approx([0, 0.25, 0.25, 0.5], abs=0.08)


@pytest.mark.parametrize(("variant", "pick"), [("welling", np.argmin), ("deepcore", np.argmax)])
@pytest.mark.parametrize("seed", range(5))
def test_herding_follows_its_definition(
    variant: str, pick: Callable[[list[float]], int], seed: int
) -> None:
    features = points(seed)
    chosen: list[int] = []
    for step in range(1, 8):
        free = [j for j in range(40) if j not in chosen]
        target = step * features.mean(0) - features[chosen].sum(0)
        chosen.append(free[int(pick([np.linalg.norm(target - features[j]) for j in free]))])
    selector = HerdingSelector(budget=7, variant=variant).fit(features)
    assert selector.indices_.tolist() == chosen
    assert selector.objective_ == pytest.approx(
        ((features[chosen].mean(0) - features.mean(0)) ** 2).sum()
    )


def test_correct_herding_matches_the_mean_far_better_than_the_farthest_point_form() -> None:
    gaps = [
        HerdingSelector(budget=10, variant=variant).fit(points(0)).objective_
        for variant in ("welling", "deepcore")
    ]
    assert gaps[0] < gaps[1] / 10


@pytest.mark.parametrize("seed", range(5))
def test_k_center_takes_the_farthest_point_and_stays_within_twice_the_best_radius(
    seed: int,
) -> None:
    features = points(seed, n=12, d=2)
    selector = KCenterSelector(budget=3, seed=seed).fit(features)
    cost = squared(features)
    chosen = selector.indices_.tolist()
    for step in (1, 2):
        assert chosen[step] == cost[chosen[:step]].min(0).argmax()
    best = min(cost[list(subset)].min(0).max() for subset in combinations(range(12), 3))
    assert best <= selector.objective_ <= 4 * best * (1 + 1e-9)
    assert KCenterSelector(budget=3, seed=seed).fit(None, cost=cost).indices_.tolist() == chosen


@pytest.mark.parametrize("seed", range(5))
def test_lazy_greedy_k_medoids_is_plain_greedy(seed: int) -> None:
    features = points(seed)
    chosen: list[int] = []
    weights = np.random.default_rng(seed).random(40)
    cost = squared(features)
    for _ in range(6):
        free = [j for j in range(40) if j not in chosen]
        chosen.append(min(free, key=lambda j: cost[[*chosen, j]].min(0) @ weights))
    selector = KMedoidsSelector(budget=6, swaps=False).fit(features, weights=weights)
    assert selector.indices_.tolist() == chosen
    assert selector.objective_ == pytest.approx(cost[chosen].min(0) @ weights / weights.sum())
    assert selector.diagnostics_.evaluations < 6 * 40


def test_k_medoids_ties_go_to_the_lower_index() -> None:
    features = np.repeat(points(1, n=5), 3, axis=0)
    assert (KMedoidsSelector(budget=5).fit(features).indices_ % 3 == 0).all()


def test_k_medoids_respects_the_direction_of_an_asymmetric_cost() -> None:
    cost = np.array([[0.0, 9.0, 9.0], [1.0, 0.0, 1.0], [1.0, 9.0, 0.0]])
    selector = KMedoidsSelector(budget=1).fit(None, cost=cost)
    assert selector.indices_.tolist() == [1]
    assert selector.objective_ == pytest.approx(2 / 3)


@pytest.mark.parametrize("seed", range(3))
def test_k_medoids_reaches_the_guarantee_of_greedy(seed: int) -> None:
    cost = squared(points(seed, n=12, d=2))
    selector = KMedoidsSelector(budget=3, swaps=False).fit(None, cost=cost)
    saving = cost.max() - selector.objective_
    best = cost.max() - min(
        cost[list(subset)].min(0).mean() for subset in combinations(range(12), 3)
    )
    assert (1 - 1 / np.e) * best <= saving <= best * (1 + 1e-9)


def test_k_means_takes_the_middles_of_separate_blobs() -> None:
    selector = KMeansSelector(budget=4).fit(BLOBS)
    assert sorted(selector.indices_.tolist()) == [1, 4, 7, 10]
    assert (selector.assignment_ == np.repeat([1, 4, 7, 10], 3)).all()
    assert selector.objective_ == pytest.approx(1 / 6)


@pytest.mark.parametrize("seed", range(3))
def test_k_means_is_as_good_as_scipy_from_the_same_number_of_starts(seed: int) -> None:
    features = points(seed, n=80, d=3)
    ours = KMeansSelector(budget=5, restarts=5, seed=seed).fit(features).objective_
    runs = [kmeans2(features, 5, minit="++", rng=s) for s in range(5)]
    theirs = min(((features - centres[label]) ** 2).sum(1).mean() for centres, label in runs)
    assert ours <= theirs * 1.05


def test_nearest_mean_takes_the_smallest_distances_and_uses_weights() -> None:
    features = points(4)
    distance = np.linalg.norm(features - features.mean(0), axis=1)
    selector = NearestMeanSelector(budget=5).fit(features)
    assert selector.indices_.tolist() == np.argsort(distance)[:5].tolist()
    assert selector.objective_ == pytest.approx(np.sort(distance**2)[:5].mean())
    assert NearestMeanSelector(budget=1).fit(
        features, weights=np.eye(40)[17]
    ).indices_.tolist() == [17]


def test_ccs_drops_the_hardest_and_covers_the_strata_evenly() -> None:
    score = np.arange(100.0)
    selector = CcsSelector(budget=20, dropped_share=0.2, strata=10).fit(
        np.zeros((100, 1)), difficulty=score
    )
    assert selector.diagnostics_ == CcsDiagnostics(20, (2,) * 10)
    assert selector.indices_.min() >= 20
    assert np.bincount((selector.indices_ - 20) // 8, minlength=10).tolist() == [2] * 10
    flipped = CcsSelector(budget=20, dropped_share=0.2, strata=10, hard="high").fit(
        np.zeros((100, 1)), difficulty=score
    )
    assert flipped.indices_.max() < 80


def test_ccs_drops_at_most_as_many_images_as_the_budget_allows() -> None:
    selector = CcsSelector(budget=9, dropped_share=0.5).fit(
        np.zeros((10, 1)), difficulty=np.arange(10.0)
    )
    assert selector.diagnostics_.dropped == 1
    assert sorted(selector.indices_.tolist()) == list(range(1, 10))


@pytest.mark.parametrize(
    ("budget", "members", "shares"),
    [
        (10, [5, 5], [5, 5]),
        (10, [1, 9, 20], [1, 4, 5]),
        (3, [0, 4, 4, 4, 4], [0, 0, 1, 1, 1]),
        (6, [2, 2, 2], [2, 2, 2]),
        (3, [1, 2], [1, 2]),
    ],
)
def test_ccs_shares_the_budget_from_the_smallest_stratum_up(
    budget: int, members: list[int], shares: list[int]
) -> None:
    assert allocate(budget, np.array(members)).tolist() == shares


@pytest.mark.parametrize(("budget", "step", "last"), [(10, 96, 864), (50, 16, 784), (100, 10, 990)])
def test_d2c_uses_the_papers_intervals_on_a_full_class(budget: int, step: int, last: int) -> None:
    score = np.random.default_rng(0).permutation(1300).astype(float)
    selector = D2cSelector(budget=budget).fit(np.zeros((1300, 1)), difficulty=score)
    assert score[selector.indices_].tolist() == list(range(0, last + 1, step))
    assert selector.diagnostics_ == D2cDiagnostics(step, step, clamped=False)


@pytest.mark.parametrize(("budget", "step"), [(10, 81), (50, 14), (100, 7)])
def test_d2c_clamps_the_interval_for_the_smallest_class_and_reports_it(
    budget: int, step: int
) -> None:
    selector = D2cSelector(budget=budget).fit(np.zeros((732, 1)), difficulty=np.arange(732.0))
    assert selector.indices_.tolist() == [step * rank for rank in range(budget)]
    assert selector.diagnostics_.clamped is True


@pytest.mark.parametrize(
    ("variant", "hard", "expected"),
    [
        ("min", "high", [0, 1, 2]),
        ("max", "high", [7, 8, 9]),
        ("medium", "high", [3, 4, 5]),
        ("min", "low", [9, 8, 7]),
    ],
)
def test_d2c_variants_take_the_easiest_hardest_or_median_images(
    variant: str, hard: str, expected: list[int]
) -> None:
    selector = D2cSelector(budget=3, variant=variant, hard=hard).fit(
        np.zeros((10, 1)), difficulty=np.arange(10.0)
    )
    assert selector.indices_.tolist() == expected


def test_d2c_refuses_an_interval_with_other_variants() -> None:
    with pytest.raises(InputError, match="interval goes with variant=interval only"):
        D2cSelector(budget=3, variant="min", interval=2).fit(
            np.zeros((10, 1)), difficulty=np.arange(10.0)
        )


def plain_bins(gradients: Array, count: int) -> list[list[int]]:
    """GraphCut bins from gradients built in full."""
    unit = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    similarity = (1 + unit @ unit.T) / 2
    left = list(range(len(unit)))
    bins: list[list[int]] = []
    for part in np.array_split(np.arange(len(unit)), count):
        whole = similarity[:, left].sum(1)
        chosen: list[int] = []
        for _ in part:
            gain = whole - 2 * similarity[:, chosen].sum(1)
            free = [j for j in left if j not in chosen]
            chosen.append(max(free, key=lambda j: gain[j]))
        left = [j for j in left if j not in chosen]
        bins.append(chosen)
    return bins


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("with_entropy", [False, True])
def test_dq_bins_equal_those_of_the_last_layers_gradients(seed: int, with_entropy: bool) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(23, 4))
    logits = rng.normal(size=(23, 3))
    logits[:, 1] += 1
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    error = probability - np.eye(3)[1]
    gradients = np.concatenate(
        [error, (error[:, :, None] * features[:, None]).reshape(23, -1)], axis=1
    )
    bins = plain_bins(gradients, 4)
    entropy = -np.log(probability[:, 1]) if with_entropy else None
    selector = DqSelector(budget=10, bins=4).fit(features, logits=logits, cross_entropy=entropy)
    assert selector.diagnostics_ == DqDiagnostics((6, 6, 6, 5), (3, 3, 2, 2))
    for drawn, members in zip(np.split(selector.indices_, [3, 6, 8]), bins, strict=True):
        assert set(drawn.tolist()) <= set(members)


@pytest.mark.parametrize(("size", "budget"), [(732, 10), (732, 100), (1300, 50), (15, 14)])
def test_dq_draws_the_whole_budget_where_fractions_would_not(size: int, budget: int) -> None:
    selector = DqSelector(budget=budget).fit(points(0, n=size, d=3))
    assert sum(selector.diagnostics_.drawn_per_bin) == len(selector.indices_) == budget


@pytest.mark.parametrize("method", ["k_medoids", "subzerocore", "uniprot"])
def test_a_class_whose_costs_do_not_fit_is_refused(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "available_memory", lambda: forecast.PROCESS_BYTES)
    with pytest.raises(InputError, match=r"found 40 images, which need 0\.21 GB; split the class"):
        SELECTORS[method](budget=2).fit(points(0))
