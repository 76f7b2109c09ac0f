"""Invalid input, presets, forced images, nested subsets, later candidates, large classes."""

import numpy as np
import pytest
import torch

from otcondense.errors import InputError
from otcondense.selection.authors import authors_select
from otcondense.selection.authors_config import AuthorsSettings
from otcondense.selection.forecast import forecast
from otcondense.selection.geometry_aware import GeometryAwareSelector
from otcondense.selection.presets import PRESETS
from tests.generators.classes import all_values, small_class

DATA = small_class(0, 30, width=4)
QUICK = {"lower_bound": None, "rebuilds": 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "budget"),
        ({"budget": 5, "kappa": 0.9}, "kappa"),
        ({"budget": 5, "kappa": float("nan")}, "kappa"),
        ({"budget": 31}, "budget must be at most"),
        ({"budget": 5, "epsilon": 0.0}, "epsilon"),
        ({"budget": 5, "epsilon_relative": -1.0}, "epsilon_relative"),
        ({"budget": 5, "alpha": -1.0}, "alpha"),
        ({"budget": 5, "scale": "absolute"}, "epsilon must be given"),
        ({"budget": 5, "beta": 1.0}, "cross_entropy must be given"),
        ({"budget": 5, "include": (1, 1)}, "include must hold distinct"),
        ({"budget": 5, "include": (1,), "exclude": (1, 2)}, "include and exclude must not overlap"),
        ({"budget": 5, "include": (30,)}, "include must hold indices below"),
        ({"budget": 5, "exclude": tuple(range(26))}, "exclude must leave"),
        ({"budget": 1, "include": (1, 2)}, "include must hold at most"),
        ({"budget": 5, "reference": "authors"}, "epsilon must be given"),
        ({"budget": 5, "memory_limit_gb": 1e-4}, "memory_limit_gb"),
    ],
)
def test_invalid_parameters_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        GeometryAwareSelector(**QUICK, **options).fit(DATA.features)


def test_an_unknown_preset_is_refused():
    with pytest.raises(InputError, match=r"preset.*found 'vgg'"):
        GeometryAwareSelector().set_params(preset="vgg")


def with_value(value: float) -> np.ndarray:
    features = DATA.features.copy()
    features[3, 1] = value
    return features


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"features": with_value(np.nan)}, "features must be finite"),
        ({"features": with_value(np.inf)}, "features must be finite"),
        ({"features": DATA.features[:, 0]}, "features must have 2"),
        ({"features": None}, "features or cost must be given"),
        (
            {"features": DATA.features, "cross_entropy": -DATA.cross_entropy},
            "cross_entropy must be >= 0",
        ),
        (
            {"features": DATA.features, "cross_entropy": DATA.cross_entropy[:5]},
            "cross_entropy must have one row",
        ),
        ({"features": DATA.features, "weights": np.zeros(30)}, "weights must be >= 0"),
        ({"features": None, "cost": -np.ones((30, 30))}, "cost must be a square matrix"),
        ({"features": None, "cost": np.ones((30, 20))}, "cost must be a square matrix"),
    ],
)
def test_invalid_data_is_refused(arrays, message):
    with pytest.raises(InputError, match=message):
        GeometryAwareSelector(budget=5, **QUICK).fit(**arrays)


def test_alpha_needs_features():
    with pytest.raises(InputError, match="features must be given when alpha > 0"):
        GeometryAwareSelector(budget=5, alpha=1.0, **QUICK).fit(None, cost=np.ones((30, 30)))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int64, "fortran", "strided", "torch"])
def test_arrays_of_any_kind_give_the_same_subset(kind):
    import torch

    features = np.round(DATA.features * 8)
    plain = GeometryAwareSelector(budget=4, **QUICK).fit(features).indices_.tolist()
    forms = {
        "fortran": np.asfortranarray(features),
        "strided": np.repeat(features, 2, axis=0)[::2],
        "torch": torch.from_numpy(features),
    }
    other = forms[kind] if isinstance(kind, str) else features.astype(kind)
    assert GeometryAwareSelector(budget=4, **QUICK).fit(other).indices_.tolist() == plain


