"""Score the difficulty of each image: `otcondense score --kind denoising|aum`."""

import numpy as np
import ray
import torch
from jaxtyping import Float

from actors.here import device_here, run_here
from actors.pool import Pool, refuse_failures
from actors.scorer import Scorer, ScoreUnit
from actors.workers import RayBackend
from jobs.cluster.sizing import PoolWork, sized_pool
from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.command.wording import earlier_part
from jobs.representations.extract import extract_images, extract_pixels
from jobs.run_directory.bars import SCORE_BAR
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from jobs.work_units.scores import denoising_units, margins_fingerprint, scoring_checkpoint
from otcondense.counts import counted
from otcondense.datasets import order_classes
from otcondense.encoders.margins import area_under_margin
from otcondense.errors import InputError
from otcondense.store import (
    ClassDifficulties,
    ClassFeatures,
    UnitProgress,
    class_file,
    read_fingerprint,
    write_class_difficulties,
)
from otcondense.store.score_kinds import HARD_END, ScoreKind
from otcondense.threads import one_thread_on

UNITS = "classes of scores"
"""What failed, in messages."""
MIN_CLASSES = 2
"""A margin is the distance between the score of the own class and that of another."""


def score_difficulty(run: Run) -> None:
    """Compute every kind of score that the methods of the run use."""
    for kind in run.config.selection.score_kinds():
        score(run, kind)


def score(run: Run, kind: ScoreKind) -> None:
    """Score every image that has features.

    Raises: InputError if features or the scoring checkpoint are missing.
    """
    names = order_classes(run_listing(run).names)
    scored = _score_denoising if kind == "denoising" else _score_margins
    finished = scored(run, names)
    place = run.scores_directory(kind)
    ending = earlier_part(finished, len(names), "class")
    note(f"score {kind}", f"{counted(len(names), 'class')} in {place}{ending}")


def _score_margins(run: Run, names: list[str]) -> int:
    """Train one small classifier on all features, in this process.

    Returns: the number of classes that were already finished.
    """
    directory = run.scores_directory("aum")
    expected = margins_fingerprint(run, names)
    stored = [read_fingerprint(run.store, class_file(directory, name)) for name in names]
    if all(each == expected for each in stored):
        return len(names)
    if len(names) < MIN_CLASSES:
        raise InputError(f"margins need at least {MIN_CLASSES} classes, found {len(names)}")

    view = run.features_view()
    classes = [view.read(run.store, name) for name in names]
    margins = _margins(run, classes)

    settings = run.config.scores.aum.model_dump(mode="json")
    facts = {"kind": "aum", "hard": HARD_END["aum"], "settings": settings}
    for each, values in zip(classes, margins, strict=True):
        scores = ClassDifficulties(each.class_name, each.class_index, each.image_ids, values, facts)
        write_class_difficulties(run.store, directory, scores, fingerprint=expected)
    return 0


def _margins(run: Run, classes: list[ClassFeatures]) -> list[Float[np.ndarray, " n"]]:
    """Return the margins of the images of each class."""
    sizes = [each.size for each in classes]
    rows = torch.from_numpy(np.concatenate([each.features for each in classes]))
    labels = torch.repeat_interleave(torch.arange(len(classes)), torch.tensor(sizes))
    with one_thread_on("cpu"):
        values = area_under_margin(rows, labels, len(classes), run.config.scores.aum).numpy()
    return np.split(values, np.cumsum(sizes)[:-1])


def _score_denoising(run: Run, names: list[str]) -> int:
    """Score with a pool of actors.

    Returns: the number of classes that were already finished.
    """
    units = denoising_units(run, names)
    open_units = [unit for unit in units if not _is_done(run, unit)]
    with Progress(run.store, *SCORE_BAR) as progress:
        if open_units:
            if open_units[0].of_latents:
                extract_images(run, "latents", run.latents_of_all())
            else:
                extract_pixels(run)
            _run_pool(run, open_units, progress)
        else:
            progress.show(len(units), len(units))
    return len(units) - len(open_units)


def _is_done(run: Run, unit: ScoreUnit) -> bool:
    stored = read_fingerprint(run.store, class_file(unit.directory, unit.class_name))
    return stored == unit.fingerprint


def _run_pool(run: Run, units: list[ScoreUnit], progress: Progress) -> None:
    checkpoint = scoring_checkpoint(run)
    progress.follow(
        [UnitProgress(name=unit.name, class_name=unit.class_name, size=unit.size) for unit in units]
    )
    denoising = run.config.scores.denoising
    if run.config.samplers.num_actors == 0:
        device = device_here(run.config.samplers)
        worker = Scorer(run.store.root, checkpoint, denoising, device)
        refuse_failures(run_here(worker, units, progress.change), len(units), UNITS)
        return
    start_ray()
    work = PoolWork("score", len(units), uses_gpu=True)
    pool = sized_pool(run.config.samplers, run.config.cluster, work)
    device = "cuda" if pool.num_gpus else "cpu"
    backend = RayBackend.of(ray.remote(Scorer), pool, run.store.root, checkpoint, denoising, device)
    outcome = Pool(backend, pool).run(units, progress.change)
    refuse_failures(outcome, len(units), UNITS)
