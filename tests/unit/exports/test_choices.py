"""What became of every image, in the formats of viewers: each value is that of the selection."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from jobs.dashboard.atlas import atlas
from jobs.export.choices import choices_of
from jobs.run_directory.run import Run
from otcondense.errors import InputError, MissingInputError
from otcondense.exports import embedding_atlas
from otcondense.exports.choice_formats import export_choices
from otcondense.exports.choices import HELD_OUT, UNMATCHED
from otcondense.exports.neighbours import NEIGHBOURS
from otcondense.store import read_class_features, read_class_selection
from tests.generators.page_runs import HOSTILE, METHODS, make_run

CLASSES = ("ant", "bee", HOSTILE)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"), CLASSES)


def selection_of(run, method, name):
    return read_class_selection(run.store, run.selection_directory(method), name)


def features_of(run, name):
    directory = run.features_directory(run.config.encoder)
    return read_class_features(run.store, directory, name).features


def written(run, tmp_path, form="embedding_atlas", *, method=None, classes=None, **options):
    """Export; return the place and what was said."""
    choices = replace(choices_of(run, method, classes), **options)
    said = []
    output = tmp_path / ("out.parquet" if form == "embedding_atlas" else "out")
    count = export_choices(choices, form, str(output), said.append)
    assert count == 40 * len(classes or CLASSES)
    return output, said


def expected(selection, row):
    """What the selection says of one image, in words of its own."""
    ids = selection.image_ids
    place = np.flatnonzero(selection.indices == row)
    if len(place):
        number = int(place[0])
        count = int((selection.assignment == row).sum())
        gain = float(selection.gain[number])
        figures = (int(selection.rank[number]), gain if np.isfinite(gain) else None, count)
        return ("chosen", ids[row], *figures)
    by = int(selection.assignment[row])
    return ("left out", None, *[None] * 3) if by < 0 else ("represented", ids[by], *[None] * 3)


def test_every_image_has_its_outcome_by_each_method(run, tmp_path):
    output, said = written(run, tmp_path)
    rows = pq.read_table(output).to_pylist()
    assert said == []
    seen = set()
    for number, row in enumerate(rows):
        name, place = sorted(CLASSES)[number // 40], number % 40
        assert row["class_name"] == name
        for method in METHODS:
            selection = selection_of(run, method, name)
            assert row["image_id"] == selection.image_ids[place]
            keys = ("represented_by", "rank", "gain", "represents")
            found = (row[method], *(row[f"{method}_{key}"] for key in keys))
            assert found == pytest.approx(expected(selection, place))
            is_out = row[method] == "left out"
            assert row[f"{method}_left_out"] == (UNMATCHED if is_out else None)
            seen.add(row[method])
    assert seen == {"chosen", "represented", "left out"}


def test_the_map_is_that_of_the_page_and_classes_have_their_own(run, tmp_path):
    output, _ = written(run, tmp_path)
    table = pq.read_table(output)
    shown = atlas(run, "random")
    names = np.array(table.column("class_name").to_pylist())
    points = np.stack([table.column(each).to_numpy() for each in ("x", "y")], axis=1)
    for each in shown.classes:
        own = points[names == each.name][list(each.rows)]
        np.testing.assert_allclose(own, np.stack([each.x, each.y], axis=1), rtol=1e-3, atol=1e-3)
    own = np.stack([table.column(each).to_numpy() for each in ("class_x", "class_y")], axis=1)
    np.testing.assert_allclose(own[names == "ant"].mean(axis=0), 0, atol=1e-5)
    vectors = np.stack(table.column("vector").to_pylist())
    np.testing.assert_array_equal(vectors[names == "bee"], features_of(run, "bee"))


def test_neighbours_are_the_nearest_images_of_the_class(run, tmp_path):
    output, _ = written(run, tmp_path, classes=["bee", "ant"])
    found = pq.read_table(output).column("neighbors").to_pylist()
    for number, name in enumerate(("ant", "bee")):
        features = features_of(run, name).astype(np.float64)
        apart = np.linalg.norm(features[:, None] - features, axis=2)
        np.fill_diagonal(apart, np.inf)
        for row, each in enumerate(found[40 * number : 40 * (number + 1)]):
            nearest = np.argsort(apart[row], kind="stable")[:NEIGHBOURS]
            assert each["ids"] == (nearest + 40 * number).tolist()
            np.testing.assert_allclose(each["distances"], apart[row][nearest], rtol=1e-6)


def test_neighbours_of_large_classes_are_left_out_and_that_is_said(run, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_atlas, "MOST_NEIGHBOURED", 39)
    output, said = written(run, tmp_path)
    assert "neighbors" not in pq.read_schema(output).names
    assert said == ["no column neighbors: a class has more than 39 images"]


@pytest.mark.parametrize("images", [None, True, False])
def test_pictures_are_thumbnails_whole_or_left_out(run, tmp_path, images):
    output, _ = written(run, tmp_path, images=images)
    table = pq.read_table(output)
    assert ("image" in table.column_names) == (images is not False)
    if images is False:
        return
    for row in table.select(["image_id", "image"]).to_pylist()[::7]:
        source = Path(run.config.source.path) / row["image_id"]
        assert row["image"]["path"] == row["image_id"]
        assert (row["image"]["bytes"] == source.read_bytes()) == (images is True)
        with Image.open(io.BytesIO(row["image"]["bytes"])) as shown:
            assert shown.size == ((20, 24) if images else (80, 96))


@pytest.mark.parametrize("files", ["link", "copy"])
def test_a_fiftyone_data_set_has_every_image_with_its_labels(run, tmp_path, files):
    output, _ = written(run, tmp_path, "fiftyone", files=files)
    samples = json.loads((output / "samples.json").read_text())["samples"]
    assert len({sample["_id"]["$oid"] for sample in samples}) == len(samples) == 120
    for sample in samples[::11]:
        name, image_id = sample["ground_truth"]["label"], sample["image_id"]
        path = output / sample["filepath"]
        assert path.is_symlink() == (files == "link")
        assert path.read_bytes() == (Path(run.config.source.path) / image_id).read_bytes()
        tags = []
        for method in METHODS:
            selection = selection_of(run, method, name)
            keys = ("label", "represented_by", "rank", "gain", "represents")
            found = tuple(sample[method][key] for key in keys)
            wanted = expected(selection, selection.image_ids.index(image_id))
            assert found == pytest.approx(wanted)
            tags += [f"{found[0]} by {method}"] if found[0] != "represented" else []
        assert sample["tags"] == tags


def test_fields_and_views_of_a_fiftyone_data_set_are_declared(run, tmp_path):
    output, _ = written(run, tmp_path, "fiftyone", method="geometry_aware", classes=["ant"])
    declared = json.loads((output / "metadata.json").read_text())
    sample = json.loads((output / "samples.json").read_text())["samples"][0]
    fields = {field["db_field"]: field for field in declared["sample_fields"]}
    assert {key for key in sample if not key.startswith("_")} <= set(fields)
    inner = {field["db_field"] for field in fields["geometry_aware"]["fields"]}
    assert {key for key in sample["geometry_aware"] if key != "_cls"} <= inner
    names = [view["name"] for view in declared["saved_views"]]
    assert names == ["chosen by geometry_aware", "left out by geometry_aware"]


@pytest.mark.parametrize("form", ["embedding_atlas", "fiftyone"])
def test_the_same_run_gives_the_same_bytes(run, tmp_path, form):
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        output, _ = written(run, tmp_path / name, form, classes=["ant"])
        files = [output] if output.is_file() else sorted(output.glob("*.json"))
        made.append([file.read_bytes() for file in files])
    assert made[0] == made[1]


def test_copies_of_held_out_images_have_a_reason_of_their_own(run, tmp_path):
    selection = selection_of(run, "geometry_aware", "ant")
    row = int(np.flatnonzero(selection.assignment < 0)[0])
    held_out = frozenset([selection.sha256[row]])
    output, _ = written(run, tmp_path, classes=["ant"], held_out=held_out)
    reasons = pq.read_table(output).column("geometry_aware_left_out").to_pylist()
    assert [number for number, reason in enumerate(reasons) if reason == HELD_OUT] == [row]


def test_a_run_without_a_subset_has_no_choices(run, tmp_path):
    config = run.config.model_copy(update={"run": str(tmp_path / "empty")})
    with pytest.raises(MissingInputError, match="there is no subset manifest"):
        choices_of(Run(config), None, None)


@pytest.mark.parametrize(
    ("form", "options"), [("embedding_atlas", {"images": True}), ("fiftyone", {})]
)
def test_formats_that_need_images_refuse_features_alone(run, tmp_path, form, options):
    source = run.config.source.model_copy(update={"kind": "features"})
    with pytest.raises(InputError, match="embedding_atlas without --images"):
        written(run, tmp_path, form, source=source, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_table_of_features_alone_has_no_pictures(run, tmp_path):
    source = run.config.source.model_copy(update={"kind": "features"})
    output, _ = written(run, tmp_path, source=source)
    assert "image" not in pq.read_schema(output).names
