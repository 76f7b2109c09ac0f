"""Comparisons: their trials, tables, statements and page."""

import math
from pathlib import Path
from typing import Any

import pytest

from jobs.command.yaml_files import read_yaml
from jobs.compare.command import sweep_config
from jobs.compare.config import CompareConfig
from jobs.compare.page import render_page
from jobs.compare.summary import (
    cells,
    mean_ranks,
    predictions,
    result_rows,
    rows_as_csv,
    statements,
    summary_rows,
)
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from jobs.trials.records import Record, Rung
from jobs.trials.trial import Sweep
from otcondense.errors import InputError

HOSTILE = "<script>alert(1)</script>"
BASE = RunConfig.model_validate(
    {
        "run": "runs/compared",
        "source": {"path": "train"},
        "held_out": {"path": "held_out"},
        "selection": {"methods": ["geometry_aware", "random", "herding"], "budget": 10},
        "models": {
            "sit": {"training": {"model": {"name": "SiT-demo/2"}}, "sampling": {}},
            "dit": {"training": {"model": {"name": "DiT-demo/2"}}, "sampling": {}},
        },
    }
)
VARIANTS = {
    "ours": {"method": "geometry_aware"},
    "random": {"method": "random"},
    "no noise": {"method": "herding"},
}


def record(variant: str, seed: int, distances: dict[int, float], num_images: int = 100) -> Record:
    rungs = tuple(
        Rung(step=step, metrics={"frechet_distance": d, "num_training": num_images})
        for step, d in distances.items()
    )
    values = {"variant": variant, "seed": seed}
    return Record(
        key=f"{variant}-{seed}-{num_images}",
        fingerprint="f",
        values=values,
        state="finished",
        rungs=rungs,
    )


RECORDS = [
    *(record("random", seed, {50: 5.0 + 0.01 * seed, 100: 2.0 + 0.01 * seed}) for seed in range(3)),
    *(record("ours", seed, {50: 6.0 + 0.01 * seed, 100: 1.0 + 0.01 * seed}) for seed in range(3)),
    *(record("no noise", seed, {50: 5.005 + 0.01 * seed, 100: 3.0}) for seed in range(3)),
]
CONFIG = CompareConfig(name="three", variants=VARIANTS, metrics=("frechet_distance",))


def test_each_variant_budget_and_seed_has_a_trial() -> None:
    config = CompareConfig(variants=VARIANTS, budgets=(5, 10), seeds=(0, 7), model="dit")
    sweep = Sweep(config.sweep(BASE), BASE)
    trials = [sweep.trial(values) for values in sweep.planned()]
    assert len({trial.key for trial in trials}) == 3 * 2 * 2
    for trial in trials:
        found = trial.run.config
        assert set(found.models) == {"dit"}
        assert found.selection.methods == (VARIANTS[trial.values["variant"]]["method"],)
        assert found.selection.budget == trial.values["selection.budget"]
        seeds = {
            found.selection.seed,
            found.models["dit"].training.seed,
            found.models["dit"].sampling.seed,
        }
        assert seeds == {trial.values["seed"]}


def test_without_variants_the_methods_of_the_configuration_are_compared() -> None:
    config = CompareConfig().sweep(BASE)
    assert config.variants == {
        name: {"method": name} for name in ("geometry_aware", "random", "herding")
    }
    assert not config.stop_early


def test_a_variant_is_a_bundle_of_settings() -> None:
    bundle = {"method": "geometry_aware", "beta": 0, "selection.budget": 3}
    sweep = Sweep(
        CompareConfig(
            variants={"random": {"method": "random"}, "bare": bundle}, budgets=(5,), seeds=(0,)
        ).sweep(BASE),
        BASE,
    )
    found = {
        trial.values["variant"]: trial.run.config.selection
        for trial in map(sweep.trial, sweep.planned())
    }
    assert (found["bare"].budget, found["bare"].settings.geometry_aware.beta) == (3, 0)
    assert found["random"].budget == 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"metrics": ["speed"]}, "metrics must be among fid, frechet_distance"),
        (
            {"variants": {"ours": {"method": "geometry_aware"}}},
            "against must be among the variants ours, found random",
        ),
        ({"budgets": [0]}, "budgets must be at least 1, found 0"),
        ({"seeds": []}, "seeds"),
    ],
)
def test_invalid_comparisons_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CompareConfig.model_validate(values)


def test_the_reason_of_an_invalid_comparison_is_given() -> None:
    config = CompareConfig(variants={"random": {"method": "random", "source.path": "elsewhere"}})
    with pytest.raises(
        InputError, match=r"this comparison is invalid: .*space cannot vary source\.path"
    ):
        sweep_config(config, Run(BASE))


