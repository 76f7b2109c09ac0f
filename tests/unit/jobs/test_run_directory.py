"""Names of directories carry the hash of their inputs; a run belongs to one source."""

from pathlib import Path

import pytest
import yaml

from jobs.command.settings import load_config
from jobs.run_directory.opening import describe, open_run, read_run
from jobs.run_directory.run import Run
from otcondense.errors import InputError
from otcondense.store.files import TEMPORARY_PREFIX


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


def test_a_preset_fills_in_missing_settings(tmp_path: Path) -> None:
    run = run_of(tmp_path, "selection.settings.geometry_aware={preset: resnet50, kappa: 2}")
    settings = run.config.selection.selector_settings("geometry_aware", 10)
    assert (settings["scale"], settings["epsilon"], settings["kappa"], settings["budget"]) == (
        "absolute",
        20.0,
        2.0,
        10,
    )


def test_a_fresh_run_deletes_the_files_of_an_earlier_one(tmp_path: Path) -> None:
    with open_run(run_of(tmp_path).config) as run:
        run.store.write_bytes("features/x/part", b"1")
    with open_run(run_of(tmp_path).config) as run:
        assert run.store.exists("features/x/part")
    with (
        pytest.raises(
            InputError, match=r"another source \(source.path: 'images' there, 'new' here\)"
        ),
        open_run(run_of(tmp_path, "source.path=new").config),
    ):
        pass
    with open_run(run_of(tmp_path, "source.path=new").config, fresh=True) as run:
        assert not run.store.exists("features")
        assert run.store.exists("config.yaml")


@pytest.mark.parametrize("fresh", [False, True])
def test_a_directory_of_something_else_is_never_touched(tmp_path: Path, *, fresh: bool) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("x")
    refused = "holds files and no config.yaml" if fresh else "holds files that no run made"
    with pytest.raises(InputError, match=refused), open_run(run_of(tmp_path).config, fresh=fresh):
        pass
    assert (tmp_path / "run" / "thesis.tex").read_text() == "x"


DAMAGED = ("layout: 1\n", "layout: [", "\0", "", "layout: 2020-13-45", "[" * 3000)
"""Without a key, no YAML, no text, empty, a date that does not exist, nested too deep."""


@pytest.mark.parametrize("content", DAMAGED, ids=range(len(DAMAGED)))
def test_reading_a_damaged_description_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(InputError, match=r"config\.yaml is damaged \(.*run any stage again"):
        read_run(str(tmp_path))


@pytest.mark.parametrize("content", [*DAMAGED, None], ids=range(len(DAMAGED) + 1))
def test_a_damaged_or_missing_description_is_rewritten(tmp_path: Path, content: str | None) -> None:
    with open_run(run_of(tmp_path).config) as run:
        run.store.write_bytes("features/a/x.parquet", b"x")
    description = (tmp_path / "run" / "config.yaml").read_bytes()
    if content is None:
        (tmp_path / "run" / "config.yaml").unlink()
    else:
        (tmp_path / "run" / "config.yaml").write_text(content)
    with open_run(run_of(tmp_path).config) as run:
        assert run.store.list() == [".lock", "config.yaml", "features/a/x.parquet"]
    assert (tmp_path / "run" / "config.yaml").read_bytes() == description


def test_temporary_files_of_killed_writers_are_deleted(tmp_path: Path) -> None:
    left = tmp_path / "run" / "features" / f"{TEMPORARY_PREFIX}1"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    with open_run(run_of(tmp_path).config):
        assert not left.exists()


def test_the_record_of_a_run_holds_no_times(tmp_path: Path) -> None:
    first, second = describe(run_of(tmp_path)), describe(run_of(tmp_path))
    assert first == second
    assert first["versions"]["torch"]
