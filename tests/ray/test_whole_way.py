"""From images to the report at tiny size, the second run that skips, and every mistake a user can make on the way."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from otcondense.store import Store, read_manifest
from tests.ray.tiny import write_config
from tests.verbs import call

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Path:
    """The folder of a tiny run that went all the way."""
    root = tmp_path_factory.mktemp("tiny")
    call("run", ["--config", str(write_config(root))])
    return root


@pytest.fixture
def fresh(finished: Path, tmp_path: Path) -> Path:
    """A configuration of the same images and encoders with an empty run of its own."""
    text = (
        (finished / "tiny.yaml").read_text().replace(str(finished / "run"), str(tmp_path / "run"))
    )
    text = text.replace(str(finished / "train"), str(tmp_path / "train"))
    shutil.copytree(finished / "train", tmp_path / "train")
    path = tmp_path / "tiny.yaml"
    path.write_text(text)
    return path


def files(run: Path) -> dict[str, bytes]:
    """Everything a run holds but what may differ from run to run."""
    kept = (path for path in sorted(run.rglob("*")) if path.is_file())
    names = {str(path.relative_to(run)): path for path in kept}
    return {
        name: path.read_bytes()
        for name, path in names.items()
        if not name.startswith(("logs/", ".lock", "report.html"))
    }


def test_every_stage_leaves_its_files(finished: Path) -> None:
    run = finished / "run"
    assert len(list(run.glob("features/*/class_name=*/part-0.parquet"))) == 2 * 3
    assert len(list(run.glob("selection/*/class_name=*/selection.parquet"))) == 2 * 3
    assert len(list(run.glob("subset-*.parquet"))) == 2
    assert len(list(run.glob("training/*/checkpoints/*/state.json"))) == 3 * 2
    assert len(list(run.glob("training/*/samples/*/part-*.parquet"))) == 3 * 2 * 2
    assert len(list(run.glob("training/*/metrics/*.json"))) == 3 * 2
    report = (run / "report.html").read_text()
    assert "geometry_aware" in report
    assert "http://" not in report.replace("http://www.w3.org", "").split("<script", 1)[0]


def test_metrics_are_complete_and_finite(finished: Path) -> None:
    for path in (finished / "run").glob("training/*/metrics/*.json"):
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


def test_a_second_run_does_nothing_and_changes_nothing(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(finished / "run")

    def no_work(*_: object, **__: object) -> None:
        raise AssertionError("finished work was done again")

    for name in (
        "actors.pool.Pool.run",
        "jobs.train.stage.run_training",
        "jobs.evaluate.stage.evaluate_encoded",
        "pipeline.extract.stream_encoded",
    ):
        monkeypatch.setattr(
            name,
            no_work
            if name != "pipeline.extract.stream_encoded"
            else lambda rows, *_: no_work() if rows else iter(()),
        )
    call("run", ["--config", str(finished / "tiny.yaml")])
    assert files(finished / "run") == before


def test_damaged_and_missing_files_are_made_again_with_the_same_bytes(finished: Path) -> None:
    run = finished / "run"
    before = files(run)
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
    assert files(run) == before


def test_other_settings_get_a_directory_of_their_own(finished: Path) -> None:
    before = files(finished / "run")
    call("select_subset", ["--config", str(finished / "tiny.yaml"), "selection.budget=5"])
    after = files(finished / "run")
    assert len(list((finished / "run").glob("subset-*.parquet"))) == 4
    assert {name: after[name] for name in before if name != "config.yaml"} == {
        name: before[name] for name in before if name != "config.yaml"
    }


def test_the_number_of_workers_does_not_change_the_bytes(finished: Path, fresh: Path) -> None:
    workers = [
        "selection.pool.num_actors=1",
        "extraction.num_encoders=1",
        "source.path=" + str(finished / "train"),
    ]
    for verb in ("extract_features", "select_subset"):
        call(verb, ["--config", str(fresh), *workers])
    ours, theirs = files(fresh.parent / "run"), files(finished / "run")
    compared = [
        name
        for name in ours
        if name.startswith(("features/", "selection/", "subset-")) and "quality" not in name
    ]
    assert len(compared) > 12
    assert all(ours[name] == theirs[name] for name in compared)


def test_budgets_of_their_own_and_forced_and_barred_images(finished: Path) -> None:
    budgets = "selection.budget={'0': 2, '1': 3, '2': 4}"
    first, second = (f"1/{path.name}" for path in sorted((finished / "train" / "1").iterdir())[:2])
    overrides = [
        budgets,
        "selection.methods=[geometry_aware]",
        "models={}",
        f"selection.include=['{first}']",
        f"selection.exclude=['{second}']",
    ]
    before = set((finished / "run").glob("subset-*.parquet"))
    call("select_subset", ["--config", str(finished / "tiny.yaml"), *overrides])
    (manifest,) = set((finished / "run").glob("subset-*.parquet")) - before
    rows = read_manifest(Store(str(finished / "run")), manifest.name).to_pylist()
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
            lambda _: ["selection.exclude=[1/none.png]"],
            "kept by geometry_aware alone, found methods random",
        ),
        (
            lambda _: [
                "selection.exclude=[1/none.png]",
                "selection.methods=[geometry_aware]",
                "models={}",
            ],
            "found 1/none.png",
        ),
        (lambda _: ["encoder.num_classes=4"], "4 classes"),
        (lambda _: ["selection.settings.geometry_aware.kappa=10"], "kappa"),
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
    before = files(finished / "run")
    with pytest.raises(SystemExit) as stop:
        call("run", ["--config", str(fresh), "--run", str(finished / "run")])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert "was made from another source (source.path" in error
    assert "--run NEW" in error
    assert "--fresh" in error
    assert files(finished / "run") == before
