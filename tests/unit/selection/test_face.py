"""The interface of every selector, one row per selector."""

import copy
import inspect
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

from otcondense.errors import InputError
from otcondense.selection import SELECTORS, Selector, as_json

ROWS: list[tuple[str, dict[str, Any]]] = [
    ("geometry_aware", {"alpha": 0.0, "rebuilds": 2}),
    ("random", {}),
    ("herding", {}),
    ("herding", {"variant": "deepcore"}),
    ("k_center", {}),
    ("k_center", {"start": "medoid"}),
    ("ccs", {}),
    ("ccs", {"hard": "high", "strata": 4}),
    ("dq", {}),
    ("d2c", {}),
    ("d2c", {"variant": "medium"}),
    ("nearest_mean", {}),
    ("k_means", {}),
    ("k_medoids", {}),
    ("k_medoids", {"swaps": False}),
    ("gaussian_density", {}),
    ("gaussian_density", {"covariance": "ppca"}),
    ("uniprot", {}),
    ("zcore", {}),
    ("subzerocore", {}),
]
RESOLVED = {("geometry_aware", name) for name in ("kappa", "scale", "statistics")}
"""Parameters whose default of None becomes another value in the configuration."""

every_row = pytest.mark.parametrize(
    ("name", "settings"),
    ROWS,
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
every_selector = pytest.mark.parametrize("name", SELECTORS)


def arrays(seed: int = 0, n: int = 30) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 4))
    return {
        "features": rng.normal(size=(n, 5)),
        "difficulty": rng.normal(size=n),
        "logits": logits,
        "cross_entropy": rng.random(n),
    }


def fit(
    name: str, settings: dict[str, Any], budget: int, data: dict[str, Any], **more: Any
) -> Selector:
    selector = SELECTORS[name](budget=budget, **settings, **more)
    return selector.fit(**data)


def test_every_selector_has_a_row() -> None:
    assert {name for name, _ in ROWS} == set(SELECTORS)


@every_row
@pytest.mark.parametrize("budget", [1, 2, 7, 28])
def test_chooses_exactly_the_budget_and_assigns_every_image(
    name: str, settings: dict[str, Any], budget: int
) -> None:
    selector = fit(name, settings, budget, arrays())
    chosen = selector.indices_.tolist()
    assert len(set(chosen)) == len(chosen) == budget
    assert set(chosen) <= set(range(30))
    assert selector.received_mass_.shape == selector.assignment_.shape == (30,)
    assert selector.received_mass_.sum() == pytest.approx(1)
    assert set(selector.assignment_.tolist()) <= {-1, *chosen}
    steps = selector.history_
    if all(step.stage == "greedy" for step in steps):
        assert [step.added for step in steps] == chosen


@every_row
def test_a_budget_of_the_whole_class_takes_all_of_it(name: str, settings: dict[str, Any]) -> None:
    assert sorted(fit(name, settings, 30, arrays()).indices_.tolist()) == list(range(30))


@every_row
def test_the_same_input_gives_the_same_choice_after_another_fit(
    name: str, settings: dict[str, Any]
) -> None:
    selector = fit(name, settings, 6, arrays(), seed=3)
    expected = selector.indices_.tolist()
    selector.fit(**arrays(seed=8, n=20))
    assert selector.assignment_.shape == (20,)
    assert selector.fit(**arrays()).indices_.tolist() == expected


@every_row
def test_duplicates_and_constant_features_still_give_distinct_images(
    name: str, settings: dict[str, Any]
) -> None:
    data = arrays() | {
        "features": np.ones((30, 5)),
        "difficulty": np.zeros(30),
        "logits": np.zeros((30, 4)),
        "cross_entropy": np.zeros(30),
    }
    assert len(set(fit(name, settings, 9, data).indices_.tolist())) == 9


@every_row
@pytest.mark.parametrize("kind", ["float16", "integers", "strided", "tensor", "bfloat16"])
def test_accepts_any_numeric_array(name: str, settings: dict[str, Any], kind: str) -> None:
    whole = np.rint(arrays()["features"] * 4)
    as_kind = {
        "float16": whole.astype(np.float16),
        "integers": whole.astype(np.int32),
        "strided": np.repeat(whole, 2, axis=0)[::2],
        "tensor": torch.from_numpy(whole),
        "bfloat16": torch.from_numpy(whole).bfloat16(),
    }
    data = arrays()
    expected = fit(name, settings, 5, data | {"features": whole}).indices_
    assert (fit(name, settings, 5, data | {"features": as_kind[kind]}).indices_ == expected).all()


