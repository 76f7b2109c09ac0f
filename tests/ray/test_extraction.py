import errno
import os
import shutil
import signal
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from otcondense.datasets import SourceConfig, list_images, read_image_bytes, readings, write_digits
from otcondense.encoders import EncoderConfig, cross_entropy, load_encoder
from otcondense.errors import InputError
from otcondense.store import Store, class_file, class_files, read_class_features, read_table
from pipeline import stream
from pipeline.crew import Crew
from pipeline.extract import ExtractionConfig, extract_features
from pipeline.feature_work import FeatureWork
from pipeline.quarantine import Lost, check_lost_share
from pipeline.resources import Resources, plan_resources
from pipeline.shard_worker import ShardActor

BAD = {"0/empty.png": b"", "0/text.png": b"not a picture", "2/cut.png": None}
REASONS = {
    "0/empty.png": "the file is empty",
    "0/text.png": "not an image of a known format",
    "2/cut.png": "damaged",
}
HERE = ExtractionConfig(num_encoders=0)
ONE = ExtractionConfig(num_encoders=1)
TWO = ExtractionConfig(num_encoders=2, cpus_per_encoder=0.5)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Three classes of 21 digits, three files that cannot be read, and one that is no image."""
    folder = tmp_path_factory.mktemp("source")
    write_digits(folder / "digits")
    for label in "012":
        for path in sorted((folder / "digits" / "train" / label).iterdir())[:21]:
            (folder / "images" / label).mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, folder / "images" / label / path.name)
    noise = np.random.default_rng(0).integers(0, 256, (60, 60), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "whole.png")
    for name, data in BAD.items():
        (folder / "images" / name).write_bytes(
            (folder / "whole.png").read_bytes()[:1500] if data is None else data
        )
    (folder / "images" / "readme.txt").write_text("digits")
    return SourceConfig(path=str(folder / "images"), max_lost_share=0.05)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    torch.manual_seed(0)
    model = timm.create_model("test_byobnet", pretrained=False, num_classes=3, in_chans=1)
    path = tmp_path_factory.mktemp("weights") / "encoder.safetensors"
    save_file(model.state_dict(), path)
    return EncoderConfig(
        name="test_byobnet",
        weights=str(path),
        image_size=32,
        in_chans=1,
        num_classes=3,
        crop_pct=1.0,
        batch_size=8,
        device="cpu",
    )


@pytest.fixture(scope="module")
def extracted(source, encoder, tmp_path_factory):
    """The undisturbed run without a cluster: store and result."""
    store = Store(str(tmp_path_factory.mktemp("run")))
    seen = []
    result = extract_features(
        store.root,
        "features",
        source,
        encoder,
        HERE,
        "stage",
        lambda done, total: seen.append((done, total)),
    )
    assert seen[0] == (0, 66)
    assert seen[-1] == (66, 66)
    return store, result


def contents(store):
    names = [name for name in store.list() if not name.startswith("logs/")]
    return {name: store.read_bytes(name) for name in names}


def test_every_image_comes_out_or_is_quarantined(extracted):
    store, result = extracted
    assert (result.num_images, result.num_quarantined, result.num_ignored) == (63, 3, 1)
    assert (result.classes_done, result.classes_skipped) == (3, 0)
    lost = read_table(store, "features/_quarantine.parquet").to_pylist()
    assert [row["image_id"] for row in lost] == sorted(BAD)
    assert all(
        row["reason"].startswith(REASONS[row["image_id"]])
        and row["class_name"] == row["image_id"][0]
        for row in lost
    )
    assert sum(read_class_features(store, "features", name).size for name in "012") == 63


def test_features_are_those_of_the_encoder_alone(extracted, source, encoder):
    reference = load_encoder(encoder)
    for index, name in enumerate("012"):
        found = read_class_features(extracted[0], "features", name)
        pixels = np.stack(
            [np.asarray(Image.open(Path(source.path) / image_id)) for image_id in found.image_ids]
        )
        features, logits = reference.encode_pixels(torch.from_numpy(pixels)[:, None])
        np.testing.assert_allclose(found.features, features, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.logits, logits, rtol=1e-3, atol=1e-3)
        labels = torch.full((len(pixels),), index)
        np.testing.assert_allclose(found.cross_entropy, cross_entropy(logits, labels), rtol=1e-4)
        assert (found.class_index, set(found.width), set(found.height)) == (index, {8}, {8})
        assert found.image_ids == sorted(found.image_ids)


def test_a_second_run_redoes_only_what_changed(extracted, source, encoder, tmp_path):
    before = contents(extracted[0])
    store = Store(str(tmp_path / "run"))
    shutil.copytree(extracted[0].root, store.root)
    again = extract_features(store.root, "features", source, encoder, HERE, "stage")
    assert (again.classes_done, again.classes_skipped, again.num_quarantined) == (0, 3, 3)
    damaged = store.read_bytes(class_file("features", "1"))
    store.write_bytes(class_file("features", "1"), damaged[: len(damaged) // 2])
    redone = extract_features(store.root, "features", source, encoder, HERE, "stage")
    assert (redone.classes_done, redone.classes_skipped) == (1, 2)
    assert contents(store) == before
    store.remove("features/class_name=2/_quarantine.json")
    assert (
        extract_features(store.root, "features", source, encoder, HERE, "stage").classes_done == 1
    ), "21 images do not make 22"
    assert contents(store) == before
    other = extract_features(store.root, "features", source, encoder, HERE, "another stage")
    assert other.classes_done == 3


@pytest.mark.slow
def test_an_interrupted_run_on_a_cluster_ends_in_the_same_bytes(
    ray_cluster, extracted, source, encoder, tmp_path, monkeypatch
):
    store = Store(str(tmp_path / "run"))

    def interrupt(done, total):
        if done > total / 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_features(store.root, "features", source, encoder, ONE, "stage", interrupt)
    assert store.list("features/_shards")
    read = []
    monkeypatch.setattr(
        readings, "read_image_bytes", lambda path: read.append(path) or read_image_bytes(path)
    )
    extract_features(store.root, "features", source, encoder, HERE, "stage")
    assert 0 < len(read) <= 66 * 2 / 3, "a finished shard is not read again"
    assert contents(store) == contents(extracted[0])


@pytest.mark.slow
def test_workers_write_the_parts_of_large_classes(
    ray_cluster, extracted, source, encoder, tmp_path, monkeypatch
):
    monkeypatch.setattr("pipeline.class_parts.PART_ROWS", 8)
    here, there = Store(str(tmp_path / "here")), Store(str(tmp_path / "there"))
    extract_features(here.root, "features", source, encoder, HERE, "stage")
    extract_features(there.root, "features", source, encoder, TWO, "stage")
    assert contents(here) == contents(there)
    for name in "012":
        assert len(class_files(there, "features", name)) == 3
        found = read_class_features(there, "features", name)
        expected = read_class_features(extracted[0], "features", name)
        assert found.image_ids == expected.image_ids
        assert found.features.tobytes() == expected.features.tobytes()


@pytest.mark.slow
def test_one_of_two_encoders_is_killed_and_replaced(
    ray_cluster, extracted, source, encoder, tmp_path, monkeypatch
):
    """Ray Data starts another process; no image is lost or doubled, and the bytes are the same."""
    marker = tmp_path / "killed"

    class Mortal(ShardActor):
        def __init__(self, extraction):
            super().__init__(ray.get(extraction[0]))

        def __call__(self, row):
            if row["number"] == 1 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(row)

    monkeypatch.setattr(stream, "ShardEncoder", Mortal)
    store = Store(str(tmp_path / "run"))
    extract_features(store.root, "features", source, encoder, TWO, "stage")
    assert marker.exists()
    assert contents(store) == contents(extracted[0])


@pytest.mark.slow
def test_workers_write_the_bytes_of_one_process_for_parquet_in_random_order(
    ray_cluster, source, encoder, tmp_path
):
    records = list_images(source)
    order = np.random.default_rng(0).permutation(len(records))
    rows = [records[number] for number in order.tolist()]
    table = pa.table(
        {
            "image": [read_image_bytes(record.path) for record in rows],
            "label": [record.class_name for record in rows],
        }
    )
    pq.write_table(table, tmp_path / "train.parquet", row_group_size=9)
    shuffled = SourceConfig(
        path=str(tmp_path / "train.parquet"), kind="parquet", max_lost_share=0.05
    )
    found = []
    for name, config in {"here": HERE, "two": TWO}.items():
        store = Store(str(tmp_path / name))
        result = extract_features(store.root, "features", shuffled, encoder, config, "stage")
        assert (result.num_images, result.num_quarantined) == (63, 3)
        found.append(contents(store))
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_full_disk_of_a_worker_is_an_error_with_its_reason(
    ray_cluster, source, encoder, tmp_path, monkeypatch
):
    class Full(ShardActor):
        def __init__(self, extraction):
            super().__init__(ray.get(extraction[0]))

            self._worker = self

        def encode(self, _shard):
            raise OSError(errno.ENOSPC, "No space left on device", "a file")

    monkeypatch.setattr(stream, "ShardEncoder", Full)
    with pytest.raises(OSError, match="No space left on device: 'a file'") as raised:
        extract_features(str(tmp_path / "run"), "features", source, encoder, ONE, "stage")
    assert raised.value.errno == errno.ENOSPC


@pytest.fixture
def broken(source, tmp_path):
    """The source with nothing but empty files in class 1."""
    shutil.copytree(source.path, tmp_path / "images")
    for path in (tmp_path / "images" / "1").iterdir():
        path.write_bytes(b"")
    return SourceConfig(path=str(tmp_path / "images"), classes=("1",))


def test_a_class_without_one_good_image_ends_the_run(broken, encoder, tmp_path):
    everything = broken.model_copy(update={"max_lost_share": 1.0})
    with pytest.raises(
        InputError,
        match=r"no image of class 1 can be used, the first is 1/\d+.png: the file is empty",
    ):
        extract_features(str(tmp_path / "run"), "features", everything, encoder, HERE, "stage")
    assert not Store(str(tmp_path / "run")).exists(class_file("features", "1"))


def test_too_many_lost_images_end_the_run_early_with_a_list(broken, encoder, tmp_path):
    with pytest.raises(
        InputError, match=r"at most 1\.00 % of the 21 images may be unreadable .* found 8 so far,"
    ):
        extract_features(str(tmp_path / "run"), "features", broken, encoder, HERE, "stage")
    assert len(read_table(Store(str(tmp_path / "run")), "features/_quarantine.parquet")) == 8


def test_features_without_a_classifier_have_no_confidences(source, encoder, tmp_path):
    torch.manual_seed(0)
    headless = timm.create_model("test_byobnet", pretrained=False, num_classes=0, in_chans=1)
    save_file(headless.state_dict(), tmp_path / "headless.safetensors")
    config = encoder.model_copy(
        update={"num_classes": 0, "weights": str(tmp_path / "headless.safetensors")}
    )
    extract_features(str(tmp_path / "run"), "features", source, config, HERE, "stage")
    found = read_class_features(Store(str(tmp_path / "run")), "features", "2")
    assert (found.logits, found.cross_entropy, found.entropy, found.max_prob) == (
        None,
        None,
        None,
        None,
    )


def test_another_number_of_classes_is_refused_before_any_work(source, encoder, tmp_path):
    with pytest.raises(
        InputError, match=r"classifier of test_byobnet has 10 classes, .* has 3 folders"
    ):
        extract_features(
            str(tmp_path),
            "features",
            source,
            encoder.model_copy(update={"num_classes": 10}),
            ONE,
            "stage",
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("config", "nodes", "room"),
    [
        (ExtractionConfig(num_encoders=3), [{"CPU": 2.0}], 2),
        (ExtractionConfig(cpus_per_encoder=4), [{"CPU": 2.0}], 0),
        (ExtractionConfig(cpus_per_encoder=2), [{"CPU": 1.0}, {"CPU": 1.0}], 0),
        (ExtractionConfig(num_encoders=3), [{"CPU": 16.0, "GPU": 2.0}], 2),
        (ExtractionConfig(gpus_per_encoder=1), [{"CPU": 16.0}], 0),
        (ExtractionConfig(gpus_per_encoder=1), [{"CPU": 16.0}, {"GPU": 1.0}], 0),
        (ExtractionConfig(), [], 0),
    ],
)
def test_a_cluster_that_is_too_small_is_refused_instead_of_waiting(config, nodes, room):
    with pytest.raises(InputError, match=f"the cluster has room for {room} "):
        plan_resources(config, nodes, "auto")


@pytest.mark.parametrize(
    ("device", "config", "nodes", "expected"),
    [
        ("auto", {}, [{"CPU": 24.0, "GPU": 2.0}], Resources(2, 12, 1, 12)),
        ("auto", {}, 2 * [{"CPU": 96.0, "GPU": 8.0}] + [{"CPU": 64.0}], Resources(16, 12, 1, 12)),
        ("cuda", {}, [{"CPU": 4.0, "GPU": 2.0}], Resources(2, 2, 1, 2)),
        ("cpu", {}, [{"CPU": 4.0, "GPU": 2.0}], Resources(4, 1, 0, 1)),
        ("auto", {}, [{"CPU": 4.0}], Resources(4, 1, 0, 1)),
        ("auto", {"num_encoders": 1}, 2 * [{"CPU": 1.0}], Resources(1, 1, 0, 1)),
        ("auto", {"num_encoders": 3}, [{"CPU": 8.0}, {"CPU": 4.0}], Resources(3, 4, 0, 4)),
        ("auto", {"cpus_per_encoder": 0.5}, [{"CPU": 2.0}], Resources(4, 0.5, 0, 1)),
        ("auto", {"gpus_per_encoder": 0.5}, [{"CPU": 8.0, "GPU": 2.0}], Resources(4, 2, 0.5, 2)),
    ],
)
def test_workers_take_all_gpus_or_else_all_cpus(device, config, nodes, expected):
    work = FeatureWork(EncoderConfig(device=device), "", 1)
    found = plan_resources(ExtractionConfig(**config), nodes, work.device)
    assert found == expected


@pytest.mark.parametrize(("encoders", "uses"), [(None, True), (1, True), (0, False)])
def test_only_zero_encoders_need_no_cluster(encoders, uses):
    assert ExtractionConfig(num_encoders=encoders).uses_cluster == uses


def test_the_lost_share_lists_the_first_few():
    lost = [Lost(f"a/{number}.png", "a", "the file is empty") for number in range(7)]
    check_lost_share(lost, 700, 0.01, "somewhere")
    with pytest.raises(
        InputError,
        match=r"found 7 so far, listed in somewhere:\n  a/0.png: .* empty\n(.*\n){4}  \.{3}\n",
    ):
        check_lost_share(lost, 699, 0.01, "somewhere")


class Meeting:
    """An actor whose calls wait for each other."""

    def __init__(self, people):
        self._barrier = threading.Barrier(people)

    def __call__(self, row):
        self._barrier.wait(timeout=60)
        return row


@pytest.mark.slow
def test_a_worker_works_on_two_rows_at_once(ray_cluster):
    """As one with a GPU does on shards; alone, each row would wait for the other in vain."""
    crew = Crew(Resources(encoders=1, cpus=1, gpus=0, threads=1), most=1, stall_timeout_s=120)
    found = crew.map([{"n": number} for number in range(4)], Meeting, 2, at_once=2)
    assert sorted(row["n"] for row in found) == [0, 1, 2, 3]
