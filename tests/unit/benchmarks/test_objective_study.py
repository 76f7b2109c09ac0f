"""The study of objectives: its search is the selector's, its certificate and measures are right."""

import csv
import sys

import numpy as np
import pytest
import torch

from benchmarks.objective_study import __main__ as study
from benchmarks.objective_study import table
from benchmarks.objective_study.covariance import PrincipalStatistics
from benchmarks.objective_study.judging import Judging
from benchmarks.objective_study.polish import polish
from benchmarks.objective_study.variants import DEFAULT, VARIANTS, ClassData, choose, principal
from otcondense.evaluation import frechet_distance
from otcondense.selection import GeometryAwareSelector
from otcondense.selection.candidates import validate_candidates
from otcondense.selection.engine.covariance import FullStatistics
from otcondense.selection.engine.search import SearchLimits
from otcondense.selection.engine.statistics import DiagonalStatistics
from otcondense.selection.geometry_aware_config import GeometryAwareConfig
from otcondense.selection.objective import build_problem

CLASSES = 2
SIZE = 24


def class_data(seed):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(SIZE, 6)) * [3, 2, 2, 1, 1, 1] + seed
    return ClassData(features, generator.exponential(size=SIZE), [f"{i:03}" for i in range(SIZE)])


@pytest.fixture
def classes():
    torch.set_num_threads(1)
    return {label: class_data(label) for label in range(CLASSES)}


@pytest.fixture
def files(tmp_path, classes):
    features = np.concatenate([each.features for each in classes.values()])
    labels = np.repeat(np.arange(CLASSES), SIZE)
    held = features + 0.1
    np.savez(tmp_path / "features.npz", features=features, labels=labels)
    np.savez(tmp_path / "judges.npz", source_a=features, held_a=held, held_labels=labels)
    return tmp_path


def test_the_default_is_the_selector_without_rebuilds(classes):
    found = choose(VARIANTS[DEFAULT], classes, 4)
    for label, data in classes.items():
        selector = GeometryAwareSelector(4, rebuilds=0, lower_bound=None)
        selector.fit(data.features, cross_entropy=data.entropy)
        assert found[label].tolist() == selector.indices_.tolist()


@pytest.mark.parametrize(
    "name", ["principal, alpha 1", "covariance in 8, alpha 1", "merged", "pooled 1", "other start"]
)
def test_every_variant_chooses_different_images(name, classes):
    for rows in choose(VARIANTS[name], classes, 4).values():
        assert len(set(rows.tolist())) == 4


def pooled_objective(problems, features, subsets, weight):
    """Mean of the classes' objectives and the pooled term, written out."""
    own = sum(problems[label].exact_objective(subsets[label]) for label in problems)
    every = torch.cat(list(features.values()))
    chosen = torch.cat([features[label][subsets[label]] for label in features])
    apart = (chosen.mean(dim=0) - every.mean(dim=0)).square().sum()
    spread = (chosen.std(dim=0) - every.std(dim=0)).square().sum()
    return own / len(problems) + weight * float(apart + spread)


def test_no_swap_improves_a_polished_subset(classes):
    config = GeometryAwareConfig(budget=3)
    features = {label: torch.from_numpy(each.features) for label, each in classes.items()}
    problems = {}
    for label, data in classes.items():
        problems[label], _ = build_problem(config, validate_candidates(data.features), 1)
    starts = {label: [0, 1, 2] for label in classes}
    limits = {label: SearchLimits(1e-8) for label in classes}
    done = polish(problems, features, starts, 5.0, limits)
    best = pooled_objective(problems, features, done.subsets, 5.0)
    assert done.proven
    assert best < pooled_objective(problems, features, starts, 5.0)
    for label in classes:
        for place in range(3):
            for image in set(range(SIZE)) - set(done.subsets[label]):
                swapped = {key: list(value) for key, value in done.subsets.items()}
                swapped[label][place] = image
                assert pooled_objective(problems, features, swapped, 5.0) > best - 1e-6


def test_the_frechet_distance_is_that_of_the_evaluation(files):
    data = study.load_set(files / "features.npz", files / "judges.npz")
    rows = np.arange(10)
    judge = data.judges[0]
    held = judge.held[data.held_labels == 0]
    expected = frechet_distance(torch.from_numpy(judge.source[rows]), torch.from_numpy(held))
    found = Judging(data).of_class(0, rows)["a.frechet"]
    assert found == pytest.approx(float(expected), rel=1e-6)


def test_rows_are_computed_once_and_make_a_table(files, monkeypatch, capsys):
    output = files / "results.csv"
    arguments = ["study", str(files / "features.npz"), str(files / "judges.npz"), str(output)]
    options = ["--name", "tiny", "--budgets", "4", "--variants", DEFAULT, "kappa 1"]
    monkeypatch.setattr(sys, "argv", arguments + options)
    study.main()
    first = output.read_bytes()
    study.main()
    assert output.read_bytes() == first
    with output.open(encoding="utf-8", newline="") as file:
        lines = list(table.tables(list(csv.DictReader(file))))
    assert any("kappa 1" in line and "of 4" in line for line in lines)


def test_holm_is_the_step_down_method():
    assert table.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@pytest.mark.parametrize("count", [1, 3, 6])
def test_covariances_in_all_directions_are_the_frechet_distance(count, classes):
    """In fewer directions, the term is exact where both covariances are diagonal."""
    features = torch.from_numpy(classes[0].features)
    points = principal(features - features.mean(dim=0))
    term = PrincipalStatistics.of(points, count)
    subset = torch.arange(8)
    expected = FullStatistics.of(points, None).value(subset)
    diagonal = DiagonalStatistics.of(points, None).value(subset)
    if count == 6:
        torch.testing.assert_close(term.value(subset), expected)
    if count == 1:
        torch.testing.assert_close(term.value(subset), diagonal)
    place = term.at(subset[:-1])
    exact = place.exact(torch.arange(SIZE))
    for reference in (7, 12):
        bound = place.lower_bound(reference, torch.arange(SIZE))
        assert bool((bound <= exact + 1e-9).all())
        assert float(bound[reference]) == pytest.approx(float(exact[reference]), abs=1e-2)