def test_among_duplicates_the_lower_index_wins():
    features = np.concatenate([DATA.features, DATA.features])
    # A swap can bring in the other image of a pair: their potentials have different histories.
    selector = GeometryAwareSelector(budget=4, lower_bound=None, rebuilds=0).fit(features)
    first = GeometryAwareSelector(budget=4, lower_bound=None, rebuilds=0).fit(features)
    assert selector.indices_.tolist() == first.indices_.tolist()
    assert selector.greedy_indices_.max() < 30
    mostly_equal = np.zeros((40, 3))
    mostly_equal[:6] = small_class(1, 6).features
    assert GeometryAwareSelector(budget=3, **QUICK).fit(mostly_equal).swap_optimal_


def test_take_all_takes_a_class_up_to_the_size_of_the_budget():
    selector = GeometryAwareSelector(budget=40, small_class="take_all").fit(DATA.features)
    assert selector.indices_.tolist() == list(range(30))
    assert selector.received_mass_.sum() == pytest.approx(1.0)
    assert GeometryAwareSelector(budget=3, small_class="take_all").fit(
        np.ones((1, 2))
    ).indices_.tolist() == [0]


def test_take_all_leaves_out_excluded_images():
    for budget in (29, 30, 40):
        selector = GeometryAwareSelector(budget=budget, small_class="take_all", exclude=(3,)).fit(
            DATA.features
        )
        assert selector.indices_.tolist() == [row for row in range(30) if row != 3]
    with pytest.raises(InputError, match="exclude must leave at least one of 1 images"):
        GeometryAwareSelector(budget=1, small_class="take_all", exclude=(0,)).fit(np.ones((1, 2)))
    with pytest.raises(
        InputError,
        match=r"exclude must hold indices below the number of images \(30\), found \[99\]",
    ):
        GeometryAwareSelector(budget=40, small_class="take_all", exclude=(99,)).fit(DATA.features)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_hold_the_paper_s_numbers_and_can_be_overridden(name):
    config = GeometryAwareSelector(budget=10, preset=name).config
    assert (config.scale, config.kappa, config.alpha) == ("absolute", 1.05, 6.0)
    assert config.epsilon == (12.0 if name in {"paper", "inception", "googlenet"} else 20.0)
    assert GeometryAwareSelector(budget=10, preset=name, kappa=1.2).config.kappa == 1.2
    assert type(config).model_validate(config.model_dump()) == config
    relative = GeometryAwareSelector(preset=name, scale="relative").config
    assert (relative.scale, relative.epsilon) == ("relative", config.epsilon)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_number_of_a_preset_can_be_overridden_even_by_the_default(name):
    """A selector passes only changed parameters on: a default of None is never one of them."""
    defaults = GeometryAwareSelector().get_params()
    assert {defaults[parameter] for parameter in PRESETS[name].parameters()} == {None}


def test_the_paper_s_preset_is_the_published_selection():
    data = DATA.features * 2
    paper = GeometryAwareSelector(4, preset="paper").fit(data, cross_entropy=DATA.cross_entropy)
    settings = AuthorsSettings(budget=4, epsilon=12.0, kappa=1.05, alpha=6.0, beta=1200.0)
    assert (settings.iterations, settings.max_swaps) == (20, 30)
    theirs = authors_select(
        torch.from_numpy(data).float(), torch.from_numpy(DATA.cross_entropy).float(), settings
    )
    assert paper.indices_.tolist() == theirs.indices
    assert paper.objective_ == theirs.objective
    assert paper.config.statistics == "diagonal"


