"""MIND: closed forms, and the plain definition for sets of any sizes."""

import numpy as np
import pytest
import torch

from otcondense.errors import InputError
from otcondense.evaluation import frechet_distance, monge, monge_distance
from otcondense.evaluation.monge import quantile_pairs
from tests.unit.evaluation.test_classwise import draws


def brute_force(one: torch.Tensor, two: torch.Tensor, directions: int, seed: int) -> float:
    """Repeat every image until both sets have equal size, which changes no distribution."""
    count = np.lcm(len(one), len(two))
    drawn = torch.randn(
        directions, one.shape[1], generator=torch.Generator().manual_seed(seed)
    ).double()
    total = 0.0
    for direction in drawn:
        unit = direction / direction.norm()
        first = np.sort(np.repeat((one.double() @ unit).numpy(), count // len(one)))
        second = np.sort(np.repeat((two.double() @ unit).numpy(), count // len(two)))
        total += float(np.mean((first - second) ** 2))
    return 3 * one.shape[1] * total / directions


@pytest.mark.parametrize(("first", "second"), [(12, 12), (12, 8), (7, 20), (1, 5), (1, 1)])
def test_the_distance_is_that_of_repeated_images(first: int, second: int) -> None:
    one, two = draws(first, 5, 1), 0.5 * draws(second, 5, 2) + 1
    found = monge_distance(one, two, directions=20, seed=4)
    assert found == pytest.approx(brute_force(one, two, 20, 4), rel=1e-12)
    assert monge_distance(two, one, directions=20, seed=4) == pytest.approx(found, rel=1e-12)


def test_on_a_line_it_is_the_distance_of_scipy() -> None:
    linprog = pytest.importorskip("scipy.optimize").linprog
    one, two = draws(4, 1, 1), draws(6, 1, 2) + 0.3
    costs = (one - two.T).square().flatten().numpy()
    rows = np.kron(np.eye(4), np.ones(6))
    columns = np.kron(np.ones(4), np.eye(6))
    mass = np.concatenate([np.full(4, 1 / 4), np.full(6, 1 / 6)])
    plan = linprog(costs, A_eq=np.vstack([rows, columns]), b_eq=mass)
    assert monge_distance(one, two, directions=3) == pytest.approx(3 * plan.fun, rel=1e-9)


def test_a_translation_gives_its_length() -> None:
    one = draws(30, 8, 1)
    shift = torch.tensor([3.0, -1.0, 0, 0, 2.0, 0, 0, 0], dtype=torch.float64)
    directions = 4000
    # The mean of the squared share of a direction is 1 / d, so that MIND is 3 |shift|^2.
    found = monge_distance(one, one + shift, directions)
    assert found == pytest.approx(3 * float(shift @ shift), rel=0.05)
    # Along the one axis of a line there is no chance.
    assert monge_distance(one[:, :1], one[:, :1] + 2) == pytest.approx(3 * 4, rel=1e-12)


def test_equal_distributions_have_no_distance() -> None:
    one = draws(9, 4, 1)
    assert monge_distance(one, one.flip(0)) == pytest.approx(0, abs=1e-25)
    assert monge_distance(one, torch.cat([one, one, one])) == pytest.approx(0, abs=1e-25)


def test_matched_moments_do_not_make_it_small() -> None:
    """Two points of each axis have mean and covariance of the normal distribution."""
    generator = torch.Generator().manual_seed(0)
    two_points = torch.randint(0, 2, (1000, 2), generator=generator).double() * 2 - 1
    normal, other = draws(1000, 2, 1), draws(1000, 2, 2)
    assert frechet_distance(two_points, normal) < 0.01
    assert monge_distance(two_points, normal, 50) > 10 * monge_distance(other, normal, 50)


def test_a_small_memory_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = draws(40, 6, 1), draws(30, 6, 2)
    expected = monge_distance(one, two, 60)
    monkeypatch.setattr(monge, "CHUNK_ELEMENTS", 150)
    assert monge_distance(one, two, 60) == pytest.approx(expected, rel=1e-12)


def test_the_directions_are_those_of_torch_fidelity() -> None:
    """For equal sizes its value is 3 d times the mean square of sorted differences in float32."""
    one, two = draws(50, 16, 1).float(), draws(50, 16, 2).float()
    drawn = torch.randn(100, 16, generator=torch.Generator().manual_seed(7))
    drawn = drawn / drawn.norm(dim=1, keepdim=True)
    first, second = (one @ drawn.T).sort(dim=0).values, (two @ drawn.T).sort(dim=0).values
    theirs = 3 * 16 * float((first - second).square().mean())
    assert monge_distance(one, two, 100, 7) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize(("first", "second"), [(3, 5), (4, 4), (6, 4), (1, 9)])
def test_the_parts_share_the_mass_of_both_sets(first: int, second: int) -> None:
    one, two, share = quantile_pairs(first, second, torch.device("cpu"))
    assert len(share) <= first + second - 1
    for places, count in ((one, first), (two, second)):
        mass = torch.zeros(count, dtype=torch.float64).index_add_(0, places, share)
        assert mass.tolist() == pytest.approx([1 / count] * count)


def test_features_of_two_networks_are_refused() -> None:
    with pytest.raises(InputError, match="one encoder"):
        monge_distance(draws(5, 3, 1), draws(5, 4, 2))
