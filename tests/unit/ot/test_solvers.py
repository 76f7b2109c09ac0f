"""Sinkhorn, POT and the ground cost against Newton and plain formulas."""

import numpy as np
import pytest
import torch

from otcondense.errors import InputError
from otcondense.ot import (
    PartialProblem,
    PotSolver,
    SemiDualNewton,
    Sinkhorn,
    SquaredEuclidean,
    squared_euclidean,
)
from otcondense.ot.blocks import row_blocks
from otcondense.ot.exact import _highs, linear_value
from otcondense.threads import one_thread
from tests.generators import partial_ot


def problem(kappa: float, ratio: float = 30, dtype: torch.dtype = torch.float64) -> PartialProblem:
    rows = partial_ot.points(4, 25, outliers=1)
    cost = partial_ot.distances(rows[3:8], rows)
    return PartialProblem(cost.to(dtype), float(cost.max()) / ratio, kappa)


@pytest.mark.parametrize("kappa", [1.0, 1.05, 2.0])
@pytest.mark.parametrize(
    "solver",
    [
        Sinkhorn(50_000, 1e-10),
        Sinkhorn(20_000, log_domain=False),
        PotSolver("sinkhorn", 100_000, 1e-11),
    ],
)
def test_every_solver_finds_the_same_plan(kappa, solver):
    newton = SemiDualNewton()(problem(kappa))
    other = solver(problem(kappa))
    assert other.plan.numpy() == pytest.approx(newton.plan.numpy(), abs=1e-6)
    assert float(other.regularized_value) == pytest.approx(
        float(newton.regularized_value), rel=1e-6
    )
    assert float(other.transport_cost) == pytest.approx(float(newton.transport_cost), rel=1e-6)


@pytest.mark.parametrize("kappa", [1.0, 1.05, 2.0])
def test_the_exact_solvers_agree_with_the_plain_linear_program(kappa):
    plain = partial_ot.linear_value(problem(kappa))
    output = PotSolver()(problem(kappa))
    assert bool(output.converged)
    for value in (
        output.transport_cost,
        output.regularized_value,
        linear_value(problem(kappa)),
        _highs(problem(kappa)),
    ):
        assert float(value) == pytest.approx(plain, rel=1e-9)


def test_the_paper_s_iterations_lose_mass_if_the_cost_is_large_and_report_it():
    easy = problem(1.05, 20, torch.float32)
    hard = problem(1.05, 300, torch.float32)
    paper = Sinkhorn(20, log_domain=False)
    assert float(paper(easy).plan.sum()) == pytest.approx(1.0, abs=0.02)
    leaked = paper(hard)
    assert not bool(leaked.converged)
    assert not float(leaked.marginal_error) < 5e-3
    assert float(SemiDualNewton()(hard).marginal_error) < 1e-8


def test_the_paper_s_iterations_agree_with_plain_ones():
    given = problem(1.05)
    cost, a, b = (part.numpy() for part in given.balanced())
    kernel = np.exp(-cost / given.epsilon)
    v = np.ones(cost.shape[1])
    for _ in range(20):
        u = a / (kernel @ v)
        v = b / (kernel.T @ u)
    expected = (u[:, None] * kernel * v)[:-1]
    assert Sinkhorn(20, log_domain=False)(given).plan.numpy() == pytest.approx(expected, rel=1e-12)


def test_sinkhorn_warm_start_stops_at_once():
    solved = SemiDualNewton()(problem(1.05))
    assert Sinkhorn(100, 1e-8)(problem(1.05), solved.f).iterations == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: Sinkhorn()(PartialProblem(torch.ones(2, 3), 0.0)),
        lambda: Sinkhorn(log_domain=False)(problem(1.0), torch.zeros(5, dtype=torch.float64)),
        lambda: PotSolver("sinkhorn")(PartialProblem(torch.ones(2, 3), 0.0)),
        lambda: PotSolver()(PartialProblem(torch.ones(2, 2, 3), 1.0)),
        lambda: PotSolver()(problem(1.0), torch.zeros(5, dtype=torch.float64)),
    ],
)
def test_unsupported_problems_are_refused(call):
    with pytest.raises(InputError):
        call()


@pytest.mark.parametrize("shift", [0.0, 1e4])
@pytest.mark.parametrize("workers", [1, 2])
def test_squared_distances_agree_with_the_plain_formula(shift, workers):
    rows = partial_ot.points(0, 300, 5) + shift
    with one_thread():
        cost = SquaredEuclidean(workers)(rows)
    assert cost.numpy() == pytest.approx(partial_ot.distances(rows, rows).numpy(), abs=1e-9)
    assert bool((cost.diagonal() == 0).all())
    assert bool((cost >= 0).all())
    assert SquaredEuclidean()(rows[:4], rows).numpy() == pytest.approx(cost[:4].numpy(), abs=1e-9)


def test_distances_are_the_same_bytes_for_any_number_of_threads():
    rows = partial_ot.points(0, 500, 40)
    with one_thread():
        one = SquaredEuclidean(1)(rows)
        four = SquaredEuclidean(4)(rows)
    assert torch.equal(one, four)
    assert torch.equal(squared_euclidean(rows).diagonal(), torch.zeros(500, dtype=torch.float64))


def test_blocks_cover_every_row_once_and_raise_errors_of_their_work():
    for workers in (1, 3):
        seen = torch.zeros(301)

        def count(rows: slice, seen: torch.Tensor = seen) -> None:
            seen[rows] += 1

        row_blocks(count, 301, workers=workers)
        assert bool((seen == 1).all())
    with pytest.raises(ZeroDivisionError):
        row_blocks(lambda _: 1 // 0, 301, workers=2)
