"""The view of one class, and the pictures of its images."""

import shutil
from pathlib import Path

import pytest

from jobs.dashboard.class_view import class_view, read_selection
from jobs.run_directory.run import Run
from jobs.thumbnails.stored import write_thumbnails
from otcondense.store import (
    read_class_selection,
    selection_file,
)
from tests.generators.page_runs import IMAGES, METHODS
from tests.unit.dashboard.pages import client


def test_a_class_view_shows_the_selection(run: Run) -> None:
    view = class_view(run, "geometry_aware", "bee")
    selection = read_class_selection(run.store, run.selection_directory("geometry_aware"), "bee")
    assert [each.image.row for each in view.chosen] == selection.indices.tolist()
    assert sum(each.count for each in view.chosen) + view.num_left_out == IMAGES
    assert sum(each.share for each in view.chosen) == pytest.approx(
        selection.received_mass[selection.assignment >= 0].sum()
    )
    assert all(each.image not in each.represents for each in view.chosen)
    assert view.proof.startswith("Proven: no single swap lowers the objective")
    assert view.figures["objective"] == f"{selection.summary.objective:.4g}"
    assert view.figures["left out"].endswith(" %")
    assert view.neighbours == ("ant", None)


def test_a_class_is_shown_after_its_features_were_deleted(changed: Run) -> None:
    changed.store.remove("features")
    assert class_view(changed, METHODS[0], "ant", METHODS.index(METHODS[0])).map is None
    answer = client(changed).get("/class", params={"method": METHODS[0], "name": "ant"})
    assert answer.status_code == 200
    assert "The features have been deleted" in answer.text


def test_a_thumbnail_outlives_its_source(changed: Run, tmp_path: Path) -> None:
    pictures = write_thumbnails(changed, "random")
    source = Path(changed.config.source.path)
    away = tmp_path / "away"
    source.rename(away)
    try:
        selection = read_selection(changed, "random", "ant")
        chosen = int(selection.indices[0])
        place = {"method": "random", "name": "ant"}
        with client(changed) as page:
            answers = [
                page.get("/image", params={**place, "row": chosen, "side": side})
                for side in (96, 768)
            ]
            other = next(row for row in range(IMAGES) if row not in selection.indices)
            assert page.get("/image", params={**place, "row": other}).status_code == 404
    finally:
        away.rename(source)
    expected = pictures[selection.image_ids[chosen]]
    assert [answer.content for answer in answers] == [expected, expected]


def test_a_link_out_of_the_source_is_not_followed(changed: Run, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(
        (Path(changed.config.source.path) / "ant" / "00.png").read_bytes()
    )
    images = tmp_path / "images"
    shutil.copytree(changed.config.source.path, images)
    (images / "ant" / "00.png").unlink()
    (images / "ant" / "00.png").symlink_to(tmp_path / "secret.png")
    source = changed.config.source.model_copy(update={"path": str(images)})
    elsewhere = Run(changed.config.model_copy(update={"source": source}))
    for directory in ("features", "selection"):
        assert changed.store.list(directory)
    moved = {method: elsewhere.selection_directory(method) for method in METHODS}
    for method, name in moved.items():
        shutil.copytree(
            changed.store.path(changed.selection_directory(method)),
            elsewhere.store.path(name),
            dirs_exist_ok=True,
        )
    with client(elsewhere) as page:
        answer = page.get("/image", params={"method": "random", "name": "ant", "row": 0})
        assert answer.status_code == 404
        assert "leads out of" in answer.text
        assert (
            page.get("/image", params={"method": "random", "name": "ant", "row": 1}).status_code
            == 200
        )


def test_damaged_files_are_named(changed: Run) -> None:
    name = selection_file(changed.selection_directory("random"), "ant")
    changed.store.write_bytes(name, changed.store.read_bytes(name)[:-30])
    with client(changed) as page:
        answer = page.get("/class", params={"method": "random", "name": "ant"})
    assert answer.status_code == 404
    assert "selection.parquet" in answer.text
