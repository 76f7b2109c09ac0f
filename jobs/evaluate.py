"""Measure the samples of every checkpoint, and every subset itself, against held-out images: `python -m jobs.evaluate`."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from jobs.cli import main
from jobs.progress import Progress, note
from jobs.run_directory import Run, identity
from jobs.train import write_training_images
from otcondense.datasets import list_images, records_identity
from otcondense.diffusion.images import read_images
from otcondense.diffusion.samples import iterate_samples
from otcondense.encoders import load_encoder, weights_sha256
from otcondense.evaluation import (
    METRICS_VERSION,
    AdmSamples,
    EncodedImages,
    EvaluationConfig,
    ImageEncoder,
    Inception,
    NamedEncoder,
    adm_metrics,
    encode_images,
    evaluate_encoded,
    npz_images,
    read_reference,
    subset_quality,
)
from otcondense.store import fingerprint, sha256_bytes
from pipeline.images import WantedImage, load_images, record_images

PART = 512
"""Held-out images that are in memory at a time."""
METRICS = ("frechet_distance", "fid", "inception_score", "precision", "recall", "coverage", "copy_share")


@dataclass(frozen=True)
class Evaluation:
    """What all measurements of a run share, made when the first of them needs it; images are never in memory as a whole."""

    run: Run
    _training: dict[str, EncodedImages] = field(default_factory=dict)

    @cached_property
    def judge(self) -> ImageEncoder:
        """The evaluating network."""
        config = self.run.config.judge_or_encoder
        if self.settings.network == "inception":
            return Inception(self.settings.inception_weights, config.device)
        return NamedEncoder(config.name, weights_sha256(config), load_encoder(config).encode_pixels)

    @property
    def settings(self) -> EvaluationConfig:
        """Settings of the metrics."""
        return self.run.config.evaluation

    @cached_property
    def held_out_images(self) -> list[WantedImage]:
        """The held-out images and where they are."""
        source = self.run.config.held_out
        assert source is not None
        return record_images(list_images(source))

    @cached_property
    def held_out(self) -> EncodedImages:
        """The network's answer to the held-out images."""
        return self.encode(self.load(self.held_out_images[start : start + PART]) for start in range(0, len(self.held_out_images), PART))

    @cached_property
    def reference_images(self) -> Tensor | None:
        """Features of the images in ADM's reference file."""
        path = self.settings.reference
        return None if path is None else self.encode(npz_images(path)).features

    @cached_property
    def inputs(self) -> list[Any]:
        """What every figure depends on beside the samples."""
        config, source = self.run.config, self.run.config.held_out
        assert source is not None
        held_out = [identity(source), records_identity(list_images(source))]
        judge = identity(config.judge_or_encoder)
        return [METRICS_VERSION, held_out, self.weights, judge, identity(self.settings), self.reference_sha256]

    @property
    def weights(self) -> str:
        """SHA-256 of the network's weights."""
        return self.judge.weights_sha256 if self.settings.network == "inception" else weights_sha256(self.run.config.judge_or_encoder)

    @property
    def reference_sha256(self) -> str | None:
        """SHA-256 of the statistics in ADM's reference file."""
        if self.settings.reference is None:
            return None
        pool = read_reference(self.settings.reference).pool
        return sha256_bytes(pool.mean.numpy().tobytes() + pool.covariance.numpy().tobytes())

    def load(self, wanted: list[WantedImage]) -> Tensor:
        """Return held-out images as pixels of the samples' size, [n, c, h, w] uint8."""
        source = self.run.config.held_out
        assert source is not None
        return torch.from_numpy(load_images(wanted, source, self.run.config.pixels.shape).images)

    def training(self, method: str) -> EncodedImages:
        """Return the network's answer to the images that a method chose."""
        if method not in self._training:
            images, _ = read_images(self.run.store, self.run.images_file(method))
            self._training[method] = self.encode([torch.from_numpy(images)])
        return self._training[method]

    def encode(self, parts: Iterable[Tensor]) -> EncodedImages:
        """Run the network over a stream of images."""
        return encode_images(parts, self.judge, self.settings.batch_size)


def evaluate(run: Run) -> None:
    """Measure each subset, then the samples of each checkpoint."""
    if run.config.held_out is None:
        note("evaluate", "no held_out images are configured, nothing is measured")
        return
    evaluation = Evaluation(run)
    methods = {method for _, method in run.trainings()}
    for method in methods:
        write_training_images(run, method)  # a model of latents has not needed them
    jobs = [(subset_quality_file(run, method), _subset_job, (method,)) for method in run.config.selection.methods if method in methods]
    jobs += [(run.metrics_file(*each), _samples_job, each) for each in run.checkpoints()]
    finished = 0
    with Progress(run.store, "evaluate", "evaluate", "set") as progress:
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
    quality = subset_quality(evaluation.training(method).features, evaluation.held_out.features, run.config.evaluation.neighbours)
    run.store.write_json(name, {"fingerprint": expected, "values": quality, "encoder": evaluation.judge.name})
    return True


def _samples_job(evaluation: Evaluation, name: str, model: str, method: str, step: int) -> bool:
    run = evaluation.run
    count, directory = run.config.models[model].sampling.num_samples, run.samples_directory(model, method, step)
    expected = fingerprint([evaluation.inputs, _digest(iterate_samples(run.store, directory, count)), run.manifest_fingerprint(method)])
    if _stored(run, name, expected) is not None:
        return False
    samples = evaluation.encode(torch.from_numpy(images) for images, _ in iterate_samples(run.store, directory, count))
    metrics = evaluate_encoded(samples, evaluation.held_out, evaluation.judge, evaluation.settings, training=evaluation.training(method))
    if evaluation.settings.reference is not None:
        metrics.values.update(_adm_metrics(evaluation, samples))
    run.store.write_json(name, {"fingerprint": expected, **metrics.record()})
    return True


def _adm_metrics(evaluation: Evaluation, samples: EncodedImages) -> dict[str, float]:
    settings = evaluation.settings
    assert settings.reference is not None
    assert samples.logits is not None
    found = AdmSamples(samples.features, samples.logits, samples.spatial)
    return adm_metrics(found, read_reference(settings.reference), evaluation.reference_images, half=settings.reference_half)


def _digest(parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> str:
    digest = hashlib.sha256()
    for images, _ in parts:
        digest.update(np.ascontiguousarray(images).tobytes())
    return digest.hexdigest()


def _stored(run: Run, name: str, expected: str | None = None) -> dict[str, Any] | None:
    """Return the figures stored under `name`, None if they are not there or were made from something else."""
    if not run.store.exists(name):
        return None
    record = dict(run.store.read_json(name))
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
    records = {method: _stored(run, subset_quality_file(run, method)) for method in run.config.selection.methods}
    return {method: record["values"] for method, record in records.items() if record is not None}


def print_table(run: Run) -> None:
    """Print method × metric, a row for each checkpoint."""
    rows = read_metrics(run)
    if not rows:
        return
    print("\n" + f"{'model':<8}{'method':<18}{'steps':>7}" + "".join(f"{name:>17}" for name in METRICS))
    for row in rows:
        figures = "".join(f"{row['values'].get(name, math.nan):>17.3f}" for name in METRICS)
        print(f"{row['model']:<8}{row['method']:<18}{row['step']:>7}{figures}")


if __name__ == "__main__":
    main("evaluate", __doc__, evaluate)
