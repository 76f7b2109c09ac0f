"""Metrics do not depend on the unit of the features, or say what they cannot compute."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from otcondense.errors import InputError
from otcondense.evaluation import (
    authenticity,
    copying,
    density_coverage,
    frechet_distance,
    gaussian_distance,
    kernel_distance,
    near_copy_share,
    nearest_neighbours,
    precision_recall,
)

GENERATOR = np.random.default_rng(0)
SAMPLES = GENERATOR.normal(size=(60, 8))
HELD_OUT = GENERATOR.normal(size=(70, 8)) + 0.3
CHOSEN = GENERATOR.normal(size=(30, 8))
SCALES = [1e-150, 1e-100, 1e-40, 1e-20, 1e-8, 1e-3, 0.1, 1e3, 1e8, 1e20, 1e40, 1e100, 1e150]
SHARES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "precision and recall": lambda a, b, _: tuple(precision_recall(a, b)),
    "density and coverage": lambda a, b, _: tuple(density_coverage(a, b)),
    "copying": lambda a, b, c: copying(a, c, b).copy_share,
    "authenticity": lambda a, _, c: authenticity(a, c),
    "near copies": lambda a, _, c: near_copy_share(a, c),
    "neighbours": lambda a, b, _: nearest_neighbours(a, b, 2).indices.flatten().tolist(),
    "gaussian distance": lambda a, b, _: gaussian_distance(a, b),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", SHARES)
def test_shares_do_not_depend_on_the_unit(name: str, scale: float) -> None:
    metric = SHARES[name]
    plain = metric(SAMPLES, HELD_OUT, CHOSEN)
    assert metric(SAMPLES * scale, HELD_OUT * scale, CHOSEN * scale) == pytest.approx(
        plain, rel=1e-9
    )


@pytest.mark.parametrize("scale", [1e-37, 1e-20, 1e-16, 1e16, 1e20, 1e37])
@pytest.mark.parametrize("name", SHARES)
def test_single_precision_has_room_too(name: str, scale: float) -> None:
    arrays = [(each * scale).astype(np.float32) for each in (SAMPLES, HELD_OUT, CHOSEN)]
    exact = [each.astype(np.float64) for each in arrays]
    assert SHARES[name](*arrays) == pytest.approx(SHARES[name](*exact), rel=1e-9)


@pytest.mark.parametrize("scale", SCALES)
def test_the_frechet_distance_scales_with_the_square(scale: float) -> None:
    plain = frechet_distance(SAMPLES, HELD_OUT)
    scaled = frechet_distance(SAMPLES * scale, HELD_OUT * scale)
    assert scaled == pytest.approx(plain * scale**2, rel=1e-9)


def test_a_power_of_two_changes_no_digit_of_the_frechet_distance() -> None:
    plain = frechet_distance(SAMPLES, HELD_OUT)
    for exponent in (-300, -7, 1, 8, 300):
        unit = 2.0**exponent
        assert frechet_distance(SAMPLES * unit, HELD_OUT * unit) == plain * unit**2


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
@pytest.mark.parametrize("name", [*SHARES, "frechet distance", "kernel distance"])
def test_a_scale_without_room_for_squares_is_refused(name: str, scale: float) -> None:
    more: dict[str, Callable[[Any, Any, Any], Any]] = {
        "frechet distance": lambda a, b, _: frechet_distance(a, b),
        "kernel distance": lambda a, b, _: kernel_distance(a, b),
    }
    metric = {**SHARES, **more}[name]
    with pytest.raises(InputError, match="multiply all features by a constant"):
        metric(SAMPLES * scale, HELD_OUT * scale, CHOSEN * scale)


@pytest.mark.parametrize("scale", [1e55, 1e100, 1e150])
def test_a_kernel_that_overflows_is_refused(scale: float) -> None:
    with pytest.raises(InputError, match="sixth power"):
        kernel_distance(SAMPLES * scale, HELD_OUT * scale)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_values_that_are_not_finite_are_refused(name: str, value: float, place: int) -> None:
    arrays = [SAMPLES.copy(), HELD_OUT.copy(), CHOSEN.copy()]
    arrays[place][5, 2] = value
    needs = {"copying": (0, 1, 2), "authenticity": (0, 2), "near copies": (0, 2)}
    if place not in needs.get(name, (0, 1)):
        assert SHARES[name](*arrays) == SHARES[name](SAMPLES, HELD_OUT, CHOSEN)
        return
    with pytest.raises(InputError, match="must be finite"):
        SHARES[name](*arrays)


@pytest.mark.filterwarnings("ignore:.* held-out images are there")
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e-150, 1e150])
def test_constant_features_have_values(value: float) -> None:
    same = np.full((12, 3), value)
    assert frechet_distance(same, same) == 0
    assert tuple(precision_recall(same, same)) == (1, 1)
    assert density_coverage(same, same).coverage == 1
