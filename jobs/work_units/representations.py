"""Units of the extraction of latents and tokens: the images of one class."""

from typing import Any

from actors.crew import Unit
from jobs.run_directory.run import Run
from otcondense.datasets import image_locations
from otcondense.errors import InputError
from otcondense.representations import RepresentationConfig
from otcondense.store import read_columns, read_manifest, stored_metadata


def image_units(run: Run, kind: str, config: RepresentationConfig) -> list[Unit]:
    """Return one unit of work for each class: its images with their places and SHA-256."""
    rows = _selected(run) if config.images == "subsets" else _with_features(run)
    image_ids = sorted(rows)
    places = dict(zip(image_ids, image_locations(run.config.source, image_ids), strict=True))
    units: dict[str, Unit] = {}
    for image_id in image_ids:
        row = rows[image_id]
        shared = {
            "name": f"{kind} of class {row['class_name']}",
            "class_name": row["class_name"],
            "directory": run.representation_directory(kind, config),
            "source": run.config.source.model_dump(mode="json"),
        }
        unit = units.setdefault(row["class_name"], shared | {"images": []})
        unit["images"].append(
            {key: row[key] for key in ("image_id", "class_index", "sha256")}
            | {"path": places[image_id]}
        )
    return list(units.values())


def _selected(run: Run) -> dict[str, dict[str, Any]]:
    tables = [
        read_manifest(run.store, run.manifest(method)) for method in run.config.selection.methods
    ]
    return {row["image_id"]: row for table in tables for row in table.to_pylist()}


def _with_features(run: Run) -> dict[str, dict[str, Any]]:
    directory = run.features_directory(run.config.encoder)
    rows = {}
    for name in (name for name in run.store.list(directory) if name.endswith("/part-0.parquet")):
        metadata = stored_metadata(run.store, name)
        if metadata is None:
            raise InputError(
                f"{run.store.path(name)} is damaged; run `python -m jobs.extract_features` again"
            )
        shared = {key: metadata[key] for key in ("class_name", "class_index")}
        rows.update(
            {
                row["image_id"]: row | shared
                for row in read_columns(run.store, name, ("image_id", "sha256")).to_pylist()
            }
        )
    if not rows:
        raise InputError(
            f"run {run.store.root} has no features yet; run `python -m jobs.extract_features` first"
        )
    return rows
