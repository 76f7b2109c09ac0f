"""The subset as a data set of PyTorch: the chosen images of every kind of source, and latents."""

import doctest
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, WeightedRandomSampler

from jobs.run_directory.run import Run
from otcondense.datasets import SourceConfig, decode_image, list_images, read_image_bytes
from otcondense.datasets import parquet_cells as cells
from otcondense.errors import InputError
from otcondense.store import (
    MANIFEST_COLUMNS,
    ClassSelection,
    Store,
    manifest_table,
    read_manifest,
    sha256_bytes,
    write_table,
)
from otcondense.training_data import (
    Subset,
    SubsetDataset,
    dataset,
    exported_subset,
    manifest_subset,
    run_subset,
)
from tests.generators import containers
from tests.generators.latents import SCALE, SHIFT, write_arrays, write_text
from tests.generators.object_store import BUCKET, put_images, s3_bucket
from tests.generators.page_runs import make_run
from tests.verbs import call


def folder(root: Path) -> Path:
    for number, label in enumerate(containers.LABELS):
        (root / label).mkdir(parents=True, exist_ok=True)
        (root / label / f"{number}.png").write_bytes(containers.png(number))
    return root


KINDS = {
    "image_folder": folder,
    "one_class": folder,
    "webdataset": lambda root: containers.write_shards(root, "cls"),
    "parquet": containers.write_parquet,
    "hf": containers.write_saved,
    "manifest": containers.write_manifest,
}
"""Every kind of source of images, and what writes one."""


def subset_of(source: SourceConfig, root: Path) -> Subset:
    """Return the subset that is the whole source, the last image of a class first."""
    chosen: dict[str, list[Any]] = {}
    for record in reversed(list_images(source)):
        chosen.setdefault(record.class_name, []).append(record)
    selections = [
        ClassSelection(
            class_name=name,
            class_index=records[0].class_index,
            image_ids=[each.image_id for each in records],
            indices=np.arange(len(records)),
            received_mass=np.full(len(records), 1 / len(records)),
            assignment=np.arange(len(records)),
            cross_entropy=None,
            sha256=[sha256_bytes(read_image_bytes(each.path)) for each in records],
            rank=np.arange(len(records)),
            gain=np.full(len(records), np.nan),
        )
        for name, records in chosen.items()
    ]
    write_table(Store(str(root)), "m.parquet", manifest_table(selections), fingerprint="m")
    return manifest_subset(root / "m.parquet", source)


def pixels(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(picture).copy())


