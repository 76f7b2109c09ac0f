"""Comparisons at several guidances: their tables, and trials that share a training."""

from jobs.compare.config import CompareConfig
from jobs.compare.overview import overviews
from jobs.compare.results import result_rows
from jobs.compare.statements import statements
from jobs.compare.summary import cells
from jobs.compare.tables import summary_rows
from jobs.trials.sweep import distinct_trials, waves
from jobs.trials.trial import Sweep
from tests.generators.comparisons import (
    BASE,
    NOISE,
    VARIANTS,
    record,
)

GUIDED = CompareConfig(
    variants={**VARIANTS, "own": {"method": "random", "models.sit.sampling.cfg_scale": 4.0}},
    guidance=(1.0, 1.5),
    seeds=tuple(range(6)),
    metrics=("frechet_distance",),
)


def test_each_guidance_has_its_tables() -> None:
    found = [
        record(name, seed, {50: level + NOISE[seed] + seed / 100}, guidance=guidance)
        for name, guidance, level in (
            ("random", 1.0, 2.0),
            ("random", 1.5, 1.0),
            ("ours", 1.0, 1.9),
            ("ours", 1.5, 1.1),
            ("own", 1.0, 3.0),
        )
        for seed in range(6)
    ]
    rows = result_rows(found, Sweep(GUIDED.sweep(BASE), BASE))
    assert {(row["variant"], row["guidance"]) for row in rows} == {
        ("random", 1.0),
        ("random", 1.5),
        ("ours", 1.0),
        ("ours", 1.5),
        ("own", 4.0),
    }
    first, second = cells(rows, GUIDED)
    assert [figure.variant for figure in first.figures] == ["ours", "random", "own"]
    assert [figure.variant for figure in second.figures] == ["random", "ours", "own"]
    assert overviews([first, second], GUIDED)[0].columns == (
        "100 images, guidance 1",
        "100 images, guidance 1.5",
    )
    assert {row["guidance"] for row in summary_rows([first, second])} == {1.0, 1.5}
    assert "100 images, guidance 1.5, 50 steps" in list(statements([first, second], GUIDED))[1]


def test_trials_of_several_guidances_share_their_training_one_after_the_other() -> None:
    sweep = Sweep(GUIDED.sweep(BASE), BASE)
    trials = distinct_trials(sweep)
    # A variant with a guidance of its own is sampled once.
    assert len(trials) == (3 * 2 + 1) * 6
    found = waves(trials)
    # The model of "own" is that of random, sampled at a third guidance.
    assert [len(wave) for wave in found] == [3 * 6, 3 * 6, 6]
    trained = [
        [
            trial.run.training_directory("sit", trial.run.config.selection.methods[0])
            for trial in wave
        ]
        for wave in found
    ]
    assert all(len(set(each)) == len(each) for each in trained)
    assert set(trained[2]) < set(trained[1]) == set(trained[0])


def test_a_comparison_without_guidances_keeps_its_directory() -> None:
    plain = CompareConfig(variants=VARIANTS, budgets=(5, 10), model="sit").sweep(BASE)
    assert list(plain.space) == ["selection.budget", "seed"]
    joint = CompareConfig(variants=VARIANTS, budgets=(5, 10), model="sit", correction="joint")
    assert joint.sweep(BASE) == plain
