"""Runs with several feature files for each class, which find and choose what others do."""

import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from actors.scorer import scored_images
from jobs.answers.class_copies import copies_across_classes
from jobs.answers.draws import read_draws
from jobs.dashboard.class_view import class_view
from jobs.evaluate.draws import compare_with_random
from jobs.export.command import _export_features
from jobs.extract_features.stage import extract
from jobs.forecasts.finished import finished_features
from jobs.judging.full_images import contents
from jobs.representations.chosen import chosen_images
from jobs.run_directory.config import RunConfig
from jobs.run_directory.marker import write_marker
from jobs.run_directory.run import Run
from jobs.run_directory.stages import verb_of
from jobs.select_subset.stage import select_subset
from jobs.verify.command import verify
from otcondense.encoders import EncoderConfig
from otcondense.store import (
    class_file,
    class_files,
    read_class_features,
    read_manifest,
    stored_metadata,
    with_confidences,
)
from pipeline.feature_work import FeatureWork
from pipeline.shard_worker import ShardWorker
from tests.generators.containers import IMAGE, table
from tests.runs import results

PIXELS: dict[str, Any] = {"name": "pixels", "image_size": 8, "batch_size": 2}
METHODS = ["k_means", "herding"]
CLASSES = ("ant", "bee")
IMAGES = 10
"""Of each class."""
PART_ROWS = "pipeline.class_parts.PART_ROWS"
SMALL = 3
"""Images of a file: four files a class, with two or three images."""
PARTS = 4


def write_folder(root: Path) -> None:
    generator = np.random.default_rng(0)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for number in range(IMAGES):
            pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")


def write_shuffled(root: Path) -> None:
    root.mkdir()
    labels = np.random.default_rng(1).permutation(np.repeat(CLASSES, IMAGES)).tolist()
    pq.write_table(table(labels, IMAGE), root / "train.parquet", row_group_size=4)


def write_given(root: Path) -> None:
    root.mkdir()
    np.save(root / "features.npy", given())
    np.save(root / "labels.npy", given_labels())


def write_given_parquet(root: Path) -> None:
    root.mkdir()
    columns = pa.table({"features": list(given()), "label": given_labels()})
    pq.write_table(columns.slice(0, 9), root / "a.parquet", row_group_size=2)
    pq.write_table(columns.slice(9), root / "b.parquet")


def given() -> np.ndarray:
    draws = np.random.default_rng(2).normal(size=(2 * IMAGES, 5))
    return draws.astype(np.float32)


def given_labels() -> np.ndarray:
    return np.random.default_rng(1).permutation(np.repeat(CLASSES, IMAGES))


SOURCES: dict[str, Callable[[Path], None]] = {
    "folder": write_folder,
    "parquet in random order": write_shuffled,
    "features in npy": write_given,
    "features in parquet": write_given_parquet,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "folder": {"kind": "image_folder"},
    "parquet in random order": {"kind": "parquet", "id_column": "key"},
    "features in npy": {"kind": "features"},
    "features in parquet": {"kind": "features"},
}


def make_run(root: Path, kind: str, name: str = "run", **settings: Any) -> Run:
    """Return a run that is not started; the source is written if it is not there."""
    data = root / "data"
    if not data.exists():
        SOURCES[kind](data)
    values = {
        "run": str(root / name),
        "source": {"path": str(data), **SETTINGS[kind]},
        "encoder": None if SETTINGS[kind]["kind"] == "features" else PIXELS,
        "confidence": {"kind": "none"},
        "extraction": {"num_encoders": 0},
        "selection": {"budget": 3, "methods": METHODS, "pool": {"num_actors": 0}},
        **settings,
    }
    run = Run(RunConfig.model_validate(values))
    write_marker(run)
    return run


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """Import timm, which takes seconds, before the time of a test counts."""
    EncoderConfig.model_validate(PIXELS).classes()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PART_ROWS, SMALL)