def loaded(data: SubsetDataset, workers: int, **settings: Any) -> list[tuple[Any, int]]:
    """Return the items that a loader reads, in their order."""
    context = "fork" if workers else None
    loader = DataLoader(data, 2, num_workers=workers, multiprocessing_context=context, **settings)
    return [(x, int(y)) for images, labels in loader for x, y in zip(images, labels, strict=True)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished selection of three classes."""
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def data(run: Run) -> SubsetDataset:
    """Its chosen images."""
    return SubsetDataset(run.store.root, transform=pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_workers_read_the_chosen_images_of_every_kind_of_source(kind: str, tmp_path: Path) -> None:
    path = KINDS[kind](tmp_path / "images")
    source = SourceConfig(path=str(path), kind=kind)
    data = SubsetDataset(subset_of(source, tmp_path), transform=pixels)
    paths = {each.image_id: each.path for each in list_images(source)}
    assert sorted(paths) == sorted(image.image_id for image in data.images)
    assert data[0][0].shape == (3, 4, 3)  # before there are workers
    items = loaded(data, 2)
    assert len(items) == len(data) == len(containers.LABELS)
    for (found, label), image in zip(items, data.images, strict=True):
        expected = decode_image(
            read_image_bytes(paths[image.image_id]), channels=3, max_pixels=10**6
        )
        assert torch.equal(found, pixels(expected))
        assert data.classes[label] == image.class_name


def test_forked_workers_do_not_share_an_open_parquet_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next rows of a file that was opened before the fork come from its own place in it."""
    monkeypatch.setattr(cells, "MOST_BATCH_ROWS", 1)
    columns = containers.table(tuple(str(number % 2) for number in range(20)))
    (tmp_path / "images").mkdir()
    pa.parquet.write_table(columns, tmp_path / "images/a.parquet", row_group_size=20)
    source = SourceConfig(path=str(tmp_path / "images"), kind="parquet")
    subset = subset_of(source, tmp_path)
    cells._window.cache_clear()
    data = SubsetDataset(subset, transform=lambda _: cells._window.cache_info().currsize)
    first = min(range(len(data)), key=lambda row: subset.images[row].image_id)
    assert data[first][0] == 1
    later = [row for row in range(len(data)) if row != first]
    counts = {int(x) for x, _ in loaded(data, 2, sampler=later)}
    assert counts == {2}  # that of this process, and one of their own


@pytest.mark.slow
def test_workers_read_from_a_bucket(tmp_path: Path) -> None:
    with s3_bucket() as (client, _):
        put_images(client, ("ant", "bee"), 3)
        subset = subset_of(SourceConfig(path=f"s3://{BUCKET}/images"), tmp_path)
        items = loaded(SubsetDataset(subset, transform=pixels), 2)
    assert [label for _, label in items] == [0, 0, 0, 1, 1, 1]


def test_a_run_is_read_from_any_folder_with_its_images_and_labels(
    run: Run, data: SubsetDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    manifest = read_manifest(run.store, run.manifest("geometry_aware"))
    assert [image.image_id for image in data.images] == manifest.column("image_id").to_pylist()
    assert data.weights.tolist() == manifest.column("weight").to_pylist()
    assert data.targets == manifest.column("class_index").to_pylist()
    assert data.classes == ["ant", "bee", "cat"]
    assert data.class_to_idx == {"ant": 0, "bee": 1, "cat": 2}
    image, label = data[-1]
    path = Path(run.config.source.path) / data.images[-1].image_id
    assert label == 2
    assert torch.equal(image, pixels(Image.open(path)))


@pytest.mark.slow
def test_relative_paths_of_a_run_begin_where_it_was_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    made = make_run(Path(), run="run")
    monkeypatch.chdir(tmp_path)
    assert made.config.source.path == "images"
    assert len(SubsetDataset("work/run")[0]) == 2


def test_weights_draw_images_as_often_as_what_they_stand_for(data: SubsetDataset) -> None:
    torch.manual_seed(0)
    drawn = list(WeightedRandomSampler(data.weights, 20_000))
    counts = torch.bincount(torch.tensor(drawn), minlength=len(data))
    expected = data.weights / data.weights.sum()
    assert torch.allclose(counts / 20_000, expected.float(), atol=0.01)


@pytest.mark.parametrize("form", ["parquet", "hf"])
def test_an_export_stands_alone(run: Run, data: SubsetDataset, form: str, tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    call("export", [run.store.root, "--format", form, "--output", str(output)])
    alone = SubsetDataset(exported_subset(output), transform=pixels)
    assert alone.images == data.images
    assert alone.classes == data.classes
    for (found, label), (image, other) in zip(
        loaded(alone, 1), map(data.__getitem__, range(12)), strict=True
    ):
        assert label == other
        assert torch.equal(found, image)


def test_a_copy_for_another_process_reads_the_same(data: SubsetDataset) -> None:
    copy = pickle.loads(pickle.dumps(data))
    assert torch.equal(copy[5][0], data[5][0])


@pytest.mark.slow
def test_the_example_runs(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/demo").symlink_to(run.store.root)
    monkeypatch.chdir(tmp_path)
    (example,) = doctest.DocTestFinder(recurse=False).find(SubsetDataset, "SubsetDataset", globs={})
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.fixture
def changed(run: Run, data: SubsetDataset) -> Iterator[Path]:
    """A chosen image with another content."""
    path = Path(run.config.source.path) / data.images[0].image_id
    before = path.read_bytes()
    Image.new("RGB", (4, 4)).save(path)
    yield path
    path.write_bytes(before)


@pytest.mark.usefixtures("changed")
def test_a_changed_image_is_refused_unless_nobody_looks(data: SubsetDataset) -> None:
    with pytest.raises(InputError, match="has changed since its features were extracted"):
        _ = data[0]
    assert SubsetDataset(data.subset, check=False)[0][0].size == (4, 4)


def with_representations(run: Run, *, posterior: bool = True) -> Run:
    """Write latents, tokens and text of the chosen images."""
    rows = read_manifest(run.store, run.manifest("geometry_aware")).to_pylist()
    for number, name in enumerate(("ant", "bee", "cat")):
        keys = ("image_id", "class_name", "class_index", "sha256")
        own = [tuple(row[key] for key in keys) for row in rows if row["class_name"] == name]
        mean = np.arange(len(own) * 2 * 16, dtype=np.float16).reshape(-1, 2, 4, 2, 2) + number
        std = np.full_like(mean, 0.125)
        places = run.representation_directory("latents", run.config.latents)
        scaling = {"scaling_factor": SCALE, "shift_factor": SHIFT}
        moments = {"mean": mean, "std": std} if posterior else {"mean": mean}
        write_arrays(run.store, places, own, moments, **scaling)
        places = run.representation_directory("tokens", run.config.tokens)
        write_arrays(run.store, places, own, {"tokens": mean.reshape(-1, 2, 4, 4)})
    write_text(Store(run.store.path()), 3)
    source = Path(run.store.path("text/x/embeddings.parquet"))
    target = Path(run.store.path(run.text_file()))
    target.parent.mkdir(parents=True)
    source.rename(target)
    return run


@pytest.fixture(scope="module")
def represented(tmp_path_factory: pytest.TempPathFactory) -> Subset:
    """The subset of a run with latents, tokens and text."""
    return run_subset(with_representations(make_run(tmp_path_factory.mktemp("x"))).store.root)


@pytest.mark.parametrize("mirror", [False, True])
def test_latents_are_drawn_scaled_and_mirrored(mirror: bool, represented: Subset) -> None:
    data = SubsetDataset(represented, latents=True, mirror=mirror)
    mean, _ = data.moments(5)
    assert mean.shape == (2 if mirror else 1, 4, 2, 2)
    torch.manual_seed(0)
    drawn = torch.stack([data[5][0] for _ in range(400)]) / SCALE + SHIFT
    distances = [((drawn - row.float()).abs() < 1).flatten(1).all(1) for row in mean]
    shares = [float(near.float().mean()) for near in distances]
    assert sum(shares) == 1
    assert all(abs(share - 1 / len(mean)) < 0.1 for share in shares)
    spread = (drawn[distances[0]] - mean[0].float()).std()
    assert spread == pytest.approx(0.125, rel=0.1)
    latents, labels = next(iter(DataLoader(data, 4, num_workers=1, multiprocessing_context="fork")))
    assert latents.shape == (4, 4, 2, 2)
    assert labels.tolist() == data.targets[:4]
    assert data.tokens(0).shape == (2 if mirror else 1, 4, 4)
    assert data.text().shape == (3, 3, 5)
    assert len(pickle.dumps(data)) < 20_000  # what was read stays here


@pytest.mark.slow
def test_latents_without_a_posterior_are_the_same_each_time(tmp_path: Path) -> None:
    run = with_representations(make_run(tmp_path), posterior=False)
    data = SubsetDataset(run.store.root, latents=True)
    mean, std = data.moments(5)
    assert std is None
    assert torch.equal(data[5][0], (mean[0].float() - SHIFT) * SCALE)


def mistakes(run: Run, data: SubsetDataset, tmp_path: Path) -> dict[str, tuple[Any, str]]:
    """Return what is refused, each with a part of its sentence."""
    root = run.store.root
    names = {name: [0] for name in MANIFEST_COLUMNS}
    pa.parquet.write_table(pa.table(names), tmp_path / "list.parquet")
    export = tmp_path / "export.parquet"
    call("export", [root, "--format", "parquet", "--output", str(export)])
    alone = exported_subset(export)
    return {
        "no run": (lambda: SubsetDataset(tmp_path / "x"), "must be a run directory"),
        "no method": (lambda: SubsetDataset(root, "ranom"), "did you mean random?"),
        "latents": (lambda: SubsetDataset(data.subset, latents=True), "otcondense extract_latents"),
        "tokens": (lambda: data.tokens(0), "otcondense extract_tokens"),
        "text": (data.text, "otcondense extract_text"),
        "caption": (lambda: data.caption(0), "otcondense extract_text"),
        "no caption": (data.no_caption, "otcondense extract_text"),
        "moments": (lambda: data.moments(0), "set latents=True"),
        "no images": (lambda: exported_subset(tmp_path / "list.parquet"), "found no column image"),
        "of no run": (lambda: SubsetDataset(alone, latents=True), "name the run"),
        "text of no run": (lambda: SubsetDataset(alone).text(), "text embeddings are in a run"),
        "caption of no run": (lambda: SubsetDataset(alone).caption(0), "text are in a run"),
        "no manifest": (
            lambda: manifest_subset(tmp_path / "y", run.config.source),
            "there is no subset manifest",
        ),
    }


def test_mistakes_end_in_a_sentence(run: Run, data: SubsetDataset, tmp_path: Path) -> None:
    for call_, sentence in mistakes(run, data, tmp_path).values():
        with pytest.raises(InputError, match=sentence.replace("?", r"\?")):
            call_()


@pytest.mark.slow
def test_a_subset_that_is_not_chosen_yet_is_refused_with_the_command(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.store.remove(run.manifest("random"))
    with pytest.raises(InputError, match="run `otcondense select_subset` first"):
        SubsetDataset(run.store.root, "random")


def test_without_pillow_the_sentence_says_what_to_install(
    data: SubsetDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="python -m pip install pillow"):
        SubsetDataset(data.subset)


@pytest.mark.slow
def test_a_training_script_sees_neither_ray_nor_the_folders_of_the_workflow(
    run: Run, tmp_path: Path
) -> None:
    script = (
        "import json, sys; from otcondense.training_data import SubsetDataset; "
        f"SubsetDataset({run.store.root!r})[0]; "
        "print(json.dumps([name for name in ('ray', 'jobs', 'timm') if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path.cwd()), "PATH": ""},
    )
    assert json.loads(done.stdout) == []