def test_metrics_of_further_judges_can_be_compared() -> None:
    assert CompareConfig(metrics=("dinov2.frechet_distance", "clip.cmmd")).metrics == (
        "dinov2.frechet_distance",
        "clip.cmmd",
    )


def test_invalid_variants_are_refused() -> None:
    with pytest.raises(
        ValueError,
        match="against must be among the methods of the configuration "
        "geometry_aware, random, herding, found k_center",
    ):
        CompareConfig(against="k_center").sweep(BASE)
    with pytest.raises(ValueError, match="method must be among"):
        CompareConfig(variants={"random": {"method": "randomm"}}).sweep(BASE)
    sweep = Sweep(
        CompareConfig(variants={"random": {"method": "random", "selection.budgett": 3}}).sweep(
            BASE
        ),
        BASE,
    )
    with pytest.raises(InputError, match="budgett"):
        sweep.trial(sweep.planned()[0])


def test_tables_start_with_the_best_and_statements_name_real_differences() -> None:
    found = cells(result_rows(RECORDS), CONFIG)
    short, long = found
    assert [figure.variant for figure in long.figures] == ["ours", "random", "no noise"]
    assert [figure.rank for figure in long.figures] == [1, 2, 3]
    assert long.figures[0].interval.mean == pytest.approx(1.01)
    assert list(statements(found, CONFIG)) == [
        "frechet_distance, 100 images, 50 steps: none better than random; worse: ours; "
        "within the noise: no noise.",
        "frechet_distance, 100 images, 100 steps: better than random: ours; worse: no noise.",
    ]
    assert [figure.variant for figure in short.figures] == ["random", "no noise", "ours"]
    assert mean_ranks(found, "frechet_distance") == {"random": 1.5, "ours": 2.0, "no noise": 2.5}


def test_a_variant_with_a_different_size_is_in_every_table() -> None:
    everything = [
        record("all", seed, {50: 1.0 + seed, 100: 0.5 + seed}, num_images=1000) for seed in range(2)
    ]
    config = CompareConfig(
        variants={**VARIANTS, "all": {"method": "random"}}, metrics=("frechet_distance",)
    )
    found = cells(result_rows([*RECORDS, *everything]), config)
    assert {cell.num_images for cell in found} == {100}
    assert all("all" in {figure.variant for figure in cell.figures} for cell in found)


def test_subset_metrics_are_compared_with_results_of_training() -> None:
    rows = [
        {
            "variant": name,
            "num_images": 10,
            "step": 5,
            "seed": 0,
            "frechet_distance": d,
            "subset_frechet_distance": d + 1,
            "subset_recall": d,
        }
        for name, d in zip("abcd", (1.0, 2.0, 3.0, 4.0), strict=True)
    ]
    found = {each.subset_metric: each.correlation for each in predictions(rows, "frechet_distance")}
    # A small distance before predicts a small one after; here a high recall predicts a bad one.
    assert found == {
        "subset_frechet_distance": pytest.approx(1.0),
        "subset_recall": pytest.approx(-1.0),
    }
    assert predictions(rows[:3], "frechet_distance") == []


def test_tables_as_csv() -> None:
    rows = result_rows(RECORDS)
    text = rows_as_csv(rows).decode().splitlines()
    assert text[0] == "variant,num_images,step,seed,trial,frechet_distance"
    assert len(text) == 1 + 9 * 2
    summary = summary_rows(cells(rows, CONFIG))
    assert len(summary) == 6
    assert all(
        not isinstance(value, float) or math.isfinite(value)
        for row in summary
        for value in row.values()
    )


def test_the_page_is_the_same_twice_and_escapes_everything() -> None:
    variants = {**VARIANTS, HOSTILE: {"method": "random", "selection.budget": 3}}
    config = CompareConfig(name="hostile", variants=variants, metrics=("frechet_distance",))
    rows = result_rows(
        [*RECORDS, *(record(HOSTILE, seed, {50: 1.0, 100: 1.0 + seed}) for seed in range(3))]
    )
    sweep, found = Sweep(config.sweep(BASE), BASE), cells(rows, config)
    page = render_page(config, sweep, rows, found, 2)
    assert page == render_page(config, sweep, rows, found, 2)
    assert HOSTILE not in page
    assert "alert(1)" in page
    assert "default-src &#39;none&#39;" in page
    assert "better than random: ours" in page
    assert page.count('data-plot="') == 2


def test_the_committed_comparisons_are_valid() -> None:
    files = sorted(Path("jobs/configs/compare").glob("*.yaml"))
    assert files
    for file in files:
        CompareConfig.model_validate(read_yaml(str(file)))
