"""The best two settings of a sweep with further seeds: what is repeated, and what is said."""

import pytest

from jobs.command.settings import build, load_config
from jobs.sweep.page import render_page
from jobs.sweep.repeats import best_two, further_seeds, outcome, repeats_config
from jobs.trials.config import SweepConfig
from jobs.trials.records import Record, Rung
from jobs.trials.trial import Sweep

METRIC = "frechet_distance"


def make_sweep(tmp_path, **changes):
    config = build(SweepConfig, {"space": {"kappa": [1.1, 1.3, 1.5]}, **changes}, "sweep.yaml")
    return Sweep(config, load_config("jobs/configs/demo.yaml", [], str(tmp_path / "run")))


def record(value, metric=METRIC, **values):
    rung = Rung(step=0, metrics={metric: value})
    return Record(key=str(values), fingerprint="f", values=values, state="finished", rungs=(rung,))


def repeats(best, second):
    found = []
    for variant, values in (("best", best), ("second", second)):
        found += [record(value, variant=variant, seed=seed) for seed, value in enumerate(values)]
    return found


def test_the_best_two_differ_in_more_than_their_seed(tmp_path):
    records = [
        record(3.0, kappa=1.1, seed=0),
        record(1.0, kappa=1.3, seed=0),
        record(1.5, kappa=1.3, seed=1),
        record(2.0, kappa=1.5, seed=4),
    ]
    sweep = make_sweep(tmp_path)
    assert [each.values["kappa"] for each in best_two(sweep, records)] == [1.3, 1.5]
    assert min(further_seeds(sweep, records)) == 5
    assert len(further_seeds(sweep, records)) == 6
    assert further_seeds(make_sweep(tmp_path, repeats=0), records) == ()


@pytest.mark.parametrize("variants", [{}, {"ours": {"kappa": 1.2}, "random": {"method": "random"}}])
def test_a_repeat_differs_from_its_trial_in_the_seed_alone(tmp_path, variants):
    if variants:
        sweep = make_sweep(tmp_path, variants=variants, space={"selection.budget": [5, 6]})
        values = [{"variant": name, "selection.budget": 6} for name in variants]
    else:
        sweep = make_sweep(tmp_path)
        values = [{"kappa": 1.3}, {"kappa": 1.5}]
    two = [record(float(number), **each) for number, each in enumerate(values)]
    repeated = Sweep(repeats_config(sweep, two, (7, 8)), sweep.base)
    assert repeated.directory != sweep.directory
    planned = repeated.planned()
    assert len(planned) == 4
    for place, name in enumerate(("best", "second")):
        trial = sweep.trial({**values[place], "seed": 8})
        again = repeated.trial({"variant": name, "seed": 8})
        assert (again.key, again.run.config) == (trial.key, trial.run.config)


LOW, HIGH = [1.0, 1.1, 1.2, 1.0, 1.1, 1.2], [2.0, 2.3, 2.1, 2.2, 2.1, 2.4]
MIXED = [1.1, 1.0, 1.3, 0.9, 1.2, 1.1]


@pytest.mark.parametrize(
    ("best", "second", "verdict", "words"),
    [
        (LOW, HIGH, "better", "better in 6 of 6, beyond the noise"),
        (HIGH, LOW, "worse", "the best one was luck"),
        (LOW, MIXED, "within the noise", "within the noise: take either"),
        (LOW[:2], HIGH[:2], "too few seeds", "better in 2 of 2: too few seeds to test"),
        ([1.0] * 6, [2.0] * 6, "same with every seed", "no seed changes either"),
    ],
)
def test_the_best_is_called_better_only_beyond_the_noise(tmp_path, best, second, verdict, words):
    sweep = make_sweep(tmp_path)
    two = [record(0.9, kappa=1.3), record(0.95, kappa=1.5)]
    found = outcome(sweep, two, repeats(best, second))
    assert found.verdict == verdict
    assert words in found.words
    page = render_page(sweep, two, found)
    assert words in page
    mark = "best" if verdict == "better" else "ahead"
    assert f'<tr class="{mark}"' in page


def test_where_higher_is_better_the_words_follow(tmp_path):
    sweep = make_sweep(tmp_path, metric="recall")
    two = [record(0.9, "recall", kappa=1.3), record(0.8, "recall", kappa=1.5)]
    made = repeats(HIGH, LOW)
    renamed = [
        each.model_copy(update={"rungs": (Rung(step=0, metrics={"recall": each.metric(METRIC)}),)})
        for each in made
    ]
    assert outcome(sweep, two, renamed).verdict == "better"


def test_without_a_measured_repeat_nothing_is_said(tmp_path):
    sweep = make_sweep(tmp_path)
    two = [record(0.9, kappa=1.3), record(0.95, kappa=1.5)]
    assert outcome(sweep, two, repeats(LOW, [])) is None
    assert "may be noise" in render_page(sweep, two, None)


def test_trials_that_share_the_best_value_are_not_painted(tmp_path):
    sweep = make_sweep(tmp_path)
    page = render_page(sweep, [record(1.0, kappa=1.1), record(1.0, kappa=1.3)])
    assert "2 trials with equal values" in page
    assert "<tr class=" not in page
