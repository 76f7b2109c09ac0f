"""Copies in a class: merged, dropped or kept, by every method, with the proofs of the solver."""

import dataclasses
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from actors.class_selection import run_selector
from actors.reduced_class import CopyRules
from otcondense.errors import InputError
from otcondense.selection import SELECTORS
from otcondense.selection.geometry_aware import GeometryAwareSelector
from otcondense.store import (
    ClassFeatures,
    ClassSelection,
    Store,
    manifest_table,
    read_class_selection,
    write_class_selection,
)

COPIES = range(30, 40)
"""Rows of `make_class` that are copies of row 3."""
HELD_OUT = frozenset({"h5", "h6", "elsewhere"})
METHODS: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in SELECTORS]
METHODS += [("k_center", {"start": "medoid"}), ("d2c", {"variant": "medium"})]

every_method = pytest.mark.parametrize(
    ("method", "own"), METHODS, ids=lambda value: value if isinstance(value, str) else "own"
)


def make_class(noise: float = 0.0) -> ClassFeatures:
    """Return 40 images; the last ten are copies of row 3, exact ones without noise."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(40, 12))
    rows[COPIES] = rows[3] + noise * generator.normal(size=(10, 12))
    hashes = [f"h{number}" for number in range(40)]
    entropy = generator.exponential(size=40)
    if noise == 0:
        hashes[30:] = ["h3"] * 10
        entropy[COPIES] = entropy[3]
    ones = np.ones(40, dtype=np.int32)
    return ClassFeatures(
        class_name="c",
        class_index=0,
        image_ids=[f"c/{number:02}.png" for number in range(40)],
        features=rows.astype(np.float32),
        logits=None,
        cross_entropy=entropy.astype(np.float32),
        entropy=None,
        max_prob=None,
        width=ones,
        height=ones,
        sha256=hashes,
    )


def select(
    method: str,
    rules: CopyRules,
    features: ClassFeatures | None = None,
    budget: int = 6,
    **settings: Any,
) -> ClassSelection:
    features = make_class() if features is None else features
    difficulty = np.random.default_rng(1).random(features.size)
    given = {"budget": budget, "seed": 0, **settings}
    return run_selector(method, given, features, difficulty=difficulty, rules=rules)


def chosen_copies(selection: ClassSelection) -> set[int]:
    return set(selection.indices.tolist()) & {3, *COPIES}


@every_method
@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("policy", ["merge", "drop"])
def test_a_group_of_copies_has_one_candidate(
    method: str, own: dict[str, Any], policy: Any, noise: float
) -> None:
    selection = select(method, CopyRules(policy, 0.2), make_class(noise), 30, **own)
    assert chosen_copies(selection) == {3}
    assert sorted(selection.indices.tolist()) == list(range(30))
    copies = selection.summary.copies
    assert (copies.exact, copies.near) == ((10, 0) if noise == 0 else (0, 10))
    assert (copies.policy, copies.groups, copies.examples[0].size) == (policy, 1, 11)
    assert copies.examples[0].leader == "c/03.png"
    assert copies.examples[0].copies == ("c/30.png", "c/31.png", "c/32.png")


@every_method
@pytest.mark.parametrize("policy", ["merge", "drop", "keep"])
def test_the_file_has_a_row_for_every_image_and_the_masses_sum_to_one(
    method: str, own: dict[str, Any], policy: Any, tmp_path: Any
) -> None:
    selection = select(method, CopyRules(policy, 0.2, HELD_OUT), **own)
    store = Store(str(tmp_path))
    write_class_selection(store, "s", selection, fingerprint="f")
    read = read_class_selection(store, "s", "c")
    assert len(read.image_ids) == len(read.assignment) == 40
    assert read.received_mass.sum() == pytest.approx(1)
    assert read.summary.copies == selection.summary.copies
    assert set(read.assignment.tolist()) <= {-1, *read.indices.tolist()}
    assert (read.assignment[COPIES] == read.assignment[30]).all()
    assert read.assignment[5] == read.assignment[6] == -1
    assert read.received_mass[[5, 6]].tolist() == [0, 0]
    assert read.summary.copies.held_out == 2
    shares = manifest_table([read]).column("represented_mass").to_numpy()
    assert shares.sum() == pytest.approx(read.received_mass[read.assignment >= 0].sum())
    if policy == "drop":
        assert read.received_mass[COPIES].sum() == 0
        assert (read.assignment[COPIES] == read.assignment[3]).all()


@every_method
def test_dropping_copies_is_selecting_from_the_class_without_them(
    method: str, own: dict[str, Any]
) -> None:
    whole = make_class()
    names = ("image_ids", "features", "cross_entropy", "width", "height", "sha256")
    without = dataclasses.replace(whole, **{name: getattr(whole, name)[:30] for name in names})
    difficulty = np.random.default_rng(1).random(40)
    settings = {"budget": 6, "seed": 0, **own}
    expected = run_selector(method, settings, without, difficulty=difficulty[:30])
    dropped = run_selector(method, settings, whole, difficulty=difficulty, rules=CopyRules("drop"))
    assert dropped.indices.tolist() == expected.indices.tolist()
    assert dropped.summary.objective == expected.summary.objective
    assert repr(dropped.summary.history) == repr(expected.summary.history)
    assert dropped.received_mass[:30].tolist() == expected.received_mass.tolist()


@every_method
def test_merging_is_the_choice_of_a_class_whose_copies_are_excluded(
    method: str, own: dict[str, Any]
) -> None:
    ids = make_class().image_ids
    expected = select(method, CopyRules(), exclude=[ids[row] for row in COPIES], **own)
    merged = select(method, CopyRules("merge", 0.2), **own)
    assert merged.indices.tolist() == expected.indices.tolist()
    assert merged.summary.objective == expected.summary.objective


def objective_of(features: ClassFeatures, subset: list[int], **more: Any) -> float:
    """Return the objective of a subset of a whole class, or of a weighted one."""
    selector = GeometryAwareSelector(
        budget=len(subset), include=subset, epsilon=2.0, rebuilds=0, lower_bound=None
    )
    return selector.fit(features.features, cross_entropy=features.cross_entropy, **more).objective_


def test_the_objective_of_merged_exact_copies_is_that_of_the_whole_class() -> None:
    merged = select("geometry_aware", CopyRules("merge"), epsilon=2.0)
    assert merged.summary.objective == pytest.approx(
        objective_of(make_class(), merged.indices.tolist()), rel=1e-9
    )


@pytest.mark.parametrize("subset", [[3, 0, 8, 20], [1, 2, 4, 29]])
@pytest.mark.parametrize("kappa", [1.0, 1.05])
def test_the_weight_of_a_merged_candidate_is_that_of_its_group(
    subset: list[int], kappa: float
) -> None:
    """Without the copies, and with their weight at the leader, the transport term is the same.

    The statistics term is not: the unbiased variance counts weights and images differently. For
    that reason all images stay rows of the class.
    """
    whole = make_class()
    weights = np.ones(30)
    weights[3] = 11
    selector = GeometryAwareSelector(
        budget=4, include=subset, epsilon=2.0, kappa=kappa, alpha=0.0, rebuilds=0, lower_bound=None
    )
    weighted = selector.fit(whole.features[:30], weights=weights).objective_
    assert selector.fit(whole.features).objective_ == pytest.approx(weighted, rel=1e-12)


def test_the_lower_bound_holds_for_all_subsets_of_the_candidates() -> None:
    rules = CopyRules("merge")
    whole = make_class()
    kept = [0, 3, *range(7, 14), *COPIES]
    names = ("image_ids", "features", "cross_entropy", "width", "height", "sha256")
    small = dataclasses.replace(
        whole,
        **{
            name: [getattr(whole, name)[row] for row in kept]
            if isinstance(getattr(whole, name), list)
            else getattr(whole, name)[kept]
            for name in names
        },
    )
    selection = select("geometry_aware", rules, small, 3, epsilon=2.0)
    values = [objective_of(small, list(subset)) for subset in combinations(range(9), 3)]
    assert selection.summary.swap_optimal
    assert selection.summary.lower_bound is not None
    assert selection.summary.lower_bound <= min(values) + 1e-9
    assert selection.summary.objective == pytest.approx(min(values), rel=1e-6)


@every_method
@pytest.mark.parametrize("policy", ["merge", "drop"])
def test_an_image_that_must_be_chosen_stands_for_its_group(
    method: str, own: dict[str, Any], policy: Any
) -> None:
    selection = select(method, CopyRules(policy, 0.2), include=["c/33.png"], **own)
    assert chosen_copies(selection) == {33}
    assert selection.indices[0] == 33
    assert set(selection.assignment[[3, *COPIES]].tolist()) == {33}


@every_method
@pytest.mark.parametrize("policy", ["merge", "drop"])
def test_another_image_stands_for_a_group_whose_leader_is_excluded(
    method: str, own: dict[str, Any], policy: Any
) -> None:
    rules = CopyRules(policy, 0.2)
    selection = select(method, rules, budget=30, exclude=["c/03.png", "c/30.png"], **own)
    assert chosen_copies(selection) == {31}


def test_a_group_that_is_excluded_as_a_whole_has_no_candidate() -> None:
    exclude = ["c/03.png", *(f"c/{row}.png" for row in COPIES)]
    for policy in ("merge", "drop"):
        selection = select("herding", CopyRules(policy, 0.2), budget=29, exclude=exclude)
        assert not chosen_copies(selection)


@pytest.mark.parametrize("policy", ["merge", "drop"])
def test_too_few_different_images_are_refused_by_class_or_taken_whole(policy: Any) -> None:
    rules = CopyRules(policy, 0.2)
    with pytest.raises(InputError, match="only 30 of its 40 can be chosen: 10"):
        select("random", rules, budget=31)
    whole = select("random", rules, budget=31, small_class="take_all")
    assert sorted(whole.indices.tolist()) == list(range(30))


@every_method
def test_images_of_the_held_out_set_are_no_part_of_the_class(
    method: str, own: dict[str, Any]
) -> None:
    selection = select(method, CopyRules(held_out=HELD_OUT), **own)
    assert not set(selection.indices.tolist()) & {5, 6}
    assert selection.summary.left_out_share < 0.1
    assert all(step.added not in (5, 6) for step in selection.summary.history)


@pytest.mark.parametrize(
    ("rules", "settings", "message"),
    [
        (CopyRules(held_out=HELD_OUT, refuses_held_out=True), {}, "2 of 40 images of class c"),
        (CopyRules(held_out=HELD_OUT), {"include": ["c/05.png"]}, "found c/05.png in both"),
        (CopyRules(held_out=frozenset(make_class().sha256)), {}, "40 of 40 images of class c"),
    ],
)
def test_held_out_images_that_cannot_be_left_out_are_refused(
    rules: CopyRules, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        select("random", rules, **settings)


def test_one_image_with_a_hundred_copies_takes_one_choice_of_ten() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(400, 64)).astype(np.float32)
    rows[300:] = rows[0] + 0.05 * generator.normal(size=(100, 64))
    base = make_class()
    ids = [f"c/{row:03}.png" for row in range(400)]
    ones = np.ones(400, dtype=np.int32)
    features = dataclasses.replace(
        base, image_ids=ids, features=rows, cross_entropy=None, width=ones, height=ones, sha256=ids
    )
    settings = {"budget": 10, "seed": 0, "rebuilds": 0, "lower_bound": None}
    taken = {}
    for policy in ("keep", "merge", "drop"):
        rules = CopyRules(policy, 0.2)
        chosen = run_selector("geometry_aware", settings, features, rules=rules).indices
        taken[policy] = int(((chosen == 0) | (chosen >= 300)).sum())
    assert taken["keep"] > 1
    assert taken["merge"] == 1
    assert taken["drop"] <= 1
