"""The listing that a run stores: the same as a new one, and read without a walk of the source."""

from pathlib import Path

import pytest

from otcondense.datasets import (
    Listing,
    SourceConfig,
    image_locations,
    scan_images,
    source_listing,
    write_listing,
)
from otcondense.datasets.listing import identity_of
from otcondense.datasets.stored import listing_file, others_file
from otcondense.store import Store, read_fingerprint
from tests.generators.containers import png, write_parquet, write_shards


def folder(root: Path) -> SourceConfig:
    for name in ("cat/1.png", "cat/2.png", "dog/ü.png", "emu/4.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(1))
    (root / "cat/notes.txt").write_text("x")
    (root / "dog/gone.png").symlink_to(root / "nowhere")
    return SourceConfig(path=str(root), classes=("cat", "dog"))


SOURCES = {
    "folder": folder,
    "parquet": lambda root: SourceConfig(path=str(write_parquet(root)), kind="parquet"),
    "tar": lambda root: SourceConfig(path=str(write_shards(root, "cls")), kind="webdataset"),
}


def facts(listing: Listing) -> tuple[object, ...]:
    others = list(listing.ignored), list(listing.unusable)
    return list(listing.records), listing.classes, listing.files, listing.root, *others


@pytest.mark.parametrize("kind", SOURCES)
def test_a_stored_listing_is_the_same(tmp_path: Path, kind: str) -> None:
    source = SOURCES[kind](tmp_path / "data")
    store = Store(str(tmp_path / "run"))
    scanned = scan_images(source)
    write_listing(store, source, scanned)
    stored = source_listing(store, source)
    assert facts(stored) == facts(scanned)
    assert stored.table.equals(scanned.table)
    assert read_fingerprint(store, listing_file(source)) is not None
    assert source_listing(store, source) is stored
    ids = [record.image_id for record in scanned.records][::-1]
    found = image_locations(source, ids, lambda: stored)
    assert found == [record.path for record in scanned.records][::-1]


def test_the_source_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder(tmp_path / "data")
    store = Store(str(tmp_path / "run"))
    before = scan_images(source)
    write_listing(store, source, before)
    (tmp_path / "data/cat/3.png").write_bytes(png(1))
    monkeypatch.setattr("otcondense.datasets.files.local_tree", lambda *_: pytest.fail("walked"))
    assert facts(source_listing(store, source)) == facts(before)


@pytest.mark.parametrize("file", [listing_file, others_file])
@pytest.mark.parametrize("damage", ["missing", "damaged", "of another listing"])
def test_an_incomplete_listing_is_made_again(tmp_path: Path, file: object, damage: str) -> None:
    source = folder(tmp_path / "data")
    store = Store(str(tmp_path / "run"))
    write_listing(store, source, scan_images(source))
    name = file(source)
    earlier = store.read_bytes(name)
    (tmp_path / "data/cat/3.png").write_bytes(png(1))
    (tmp_path / "data/cat/more.txt").write_bytes(b"x")
    if damage == "missing":
        store.remove(name)
    elif damage == "damaged":
        store.write_bytes(name, earlier[:-30])
    else:
        write_listing(store, source, scan_images(source))
        store.write_bytes(name, earlier)
    assert facts(source_listing(store, source)) == facts(scan_images(source))


def test_writing_the_same_listing_again_changes_nothing(tmp_path: Path) -> None:
    source = folder(tmp_path / "data")
    store = Store(str(tmp_path / "run"))
    write_listing(store, source, scan_images(source))
    before = {name: store.read_bytes(name) for name in store.list()}
    times = {name: (tmp_path / "run" / name).stat().st_mtime_ns for name in before}
    write_listing(store, source, scan_images(source))
    assert times == {name: (tmp_path / "run" / name).stat().st_mtime_ns for name in store.list()}
    other = Store(str(tmp_path / "other"))
    write_listing(other, source, scan_images(source))
    assert {name: other.read_bytes(name) for name in other.list()} == before


def test_images_are_found_by_their_ids(tmp_path: Path) -> None:
    listing = scan_images(folder(tmp_path / "data"))
    wanted = ["dog/ü.png", "no such image", "cat/1.png", "dog/ü.png"]
    assert listing.find(wanted) == {"cat/1.png": 0, "dog/ü.png": 2}
    assert listing.find([]) == {}


def test_the_identity_changes_with_ids_classes_sizes_and_times(tmp_path: Path) -> None:
    source = folder(tmp_path / "data")
    seen = {identity_of(scan_images(source).table)}
    (tmp_path / "data/cat/1.png").write_bytes(b"longer content")
    seen.add(identity_of(scan_images(source).table))
    (tmp_path / "data/cat/1.png").rename(tmp_path / "data/cat/0.png")
    seen.add(identity_of(scan_images(source).table))
    (tmp_path / "data/emu").rename(tmp_path / "data/bee")
    seen.add(identity_of(scan_images(source).table))
    assert len(seen) == 4
