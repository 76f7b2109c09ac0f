"""Comparisons: what they compare, and their trials."""

from pathlib import Path
from typing import Any

import pytest

from jobs.command.yaml_files import read_yaml
from jobs.compare.command import sweep_config
from jobs.compare.config import CompareConfig
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from jobs.trials.trial import Sweep
from otcondense.errors import InputError
from tests.generators.comparisons import (
    BASE,
    VARIANTS,
)


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


@pytest.mark.parametrize("part", ["variants", "models", "judges"])
def test_names_that_break_terminals_and_figures_are_refused(part: str) -> None:
    name = "\x1b[31mred"
    plain = BASE.model_dump(mode="json", exclude_unset=True)
    if part == "models":
        plain["models"] = {name: plain["models"]["sit"]}
    if part == "judges":
        plain["judges"] = {name: {"name": "pixels", "image_size": 8, "num_classes": 0}}
    bad = name if part == "variants" else "random"
    with pytest.raises(ValueError, match=rf"the name of a {part[:-1]} must be plain text"):
        CompareConfig(variants={bad: {"method": "random"}}, against=bad).sweep(
            RunConfig.model_validate(plain)
        )


def test_a_metric_of_a_judge_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the judge of clip\.cmmd must be among .* found clip"):
        CompareConfig(metrics=("frechet_distance", "clip.cmmd")).sweep(BASE)


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
    with pytest.raises(ValueError, match="variant random has the name of a method, but would run"):
        CompareConfig(variants={"random": {"seed": 1}}).sweep(BASE)
    sweep = Sweep(
        CompareConfig(variants={"random": {"method": "random", "selection.budgett": 3}}).sweep(
            BASE
        ),
        BASE,
    )
    with pytest.raises(InputError, match="budgett"):
        sweep.trial(sweep.planned()[0])


def test_the_committed_comparisons_are_valid() -> None:
    files = sorted(Path("jobs/configs/compare").glob("*.yaml"))
    assert files
    for file in files:
        CompareConfig.model_validate(read_yaml(str(file)))
