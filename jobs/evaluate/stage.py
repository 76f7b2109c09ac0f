"""Measure the samples of every checkpoint, and every subset itself, against held-out images: `python -m jobs.evaluate`."""

import hashlib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from jobs.command.progress import Progress, note
from jobs.judging.views import Evaluation
from jobs.run_directory.run import Run
from jobs.run_directory.stages import EVALUATION_BAR
from otcondense.diffusion.samples import iterate_samples
from otcondense.errors import InputError
from otcondense.evaluation import (
    AdmSamples,
    EncodedImages,
    adm_metrics,
    class_frechet_distances,
    evaluate_encoded,
    further_metrics,
    read_reference,
    subset_quality,
)
from otcondense.store import fingerprint

METRICS = (
    "frechet_distance",
    "fid",
    "inception_score",
    "precision",
    "recall",
    "coverage",
    "copy_share",
)


def evaluate(run: Run) -> None:
    """Measure each subset, then the samples of each checkpoint."""
    if run.config.held_out is None:
        note("evaluate", "no held_out images are configured, nothing is measured")
        return
    evaluation = Evaluation(run)
    methods = {method for _, method in run.trainings()}
    jobs = [
        (subset_quality_file(run, method), _subset_job, (method,))
        for method in run.config.selection.methods
        if method in methods
    ]
    jobs += [(run.metrics_file(*each), _samples_job, each) for each in run.checkpoints()]
    finished = 0
    with Progress(run.store, *EVALUATION_BAR) as progress:
        for done, (name, job, arguments) in enumerate(jobs):
            progress.show(done, len(jobs))
            finished += not job(evaluation, name, *arguments)
        progress.show(len(jobs), len(jobs))
    note("evaluate", f"{len(jobs)} sets of images, {finished} of them finished before")


def subset_quality_file(run: Run, method: str) -> str:
    """Return the name of the figures of one subset itself."""
    return f"{run.selection_directory(method)}/quality-{fingerprint(run.features_key(run.config.judge_or_encoder))[:8]}.json"


def _subset_job(evaluation: Evaluation, name: str, method: str) -> bool:
    run = evaluation.run
    expected = fingerprint([evaluation.inputs, run.manifest_fingerprint(method)])
    if _stored(run, name, expected) is not None:
        return False
    neighbours = evaluation.settings.neighbours
    quality = subset_quality(
        evaluation.judge.training(method).features, evaluation.judge.held_out.features, neighbours
    )
    for judge, view in evaluation.further.items():
        further = subset_quality(view.training(method).features, view.held_out.features, neighbours)
        quality |= {
            f"{judge}.{key}": value for key, value in further.items() if not key.startswith("num_")
        }
    run.store.write_json(
        name, {"fingerprint": expected, "values": quality, "encoder": evaluation.judge.network.name}
    )
    return True


def _samples_job(evaluation: Evaluation, name: str, model: str, method: str, step: int) -> bool:
    run, judge = evaluation.run, evaluation.judge
    count, directory = (
        run.config.models[model].sampling.num_samples,
        run.samples_directory(model, method, step),
    )
    expected = fingerprint(
        [
            evaluation.inputs,
            _digest(iterate_samples(run.store, directory, count)),
            run.manifest_fingerprint(method),
        ]
    )
    if _stored(run, name, expected) is not None:
        return False
    samples, labels = judge.encode(_pixels(run, directory, count)), _classes(run, directory, count)
    metrics = evaluate_encoded(
        samples, judge.held_out, judge.network, evaluation.settings, training=judge.training(method)
    )
    if evaluation.settings.reference is not None:
        metrics.values.update(_adm_metrics(evaluation, samples))
    for other, view in evaluation.further.items():
        further = further_metrics(
            view.encode(_pixels(run, directory, count)).features,
            view.held_out.features,
            evaluation.settings.neighbours,
        )
        metrics.values.update({f"{other}.{key}": value for key, value in further.items()})
    distances = class_frechet_distances(
        samples.features, labels, judge.held_out.features, evaluation.images.classes
    )
    by_class = {
        evaluation.images.class_names[label]: float(f"{value:.9g}")
        for label, value in distances.items()
    }
    run.store.write_json(
        name, {"fingerprint": expected, **metrics.record(), "class_frechet_distance": by_class}
    )
    return True


def _pixels(run: Run, directory: str, count: int) -> Iterable[torch.Tensor]:
    return (torch.from_numpy(images) for images, _ in iterate_samples(run.store, directory, count))


def _classes(run: Run, directory: str, count: int) -> np.ndarray:
    return np.concatenate([labels for _, labels in iterate_samples(run.store, directory, count)])


def _adm_metrics(evaluation: Evaluation, samples: EncodedImages) -> dict[str, float]:
    settings = evaluation.settings
    assert settings.reference is not None
    assert samples.logits is not None
    found = AdmSamples(samples.features, samples.logits, samples.spatial)
    return adm_metrics(
        found,
        read_reference(settings.reference),
        evaluation.reference_images,
        half=settings.reference_half,
    )


def _digest(parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> str:
    digest = hashlib.sha256()
    for images, _ in parts:
        digest.update(np.ascontiguousarray(images).tobytes())
    return digest.hexdigest()


def _stored(run: Run, name: str, expected: str | None = None) -> dict[str, Any] | None:
    """Return the figures stored under `name`, None if they are not there, damaged, or were made from something else."""
    if not run.store.exists(name):
        return None
    try:
        record = run.store.read_json(name)
    except InputError:  # damaged, which is mended by measuring again
        return None
    return record if expected in (None, record["fingerprint"]) else None


def read_metrics(run: Run) -> list[dict[str, Any]]:
    """Return the stored figures of every checkpoint with its model, method and step."""
    rows = []
    for model, method, step in run.checkpoints():
        record = _stored(run, run.metrics_file(model, method, step))
        if record is not None:
            rows.append({"model": model, "method": method, "step": step, **record})
    return rows


def read_subset_quality(run: Run) -> dict[str, dict[str, float]]:
    """Return the stored figures of every subset itself, by method."""
    records = {
        method: _stored(run, subset_quality_file(run, method))
        for method in run.config.selection.methods
    }
    return {method: record["values"] for method, record in records.items() if record is not None}


def print_table(run: Run) -> None:
    """Print method × metric, a row for each checkpoint."""
    rows = read_metrics(run)
    if not rows:
        return
    print(
        "\n"
        + f"{'model':<8}{'method':<18}{'steps':>7}"
        + "".join(f"{name:>17}" for name in METRICS)
    )
    for row in rows:
        figures = "".join(f"{row['values'].get(name, math.nan):>17.3f}" for name in METRICS)
        print(f"{row['model']:<8}{row['method']:<18}{row['step']:>7}{figures}")
