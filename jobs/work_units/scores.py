"""Units of the scoring: the images of one class, and the fingerprints of their scores."""

from actors.crew import Unit
from jobs.run_directory.run import Run, identity
from otcondense.datasets import image_locations
from otcondense.diffusion.checkpoint import open_checkpoint
from otcondense.errors import InputError
from otcondense.store import Store, class_file, fingerprint, read_class_features, stored_metadata
from otcondense.store.difficulties import ScoreKind


def margins_fingerprint(run: Run, names: list[str]) -> str:
    """Return the fingerprint of the margins of all classes, which one classifier gives."""
    features = run.features_directory(run.config.encoder)
    return fingerprint(
        [run.scores_key("aum"), [_content(run, class_file(features, name)) for name in names]]
    )


def score_fingerprints(run: Run, kind: ScoreKind, names: list[str]) -> dict[str, str]:
    """Return the fingerprint that the scores of each class would get now.

    Raises: InputError if features or the scoring checkpoint are missing.
    """
    if kind == "aum":
        return dict.fromkeys(names, margins_fingerprint(run, names))
    return {unit["class_name"]: unit["fingerprint"] for unit in denoising_units(run, names)}


def _content(run: Run, name: str) -> str:
    metadata = stored_metadata(run.store, name)
    if metadata is None:
        raise InputError(
            f"{run.store.path(name)} is missing or damaged; run `python -m jobs.extract_features` first"
        )
    return str(metadata["content"])


def scoring_checkpoint(run: Run) -> tuple[str, str]:
    """Return the root of the store that holds the scoring checkpoint, and its directory there.

    Raises: InputError if none is named.
    """
    place = run.config.scores.denoising.checkpoint
    if place is None:
        raise InputError(
            "scores.denoising.checkpoint must name the checkpoint of the model that scores, found null"
        )
    if place.startswith("/") or "://" in place:
        root, _, name = place.rstrip("/").rpartition("/")
        return root, name
    return run.store.root, place


def denoising_units(run: Run, names: list[str]) -> list[Unit]:
    """Return one unit for each class: its images as their features name them."""
    root, place = scoring_checkpoint(run)
    checkpoint = open_checkpoint(Store(root), place).state
    weights = checkpoint["files"].get(run.config.scores.denoising.weights, {}).get("sha256")
    of_latents = checkpoint["image_shape"] != list(run.config.pixels.shape)
    latents = run.representation_directory("latents", run.latents_of_all()) if of_latents else None
    units = []
    for name in names:
        features = read_class_features(run.store, run.features_directory(run.config.encoder), name)
        images = [
            {"image_id": image_id, "path": path, "sha256": sha256}
            for image_id, path, sha256 in zip(
                features.image_ids,
                image_locations(run.config.source, features.image_ids),
                features.sha256,
                strict=True,
            )
        ]
        contents = [[image["image_id"], image["sha256"]] for image in images]
        units.append(
            {
                "name": f"scores of class {name}",
                "class_name": name,
                "class_index": features.class_index,
                "images": images,
                "latents": latents,
                "source": run.config.source.model_dump(mode="json"),
                "shape": run.config.pixels.shape,
                "directory": run.scores_directory("denoising"),
                "fingerprint": fingerprint(
                    [
                        run.scores_key("denoising"),
                        weights,
                        contents,
                        latents or identity(run.config.pixels),
                    ]
                ),
            }
        )
    return units
