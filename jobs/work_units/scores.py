"""Units of the scoring: the images of one class, and the fingerprints of their scores."""

from actors.scorer import CheckpointPlace, ScoreUnit
from jobs.run_directory.identity import identity
from jobs.run_directory.run import Run
from otcondense.datasets import image_locations
from otcondense.datasets.images import WantedImage
from otcondense.diffusion.checkpoint_state import open_checkpoint
from otcondense.errors import InputError, MissingInputError
from otcondense.store import (
    ClassFeatures,
    Store,
    class_file,
    fingerprint,
    read_class_features,
    stored_metadata,
)
from otcondense.store.score_kinds import ScoreKind


def margins_fingerprint(run: Run, names: list[str]) -> str:
    """Return the fingerprint of the margins of all classes: one classifier computes them.

    Raises: MissingInputError if the features of a class are missing.
    """
    features = run.features_directory(run.config.encoder)
    contents = [_content(run, class_file(features, name)) for name in names]
    return fingerprint([run.scores_key("aum"), contents])


def score_fingerprints(run: Run, kind: ScoreKind, names: list[str]) -> dict[str, str]:
    """Return the fingerprint that the scores of each class would get now.

    Raises: InputError if features or the scoring checkpoint are missing.
    """
    if kind == "aum":
        return dict.fromkeys(names, margins_fingerprint(run, names))
    return {unit.class_name: unit.fingerprint for unit in denoising_units(run, names)}


def _content(run: Run, name: str) -> str:
    metadata = stored_metadata(run.store, name)
    if metadata is None:
        raise MissingInputError(f"{run.store.path(name)} is missing or damaged", file=name)
    return str(metadata["content"])


def scoring_checkpoint(run: Run) -> CheckpointPlace:
    """Return the place of the scoring checkpoint: in the run or outside it.

    Raises: InputError if none is configured.
    """
    place = run.config.scores.denoising.checkpoint
    if place is None:
        raise InputError(
            "scores.denoising.checkpoint must name the checkpoint of the scoring model, found null"
        )
    if place.startswith("/") or "://" in place:
        root, _, directory = place.rstrip("/").rpartition("/")
        return CheckpointPlace(root, directory)
    return CheckpointPlace(run.store.root, place)


def denoising_units(run: Run, names: list[str]) -> list[ScoreUnit]:
    """Return one unit for each class, with the images that have features.

    Raises: InputError if features or the scoring checkpoint are missing.
    """
    place = scoring_checkpoint(run)
    checkpoint = open_checkpoint(Store(place.root), place.directory).state
    file = checkpoint.files.get(run.config.scores.denoising.weights)
    weights = None if file is None else file.sha256
    latents = None
    if checkpoint.image_shape != run.config.pixels.shape:
        latents = run.representation_directory("latents", run.latents_of_all())

    units = []
    for name in names:
        features = read_class_features(run.store, run.features_directory(run.config.encoder), name)
        images = _images(run, features)
        contents = [[image.image_id, image.sha256] for image in images]
        inputs = latents or identity(run.config.pixels)
        key = [run.scores_key("denoising"), weights, contents, inputs]
        units.append(
            ScoreUnit(
                name=f"scores of class {name}",
                class_name=name,
                class_index=features.class_index,
                images=images,
                source=run.config.source,
                shape=run.config.pixels.shape,
                latents=latents,
                directory=run.scores_directory("denoising"),
                fingerprint=fingerprint(key),
            )
        )
    return units


def _images(run: Run, features: ClassFeatures) -> tuple[WantedImage, ...]:
    locations = image_locations(run.config.source, features.image_ids)
    rows = zip(features.image_ids, locations, features.sha256, strict=True)
    return tuple(
        WantedImage(image_id, features.class_index, location, sha256)
        for image_id, location, sha256 in rows
    )
