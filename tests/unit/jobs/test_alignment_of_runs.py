"""Runs whose selection sees captions: as features, and by their agreement with the images."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from jobs.extract_features.dry_run import forecast_features
from jobs.extract_features.stage import extract
from jobs.forecasts.image_stages import SourceFacts
from jobs.forecasts.run_stages import run_stages
from jobs.requirements.weights import needs
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from jobs.select_subset.stage import select_subset
from jobs.verify.command import verify
from otcondense.forecast.hardware import PRESETS
from otcondense.forecast.stages import Workers, total_seconds
from otcondense.store import class_file, read_class_features, read_class_selection
from pipeline.extraction_config import ExtractionConfig
from tests.generators.vision_models import WIDTH, write_model, write_text_model
from tests.unit.jobs.test_captions_of_runs import run_of

CLASSES = ("cat", "dog")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {"clip": write_model(folder, "clip"), "bert": write_text_model(folder, "bert")}


def settings(models: dict[str, str], **more: Any) -> dict[str, Any]:
    text = {"name": models["bert"], "input": "caption", "weight": 0.5, "device": "cpu"}
    clip = {"name": models["clip"], "device": "cpu", "batch_size": 8}
    return {
        "encoder": None,
        "encoders": [{"name": "pixels", "image_size": 8}, {**text, "batch_size": 8}],
        "confidence": {"kind": "alignment", "alignment": {"encoder": clip, "others": 5}},
        **more,
    }


def worked(run: Run) -> Run:
    extract(run)
    select_subset(run)
    return run


def contents(run: Run) -> dict[str, bytes]:
    root = Path(run.store.root)
    paths = [
        path for part in ("scores", "features", "selection") for path in root.glob(f"{part}/**/*")
    ]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths if path.is_file()}


def test_the_selection_sees_captions(
    models: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = worked(run_of(tmp_path, "parquet", **settings(models)))
    assert list(verify(run)) == []
    view = run.features_view()
    assert [part.weight for part in view.parts] == [1, 0.5]
    text = read_class_features(run.store, view.directories[1], "cat")
    assert text.features.shape == (text.size, WIDTH)
    directory = run.confidence_directory()
    assert directory is not None
    assert directory.startswith("scores/alignment-")
    for name in CLASSES:
        table = pq.read_table(run.store.path(class_file(directory, name)))
        scores = table["cross_entropy"].to_numpy()
        assert (scores >= 0).all()
        assert len(np.unique(scores)) > 1
        selection = read_class_selection(run.store, run.selection_directory("k_means"), name)
        assert selection.cross_entropy == pytest.approx(scores)

    before = contents(run)
    capsys.readouterr()
    worked(run)
    assert contents(run) == before
    assert capsys.readouterr().out.count("finished earlier") >= 2
    path = Path(run.store.path(class_file(directory, "dog")))
    path.unlink()
    extract(run)
    assert contents(run) == before
    forecast_features(run)
    assert capsys.readouterr().out.count("24 captions read by") == 2


def test_the_forecast_counts_what_reads_captions(models: dict[str, str], tmp_path: Path) -> None:
    run = run_of(tmp_path, "parquet", **settings(models), groups={"most": 1000})
    facts = SourceFacts({"cat": 20_000}, 1e3)
    stages = run_stages(run.config, facts, PRESETS["8xH100"])
    found = [stage for stage in stages if "captions read by" in stage.title]
    assert [{term.name for term in stage.terms} for stage in found] == [
        {"encoding", "writing"},
        {"encoding", "comparing", "writing"},
    ]
    assert all(stage.workers == Workers(1, on_gpus=False) for stage in found)  # device=cpu, here
    parallel = run.config.model_copy(update={"extraction": ExtractionConfig()})
    shared = run_stages(parallel, facts, PRESETS["8xH100"])
    assert total_seconds(shared) < total_seconds(stages) / 2
    assert any(stage.name == "group" for stage in stages)


def test_another_order_of_work_gives_the_same_bytes(models: dict[str, str], tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "images").mkdir()
    (tmp_path / "b" / "images").symlink_to(tmp_path / "a" / "images")
    first = run_of(tmp_path / "a", "one_class txt", **settings(models))
    extract(first)
    values = {**first.config.model_dump(mode="json"), "run": str(tmp_path / "b" / "run")}
    second = Run(RunConfig.model_validate(values))
    extract(second)
    assert contents(first) == contents(second)


def test_changed_captions_give_other_scores(models: dict[str, str], tmp_path: Path) -> None:
    run = run_of(tmp_path, "image_folder txt", **settings(models))
    extract(run)
    before = contents(run)
    (tmp_path / "images" / "dog" / "1.txt").write_text("the blue square sleeps")
    assert [problem.file for problem in verify(run)] == [run.captions_file()]
    extract(run)
    after = contents(run)
    assert before.keys() == after.keys()
    changed = [name for name in before if before[name] != after[name]]
    view = run.features_view()
    assert class_file(view.directories[1], "dog") in changed
    assert class_file(view.directories[1], "cat") not in changed
    assert class_file(view.directories[0], "dog") not in changed
    assert list(verify(run)) == []


def test_a_damaged_file_of_scores_is_found(models: dict[str, str], tmp_path: Path) -> None:
    run = run_of(tmp_path, "parquet", **settings(models))
    extract(run)
    name = class_file(str(run.confidence_directory()), "cat")
    other = class_file(str(run.confidence_directory()), "dog")
    run.store.write_bytes(name, run.store.read_bytes(other))
    assert [problem.file for problem in verify(run)] == [name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": {"captions": None}}, "need source.captions, found null"),
        (
            {"encoder": {"name": "transformers:x", "input": "caption"}, "encoders": []},
            "must be image",
        ),
        ({"judge": {"name": "transformers:x", "input": "caption"}}, "judge.input must be image"),
    ],
)
def test_what_does_not_fit_is_refused(
    models: dict[str, str], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        run_of(tmp_path, "parquet", **settings(models, **change))


def test_features_without_images_have_no_alignment(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="need images"):
        run_of(tmp_path, "features", confidence={"kind": "alignment"})


def test_prefetch_fetches_the_words_of_text_networks(tmp_path: Path) -> None:
    text = {"name": "transformers:sentence-transformers/all-mpnet-base-v2", "input": "caption"}
    run = run_of(
        tmp_path,
        "parquet",
        encoder=None,
        encoders=[{"name": "pixels", "image_size": 8}, text],
        confidence={"kind": "alignment"},
    )
    found = {need.place: need.patterns for need in needs(run.config) if "captions" in need.used_for}
    assert set(found) == {
        "sentence-transformers/all-mpnet-base-v2",
        "openai/clip-vit-large-patch14",
    }
    assert all("*tokenizer*" in patterns for patterns in found.values())