@every_row
def test_a_class_smaller_than_the_budget_is_refused_or_taken_whole(
    name: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="found budget 31 for 30 images"):
        fit(name, settings, 31, arrays())
    whole = fit(name, settings, 31, arrays(), small_class="take_all")
    assert sorted(whole.indices_.tolist()) == list(range(30))


@every_row
def test_a_class_of_one_image(name: str, settings: dict[str, Any]) -> None:
    assert fit(name, settings, 1, arrays(n=1)).indices_.tolist() == [0]


@every_row
def test_a_missing_input_is_named(name: str, settings: dict[str, Any]) -> None:
    needs = SELECTORS[name].needs
    data = arrays() | {"cost": np.ones((30, 30)) - np.eye(30)}
    if not needs:
        assert len(fit(name, settings, 3, data | {"features": None}).indices_) == 3
    for needed in needs:
        with pytest.raises(InputError, match=f"{name} needs `{needed}`"):
            fit(name, settings, 3, data | {needed: None})


@every_row
@pytest.mark.parametrize("count", [0, 1, 3, 6])
def test_included_images_come_first_and_excluded_ones_are_never_chosen(
    name: str, settings: dict[str, Any], count: int
) -> None:
    include = [17, 2, 29, 8, 5, 11][:count]
    exclude = [0, 1, 3, 4, 28]
    selector = fit(name, settings, 6, arrays(), include=include, exclude=exclude)
    assert selector.indices_.tolist()[:count] == include
    assert len(set(selector.indices_.tolist()) - set(exclude)) == 6
    assert selector.assignment_.shape == (30,)
    assert selector.received_mass_.sum() == pytest.approx(1)


@every_row
def test_every_image_that_is_not_excluded_can_be_chosen(
    name: str, settings: dict[str, Any]
) -> None:
    exclude = list(range(0, 30, 3))
    selector = fit(name, settings, 20, arrays(), exclude=exclude)
    assert sorted(selector.indices_.tolist()) == sorted(set(range(30)) - set(exclude))
    with pytest.raises(InputError, match=r"at least budget \(21\) of 30 images, found 10"):
        fit(name, settings, 21, arrays(), exclude=exclude)
    whole = fit(name, settings, 21, arrays(), exclude=exclude, small_class="take_all")
    assert sorted(whole.indices_.tolist()) == sorted(set(range(30)) - set(exclude))


@pytest.mark.parametrize("name", ["geometry_aware", "herding", "k_medoids", "k_means"])
def test_excluded_images_stay_part_of_the_class(name: str) -> None:
    data = {"features": np.concatenate([np.zeros((10, 2)), np.ones((5, 2)), [[9.0, 9.0]] * 15])}
    chosen = fit(name, {}, 2, data, exclude=list(range(16, 30))).indices_.tolist()
    assert 15 in chosen


@every_row
def test_a_path_gives_nested_subsets(name: str, settings: dict[str, Any]) -> None:
    path = SELECTORS[name](exclude=[3], **settings).fit_path(budgets=[2, 5, 11], **arrays())
    assert {budget: len(each.indices_) for budget, each in path.items()} == {2: 2, 5: 5, 11: 11}
    for smaller, larger in ((2, 5), (5, 11)):
        assert path[larger].indices_[:smaller].tolist() == path[smaller].indices_.tolist()
        assert 3 not in path[larger].indices_


