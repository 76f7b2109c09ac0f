"""All stages at tiny size: their files, a second run, damaged files, and mistakes."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from otcondense.store import Store, read_all_progress, read_manifest
from tests.runs import copy_run, results, write_times
from tests.verbs import call

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture
def finished(tiny_run: Path, tmp_path: Path) -> Path:
    """The folder of a copy of the finished run."""
    return copy_run(tiny_run, tmp_path / "finished").parent


@pytest.fixture
def fresh(tiny_run: Path, tmp_path: Path) -> Path:
    """A configuration of copies of the same images, with a run that does not exist yet."""
    text = (tiny_run / "tiny.yaml").read_text()
    for name in ("run", "train"):
        text = text.replace(str(tiny_run / name), str(tmp_path / name))
    shutil.copytree(tiny_run / "train", tmp_path / "train")
    path = tmp_path / "tiny.yaml"
    path.write_text(text)
    return path


def test_every_stage_leaves_its_files(tiny_run: Path) -> None:
    run = tiny_run / "run"
    assert len(list(run.glob("features/*/class_name=*/part-0.parquet"))) == 2 * 3
    assert len(list(run.glob("selection/*/class_name=*/selection.parquet"))) == 2 * 3
    assert len(list(run.glob("subset-*.parquet"))) == 2
    assert len(list(run.glob("training/*/checkpoints/*/state.json"))) == 3 * 2
    assert len(list(run.glob("training/*/samples/*/part-*.parquet"))) == 3 * 2 * 2
    assert len(list(run.glob("training/*/metrics/*.json"))) == 3 * 2
    report = (run / "report.html").read_text()
    assert "geometry_aware" in report
    assert "http://" not in report.replace("http://www.w3.org", "").split("<script", 1)[0]


def test_metrics_are_complete_and_finite(tiny_run: Path) -> None:
    for path in (tiny_run / "run").glob("training/*/metrics/*.json"):
        values = json.loads(path.read_text())["values"]
        assert {
            "fid",
            "inception_score",
            "precision",
            "recall",
            "frechet_distance",
            "copy_share",
        } <= set(values)
        assert all(value == value for value in values.values())


WORK = (
    "features/**/part-*.parquet",
    "selection/**/selection.parquet",
    "training/**/*.safetensors",
    "training/**/part-*.parquet",
    "training/**/metrics/*.json",
)
"""The files that cost work; the others are put together from them."""


def test_a_second_run_does_nothing_and_changes_nothing(finished: Path) -> None:
    run = finished / "run"
    before = results(run)
    work = [path for pattern in WORK for path in run.glob(pattern)]
    times = write_times(work)
    shutil.rmtree(run / "logs")
    call("run", ["--config", str(finished / "tiny.yaml")])
    assert results(run) == before
    assert write_times(work) == times
    # Evaluation looks at one set after another, so its bar counts finished ones too.
    stages = [each for each in read_all_progress(Store(str(run))) if each.stage != "evaluate"]
    assert all(stage.before == stage.total for stage in stages)


@pytest.mark.slow
@pytest.mark.ci
def test_damaged_and_missing_files_are_recomputed_with_the_same_bytes(finished: Path) -> None:
    run = finished / "run"
    before = results(run)
    for pattern in (
        "features/*/class_name=1/*.parquet",
        "selection/geometry*/class_name=2/*.parquet",
        "training/sit-r*/samples/*/part-00001.parquet",
    ):
        path = sorted(run.glob(pattern))[0]
        path.write_bytes(path.read_bytes()[:-30])
    for pattern in (
        "selection/random*/class_name=0/*.parquet",
        "training/dit*/checkpoints/*12/state.json",
        "training/*/metrics/*.json",
    ):
        sorted(run.glob(pattern))[0].unlink()
    call("run", ["--config", str(finished / "tiny.yaml")])
    assert results(run) == before


@pytest.mark.slow
@pytest.mark.ci
def test_the_number_of_workers_does_not_change_the_bytes(tiny_run: Path, fresh: Path) -> None:
    """The finished run has encoded in the driver and selected with one actor."""
    workers = [
        "extraction.num_encoders=1",
        "selection.pool.num_actors=2",
        "source.path=" + str(tiny_run / "train"),
    ]
    for verb in ("extract_features", "select_subset"):
        call(verb, ["--config", str(fresh), *workers])
    ours = results(fresh.parent / "run", ("features/", "selection/", "subset-"))
    theirs = results(tiny_run / "run")
    assert len(ours) > 12
    assert ours == {name: theirs[name] for name in ours}


def test_other_settings_get_a_directory_of_their_own(tiny_run: Path, finished: Path) -> None:
    """The settings: budgets by class, images to include and to exclude."""
    first, second = (f"1/{path.name}" for path in sorted((tiny_run / "train" / "1").iterdir())[:2])
    overrides = [
        "selection.budget={'0': 2, '1': 3, '2': 4}",
        "selection.methods=[geometry_aware]",
        "models={}",
        f"selection.include=['{first}']",
        f"selection.exclude=['{second}']",
    ]
    before = results(finished / "run")
    call("select_subset", ["--config", str(finished / "tiny.yaml"), *overrides])
    after = results(finished / "run")
    assert {name: after[name] for name in before} == before

    (manifest,) = (name for name in set(after) - set(before) if name.startswith("subset-"))
    rows = read_manifest(Store(str(finished / "run")), manifest).to_pylist()
    assert Counter(row["class_name"] for row in rows) == {"0": 2, "1": 3, "2": 4}
    assert first in [row["image_id"] for row in rows]
    assert second not in [row["image_id"] for row in rows]


def empty_class(root: Path) -> list[str]:
    (root / "train" / "empty").mkdir()
    return []


def unreadable_image(root: Path) -> list[str]:
    sorted((root / "train" / "1").iterdir())[0].write_bytes(b"not an image")
    return []


def missing_source(root: Path) -> list[str]:
    return [f"source.path={root / 'nowhere'}"]


def foreign_directory(root: Path) -> list[str]:
    (root / "run").mkdir()
    (root / "run" / "thesis.tex").touch()
    return []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda _: ["selection.bugdet=3"], "did you mean selection.budget?"),
        (lambda _: ["selection.budget=31"], "selection.budget is 31, but class 0 has 30 images"),
        (
            lambda _: ["selection.budget={'0': 2, '1': 2}"],
            "must name every class once; missing: ['2']",
        ),
        (empty_class, "every class folder of"),
        (unreadable_image, "1/"),
        (missing_source, "nowhere must be a folder"),
        (foreign_directory, "holds files that no run made, such as thesis.tex"),
        (
            lambda _: [
                "selection.exclude=[1/none.png]",
                "selection.methods=[geometry_aware]",
                "models={}",
            ],
            "found 1/none.png",
        ),
        (lambda _: ["encoder.num_classes=4"], "4 classes"),
        (lambda _: ["selection.settings.geometry_aware.kappa=0.5"], "kappa"),
    ],
)
def test_each_mistake_is_one_clear_message(
    fresh: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], list[str]],
    message: str,
) -> None:
    overrides = spoil(fresh.parent)
    with pytest.raises(SystemExit) as stop:
        call("run", ["--config", str(fresh), *overrides])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in error
    assert "Traceback" not in error


def test_a_run_of_another_source_is_refused_and_kept(
    finished: Path, fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = results(finished / "run")
    with pytest.raises(SystemExit) as stop:
        call("run", ["--config", str(fresh), "--run", str(finished / "run")])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert "was made from another source (source.path" in error
    assert "name another directory" in error
    assert "delete" not in error
    assert results(finished / "run") == before


def test_one_process_writes_the_same_bytes_as_actors(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished / "run"
    before = results(run)
    for pattern in ("selection/**/selection.parquet", "training/*/samples/*/part-*.parquet"):
        removed = list(run.glob(pattern))
        assert removed
        for path in removed:
            path.unlink()
    for stage in ("select_subset", "sample"):
        monkeypatch.setattr(
            f"jobs.{stage}.stage.start_ray", lambda: pytest.fail("Ray is not needed")
        )
    alone = ["selection.pool.num_actors=0", "samplers.num_actors=0"]
    for verb in ("select_subset", "sample"):
        call(verb, ["--config", str(finished / "tiny.yaml"), *alone])
    assert results(run) == before
