"""Labelled data: one selector for every class."""

import inspect
import math
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from actors.class_selection import run_selector
from otcondense.errors import InputError
from otcondense.selection import (
    SELECTORS,
    ClassSelector,
    GeometryAwareSelector,
    HerdingSelector,
    RandomSelector,
)
from otcondense.store import ClassFeatures
from otcondense.unit_rows import unit_rows

LABELS = np.array(["hen", "cat", "dog", "cat", "hen"] * 12)
"""24 cats and hens each, 12 dogs, mixed."""
OF_LISTS = np.empty(60, dtype=object)
OF_LISTS[:] = [[1] for _ in range(60)]

every_selector = pytest.mark.parametrize("name", SELECTORS)


def arrays(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "X": rng.normal(size=(60, 4)).astype(np.float32),
        "y": LABELS,
        "cross_entropy": rng.random(60).astype(np.float32),
        "difficulty": rng.normal(size=60),
        "logits": rng.normal(size=(60, 3)),
        "weights": rng.random(60) + 0.1,
    }


def quick(name: str, **settings: Any) -> Any:
    more = {"lower_bound": None, "rebuilds": 0} if name == "geometry_aware" else {}
    return SELECTORS[name](**{"budget": 3, "seed": 5, **more, **settings})


@every_selector
def test_each_class_is_chosen_as_by_the_commands(name: str) -> None:
    data = arrays()
    chosen = ClassSelector(quick(name)).fit(**data | {"weights": None})
    for index, label in enumerate(["cat", "dog", "hen"]):
        rows = np.flatnonzero(label == LABELS)
        features = ClassFeatures(
            class_name=label,
            class_index=index,
            image_ids=[f"{row:02d}" for row in rows],
            features=data["X"][rows],
            logits=data["logits"][rows],
            cross_entropy=data["cross_entropy"][rows],
            entropy=None,
            max_prob=None,
            width=np.ones(len(rows), np.int32),
            height=np.ones(len(rows), np.int32),
            sha256=["" for _ in rows],
        )
        settings = quick(name).config.model_dump(mode="json")
        expected = run_selector(name, settings, features, difficulty=data["difficulty"][rows])
        found = chosen.selectors_[label]
        assert found.indices_.tolist() == expected.indices.tolist()
        assert chosen.rows_[label].tolist() == rows.tolist()
        assert (chosen.indices_[3 * index : 3 * index + 3] == rows[found.indices_]).all()


@every_selector
def test_the_assignment_stays_within_the_class(name: str) -> None:
    chosen = ClassSelector(quick(name)).fit(**arrays())
    there = chosen.assignment_ >= 0
    assert (LABELS[chosen.assignment_[there]] == LABELS[there]).all()
    assert set(chosen.assignment_.tolist()) <= {-1, *chosen.indices_.tolist()}


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["geometry_aware", "random"])
@pytest.mark.filterwarnings("ignore")  # in a thread of joblib, one that is an error would stop it
def test_the_result_does_not_depend_on_the_number_of_processes(name: str, backend: str) -> None:
    one = ClassSelector(quick(name)).fit(**arrays())
    with joblib.parallel_config(backend=backend):
        two = ClassSelector(quick(name), n_jobs=2).fit(**arrays())
    assert one.indices_.tobytes() == two.indices_.tobytes()
    assert one.assignment_.tobytes() == two.assignment_.tobytes()
    assert repr(one.objective_) == repr(two.objective_)


def test_without_joblib_classes_are_chosen_one_after_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("otcondense.selection.class_jobs.find_spec", lambda _: None)
    chosen = ClassSelector(RandomSelector(budget=2), n_jobs=2).fit(np.zeros((60, 1)), LABELS)
    assert len(chosen.indices_) == 6


@pytest.mark.parametrize(
    ("budget", "counts"),
    [
        (None, [4, 4, 4]),
        (2, [2, 2, 2]),
        (np.int64(2), [2, 2, 2]),
        (0.25, [6, 3, 6]),
        ("25%", [6, 3, 6]),
        ("1%", [1, 1, 1]),
        ({"cat": 5, "dog": "50%", "hen": 0.125}, [5, 6, 3]),
    ],
)
def test_a_budget_is_a_number_a_share_or_one_for_each_class(budget: Any, counts: list[int]) -> None:
    chosen = ClassSelector(RandomSelector(budget=4), budget=budget).fit(np.zeros((60, 1)), LABELS)
    assert [len(each.indices_) for each in chosen.selectors_.values()] == counts
    assert list(chosen.selectors_) == chosen.classes_.tolist() == ["cat", "dog", "hen"]


