"""Score how hard each image is, for the methods that select by it: `python -m jobs.score --kind denoising|aum`."""

import argparse
from typing import Any, get_args

import numpy as np
import ray
import torch

from actors.crew import RayCrew, Unit
from actors.pool import Pool
from jobs.cli import parser_for, run_verb
from jobs.config import HARD_END, ScoreKind
from jobs.progress import Progress, note
from jobs.ray_env import start_ray
from jobs.representations import extract_images, latents_of_all, representation_directory
from jobs.run_directory import Run, identity
from jobs.select_subset import refuse_failures
from jobs.train_loop import one_thread_on
from otcondense.datasets import ImageRecord, by_class, image_locations, scan_images
from otcondense.diffusion.checkpoint import load_model, open_checkpoint
from otcondense.diffusion.difficulty import DenoisingConfig, denoising_errors, score_times
from otcondense.diffusion.images import to_unit_range
from otcondense.encoders.margins import area_under_margin
from otcondense.errors import InputError
from otcondense.store import (
    ClassDifficulties,
    Representation,
    Store,
    UnitProgress,
    class_file,
    fingerprint,
    read_class_features,
    read_fingerprint,
    stored_metadata,
    write_class_difficulties,
)
from pipeline.images import WantedImage, load_images

KINDS: tuple[ScoreKind, ...] = get_args(ScoreKind)


def score(run: Run, kind: ScoreKind) -> None:
    """Score every image that has features.

    Raises: InputError if features or the scoring checkpoint are missing.
    """
    classes = by_class(scan_images(run.config.source).records)
    done = _denoising(run, classes) if kind == "denoising" else _margins(run, sorted(classes))
    note(f"score {kind}", f"{len(classes)} classes in {run.scores_directory(kind)}, {done} finished before")


def _margins(run: Run, names: list[str]) -> int:
    """Train the classifier on all features at once; it is small."""
    config, directory = run.config.scores.aum, run.scores_directory("aum")
    features = run.features_directory(run.config.encoder)
    mark = _margins_fingerprint(run, names)
    if all(read_fingerprint(run.store, class_file(directory, name)) == mark for name in names):
        return len(names)
    if len(names) < 2:
        raise InputError(f"margins need at least 2 classes, found {len(names)}")
    found = [read_class_features(run.store, features, name) for name in names]
    rows = torch.from_numpy(np.concatenate([each.features for each in found]))
    labels = torch.repeat_interleave(torch.arange(len(found)), torch.tensor([each.size for each in found]))
    with one_thread_on("cpu"):
        values = area_under_margin(rows, labels, len(found), config).numpy()
    for each, part in zip(found, np.split(values, np.cumsum([each.size for each in found])[:-1]), strict=True):
        facts = {"kind": "aum", "hard": HARD_END["aum"], "settings": config.model_dump(mode="json")}
        scores = ClassDifficulties(each.class_name, each.class_index, each.image_ids, part, facts)
        write_class_difficulties(run.store, directory, scores, fingerprint=mark)
    return 0


def _margins_fingerprint(run: Run, names: list[str]) -> str:
    """Return the fingerprint of the margins of all classes, which one classifier gives."""
    features = run.features_directory(run.config.encoder)
    return fingerprint([run.scores_key("aum"), [_content(run, class_file(features, name)) for name in names]])


def score_fingerprints(run: Run, kind: ScoreKind, names: list[str]) -> dict[str, str]:
    """Return the fingerprint that the scores of each class would get now.

    Raises: InputError if features or the scoring checkpoint are missing.
    """
    if kind == "aum":
        return dict.fromkeys(names, _margins_fingerprint(run, names))
    return {unit["class_name"]: unit["fingerprint"] for unit in denoising_units(run, names)}


def _content(run: Run, name: str) -> str:
    metadata = stored_metadata(run.store, name)
    if metadata is None:
        raise InputError(f"{run.store.path(name)} is missing or damaged; run `python -m jobs.extract_features` first")
    return str(metadata["content"])


