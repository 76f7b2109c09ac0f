"""Units of the scoring: the images of one class, and the fingerprints of their scores."""

from typing import Any

from actors.scorer import CheckpointPlace, ScoreUnit, scored_images
from jobs.run_directory.identity import identity
from jobs.run_directory.run import Run
from otcondense.diffusion.checkpoint_state import open_checkpoint
from otcondense.errors import InputError, MissingInputError
from otcondense.store import (
    Store,
    fingerprint,
    stored_metadata,
)
from otcondense.store.score_kinds import ScoreKind


def margins_fingerprint(run: Run, names: list[str]) -> str:
    """Return the fingerprint of the margins of all classes: one classifier computes them.

    Raises: MissingInputError if the features of a class are missing.
    """
    view = run.features_view()
    contents = [_content(run, file) for name in names for file in view.files(run.store, name)]
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
    of_latents = checkpoint.image_shape != run.config.pixels.shape
    inputs: Any = identity(run.config.pixels)
    directory = run.pixels_directory()
    if of_latents:
        inputs = directory = run.representation_directory("latents", run.latents_of_all())

    units = []
    features = run.features_directory(run.config.encoder)
    for name in names:
        images = scored_images(run.store, features, name)
        contents = [list(image) for image in images]
        key = [run.scores_key("denoising"), weights, contents, inputs]
        units.append(
            ScoreUnit(
                name=f"scores of class {name}",
                class_name=name,
                size=len(images),
                features=features,
                inputs=directory,
                of_latents=of_latents,
                directory=run.scores_directory("denoising"),
                fingerprint=fingerprint(key),
            )
        )
    return units
