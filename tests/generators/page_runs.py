"""Runs for the page: real selections of small classes with images, made without a cluster."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from actors.class_selection import run_selector
from actors.units import progress_of
from jobs.run_directory.budgets import ForcedImages, forced_images
from jobs.run_directory.config import RunConfig
from jobs.run_directory.marker import write_marker
from jobs.run_directory.run import Run
from otcondense.datasets import scan_images
from otcondense.store import (
    ClassFeatures,
    ClassSelection,
    StageProgress,
    UnitProgress,
    manifest_table,
    read_manifest,
    sha256_bytes,
    write_class_features,
    write_class_selection,
    write_progress,
    write_table,
)

METHODS = ("geometry_aware", "random")
HOSTILE = "<script>window.hacked=1<\u2215script><img src=x onerror=window.hacked=1>&\"'%2e%2e;#?"
"""A valid file name with the special characters of HTML, JavaScript, URLs and shells."""
IMAGES = 40
WIDTH = 16
BUDGET = 4


def make_run(
    root: Path, class_names: tuple[str, ...] = ("ant", "bee", "cat"), run: str | None = None
) -> Run:
    """Write images, features, selections by two methods, their manifests and progress."""
    generator = np.random.default_rng(0)
    for name in class_names:
        (root / "images" / name).mkdir(parents=True)
        for number in range(IMAGES):
            image = Image.fromarray(generator.integers(0, 256, (24, 20, 3), dtype=np.uint8))
            image.save(root / "images" / name / f"{number:02d}.png")
    config = RunConfig(
        run=run or str(root / "run"),
        source={"path": str(root / "images")},
        selection={
            "budget": BUDGET,
            "methods": METHODS,
            "settings": {"geometry_aware": {"rebuilds": 1}},
        },
    )
    made = Run(config)
    write_marker(made)
    write_selections(made)
    return made


def write_selections(run: Run) -> None:
    """Select every class by every method on random features; write the files of the stage."""
    units = []
    selected: dict[str, list[ClassSelection]] = {method: [] for method in METHODS}
    directory = run.features_directory(run.config.encoder)
    listing = scan_images(run.config.source)
    forced = forced_images(run)
    for number, name in enumerate(listing.names):
        features = class_features(name, number, listing.ids_of(name))
        root = Path(run.config.source.path)
        hashes = [sha256_bytes((root / each).read_bytes()) for each in features.image_ids]
        features = replace(features, sha256=hashes)
        write_class_features(run.store, directory, features, fingerprint="f")
        for method in METHODS:
            settings = run.config.selection.selector_settings(method, BUDGET)
            lists = forced.get(name, ForcedImages())
            settings |= {"include": lists.include, "exclude": lists.exclude}
            selection = run_selector(method, settings, features, lambda _: None)
            write_class_selection(
                run.store, run.selection_directory(method), selection, fingerprint="f"
            )
            selected[method].append(selection)
            shared = {
                "name": f"{method}, class {name}",
                "class_name": name,
                "method": method,
                "size": listing.sizes[name],
            }
            units.append(
                UnitProgress(
                    **shared,
                    state="done",
                    seconds=1.0 + number,
                    attempts=1,
                    **progress_of(selection.summary),
                )
            )
    for method, selections in selected.items():
        table = manifest_table(selections)
        write_table(run.store, run.manifest(method), table, fingerprint="f")
    write_units(run, units, finished=True)


def with_own_digests(run: Run, method: str = "geometry_aware") -> Run:
    """Write the digests of the images into the manifest, so that it can be exported."""
    manifest = read_manifest(run.store, run.manifest(method))
    images = Path(run.config.source.path)
    ids = manifest.column("image_id").to_pylist()
    digests = [sha256_bytes((images / image_id).read_bytes()) for image_id in ids]
    place = manifest.schema.get_field_index("sha256")
    manifest = manifest.set_column(place, "sha256", pa.array(digests))
    write_table(run.store, run.manifest(method), manifest, fingerprint="f")
    return run


def class_features(name: str, index: int, image_ids: list[str]) -> ClassFeatures:
    """Draw the features of one class."""
    generator = np.random.default_rng(index)
    count = len(image_ids)
    return ClassFeatures(
        class_name=name,
        class_index=index,
        image_ids=image_ids,
        features=generator.normal(size=(count, WIDTH)).astype(np.float32),
        logits=None,
        cross_entropy=generator.exponential(size=count).astype(np.float32),
        entropy=None,
        max_prob=None,
        width=np.full(count, 20, np.int32),
        height=np.full(count, 24, np.int32),
        sha256=[sha256_bytes(each.encode()) for each in image_ids],
    )


def write_units(run: Run, units: list[UnitProgress], *, finished: bool) -> None:
    """Write the progress of the selection as its driver does."""
    now = time.time()
    ended = sum(unit.state in ("done", "failed", "skipped") for unit in units)
    counts = {"done": ended, "total": len(units), "started": now - 60, "updated": now}
    stage = StageProgress(
        stage="select_subset",
        title="select",
        unit="class",
        finished=finished,
        units=tuple(units),
        **counts,
    )
    write_progress(run.store, stage)
