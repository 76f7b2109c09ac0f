"""The work on captions, also of a large class, whose features are in several files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from otcondense.datasets import SourceConfig, scan_images, write_captions
from otcondense.encoders import AlignmentConfig, EncoderConfig
from otcondense.errors import InputError
from otcondense.store import (
    ClassFeatures,
    FeaturePart,
    FeatureView,
    Store,
    read_class_features,
    with_confidences,
    write_class_features,
)
from otcondense.store.features import PartOf
from pipeline.caption_kinds import CaptionAgreement, CaptionFeatures, CaptionKind
from pipeline.caption_run import CaptionResult, encode_captions, score_by_alignment
from pipeline.caption_work import CaptionWork
from pipeline.caption_worker import (
    CaptionJob,
    CaptionReader,
    CaptionTask,
    ReaderActor,
    finished_task,
    plan_tasks,
)
from pipeline.extract import OnProgress
from pipeline.extraction_config import ExtractionConfig
from tests.generators.vision_models import PROJECTED, write_model

Rows = tuple[list[str], np.ndarray]
"""Ids and features of images."""
COUNT = 9
HERE = ExtractionConfig(num_encoders=0)
TEXTS = [f"a cat {'grey ' * number}" for number in range(COUNT)]


SMALL = "small"
"""A class in one file, next to the large one in two."""


def write_part(store: Store, name: str, rows: Rows, part: PartOf) -> None:
    """Write features of some images of a class."""
    ids, features = rows
    made = ClassFeatures(
        class_name=name,
        class_index=int(name == SMALL),
        image_ids=ids,
        features=features,
        logits=None,
        cross_entropy=None,
        entropy=None,
        max_prob=None,
        width=np.zeros(len(ids), np.int32),
        height=np.zeros(len(ids), np.int32),
        sha256=[f"{each}-sha256" for each in ids],
        part=part,
    )
    write_class_features(store, "images", made, fingerprint=f"{name} {part.number}")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A run with captions, and with features of one class in two files and of a small one."""
    rows = np.random.default_rng(0).normal(size=(COUNT, PROJECTED)).astype(np.float32)
    (tmp_path / "given").mkdir()
    np.save(tmp_path / "given" / "features.npy", rows)
    np.save(tmp_path / "given" / "text.npy", np.array(TEXTS))
    path = str(tmp_path / "given")
    source = SourceConfig(path=path, kind="features", captions="text", label_column=None)
    listing = scan_images(source)
    store = Store(str(tmp_path / "run"))
    write_captions(store, "captions", listing)
    ids = listing.ids_of("given")
    for number in range(2):
        kept = slice(number, None, 2)
        write_part(store, "given", (ids[kept], rows[kept]), PartOf(number, 2))
    write_part(store, SMALL, (ids[:2], rows[:2]), PartOf())
    return store


def unseen(_done: int, _total: int) -> None:
    """Progress that nobody looks at."""


def work_of(store: Store, directory: str) -> CaptionWork:
    return CaptionWork(store, "captions", "images", directory, ["given", SMALL], "key")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_model(tmp_path_factory.mktemp("models"), "clip")


def config_of(clip: str, **more: str) -> EncoderConfig:
    values = {"name": clip, "device": "cpu", "batch_size": 2, **more}
    return EncoderConfig.model_validate(values)


def kind_of(name: str, work: CaptionWork, clip: str) -> CaptionKind:
    if name == "features":
        return CaptionFeatures(config_of(clip, input="caption"))
    return CaptionAgreement.of(work, AlignmentConfig(encoder=config_of(clip), others=3))


def whole(name: str, work: CaptionWork, clip: str, on_progress: OnProgress) -> CaptionResult:
    """Do all of the work in this process."""
    if name == "features":
        return encode_captions(work, config_of(clip, input="caption"), HERE, on_progress)
    config = AlignmentConfig(encoder=config_of(clip), others=3)
    return score_by_alignment(work, config, HERE, on_progress)


