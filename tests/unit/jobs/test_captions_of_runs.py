"""Runs on images with captions: the table, every export, and what is refused."""

import json
from html import escape
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs.card.__main__ import main as card
from jobs.export.__main__ import main as export
from jobs.export.choices import choices_of
from jobs.extract_features.stage import extract
from jobs.run_directory.config import RunConfig
from jobs.run_directory.marker import write_marker
from jobs.run_directory.run import Run
from jobs.select_subset.stage import select_subset
from jobs.verify.command import verify
from otcondense.datasets import SourceConfig, read_captions, scan_images
from otcondense.errors import InputError
from otcondense.exports.choice_formats import CHOICE_EXPORTS, export_choices
from otcondense.exports.subsets import EXPORTS
from otcondense.store import read_manifest
from otcondense.training_data import SubsetDataset, exported_subset, manifest_subset
from tests.generators.captioned import CAPTIONS, LAYOUTS
from tests.unit.dashboard.pages import client

COUNT = 24
TEXTS = [f"{CAPTIONS[number % len(CAPTIONS)]} {number}" for number in range(COUNT)]
IMAGES = ("image_folder txt", "parquet", "hf", "webdataset txt", "manifest csv", "one_class jsonl")
SOME = (
    IMAGES[0],
    *(pytest.param(name, marks=pytest.mark.slow) for name in IMAGES[1:]),
)
"""Runs on images of every layout; one of them quickly."""
READ_BACK: dict[str, dict[str, Any]] = {
    "image_folder": {"kind": "image_folder", "captions": "metadata.jsonl"},
    "parquet": {"kind": "parquet", "captions": "text", "id_column": "image_id"},
    "webdataset": {"kind": "webdataset", "captions": "txt"},
    "hf": {"kind": "parquet", "captions": "text", "id_column": "image_id"},
    "diffusers": {"kind": "image_folder", "split": "train", "captions": "metadata.jsonl"},
}
"""How each format with images is read again as a source with captions."""


def run_of(root: Path, layout: str, texts: Any = TEXTS, **settings: Any) -> Run:
    """Return a run on captioned images, which are written first."""
    made = LAYOUTS[layout]
    (root / "images").mkdir(parents=True, exist_ok=True)
    made.write(root / "images", texts)
    source = {"path": str(root / "images"), "kind": made.kind, "captions": made.captions}
    values = {
        "run": str(root / "run"),
        "source": {**source, **settings.pop("source", {})},
        "encoder": None if made.kind == "features" else {"name": "pixels", "image_size": 8},
        "confidence": {"kind": "none"},
        "extraction": {"num_encoders": 0},
        "selection": {
            "budget": 2,
            "methods": ["k_means", "random"],
            "pool": {"num_actors": 0},
            "duplicates": "keep",
        },
        **settings,
    }
    run = Run(RunConfig.model_validate(values))
    write_marker(run)
    return run


def worked(root: Path, layout: str, **settings: Any) -> Run:
    run = run_of(root, layout, **settings)
    extract(run)
    select_subset(run)
    return run