class Scorer:
    """A long-lived worker that scores one class after another; running a unit again writes the same bytes."""

    def __init__(self, store_root: str, place: tuple[str, str], config: dict[str, Any], device: str) -> None:
        if device == "cpu":
            torch.set_num_threads(1)
        self._store, self._config = Store(store_root), DenoisingConfig(**config)
        self._model, self._checkpoint = load_model(Store(place[0]), place[1], weights=self._config.weights, device=device)

    def run(self, unit: dict[str, Any]) -> dict[str, Any]:
        """Score one class.

        Args:
            unit: `class_name`, `class_index`, the `images` with their places, where their `latents` are (or None, for pixels), the
                `directory` of the result and its `fingerprint`.
        """
        x = self._latents(unit) if unit["latents"] else self._pixels(unit)
        if tuple(x.shape[1:]) != self._model.image_shape:
            raise InputError(f"the scoring model must be of inputs {tuple(x.shape[1:])} as the run's are, found {self._model.image_shape}")
        labels = torch.full((len(x),), unit["class_index"])
        errors = denoising_errors(self._model, self._checkpoint.state["objective"], x, labels, self._config)
        facts = {
            "kind": "denoising",
            "hard": HARD_END["denoising"],
            "settings": self._config.model_dump(mode="json", exclude={"checkpoint"}),
            "times": score_times(self._config),
            "weights_sha256": self._checkpoint.state["files"][self._config.weights]["sha256"],
        }
        image_ids = [image["image_id"] for image in unit["images"]]
        scores = ClassDifficulties(unit["class_name"], unit["class_index"], image_ids, errors.numpy(), facts)
        write_class_difficulties(self._store, unit["directory"], scores, fingerprint=unit["fingerprint"])
        return {"size": len(image_ids)}

    def _latents(self, unit: dict[str, Any]) -> torch.Tensor:
        source = Representation(self._store, unit["latents"], "jobs.score")
        facts = source.metadata(unit["class_name"])
        images = [(image["image_id"], image["sha256"]) for image in unit["images"]]
        mean = source.read(unit["class_name"], images, ("mean",), mirrored=False)["mean"][:, 0]
        return (torch.from_numpy(mean).float() - facts["shift_factor"]) * facts["scaling_factor"]

    def _pixels(self, unit: dict[str, Any]) -> torch.Tensor:
        from otcondense.datasets import SourceConfig

        wanted = [WantedImage(image["image_id"], unit["class_index"], image["path"], image["sha256"]) for image in unit["images"]]
        return to_unit_range(torch.from_numpy(load_images(wanted, SourceConfig(**unit["source"]), tuple(unit["shape"])).images))


def _denoising(run: Run, classes: dict[str, list[ImageRecord]]) -> int:
    units = denoising_units(run, sorted(classes))
    open_units = [
        unit for unit in units if read_fingerprint(run.store, class_file(unit["directory"], unit["class_name"])) != unit["fingerprint"]
    ]
    if not open_units:
        return len(units)
    if open_units[0]["latents"]:
        extract_images(run, "latents", latents_of_all(run))
    pool, config = run.config.samplers, run.config.scores.denoising
    start_ray()

    def make_actor() -> Any:
        device = "cuda" if pool.num_gpus else "cpu"
        arguments = (run.store.root, scoring_checkpoint(run), config.model_dump(mode="json"), device)
        return ray.remote(Scorer).options(num_cpus=pool.num_cpus, num_gpus=pool.num_gpus).remote(*arguments)

    with Progress(run.store, "score", "score", "class") as progress:
        progress.follow([UnitProgress(name=unit["name"], class_name=unit["class_name"], size=len(unit["images"])) for unit in open_units])
        outcome = Pool(RayCrew(make_actor), pool).run(open_units, progress.change)
    refuse_failures(outcome, len(open_units), "classes of scores")
    return len(units) - len(open_units)


def scoring_checkpoint(run: Run) -> tuple[str, str]:
    """Return the root of the store that holds the scoring checkpoint, and its directory there.

    Raises: InputError if none is named.
    """
    place = run.config.scores.denoising.checkpoint
    if place is None:
        raise InputError("scores.denoising.checkpoint must name the checkpoint of the model that scores, found null")
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
    latents = representation_directory(run, "latents", latents_of_all(run)) if of_latents else None
    units = []
    for name in names:
        features = read_class_features(run.store, run.features_directory(run.config.encoder), name)
        images = [
            {"image_id": image_id, "path": path, "sha256": sha256}
            for image_id, path, sha256 in zip(
                features.image_ids, image_locations(run.config.source, features.image_ids), features.sha256, strict=True
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
                "fingerprint": fingerprint([run.scores_key("denoising"), weights, contents, latents or identity(run.config.pixels)]),
            }
        )
    return units


def main() -> None:
    """Score what the command line asks for."""
    parser = parser_for("score", __doc__)
    parser.add_argument(
        "--kind", choices=KINDS, required=True, help="denoising error of a frozen model (D2C), or area under the margin (CCS)"
    )

    def command(run: Run, options: argparse.Namespace) -> None:
        score(run, options.kind)

    run_verb(parser, command)


if __name__ == "__main__":
    main()
