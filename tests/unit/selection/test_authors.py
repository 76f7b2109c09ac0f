"""The authors' mode against picks of their code and an independent plain implementation."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from otcondense.errors import InputError
from otcondense.selection.authors import authors_evaluate_sets, authors_select
from otcondense.selection.authors_config import AuthorsSettings

PARITY = Path(__file__).parent / "parity"
CASES = json.loads((PARITY / "cases.json").read_text())
Array = NDArray[np.float64]


def plain_cost(
    features: Array, entropy: Array, chosen: list[int], settings: AuthorsSettings, *, whole: bool
) -> float:
    """One subset at a time in float64, the dummy row spelled out with a cost of its own."""
    n = len(features)
    k = len(chosen)
    cost = np.vstack([((features[chosen][:, None] - features[None]) ** 2).sum(-1), np.full(n, 3.0)])
    kernel = np.exp(-cost / settings.epsilon)
    rows = np.array([1 / k] * k + [settings.kappa - 1])
    columns = settings.kappa / n
    v = np.ones(n)
    for _ in range(settings.iterations):
        u = rows / (kernel @ v)
        v = columns / (kernel.T @ u)
    transport = ((u[:, None] * kernel * v) * cost)[:-1].sum()
    deviation = features[chosen].std(0, ddof=1) if k > 1 else 0.0
    mean_part = ((features[chosen].mean(0) - features.mean(0)) ** 2).sum()
    std_part = ((deviation - features.std(0, ddof=1)) ** 2).sum()
    moments = 1.25 * mean_part + std_part
    confidence = entropy[chosen].mean() if whole else entropy[chosen[-1]]
    return float(transport + settings.alpha * moments + settings.beta * confidence)


def plain_select(
    features: Array, entropy: Array, settings: AuthorsSettings
) -> tuple[list[int], list[int]]:
    def greedy_cost(newcomer: int) -> float:
        return plain_cost(features, entropy, [*chosen, newcomer], settings, whole=False)

    def swap_cost(subset: list[int]) -> float:
        return plain_cost(features, entropy, subset, settings, whole=True)

    chosen: list[int] = []
    for _ in range(settings.budget):
        free = [j for j in range(len(features)) if j not in chosen]
        chosen.append(min(free, key=greedy_cost))

    current = list(chosen)
    for _ in range(settings.max_swaps):
        free = [j for j in range(len(features)) if j not in current]
        swaps = []
        for i in range(settings.budget):
            swaps += [[*current[:i], j, *current[i + 1 :]] for j in free]
        best = min(swaps, key=swap_cost)
        if swap_cost(best) >= swap_cost(current) - 1e-8:
            break
        current = best
    return chosen, current


def random_class(seed: int, n: int = 24, d: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, d, generator=generator), torch.rand(n, generator=generator)


def settings_of(case: dict[str, Any]) -> AuthorsSettings:
    names = ("budget", "epsilon", "kappa", "alpha", "beta")
    return AuthorsSettings(**{name: case[name] for name in names})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_reproduces_the_picks_of_the_authors_code_index_for_index(case: dict[str, Any]) -> None:
    arrays = np.load(PARITY / "cases.npz")
    features = torch.from_numpy(arrays[f"{case['case']}_features"])
    entropy = torch.from_numpy(arrays[f"{case['case']}_cross_entropy"])
    result = authors_select(features, entropy, settings_of(case))
    assert result.greedy_indices == case["greedy"]
    assert result.indices == case["refined"]
    assert result.objective == pytest.approx(case["objective"], rel=1e-5)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("kappa", "alpha", "beta"), [(1.05, 6.0, 30.0), (1.0, 0.0, 0.0), (2.0, 1.0, 300.0)]
)
def test_agrees_with_an_independent_plain_implementation(
    seed: int, kappa: float, alpha: float, beta: float
) -> None:
    features, entropy = random_class(seed)
    settings = AuthorsSettings(budget=3, epsilon=12.0, kappa=kappa, alpha=alpha, beta=beta)
    result = authors_select(features, entropy, settings)
    expected = plain_select(features.double().numpy(), entropy.double().numpy(), settings)
    assert (result.greedy_indices, result.indices) == expected


@pytest.mark.parametrize("size", [1, 4])
def test_the_yardstick_gives_the_plain_cost_of_each_set(size: int) -> None:
    features, entropy = random_class(7)
    settings = AuthorsSettings(
        budget=size, epsilon=8.0, kappa=1.2, alpha=2.0, beta=5.0, batch_size=2
    )
    sets = torch.stack(
        [torch.randperm(24, generator=torch.Generator().manual_seed(s))[:size] for s in range(5)]
    )
    x = features.double().numpy()
    nats = entropy.double().numpy()
    expected = [plain_cost(x, nats, s.tolist(), settings, whole=True) for s in sets]
    costs = authors_evaluate_sets(features, entropy, sets, settings)
    assert costs.tolist() == pytest.approx(expected, rel=1e-5)


def test_the_yardstick_gives_the_final_subset_the_same_cost_as_the_search() -> None:
    features, entropy = random_class(3, n=60)
    settings = AuthorsSettings(budget=5, beta=20.0)
    result = authors_select(features, entropy, settings)
    costs = authors_evaluate_sets(features, entropy, torch.tensor([result.indices]), settings)
    assert float(costs) == pytest.approx(result.objective, rel=1e-5)


def test_picks_do_not_depend_on_the_batch_size_and_swaps_lower_the_objective() -> None:
    features, entropy = random_class(11, n=50)
    runs = [
        authors_select(features, entropy, AuthorsSettings(budget=6, beta=40.0, batch_size=size))
        for size in (1, 7, 256)
    ]
    assert runs[0].indices == runs[1].indices == runs[2].indices
    swaps = [step.objective for step in runs[0].history if step.stage == "swap"]
    assert swaps == sorted(swaps, reverse=True)
    assert len(swaps) > 0


def test_a_pass_limit_of_zero_keeps_the_greedy_picks() -> None:
    features, entropy = random_class(11)
    result = authors_select(features, entropy, AuthorsSettings(budget=4, max_swaps=0))
    assert result.indices == result.greedy_indices


def test_an_outlier_that_breaks_the_iteration_is_never_chosen() -> None:
    features, entropy = random_class(5)
    features[0] += 1e4
    with pytest.raises(InputError, match="too small"):
        authors_select(features, entropy, AuthorsSettings(budget=2, kappa=1.0))


def test_choosing_the_whole_class_makes_no_swap() -> None:
    features, entropy = random_class(2, n=5)
    result = authors_select(features, entropy, AuthorsSettings(budget=5))
    assert sorted(result.indices) == list(range(5))


@pytest.mark.parametrize(
    ("budget", "entropy", "message"),
    [
        (30, torch.zeros(24), "budget must be at most"),
        (3, None, "cross_entropy"),
        (3, torch.full((24,), torch.nan), "finite"),
    ],
)
def test_invalid_input_is_refused(budget: int, entropy: torch.Tensor | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        authors_select(random_class(0)[0], entropy, AuthorsSettings(budget=budget))
