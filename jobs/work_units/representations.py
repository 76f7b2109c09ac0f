"""Units of the extraction of latents and tokens: the images of one class."""

from dataclasses import dataclass

from actors.extractor import EncodeUnit
from jobs.run_directory.run import Run
from otcondense.datasets import image_locations
from otcondense.datasets.images import WantedImage
from otcondense.errors import MissingInputError
from otcondense.representations import RepresentationConfig
from otcondense.store import read_columns, read_manifest, stored_metadata


@dataclass(frozen=True)
class _Row:
    """An image in the run's own tables."""

    image_id: str
    class_name: str
    class_index: int
    sha256: str


def image_units(run: Run, kind: str, config: RepresentationConfig) -> list[EncodeUnit]:
    """Return one unit for each class: its images with their locations and SHA-256.

    Raises: InputError if subsets or features are missing.
    """
    rows = _selected(run) if config.images == "subsets" else _with_features(run)
    image_ids = sorted(rows)
    images: dict[str, list[WantedImage]] = {}
    for image_id, path in zip(
        image_ids, image_locations(run.config.source, image_ids), strict=True
    ):
        row = rows[image_id]
        image = WantedImage(image_id, row.class_index, path, row.sha256)
        images.setdefault(row.class_name, []).append(image)

    return [
        EncodeUnit(
            name=f"{kind} of class {class_name}",
            class_name=class_name,
            images=tuple(wanted),
            source=run.config.source,
            directory=run.representation_directory(kind, config),
        )
        for class_name, wanted in images.items()
    ]


def _selected(run: Run) -> dict[str, _Row]:
    """Return the images of all subsets by image_id."""
    rows = {}
    for method in run.config.selection.subsets:
        manifest = read_manifest(run.store, run.manifest(method))
        columns = manifest.select(["image_id", "class_name", "class_index", "sha256"])
        for values in columns.to_pylist():
            rows[values["image_id"]] = _Row(**values)
    return rows


def _with_features(run: Run) -> dict[str, _Row]:
    """Return the images that have features by image_id."""
    directory = run.features_directory(run.config.encoder)
    rows = {}
    for name in run.store.list(directory):
        if not name.endswith("/part-0.parquet"):
            continue
        metadata = stored_metadata(run.store, name)
        if metadata is None:
            raise MissingInputError(f"{run.store.path(name)} is damaged", file=name)
        for values in read_columns(run.store, name, ("image_id", "sha256")).to_pylist():
            row = _Row(
                class_name=metadata["class_name"], class_index=metadata["class_index"], **values
            )
            rows[row.image_id] = row
    if not rows:
        raise MissingInputError(f"run {run.store.root} has no features yet", file=directory)
    return rows