def test_included_and_excluded_images_are_rows_of_all_data() -> None:
    dogs = np.flatnonzero(LABELS == "dog").tolist()
    hens = np.flatnonzero(LABELS == "hen").tolist()
    selector = HerdingSelector(budget=2, include=[hens[5], dogs[3]], exclude=dogs[:3])
    chosen = ClassSelector(selector).fit(arrays()["X"], LABELS).indices_.tolist()
    assert chosen[2] == dogs[3]
    assert chosen[4] == hens[5]
    assert not set(chosen) & set(dogs[:3])


@pytest.mark.parametrize("kind", [list, np.asarray, "pandas"])
def test_labels_and_features_may_be_of_any_kind(kind: Any) -> None:
    X, y = arrays()["X"], (LABELS == "dog").astype(int)
    expected = ClassSelector(HerdingSelector(budget=2)).fit(X, y).indices_.tolist()
    if kind == "pandas":
        kind = pd.DataFrame
        given = (pd.DataFrame(X), pd.Series(y))
    else:
        given = (kind(X), kind(y))
    assert ClassSelector(HerdingSelector(budget=2)).fit(*given).indices_.tolist() == expected


def test_without_labels_all_images_are_one_class() -> None:
    chosen = ClassSelector(HerdingSelector(budget=3)).fit(arrays()["X"])
    assert chosen.classes_.tolist() == [0]
    expected = HerdingSelector(budget=3).fit(arrays()["X"]).indices_
    assert chosen.indices_.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        ({}, {"y": LABELS[:-1]}, r"y must have one label per image \(60\), found shape \(59,\)"),
        ({}, {"y": np.zeros((60, 2))}, "y must have one label per image"),
        ({}, {"y": np.full(60, np.nan)}, "y must hold a label for every image"),
        ({}, {"y": np.array([1, "a"] * 30, dtype=object)}, "texts or numbers"),
        ({}, {"X": np.zeros(60)}, "X must have 2 dimensions"),
        (
            {},
            {"weights": np.ones(59)},
            r"weights must have one row .* \(60\), found \(59,\)",
        ),
        ({}, {"X": np.full((60, 2), np.nan)}, "X must be finite, found 120 .* first in row 0"),
        ({}, {"X": np.zeros((0, 2)), "y": []}, "X must hold at least one image"),
        ({}, {"X": None}, "X must be an array of numbers, found None"),
        ({}, {"X": np.full((60, 2), "a")}, "X must be numeric"),
        ({}, {"y": [1, "a"] * 30}, r"texts or numbers, found \[1, 'a'"),
        ({}, {"y": [math.nan, *LABELS[1:]]}, "texts or numbers, found"),
        ({}, {"y": np.array([None, *LABELS[1:]])}, "a label for every image, found None in row 0"),
        ({}, {"y": np.array([math.nan] * 60, dtype=object)}, "a label for every image"),
        ({}, {"y": pd.Series([pd.NA] * 60)}, "a label for every image, found <NA>"),
        ({}, {"y": np.full(60, "NaT", "M8[D]")}, "a label for every image"),
        ({}, {"y": OF_LISTS}, "texts or numbers, found"),
        ({}, {"cross_entropy": np.full(60, np.inf)}, "^cross_entropy must be finite"),
        ({"budget": 0}, {}, "budget must be a number of images >= 1"),
        ({"budget": 1.5}, {}, "a share of the class such as 0.01"),
        ({"budget": "many"}, {}, "found 'many'"),
        ({"budget": {"cat": 1}}, {}, r"missing: \['dog', 'hen'\], not in y: \[\]"),
        ({"budget": {"cat": 1, "dog": 0, "hen": 1}}, {}, r"budget\['dog'\] must be a number"),
        ({"budget": 13}, {}, "class 'dog': budget must be at most .* found budget 13 for 12"),
        ({"budget": True}, {}, "budget must be a number of images >= 1"),
        ({}, {"cost": "cosin"}, "cost must be a matrix or one of .* did you mean cosine"),
        ({}, {"cost": "cosine", "X": np.eye(60)[:, 1:]}, "features of row 0 must not all be 0"),
        ({"n_jobs": 0}, {}, "n_jobs must be a number of processes"),
        ({"n_jobs": True}, {}, "n_jobs must be a number of processes"),
    ],
)
def test_mistakes_are_refused_by_name(
    arguments: dict[str, Any], given: dict[str, Any], message: str
) -> None:
    data = {"X": arrays()["X"], "y": LABELS, **given}
    with pytest.raises(InputError, match=message):
        ClassSelector(**{"selector": RandomSelector(budget=2), **arguments}).fit(**data)


