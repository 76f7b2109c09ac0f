"""What the verbs that extract latents, tokens and text share: one unit of work for each class, fed to a pool of actors."""

from typing import Any

import ray
import torch

from actors.crew import RayCrew, Unit
from actors.pool import Pool
from jobs.progress import Progress, note
from jobs.ray_env import start_ray
from jobs.run_directory import Run, identity
from jobs.select_subset import refuse_failures
from otcondense.datasets import image_locations
from otcondense.errors import InputError
from otcondense.representations import REPRESENTATIONS_SCHEMA_VERSION, LatentConfig, RepresentationConfig
from otcondense.store import Store, UnitProgress, hash8, read_columns, read_manifest, stored_metadata
from pipeline.representations import KINDS, write_class

FOUND = "finished before"


class Extractor:
    """A long-lived worker that encodes one class after another; running a unit again writes the same bytes."""

    def __init__(self, root: str, kind: str, config: dict[str, Any]) -> None:
        model_config, model = KINDS[kind]
        self._store, self._config = Store(root), model_config(**config)
        torch.backends.cudnn.deterministic = True
        self._model = model(self._config)

    def run(self, unit: dict[str, Any]) -> dict[str, Any]:
        """Encode one class; the `step` that it returns tells whether there was something to do."""
        is_new = write_class(self._store, unit["directory"], unit, self._config, self._model)
        return {"step": "" if is_new else FOUND}


def representation_directory(run: Run, kind: str, config: RepresentationConfig) -> str:
    """Return where the latents or tokens of a run are.

    Those of other subsets are elsewhere, so that trials which share a run directory do not write over each other's.
    """
    subsets = [run.selection_key(method) for method in run.config.selection.methods] if config.images == "subsets" else []
    key = [REPRESENTATIONS_SCHEMA_VERSION, identity(run.config.source), config.identity(), *subsets]
    return f"{kind}/{config.image_size}-{hash8(key)}"


def latents_of_all(run: Run) -> LatentConfig:
    """Return how to make the latents of every image that has features, as scores need them, whichever the models are trained on."""
    return run.config.latents.model_copy(update={"images": "source"})


def extract_images(run: Run, kind: str, config: RepresentationConfig) -> None:
    """Make the latents or tokens of every image that the configuration asks for.

    Raises: InputError if features or subsets are missing, or with the reason of every class that failed.
    """
    units = image_units(run, kind, config)
    pool = run.config.representations
    start_ray()

    def make_actor() -> Any:
        return (
            ray.remote(Extractor)
            .options(num_cpus=pool.num_cpus, num_gpus=pool.num_gpus)
            .remote(run.store.root, kind, config.model_dump(mode="json"))
        )

    with Progress(run.store, f"extract_{kind}", kind, "class") as progress:
        progress.follow([UnitProgress(name=unit["name"], class_name=unit["class_name"], size=len(unit["images"])) for unit in units])
        outcome = Pool(RayCrew(make_actor), pool).run(units, progress.change)
    refuse_failures(outcome, len(units), f"classes of {kind}")
    done = sum(result["step"] != FOUND for result in outcome.results.values())
    images = sum(len(unit["images"]) for unit in units)
    note(
        kind,
        f"{images} images of {len(units)} classes in {representation_directory(run, kind, config)}, {len(units) - done} finished before",
    )


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
            "directory": representation_directory(run, kind, config),
            "source": run.config.source.model_dump(mode="json"),
        }
        unit = units.setdefault(row["class_name"], shared | {"images": []})
        unit["images"].append({key: row[key] for key in ("image_id", "class_index", "sha256")} | {"path": places[image_id]})
    return list(units.values())


def _selected(run: Run) -> dict[str, dict[str, Any]]:
    tables = [read_manifest(run.store, run.manifest(method)) for method in run.config.selection.methods]
    return {row["image_id"]: row for table in tables for row in table.to_pylist()}


def _with_features(run: Run) -> dict[str, dict[str, Any]]:
    directory = run.features_directory(run.config.encoder)
    rows = {}
    for name in (name for name in run.store.list(directory) if name.endswith("/part-0.parquet")):
        metadata = stored_metadata(run.store, name)
        if metadata is None:
            raise InputError(f"{run.store.path(name)} is damaged; run `python -m jobs.extract_features` again")
        shared = {key: metadata[key] for key in ("class_name", "class_index")}
        rows.update({row["image_id"]: row | shared for row in read_columns(run.store, name, ("image_id", "sha256")).to_pylist()})
    if not rows:
        raise InputError(f"run {run.store.root} has no features yet; run `python -m jobs.extract_features` first")
    return rows