@pytest.fixture(params=SOURCES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def directory_of(run: Run) -> str:
    return run.features_directory(run.config.encoder)


def names_of(run: Run) -> list[str]:
    return [file for name in CLASSES for file in class_files(run.store, directory_of(run), name)]


def chosen(run: Run) -> list[list[str]]:
    tables = [read_manifest(run.store, run.manifest(method)) for method in METHODS]
    return [each.column("image_id").to_pylist() for each in tables]


def stamps(run: Run) -> dict[str, int]:
    """Return the time of change of each feature file."""
    return {name: Path(run.store.path(name)).stat().st_mtime_ns for name in names_of(run)}


def test_the_parts_choose_what_the_class_in_one_file_does(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_run(tmp_path, kind, "whole")
    extract(whole)
    select_subset(whole)
    assert len(names_of(whole)) == len(CLASSES)

    monkeypatch.setattr(PART_ROWS, SMALL)
    parted = make_run(tmp_path, kind, "parted")
    extract(parted)
    select_subset(parted)
    assert names_of(parted) == [
        class_file(directory_of(parted), name, part) for name in CLASSES for part in range(PARTS)
    ]
    assert chosen(parted) == chosen(whole)
    for name in CLASSES:
        view = parted.features_view()
        one, other = (run.features_view().read(run.store, name) for run in (parted, whole))
        assert one.image_ids == other.image_ids
        assert one.features.tobytes() == other.features.tobytes()
        sizes = [view.read_part(parted.store, name, part).size for part in range(PARTS)]
        assert sorted(sizes) == [2, 2, 3, 3]
    assert verify(parted) == []
    assert {verb_of(name) for name in names_of(parted)} == {"extract_features"}


def test_a_class_of_the_size_of_a_part_is_one_file_as_before(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, rows in (("one", IMAGES), ("other", 2**16)):
        monkeypatch.setattr(PART_ROWS, rows)
        extract(make_run(tmp_path, kind, name))
    assert results(tmp_path / "one") == results(tmp_path / "other")


@pytest.mark.usefixtures("small_parts")
def test_a_missing_or_damaged_part_is_reported_and_made_again(tmp_path: Path, kind: str) -> None:
    run = make_run(tmp_path, kind)
    extract(run)
    select_subset(run)
    before = results(tmp_path / "run")
    times = stamps(run)
    missing, damaged = (class_file(directory_of(run), "ant", part) for part in (1, 2))
    run.store.remove(missing)
    path = Path(run.store.path(damaged))
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)

    found = {problem.file for problem in verify(run)}
    assert found >= {missing, damaged}
    assert not run.features_view().is_there(run.store, "ant")
    assert finished_features(run, run.config.encoder, CLASSES).parts == 1
    shutil.rmtree(tmp_path / "run" / "logs")  # what was read before is read again
    extract(run)
    assert results(tmp_path / "run") == before
    written = {name for name, time in stamps(run).items() if times[name] != time}
    assert written == {missing, damaged}
    assert verify(run) == []


@pytest.mark.usefixtures("small_parts")
def test_a_changed_image_redoes_its_part_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path, "folder")
    extract(run)
    times = stamps(run)
    path = tmp_path / "data" / "ant" / "04.png"
    Image.new("RGB", (8, 8), (1, 2, 3)).save(path)
    touched = tmp_path / "data" / "bee" / "09.png"
    touched.touch()
    changed = class_file(directory_of(run), "ant", 1)
    assert [problem.file for problem in verify(run)] == [changed]

    capsys.readouterr()
    extract(run)
    same_content = class_file(directory_of(run), "bee", PARTS - 1)
    written = {name for name, time in stamps(run).items() if times[name] != time}
    assert written == {changed, same_content}
    assert "1 class with images of other times" in capsys.readouterr().out
    fresh = make_run(tmp_path, "folder", "fresh")
    extract(fresh)
    for name in names_of(run):
        assert run.store.read_bytes(name) == fresh.store.read_bytes(name)


@pytest.mark.usefixtures("small_parts")
def test_a_killed_run_redoes_only_open_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, "parquet in random order")
    write_class = FeatureWork.write_class
    written: list[str] = []

    def stopped(work: FeatureWork, store: Any, directory: str, rows: Any) -> None:
        if len(written) == SMALL:
            raise KeyboardInterrupt
        written.append(rows.plan.file(directory))
        write_class(work, store, directory, rows)

    monkeypatch.setattr(FeatureWork, "write_class", stopped)
    with pytest.raises(KeyboardInterrupt):
        extract(run)
    times = {name: Path(run.store.path(name)).stat().st_mtime_ns for name in written}

    monkeypatch.setattr(FeatureWork, "write_class", write_class)
    monkeypatch.setattr(ShardWorker, "encode", None)  # no image is read again
    extract(run)
    assert {name: stamps(run)[name] for name in written} == times
    assert len(names_of(run)) == len(CLASSES) * PARTS
    assert verify(run) == []


@pytest.mark.usefixtures("small_parts")
def test_unreadable_images_are_listed_next_to_their_part(tmp_path: Path) -> None:
    run = make_run(tmp_path, "folder")
    source = run.config.source.model_copy(update={"max_lost_share": 0.5})
    run = Run(run.config.model_copy(update={"source": source}))
    broken = tmp_path / "data" / "ant" / "05.png"
    intact = broken.read_bytes()
    broken.write_bytes(b"no image")
    extract(run)
    lists = [name for name in run.store.list(directory_of(run)) if "_quarantine" in name]
    assert lists[-1].endswith("class_name=ant/_quarantine-1.json")
    assert verb_of(lists[-1]) == "extract_features"
    assert verify(run) == []
    times = stamps(run)
    extract(run)
    assert stamps(run) == times

    broken.write_bytes(intact)
    extract(run)
    written = {name for name, time in stamps(run).items() if times[name] != time}
    assert written == {class_file(directory_of(run), "ant", 1)}
    assert not run.store.exists(lists[-1])