def test_relative_and_absolute_scales():
    selector = GeometryAwareSelector(
        budget=4, scale="absolute", epsilon=0.3, beta=2.0, alpha=3.0, **QUICK
    )
    used = selector.fit(DATA.features, cross_entropy=DATA.cross_entropy).diagnostics_
    assert (used.epsilon, used.alpha, used.beta) == (0.3, 3.0, 2.0)
    used = (
        GeometryAwareSelector(budget=4, beta=2.0, **QUICK)
        .fit(DATA.features, cross_entropy=DATA.cross_entropy)
        .diagnostics_
    )
    costs = np.square(DATA.features[:, None] - DATA.features).sum(axis=2)
    median = np.sort(costs.ravel())[(900 - 1) // 2]
    assert used.epsilon == pytest.approx(0.05 * median)
    assert used.beta == pytest.approx(2.0 * median)


def test_included_and_excluded_images_are_respected():
    data = small_class(2, 12, width=3)
    selector = GeometryAwareSelector(budget=3, include=(5,), exclude=(0, 1)).fit(
        data.features, cross_entropy=data.cross_entropy
    )
    assert selector.indices_[0] == 5
    assert not {0, 1} & set(selector.indices_.tolist())
    values = all_values(data, selector)
    assert selector.lower_bound_ <= min(values.values()) + 1e-9 * selector.objective_
    everything = GeometryAwareSelector(budget=2, include=(3, 4), **QUICK).fit(data.features)
    assert everything.indices_.tolist() == [3, 4]
    assert everything.swap_optimal_


def test_a_path_of_budgets_gives_nested_subsets():
    path = GeometryAwareSelector(**QUICK).fit_path(
        DATA.features, budgets=(2, 5, 9), cross_entropy=DATA.cross_entropy
    )
    assert list(path) == [2, 5, 9]
    for small, large in ((2, 5), (5, 9)):
        assert path[large].indices_[:small].tolist() == path[small].indices_.tolist()
        assert path[large].swap_optimal_
    with pytest.raises(InputError, match="budgets must be a list of increasing numbers"):
        GeometryAwareSelector().fit_path(DATA.features, budgets=(5, 2))


def test_later_candidates_join_the_class():
    selector = GeometryAwareSelector(budget=4, **QUICK)
    selector.partial_fit(DATA.features[:20], cross_entropy=DATA.cross_entropy[:20])
    first = selector.objective_
    selector.partial_fit(DATA.features[20:], cross_entropy=DATA.cross_entropy[20:])
    assert selector.swap_optimal_
    assert selector.received_mass_.shape == (30,)
    assert selector.objective_ != first
    again = GeometryAwareSelector(budget=4, start="k_medoids", **QUICK).fit(
        DATA.features, cross_entropy=DATA.cross_entropy
    )
    assert selector.objective_ == pytest.approx(again.objective_, rel=0.1)
    with pytest.raises(InputError, match="cross_entropy must be given in every call"):
        selector.partial_fit(DATA.features)
    with pytest.raises(InputError, match="partial_fit needs features"):
        selector.partial_fit(None, cost=np.ones((3, 3)))


def test_a_fit_from_a_swap_optimal_subset_keeps_it() -> None:
    fitted = GeometryAwareSelector(3, rebuilds=0, lower_bound=None).fit(DATA.features)
    again = GeometryAwareSelector(3, rebuilds=0, lower_bound=None)
    again.fit_from(DATA.features, fitted.indices_.tolist())
    assert again.greedy_indices_.tolist() == again.indices_.tolist() == fitted.indices_.tolist()
    assert again.swap_optimal_


@pytest.mark.parametrize("start", [[0, 1], [0, 1, 1], [0, 1, 10_000], [-1, 0, 1]])
def test_a_start_that_is_no_subset_of_the_budget_is_refused(start: list[int]) -> None:
    with pytest.raises(InputError, match="start must hold budget"):
        GeometryAwareSelector(3).fit_from(DATA.features, start)


def test_the_authors_reference_can_be_selected():
    options = {"budget": 3, "reference": "authors", "epsilon": 2.0, "alpha": 6.0, "beta": 1.0}
    selector = GeometryAwareSelector(**options).fit(DATA.features, cross_entropy=DATA.cross_entropy)
    assert len(selector.greedy_indices_) == len(selector.indices_) == 3
    assert not selector.swap_optimal_
    with pytest.raises(InputError, match="knows no include"):
        GeometryAwareSelector(**options, include=(1,)).fit(
            DATA.features, cross_entropy=DATA.cross_entropy
        )


def test_the_forecast_grows_with_the_class_and_is_checked_before_allocation():
    small = forecast(1300, 2048, 10)
    large = forecast(20_000, 2048, 10)
    assert small.memory_bytes < 1e9
    assert large.memory_bytes < 5e9
    assert forecast(20_000, 256, 10).memory_bytes < 3e9
    assert forecast(20_000, 256, 10, cost_is_given=True).memory_bytes > 9e9
    assert large.seconds > small.seconds
    features = np.zeros((100_000, 1), dtype=np.float32)
    with pytest.raises(InputError, match="forecast of 4"):
        GeometryAwareSelector(budget=5, memory_limit_gb=10.0).fit(features)