@pytest.fixture(scope="module", params=SOME)
def run(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return worked(tmp_path_factory.mktemp("run"), request.param)


def by_id(run: Run) -> dict[str, str]:
    table = read_captions(run.store, run.captions_file())
    pairs = zip(table["image_id"].to_pylist(), table["caption"].to_pylist(), strict=True)
    return dict(pairs)


def chosen(run: Run) -> list[str]:
    """The captions of the chosen images, in the order of the manifest."""
    captions = by_id(run)
    manifest = read_manifest(run.store, run.manifest("k_means"))
    return [captions[image_id] for image_id in manifest["image_id"].to_pylist()]


def test_a_run_stores_all_captions_and_is_whole(run: Run) -> None:
    assert sorted(by_id(run).values()) == sorted(TEXTS)
    assert list(verify(run)) == []


def test_every_format_is_tried() -> None:
    assert set(EXPORTS) == {*READ_BACK, "json"}
    assert set(CHOICE_EXPORTS) == {"embedding_atlas", "fiftyone"}


@pytest.mark.parametrize("form", READ_BACK)
def test_an_export_is_a_source_with_the_same_captions(run: Run, tmp_path: Path, form: str) -> None:
    output = tmp_path / ("out.parquet" if form == "parquet" else "out")
    options = ["--files", "copy"] if form in ("image_folder", "diffusers") else []
    run_verb(export, [run.store.root, "--method", "k_means", "--format", form, *options], output)
    listing = scan_images(SourceConfig(path=str(output), **READ_BACK[form]))
    assert listing.captions is not None
    assert sorted(listing.captions.to_pylist()) == sorted(chosen(run))
    assert not listing.unusable
    if form in ("parquet", "hf"):
        ids = listing.table["image_id"].to_pylist()
        found = dict(zip(ids, listing.captions.to_pylist(), strict=True))
        assert found == {each: by_id(run)[each] for each in found}


def run_verb(main: Any, arguments: list[str], output: Path | None = None) -> None:
    more = [] if output is None else ["--output", str(output)]
    main([*arguments, *more])


def test_a_list_has_ids_and_captions_and_can_be_chosen_again(run: Run, tmp_path: Path) -> None:
    output = tmp_path / "subset.json"
    run_verb(export, [run.store.root, "--method", "k_means"], output)
    listed = json.loads(output.read_text())
    assert [each["text"] for each in listed] == chosen(run)
    values = run.config.model_dump(mode="json")
    values["selection"]["include"] = str(output)
    again = RunConfig.model_validate(values)
    assert set(again.selection.included()) == {each["image_id"] for each in listed}


def test_a_prompt_can_hold_the_caption(run: Run, tmp_path: Path) -> None:
    options = ["--method", "k_means", "--format", "diffusers", "--files", "copy"]
    prompt = ["--prompt", "{class_name}: {caption}"]
    run_verb(export, [run.store.root, *options, *prompt], tmp_path / "out")
    lines = (tmp_path / "out" / "train" / "metadata.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    texts = [row["text"] for row in rows]
    names = [row["class_name"] for row in rows]
    assert texts == [f"{a}: {b}" for a, b in zip(names, chosen(run), strict=True)]


def test_the_card_says_that_there_are_captions(run: Run, capsys: Any) -> None:
    run_verb(card, [run.store.root, "--method", "k_means", "--license", "mit"])
    text = capsys.readouterr().out
    assert "Each image has its caption, in the column `text`" in text
    assert "| `text` | the caption of the image, as in the source |" in text


@pytest.mark.parametrize("form", CHOICE_EXPORTS)
def test_all_images_are_exported_with_their_captions(run: Run, tmp_path: Path, form: str) -> None:
    choices = choices_of(run, "k_means", None)
    output = tmp_path / ("all.parquet" if form == "embedding_atlas" else "all")
    if form == "fiftyone":
        choices = type(choices)(**{**vars(choices), "files": "copy"})
    assert export_choices(choices, form, str(output), lambda _: None) == COUNT
    if form == "embedding_atlas":
        table = pq.read_table(output)
        pairs = zip(table["image_id"].to_pylist(), table["text"].to_pylist(), strict=True)
    else:
        samples = json.loads((output / "samples.json").read_text())["samples"]
        pairs = ((each["image_id"], each["text"]) for each in samples)
        fields = json.loads((output / "metadata.json").read_text())["sample_fields"]
        assert "text" in [field["name"] for field in fields]
    assert dict(pairs) == by_id(run)


def test_a_data_set_yields_captions(run: Run, tmp_path: Path) -> None:
    data = SubsetDataset(run.store.root, "k_means", captions=True)
    assert [caption for _, _, caption in data] == chosen(run)
    assert len(SubsetDataset(run.store.root, "k_means")[0]) == 2

    output = tmp_path / "out.parquet"
    run_verb(export, [run.store.root, "--method", "k_means", "--format", "parquet"], output)
    exported = exported_subset(output)
    assert [image.caption for image in exported.images] == chosen(run)

    listed = manifest_subset(run.store.path(run.manifest("k_means")), run.config.source)
    assert [image.caption for image in listed.images] == chosen(run)
    plain = run.config.source.model_copy(update={"captions": None})
    without = manifest_subset(run.store.path(run.manifest("k_means")), plain)
    with pytest.raises(InputError, match="captions need a source with captions"):
        SubsetDataset(without, captions=True)


def test_given_features_keep_their_captions(tmp_path: Path) -> None:
    run = worked(tmp_path, "features")
    assert sorted(by_id(run).values()) == sorted(TEXTS)
    run_verb(export, [run.store.root, "--method", "k_means"], tmp_path / "subset.json")
    listed = json.loads((tmp_path / "subset.json").read_text())
    assert [each["text"] for each in listed] == chosen(run)
    assert list(verify(run)) == []


@pytest.mark.parametrize("layout", ["parquet", "features"])
def test_too_many_images_without_captions_end_the_run(tmp_path: Path, layout: str) -> None:
    run = run_of(tmp_path, layout, [None, None, *TEXTS[2:]])
    with pytest.raises(
        InputError, match=r"(?s)found 2 so far.*a\.parquet/00000000: has no caption"
    ):
        extract(run)


@pytest.mark.parametrize("layout", ["parquet", "features"])
def test_an_image_without_a_caption_is_listed_and_left_out(tmp_path: Path, layout: str) -> None:
    source = {"max_lost_share": 0.1}
    run = run_of(tmp_path, layout, [None, *TEXTS[1:]], source=source)
    extract(run)
    directory = run.features_directory(run.config.encoder)
    lost = pq.read_table(run.store.path(f"{directory}/_quarantine.parquet"))
    assert lost["reason"].to_pylist() == ["has no caption"]
    assert sorted(by_id(run).values()) == sorted(TEXTS[1:])
    assert list(verify(run)) == []


def test_changed_captions_are_written_again_and_the_same_ones_are_not(tmp_path: Path) -> None:
    run = run_of(tmp_path, "image_folder txt")
    extract(run)
    path = Path(run.store.path(run.captions_file()))
    first = path.stat().st_mtime_ns
    extract(run)
    assert path.stat().st_mtime_ns == first
    (tmp_path / "images" / "cat" / "0.txt").write_text("changed")
    extract(run)
    assert by_id(run)["cat/0.png"] == "changed"


def test_an_image_without_labels_needs_no_class(tmp_path: Path) -> None:
    run = worked(tmp_path, "webdataset txt", source={"label_column": None})
    manifest = read_manifest(run.store, run.manifest("k_means"))
    assert manifest["class_name"].to_pylist() == ["images", "images"]
    assert list(verify(run)) == []


def test_a_prompt_with_a_caption_needs_captions(tmp_path: Path, capsys: Any) -> None:
    run = worked(tmp_path, "parquet", source={"captions": None})
    arguments = ["--method", "k_means", "--format", "diffusers", "--prompt", "{caption}"]
    with pytest.raises(SystemExit) as ended:
        export([run.store.root, *arguments, "--output", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert "needs a source with captions" in capsys.readouterr().err
    assert not run.store.exists(run.captions_file())


def test_the_page_shows_captions_as_text(tmp_path: Path) -> None:
    texts = [f"<b>{number}</b>" for number in range(COUNT)]
    run = run_of(tmp_path, "image_folder txt", texts)
    extract(run)
    select_subset(run)
    place = {"method": "k_means", "name": "cat"}
    shown = client(run).get("/class", params=place).text
    first = chosen(run)[0]
    assert f"“{escape(first)}”" in shown
    assert first not in shown
    run.store.remove(run.captions_file())
    without = client(run).get("/class", params=place)
    assert without.status_code == 200
    assert "“&lt;b&gt;" not in without.text