@pytest.mark.usefixtures("small_parts")
def test_a_class_that_shrinks_keeps_no_file_of_before(tmp_path: Path) -> None:
    run = make_run(tmp_path, "folder")
    extract(run)
    for number in range(5):
        (tmp_path / "data" / "ant" / f"{number:02}.png").unlink()
    extract(run)
    assert len(class_files(run.store, directory_of(run), "ant")) == 2
    fresh = make_run(tmp_path, "folder", "fresh")
    extract(fresh)
    assert results(tmp_path / "run" / "features") == results(tmp_path / "fresh" / "features")


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("form", ["npy", "parquet"])
def test_exported_features_of_parts_are_those_of_the_run(
    tmp_path: Path, kind: str, form: str
) -> None:
    run = make_run(tmp_path, kind)
    extract(run)
    target = tmp_path / ("exported" if form == "npy" else "exported.parquet")
    _export_features(run, Namespace(logits=False, output=str(target)), form)
    if form == "npy":
        ids, rows = (np.load(target / f"{name}.npy") for name in ("ids", "features"))
    else:
        columns = pq.read_table(target)
        ids = np.array(columns.column("image_id").to_pylist())
        rows = np.array(columns.column("features").to_pylist(), dtype=np.float32)
    found = {str(image_id): row for image_id, row in zip(ids, rows, strict=True)}
    assert len(found) == len(CLASSES) * IMAGES
    for name in CLASSES:
        features = read_class_features(run.store, directory_of(run), name)
        expected = np.stack([found[image_id] for image_id in features.image_ids])
        assert np.array_equal(expected, features.features)


@pytest.mark.usefixtures("small_parts")
def test_every_reader_of_features_sees_all_parts(tmp_path: Path) -> None:
    run = make_run(tmp_path, "folder")
    shutil.copy(tmp_path / "data" / "ant" / "09.png", tmp_path / "data" / "bee" / "09.png")
    extract(run)
    select_subset(run)
    directory = directory_of(run)

    assert len(scored_images(run.store, directory, "ant")) == IMAGES
    assert len(chosen_images(run, "source")) == len(CLASSES) * IMAGES
    (copies,) = copies_across_classes(run)
    assert copies.examples == ("ant/09.png", "bee/09.png")
    metadata = [stored_metadata(run.store, name) for name in names_of(run)]
    assert contents(run, directory) == [each["content"] for each in metadata if each is not None]
    shown = class_view(run, METHODS[0], "ant")
    assert shown.map is not None
    assert shown.num_images == IMAGES


@pytest.mark.usefixtures("small_parts")
def test_a_probe_sees_all_parts(tmp_path: Path, kind: str) -> None:
    run = make_run(tmp_path, kind, confidence={"kind": "probe"})
    extract(run)
    confidences = run.confidence_directory()
    view = run.features_view()
    whole = with_confidences(run.store, view.read(run.store, "ant"), confidences)
    known = dict(zip(whole.image_ids, whole.cross_entropy.tolist(), strict=True))
    assert len(known) == IMAGES
    for number in range(PARTS):
        part = view.read_part(run.store, "ant", number)
        found = with_confidences(run.store, part, confidences)
        assert found.cross_entropy.tolist() == [known[name] for name in part.image_ids]
    assert verify(run) == []


def test_random_draws_of_parts_are_those_of_the_class_in_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judge, here the encoder, sees chosen and held-out images in several files too."""
    write_folder(tmp_path / "data")
    write_folder(tmp_path / "others")
    settings: dict[str, Any] = {
        "held_out": {"path": str(tmp_path / "others")},
        "random_draws": 2,
        "evaluation": {"neighbours": 2},
    }
    records = []
    for name, rows in (("whole", IMAGES), ("parted", SMALL)):
        monkeypatch.setattr(PART_ROWS, rows)
        run = make_run(tmp_path, "folder", name, **settings)
        chosen_also = run.config.selection.model_copy(update={"held_out_copies": "keep"})
        run = Run(run.config.model_copy(update={"selection": chosen_also}))
        extract(run)
        select_subset(run)
        compare_with_random(run)
        records.append(read_draws(run, METHODS[0]))
    whole, parted = records
    assert whole is not None
    assert parted is not None
    assert (parted.values, parted.draws) == (whole.values, whole.draws)
    assert parted.num_held_out == len(CLASSES) * IMAGES
