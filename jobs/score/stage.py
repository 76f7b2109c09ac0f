"""Score how hard each image is, for the methods that select by it: `python -m jobs.score --kind denoising|aum`."""

from typing import Any

import numpy as np
import ray
import torch

from actors.crew import RayCrew
from actors.pool import Pool, refuse_failures
from actors.scorer import Scorer
from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.representations.extract import extract_images
from jobs.run_directory.run import Run
from jobs.run_directory.stages import SCORE_BAR
from jobs.work_units.scores import denoising_units, margins_fingerprint, scoring_checkpoint
from otcondense.datasets import ImageRecord, by_class, scan_images
from otcondense.encoders.margins import area_under_margin
from otcondense.errors import InputError
from otcondense.store import (
    ClassDifficulties,
    UnitProgress,
    class_file,
    read_class_features,
    read_fingerprint,
    write_class_difficulties,
)
from otcondense.store.difficulties import HARD_END, ScoreKind
from otcondense.threads import one_thread_on


def score_difficulty(run: Run) -> None:
    """Score every kind that the methods of the run use."""
    for kind in run.config.selection.score_kinds():
        score(run, kind)


def score(run: Run, kind: ScoreKind) -> None:
    """Score every image that has features.

    Raises: InputError if features or the scoring checkpoint are missing.
    """
    classes = by_class(scan_images(run.config.source).records)
    done = _denoising(run, classes) if kind == "denoising" else _margins(run, sorted(classes))
    note(
        f"score {kind}",
        f"{len(classes)} classes in {run.scores_directory(kind)}, {done} finished before",
    )


def _margins(run: Run, names: list[str]) -> int:
    """Train the classifier on all features at once; it is small."""
    config, directory = run.config.scores.aum, run.scores_directory("aum")
    features = run.features_directory(run.config.encoder)
    mark = margins_fingerprint(run, names)
    if all(read_fingerprint(run.store, class_file(directory, name)) == mark for name in names):
        return len(names)
    if len(names) < 2:
        raise InputError(f"margins need at least 2 classes, found {len(names)}")
    found = [read_class_features(run.store, features, name) for name in names]
    rows = torch.from_numpy(np.concatenate([each.features for each in found]))
    labels = torch.repeat_interleave(
        torch.arange(len(found)), torch.tensor([each.size for each in found])
    )
    with one_thread_on("cpu"):
        values = area_under_margin(rows, labels, len(found), config).numpy()
    for each, part in zip(
        found, np.split(values, np.cumsum([each.size for each in found])[:-1]), strict=True
    ):
        facts = {"kind": "aum", "hard": HARD_END["aum"], "settings": config.model_dump(mode="json")}
        scores = ClassDifficulties(each.class_name, each.class_index, each.image_ids, part, facts)
        write_class_difficulties(run.store, directory, scores, fingerprint=mark)
    return 0


def _denoising(run: Run, classes: dict[str, list[ImageRecord]]) -> int:
    units = denoising_units(run, sorted(classes))
    open_units = [
        unit
        for unit in units
        if read_fingerprint(run.store, class_file(unit["directory"], unit["class_name"]))
        != unit["fingerprint"]
    ]
    if not open_units:
        return len(units)
    if open_units[0]["latents"]:
        extract_images(run, "latents", run.latents_of_all())
    pool, config = run.config.samplers, run.config.scores.denoising
    start_ray()

    def make_actor() -> Any:
        device = "cuda" if pool.num_gpus else "cpu"
        arguments = (
            run.store.root,
            scoring_checkpoint(run),
            config.model_dump(mode="json"),
            device,
        )
        return (
            ray.remote(Scorer)
            .options(num_cpus=pool.num_cpus, num_gpus=pool.num_gpus)
            .remote(*arguments)
        )

    with Progress(run.store, *SCORE_BAR) as progress:
        progress.follow(
            [
                UnitProgress(
                    name=unit["name"], class_name=unit["class_name"], size=len(unit["images"])
                )
                for unit in open_units
            ]
        )
        outcome = Pool(RayCrew(make_actor), pool).run(open_units, progress.change)
    refuse_failures(outcome, len(open_units), "classes of scores")
    return len(units) - len(open_units)