@every_selector
def test_the_cosine_cost_is_that_of_unit_rows(name: str) -> None:
    data = arrays() | {"weights": None}
    unit = unit_rows(data["X"].astype(np.float64))
    chosen = ClassSelector(quick(name)).fit(**data, cost="cosine")
    expected = ClassSelector(quick(name)).fit(**{**data, "X": unit})
    assert chosen.indices_.tolist() == expected.indices_.tolist()
    rows = chosen.rows_["cat"]
    given = {key: data[key][rows] for key in ("cross_entropy", "difficulty", "logits")}
    alone = quick(name).fit(data["X"][rows], **given, cost="cosine")
    assert alone.indices_.tolist() == quick(name).fit(unit[rows], **given).indices_.tolist()


def test_a_matrix_of_cosine_distances_chooses_the_same_images() -> None:
    features = arrays()["X"].astype(np.float64)
    unit = unit_rows(features)
    selector = GeometryAwareSelector(budget=4, alpha=0.0, lower_bound=None, rebuilds=0)
    named = selector.fit(features, cost="cosine").indices_.tolist()
    assert named == selector.fit(None, cost=np.maximum(1 - unit @ unit.T, 0)).indices_.tolist()


def test_what_is_no_selector_is_refused_by_fit() -> None:
    selector = ClassSelector()
    selector.__dict__["selector"] = "random"
    with pytest.raises(InputError, match=r"selector must be a Selector .* found 'random'"):
        selector.fit(arrays()["X"], LABELS)


@every_selector
def test_a_selector_refuses_labels_of_several_classes_by_the_name_of_the_right_one(
    name: str,
) -> None:
    data = arrays()
    X = data.pop("X")
    with pytest.raises(InputError, match=r"one class, found 3: .*ClassSelector"):
        quick(name).fit(X, **data)
    data["y"] = np.zeros(60)
    assert len(quick(name).fit(X, **data).indices_) == 3


def test_parameters_of_the_selector_are_read_set_and_copied_through_it() -> None:
    selector = ClassSelector(GeometryAwareSelector(budget=4), budget="10%")
    assert selector.get_params()["selector__budget"] == 4
    assert set(selector.get_params(deep=False)) == set(inspect.signature(ClassSelector).parameters)
    assert selector.set_params(selector__kappa=1.2, n_jobs=2) is selector
    assert selector.selector is not None
    assert (selector.selector.kappa, selector.n_jobs) == (1.2, 2)
    copied = clone(selector)
    assert copied.selector is not selector.selector
    assert repr(copied.get_params()) == repr(selector.get_params())
    for wrong in ({"colour": 1}, {"selector__colour": 1}, {"budget__x": 1}):
        with pytest.raises(InputError, match="must"):
            selector.set_params(**wrong)


def test_the_representation_says_what_was_chosen() -> None:
    selector = ClassSelector(RandomSelector(budget=2))
    assert repr(selector) == "ClassSelector(selector=RandomSelector(budget=2))"
    fitted = repr(selector.fit(np.zeros((60, 1)), LABELS))
    assert fitted == f"{ClassSelector(RandomSelector(budget=2))!r}: 6 of 60 images in 3 classes"


@pytest.mark.parametrize("name", ["include", "exclude"])
def test_rows_that_are_not_there_are_refused(name) -> None:
    selector = ClassSelector(RandomSelector(budget=2, **{name: [1000]}))
    with pytest.raises(InputError, match=f"{name} must hold indices below the number of images"):
        selector.fit(arrays()["X"], LABELS)


def test_a_label_that_is_not_utf8_is_a_label() -> None:
    labels = np.where(LABELS == "dog", "\udcff", LABELS)
    assert len(ClassSelector(RandomSelector(budget=2)).fit(arrays()["X"], labels).indices_) == 6
