"""Stored thumbnails: which are kept, and when they are made again."""

from pathlib import Path

import pyarrow as pa
import pytest

from jobs.run_directory.run import Run
from jobs.run_directory.stages import verb_of
from jobs.thumbnails import stored
from jobs.thumbnails.stored import kept_rows, read_thumbnails, thumbnails_file, write_thumbnails
from otcondense.errors import InputError
from otcondense.store import read_manifest
from tests.generators.page_runs import BUDGET, METHODS, make_run

NAMES = ("ant", "bee")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path, NAMES)


def rows(manifest: pa.Table) -> list[tuple[str, int]]:
    columns = (manifest.column(name).to_pylist() for name in ("class_name", "choice"))
    return list(zip(*columns, strict=True))


def test_every_chosen_image_of_a_small_run_has_one(run: Run) -> None:
    assert read_thumbnails(run, "random") is None
    made = write_thumbnails(run, "random")
    manifest = read_manifest(run.store, run.manifest("random"))
    assert list(made) == manifest.column("image_id").to_pylist()
    assert read_thumbnails(run, "random") == made
    assert verb_of(thumbnails_file(run, "random")) == "report"


def test_stored_ones_need_no_source(run: Run) -> None:
    made = write_thumbnails(run, "random")
    Path(run.config.source.path).rename(Path(run.config.source.path).with_name("away"))
    assert write_thumbnails(run, "random") == made
    with pytest.raises(InputError):
        write_thumbnails(run, METHODS[0])


@pytest.mark.parametrize("fault", ["damaged", "of another subset"])
def test_damaged_or_outdated_ones_are_made_again(run: Run, fault: str) -> None:
    made = write_thumbnails(run, "random")
    name = thumbnails_file(run, "random")
    whole = run.store.read_bytes(name)
    if fault == "damaged":
        run.store.write_bytes(name, whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    else:
        write_thumbnails(run, METHODS[0])
        other = run.store.read_bytes(thumbnails_file(run, METHODS[0]))
        run.store.write_bytes(name, other)
    assert read_thumbnails(run, "random") is None
    assert write_thumbnails(run, "random") == made
    assert run.store.read_bytes(name) == whole


def test_the_report_has_its_classes_whole_and_others_share_the_rest(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_manifest(run.store, run.manifest("random"))
    monkeypatch.setattr(stored, "FULL_CLASSES", 1)
    monkeypatch.setattr(stored, "FULL_IMAGES", 2)
    monkeypatch.setattr(stored, "MOST", 5)
    assert rows(kept_rows(manifest)) == [
        ("ant", 0),
        ("ant", 1),
        ("bee", 0),
        ("bee", 1),
        ("ant", 2),
    ]
    monkeypatch.setattr(stored, "MOST", 1)
    assert rows(kept_rows(manifest)) == [("ant", 0), ("ant", 1)]
    monkeypatch.setattr(stored, "MOST", 100)
    assert len(kept_rows(manifest)) == BUDGET * len(NAMES)