def contents(store: Store, directory: str) -> dict[str, bytes]:
    start = len(directory)
    return {name[start:]: store.read_bytes(name) for name in store.list(directory)}


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The large class has five pieces, three and two in its files."""
    monkeypatch.setattr("pipeline.caption_work.PIECE_ROWS", 2)
    monkeypatch.setattr("pipeline.caption_worker.PIECE_ROWS", 3)


KINDS = ("features", "agreement")


@pytest.mark.parametrize("name", KINDS)
def test_pieces_in_any_order_give_the_same_bytes(
    name: str, store: Store, clip: str, small_pieces: None
) -> None:
    del small_pieces
    whole(name, work_of(store, "one"), clip, unseen)
    work = work_of(store, "two")
    job = CaptionJob.of(work, kind_of(name, work, clip))
    assert [len(each) for each in job.plan.pieces_of][-1] == 1
    tasks = list(plan_tasks(job.plan.pieces))
    assert sum(task.size for task in tasks) == COUNT + 2
    sent = [CaptionTask.of_row(task.row(), job.plan) for task in reversed(tasks)]
    for number, task in enumerate(sent):
        if number in {0, 2}:  # another worker
            reader = CaptionReader(job)
        reader.work_on(task)
    for place, pieces in reversed(list(enumerate(job.plan.pieces_of))):
        if len(pieces) > 1:
            job.join(place)
    store.remove("two/_shards")
    assert contents(store, "two") == contents(store, "one")


@pytest.mark.parametrize("name", KINDS)
def test_the_size_of_pieces_changes_nothing(
    name: str, store: Store, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole(name, work_of(store, "one"), clip, unseen)
    monkeypatch.setattr("pipeline.caption_work.PIECE_ROWS", 4)
    whole(name, work_of(store, "two"), clip, unseen)
    assert contents(store, "two") == contents(store, "one")


@pytest.mark.parametrize("name", KINDS)
def test_a_killed_run_loses_only_open_tasks(
    name: str, store: Store, clip: str, small_pieces: None
) -> None:
    del small_pieces
    whole(name, work_of(store, "one"), clip, unseen)
    work = work_of(store, "two")

    def stop_after(done: int, _total: int) -> None:
        if done >= COUNT // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        whole(name, work, clip, stop_after)
    shown: list[int] = []
    again = whole(name, work, clip, lambda done, _: shown.append(done))
    assert again == CaptionResult(2, 0)
    assert shown[0] >= COUNT // 2
    assert shown[-1] == COUNT + 2
    assert contents(store, "two") == contents(store, "one")
    last: list[int] = []
    assert whole(name, work, clip, lambda done, _: last.append(done)) == CaptionResult(2, 2)
    assert last == [COUNT + 2]


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_is_made_again_alone(name: str, store: Store, clip: str) -> None:
    work = work_of(store, "one")
    whole(name, work, clip, unseen)
    before = contents(store, "one")
    store.write_bytes("one/class_name=small/part-0.parquet", b"x")
    shown: list[int] = []
    found = whole(name, work, clip, lambda done, _: shown.append(done))
    assert found == CaptionResult(2, 1)
    assert shown == [COUNT, COUNT + 2]
    assert contents(store, "one") == before


@pytest.mark.parametrize("name", KINDS)
def test_the_error_of_a_worker_comes_back_as_it_is(
    name: str, store: Store, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = work_of(store, "one")
    job = CaptionJob.of(work, kind_of(name, work, clip))
    [task, *_] = plan_tasks(job.plan.pieces)
    monkeypatch.setattr("ray.get", lambda given: given)
    row = ReaderActor([replace(job, weights="others")])(task.row())
    with pytest.raises(InputError, match="changed during the run; run the stage again"):
        finished_task(row, job.plan)
    store.write_bytes("images/class_name=given/part-0.parquet", b"x")
    row = ReaderActor([job])(task.row())
    with pytest.raises(InputError, match=r"part-0\.parquet is not a readable Parquet file of ours"):
        finished_task(row, job.plan)


def test_features_of_captions_have_the_same_parts(store: Store, clip: str) -> None:
    shown: list[tuple[int, int]] = []
    work = work_of(store, "texts")
    assert whole("features", work, clip, lambda *at: shown.append(at)) == CaptionResult(2, 0)
    total = COUNT + 2
    assert shown == [(0, total), (total, total)]
    view = FeatureView((FeaturePart("images"), FeaturePart("texts")))
    features = view.read(store, "given")
    assert features.features.shape == (COUNT, 2 * PROJECTED)
    parts = [view.read_part(store, "given", number) for number in range(2)]
    assert sorted(parts[0].image_ids + parts[1].image_ids) == features.image_ids


def test_the_agreement_of_a_class_is_in_one_file(store: Store, clip: str) -> None:
    whole("agreement", work_of(store, "scores"), clip, unseen)
    assert len(store.list("scores")) == 2
    features = read_class_features(store, "images", "given")
    found = with_confidences(store, features, "scores")
    assert found.cross_entropy is not None
    assert len(found.cross_entropy) == COUNT
    assert found.logits is None
