"""Names of directories carry the hash of their inputs; a run belongs to one source."""

from pathlib import Path

import pytest
import yaml

from jobs.command.settings import load_config
from jobs.run_directory.marker import describe
from jobs.run_directory.run import Run
from otcondense.selection.registry import SELECTORS


def run_of(root: Path, *overrides: str) -> Run:
    values = {
        "run": str(root / "run"),
        "source": {"path": "images"},
        "held_out": {"path": "other"},
        "encoder": {"name": "resnet18"},
    }
    models = {
        "m": {
            "training": {"subsets": ["random"], "num_steps": 20, "checkpoint_steps": [5]},
            "sampling": {},
        }
    }
    path = root / "c.yaml"
    path.write_text(yaml.safe_dump({**values, "models": models}))
    return Run(load_config(str(path), list(overrides)))


def names(run: Run) -> tuple[str, ...]:
    config = run.config
    return (
        run.features_directory(config.encoder),
        run.selection_directory("random"),
        run.manifest("random"),
        run.images_file("random"),
        run.training_directory("m", "random"),
        run.samples_directory("m", "random", 5),
        run.metrics_file("m", "random", 5),
    )


@pytest.mark.parametrize(
    ("override", "first_changed"),
    [
        ("source.path=elsewhere", 0),
        ("encoder.name=resnet34", 0),
        ("encoder.batch_size=3", 0),
        ("selection.budget=3", 1),
        ("selection.seed=3", 1),
        ("pixels.size=16", 3),
        ("models.m.training.learning_rate=0.1", 4),
        ("models.m.sampling.cfg_scale=2", 5),
        ("evaluation.neighbours=5", 6),
        ("judge={name: resnet34}", 6),
        ("selection.pool.num_actors=7", 7),
        ("extraction.num_encoders=2", 7),
        ("encoder.device=cpu", 7),
        ("models.m.training.num_workers=4", 7),
        ("models.m.training.num_steps=30", 7),
        ("selection.methods=[random, herding]", 7),
    ],
)
def test_a_setting_changes_its_stage_and_all_that_follow(
    tmp_path: Path, override: str, first_changed: int
) -> None:
    before, after = names(run_of(tmp_path)), names(run_of(tmp_path, override))
    assert [a == b for a, b in zip(before, after, strict=True)] == [True] * first_changed + [
        False
    ] * (7 - first_changed)


def test_every_kept_step_is_evaluated(tmp_path: Path) -> None:
    assert run_of(tmp_path).checkpoints() == [("m", "random", 5), ("m", "random", 20)]


def test_the_version_of_a_method_is_part_of_its_selection_unless_it_is_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path)
    assert "geometry_aware/2" in run.selection_key("geometry_aware")
    assert "random" in run.selection_key("random")
    before = run.selection_key("herding")
    monkeypatch.setattr(SELECTORS["herding"], "VERSION", 2)
    assert run.selection_key("herding") != before


def test_a_preset_fills_in_missing_settings(tmp_path: Path) -> None:
    run = run_of(tmp_path, "selection.settings.geometry_aware={preset: resnet50, kappa: 2}")
    settings = run.config.selection.selector_settings("geometry_aware", 10)
    assert (settings["scale"], settings["epsilon"], settings["kappa"], settings["budget"]) == (
        "absolute",
        20.0,
        2.0,
        10,
    )


def test_the_record_of_a_run_holds_no_times(tmp_path: Path) -> None:
    first, second = describe(run_of(tmp_path)), describe(run_of(tmp_path))
    assert first == second
    assert first["versions"]["torch"]