@every_selector
@pytest.mark.parametrize(
    ("forced", "message"),
    [
        ({"include": [1, 1]}, "include must hold distinct indices"),
        ({"exclude": [-1]}, "exclude must hold distinct indices >= 0"),
        ({"include": [1], "exclude": [1]}, "must not overlap"),
        ({"include": [1, 2, 3]}, r"include must hold at most budget \(2\)"),
        ({"include": [30]}, r"include must hold indices below the number of images \(30\)"),
        ({"exclude": list(range(30))}, "found all of them excluded"),
    ],
)
def test_forced_images_that_cannot_be_are_refused(
    name: str, forced: dict[str, list[int]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fit(name, {}, 2, arrays(), **forced)


@every_selector
def test_the_class_states_what_it_needs(name: str) -> None:
    selector = SELECTORS[name]
    parameters = inspect.signature(selector).parameters
    needs_difficulty = "difficulty" in selector.needs
    assert needs_difficulty == (selector.difficulty_kind is not None)
    assert needs_difficulty == ("hard" in parameters)


@every_selector
def test_the_signature_lists_every_parameter_with_the_default_of_its_configuration(
    name: str,
) -> None:
    selector = SELECTORS[name]
    parameters = inspect.signature(selector).parameters
    fields = selector.Config.model_fields
    assert set(parameters) == set(fields)
    for parameter in parameters.values():
        if (name, parameter.name) not in RESOLVED:
            assert parameter.default == fields[parameter.name].default
    assert selector().config == selector.Config()


@every_row
def test_parameters_survive_copying_by_scikit_learn(name: str, settings: dict[str, Any]) -> None:
    selector = SELECTORS[name](budget=4, seed=3, **settings)
    copied = clone(selector)
    assert copied is not selector
    assert copied.get_params() == selector.get_params()
    assert copied.fit(**arrays()).indices_.tolist() == selector.fit(**arrays()).indices_.tolist()
    assert not hasattr(clone(selector), "indices_")


@every_row
def test_parameters_are_read_and_set_by_name(name: str, settings: dict[str, Any]) -> None:
    selector = SELECTORS[name](budget=4, **settings)
    assert selector.get_params().items() >= {"budget": 4, **settings}.items()
    assert selector.set_params(budget=6, seed=2) is selector
    assert (selector.budget, selector.config.budget, selector.config.seed) == (6, 6, 2)
    with pytest.raises(InputError, match=r"own parameters \(budget, .*\), found colour"):
        selector.set_params(colour="red")
    with pytest.raises(InputError, match=r"found bugdet; did you mean budget\?"):
        selector.set_params(bugdet=5)
    with pytest.raises(TypeError, match=r"has no parameter 'bugdet'; did you mean budget\?"):
        SELECTORS[name](bugdet=5)
    with pytest.raises(InputError, match=r"budget.*found 0"):
        selector.set_params(seed=9, budget=0)
    assert (selector.budget, selector.seed) == (6, 2)


@every_row
def test_pickling_keeps_parameters_and_results(name: str, settings: dict[str, Any]) -> None:
    selector = SELECTORS[name](budget=4, **settings).watch(lambda _: None)
    before = pickle.loads(pickle.dumps(selector))
    assert before.get_params() == selector.get_params()
    assert before.fit(**arrays()).indices_.tolist() == selector.fit(**arrays()).indices_.tolist()

    after = pickle.loads(pickle.dumps(selector))
    assert after.indices_.tolist() == selector.indices_.tolist()
    assert repr(after.history_) == repr(selector.history_)  # an objective may be nan
    assert after.diagnostics_ == selector.diagnostics_
    assert repr(after) == repr(selector)


@every_row
def test_the_representation_shows_the_changed_parameters(
    name: str, settings: dict[str, Any]
) -> None:
    selector = SELECTORS[name]
    assert repr(selector()) == f"{selector.__name__}()"
    arguments = {"budget": 4, **settings}
    shown = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    assert repr(selector(**arguments)) == f"{selector.__name__}({shown})"
    fitted = repr(fit(name, settings, 4, arrays()))
    assert fitted.startswith(f"{selector.__name__}({shown}): 4 of 30 images")
    assert ("objective" in fitted) == bool(np.isfinite(fit(name, settings, 4, arrays()).objective_))
    assert ("gap" in fitted) == (name == "geometry_aware")


@every_selector
def test_a_fit_that_fails_leaves_no_subset_of_an_earlier_one(name: str) -> None:
    selector = fit(name, {}, 4, arrays())

    def stop(_: object) -> None:
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        selector.watch(stop).fit(**arrays())
    assert not hasattr(selector, "indices_")
    assert repr(selector) == f"{type(selector).__name__}(budget=4)"


@every_row
def test_settings_from_a_configuration_rebuild_the_selector(
    name: str, settings: dict[str, Any]
) -> None:
    selector = SELECTORS[name](budget=4, **settings)
    stored = selector.config.model_dump(mode="json")
    assert SELECTORS[name](**stored).config == selector.config


def test_parameters_changed_by_assignment_are_checked_by_fit() -> None:
    selector = SELECTORS["random"]()
    selector.budget = 3
    assert len(selector.fit(**arrays()).indices_) == 3
    selector.budget = 0
    with pytest.raises(InputError, match=r"budget.*found 0"):
        selector.fit(**arrays())


@every_row
def test_diagnostics_are_stored_as_json_without_unknown_values(
    name: str, settings: dict[str, Any]
) -> None:
    selector = fit(name, settings, 4, arrays())
    stored = as_json(selector.diagnostics_)
    assert None not in stored.values()
    assert not any(isinstance(value, tuple) for value in stored.values())
    assert copy.deepcopy(selector).diagnostics_ == selector.diagnostics_
