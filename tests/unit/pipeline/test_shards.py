"""Shards: every image once, in storage order, whatever the order of the classes."""

import io
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from otcondense.datasets import SourceConfig, list_images, parquet_cells, scan_images
from otcondense.datasets.listing import ROW_BITS
from otcondense.encoders import EncoderConfig
from otcondense.errors import InputError
from otcondense.store import Store, read_class_features
from pipeline import class_files, run_shards, shards
from pipeline.extract import extract_features
from pipeline.extraction_config import ExtractionConfig
from pipeline.shard_files import shard_file
from pipeline.shards import images_per_shard, plan_shards
from pipeline.work import Extraction
from tests.generators.containers import write_tar
from tests.generators.weights import write_timm

HERE = ExtractionConfig(num_encoders=0)
COUNT = 60
GROUP = 7
CLASSES = 3
LABELS = np.random.default_rng(1).integers(0, CLASSES, COUNT).tolist()


def picture(number: int) -> bytes:
    sink = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def write_parquet(root: Path) -> SourceConfig:
    root.mkdir()
    table = pa.table(
        {
            "image": [picture(number) for number in range(COUNT)],
            "label": [str(label) for label in LABELS],
            "key": [f"{label}/{number:03d}.png" for number, label in enumerate(LABELS)],
        }
    )
    for part, start in enumerate(range(0, COUNT, COUNT // 2)):
        rows = table.slice(start, COUNT // 2)
        pq.write_table(rows, root / f"train-{part}.parquet", row_group_size=GROUP)
    return SourceConfig(path=str(root), kind="parquet", id_column="key")


def write_folder(root: Path) -> SourceConfig:
    for number, label in enumerate(LABELS):
        path = root / f"{label}" / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))
    return SourceConfig(path=str(root))


def write_tars(root: Path) -> SourceConfig:
    members = {f"{label}/{number:03d}.png": picture(number) for number, label in enumerate(LABELS)}
    for part in range(2):
        names = list(members)[part::2]
        write_tar(root / f"{part}.tar", {name: members[name] for name in names})
    return SourceConfig(path=str(root), kind="webdataset")


SOURCES = {"folder": write_folder, "parquet": write_parquet, "tar": write_tars}


@pytest.fixture
def encoder(tmp_path: Path) -> EncoderConfig:
    return EncoderConfig(
        name="test_resnet",
        weights=write_timm(tmp_path / "encoder.safetensors", "test_resnet"),
        image_size=32,
        num_classes=0,
        batch_size=4,
        device="cpu",
    )


def extract(root: Path, source: SourceConfig, encoder: EncoderConfig) -> dict[str, bytes]:
    extract_features(str(root), "features", source, encoder, HERE, "stage")
    store = Store(str(root))
    return {name: store.read_bytes(name) for name in store.list("features")}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("batch_size", [1, 4, 64, 1000])
def test_every_image_is_in_one_shard(tmp_path: Path, kind: str, batch_size: int) -> None:
    listing = scan_images(SOURCES[kind](tmp_path / "data"))
    planned = plan_shards(listing, batch_size)
    rows = np.concatenate([shard.rows(listing) for shard in planned])
    assert sorted(rows.tolist()) == list(range(COUNT))
    assert [shard.number for shard in planned] == list(range(len(planned)))


def test_a_row_group_is_never_split(tmp_path: Path) -> None:
    listing = scan_images(write_parquet(tmp_path / "data"))
    files, positions = listing.numbers("file"), listing.numbers("position")
    for batch_size in (1, 4, 16):
        owners: dict[tuple[int, int], set[int]] = {}
        for shard in plan_shards(listing, batch_size):
            for row in shard.rows(listing):
                group = (int(files[row]), int(positions[row]) >> ROW_BITS)
                owners.setdefault(group, set()).add(shard.number)
        assert len(owners) == 2 * -(-(COUNT // 2) // GROUP)
        assert {len(each) for each in owners.values()} == {1}


@pytest.mark.parametrize(
    ("images", "batch_size", "expected"),
    [(1, 64, 64), (1797, 32, 32), (20_000, 32, 160), (1_281_167, 256, 1024), (10**8, 100, 1100)],
)
def test_a_shard_has_whole_batches_and_many_images_make_many_shards(
    images: int, batch_size: int, expected: int
) -> None:
    assert images_per_shard(images, batch_size) == expected


@pytest.mark.parametrize("kind", SOURCES)
def test_features_of_a_class_do_not_depend_on_the_container(
    tmp_path: Path, encoder: EncoderConfig, kind: str
) -> None:
    """The batches differ, so that the last digits may."""
    folder = write_folder(tmp_path / "folder")
    source = SOURCES[kind](tmp_path / "data")
    extract(tmp_path / "one", folder, encoder)
    extract(tmp_path / "two", source, encoder)
    for label in map(str, range(CLASSES)):
        expected = read_class_features(Store(str(tmp_path / "one")), "features", label)
        found = read_class_features(Store(str(tmp_path / "two")), "features", label)
        assert sorted(found.sha256) == sorted(expected.sha256)
        by_hash = dict(zip(found.sha256, found.features, strict=True))
        ordered = np.stack([by_hash[sha256] for sha256 in expected.sha256])
        np.testing.assert_allclose(ordered, expected.features, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_class_that_is_made_again_has_the_bytes_of_the_first_time(
    tmp_path: Path, encoder: EncoderConfig, kind: str
) -> None:
    source = SOURCES[kind](tmp_path / "data")
    before = extract(tmp_path / "run", source, encoder)
    shutil.rmtree(tmp_path / "run" / "features" / "class_name=1")
    assert extract(tmp_path / "run", source, encoder) == before


def test_the_file_of_a_shard_and_a_group_of_classes_may_be_of_any_size(
    tmp_path: Path, encoder: EncoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_parquet(tmp_path / "data")
    before = extract(tmp_path / "one", source, encoder)
    monkeypatch.setattr(class_files, "GROUP_BYTES", 1)
    assert extract(tmp_path / "two", source, encoder) == before
    monkeypatch.setattr(shards, "MANY_SHARDS", 1)
    other = extract(tmp_path / "three", source, encoder)
    assert other.keys() == before.keys()


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_file_of_a_shard_is_said_and_made_again(
    tmp_path: Path, encoder: EncoderConfig, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    source = write_parquet(tmp_path / "data")
    before = extract(tmp_path / "one", source, encoder)
    whole = run_shards._regroup

    def damaged(extraction: Extraction, *others: Any) -> None:
        path = Path(extraction.store.path(shard_file(extraction.directory, 2)))
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:-40])
        else:
            path.unlink()
        whole(extraction, *others)

    with monkeypatch.context() as patch:
        patch.setattr(run_shards, "_regroup", damaged)
        with pytest.raises(InputError, match=r"000002\.parquet is damaged .* run the stage again"):
            extract(tmp_path / "two", source, encoder)
    assert extract(tmp_path / "two", source, encoder) == before


def interrupted(
    root: Path, source: SourceConfig, encoder: EncoderConfig, patch: pytest.MonkeyPatch
) -> None:
    """Extract until all shards are written, and no class."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with patch.context() as inner:
        inner.setattr(run_shards, "_regroup", killed)
        with pytest.raises(KeyboardInterrupt):
            extract(root, source, encoder)


@pytest.mark.parametrize("kind", ["folder"])
def test_an_image_that_is_repaired_between_two_starts_is_used(
    tmp_path: Path, encoder: EncoderConfig, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Its shard was finished, and its file has the size and the time it had."""
    source = SOURCES[kind](tmp_path / "data").model_copy(update={"max_lost_share": 0.5})
    whole = extract(tmp_path / "whole", source, encoder)
    path = next(iter(sorted((tmp_path / "data").rglob("*.png"))))
    data, status = path.read_bytes(), path.stat()
    path.write_bytes(bytes(len(data)))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    interrupted(tmp_path / "run", source, encoder, monkeypatch)
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert extract(tmp_path / "run", source, encoder) == whole


def test_damaged_files_of_shards_that_are_not_needed_stop_nothing(
    tmp_path: Path, encoder: EncoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_folder(tmp_path / "data")
    whole = extract(tmp_path / "whole", source, encoder)
    interrupted(tmp_path / "run", source, encoder, monkeypatch)
    shutil.copytree(
        tmp_path / "whole" / "features" / "class_name=0",
        tmp_path / "run" / "features" / "class_name=0",
    )
    (tmp_path / "run" / "features" / "_shards" / "000000.parquet").write_bytes(b"noise")
    assert extract(tmp_path / "run", source, encoder) == whole


def test_a_broken_link_does_not_make_its_class_new_at_each_start(
    tmp_path: Path, encoder: EncoderConfig
) -> None:
    source = write_folder(tmp_path / "data").model_copy(update={"max_lost_share": 0.5})
    (tmp_path / "data" / "1" / "gone.png").symlink_to(tmp_path / "nowhere")
    for recognised in (0, 0, 0):
        result = extract_features(str(tmp_path / "run"), "features", source, encoder, HERE, "stage")
        assert (result.num_quarantined, result.classes_recognised) == (1, recognised)


def test_row_groups_in_random_order_are_read_once(
    tmp_path: Path, encoder: EncoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_parquet(tmp_path / "data")
    read: Counter[tuple[str, int]] = Counter()
    whole = parquet_cells._Window._restart

    def counted(window: parquet_cells._Window) -> None:
        read[(window._path, window._row_group)] += 1
        whole(window)

    monkeypatch.setattr(parquet_cells._Window, "_restart", counted)
    parquet_cells._window.cache_clear()
    extract(tmp_path / "run", source, encoder)
    assert len(read) == 2 * -(-(COUNT // 2) // GROUP)
    assert set(read.values()) == {1}


def test_chosen_images_are_rows_of_the_listing(tmp_path: Path) -> None:
    listing = scan_images(write_parquet(tmp_path / "data"))
    wanted = [listing.records[row].image_id for row in (41, 3, 17)]
    chosen = listing.subset(pa.array(wanted), pa.array(["c", "a", "b"]))
    assert [record.image_id for record in chosen.records] == sorted(wanted)
    assert chosen.hashes(range(3)) == ["a", "b", "c"]
    assert replace(chosen).names == sorted({image_id[0] for image_id in wanted})
    assert [record.path for record in chosen.records] == [
        record.path for record in list_images(write_again(tmp_path)) if record.image_id in wanted
    ]


def write_again(tmp_path: Path) -> SourceConfig:
    return SourceConfig(path=str(tmp_path / "data"), kind="parquet", id_column="key")
