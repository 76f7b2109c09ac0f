"""Measure the samples of every checkpoint, and every subset itself, against held-out images: `python -m jobs.evaluate`."""

from dataclasses import dataclass
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
from otcondense.diffusion.samples import read_samples
from otcondense.encoders import Encoder, EncoderOutput, load_encoder, weights_sha256
from otcondense.evaluation import evaluate_images, subset_quality
from otcondense.store import fingerprint, sha256_bytes
from pipeline.images import load_images, record_images

METRICS = ("frechet_distance", "fid", "inception_score", "precision", "recall", "coverage", "copy_share")


@dataclass(frozen=True)
class Judge:
    """The evaluating network as `otcondense.evaluation` asks for it: 8-bit images in, features and logits out."""

    name: str
    weights_sha256: str
    encoder: Encoder

    def __call__(self, images: Tensor) -> EncoderOutput:
        return self.encoder.encode_pixels(images)


@dataclass(frozen=True)
class Evaluation:
    """What all measurements of a run share, loaded when the first of them needs it."""

    run: Run

    @cached_property
    def judge(self) -> Judge:
        """The evaluating network."""
        config = self.run.config.judge_or_encoder
        return Judge(config.name, weights_sha256(config), load_encoder(config))

    @cached_property
    def held_out(self) -> Tensor:
        """The held-out images, [n, c, h, w] uint8."""
        source = self.run.config.held_out
        assert source is not None
        loaded = load_images(record_images(list_images(source)), source, self.run.config.pixels.shape)
        return torch.from_numpy(loaded.images)

    @cached_property
    def held_out_features(self) -> Tensor:
        """The judge's features of the held-out images, [n, d]."""
        return self.judge(self.held_out).features

    @cached_property
    def inputs(self) -> list[Any]:
        """What every figure depends on beside the samples."""
        config, source = self.run.config, self.run.config.held_out
        assert source is not None
        held_out = [identity(source), records_identity(list_images(source))]
        return [held_out, weights_sha256(config.judge_or_encoder), identity(config.judge_or_encoder), identity(config.evaluation)]


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
    images, _ = read_images(run.store, run.images_file(method))
    features = evaluation.judge(torch.from_numpy(images)).features
    quality = subset_quality(features, evaluation.held_out_features, run.config.evaluation.neighbours)
    run.store.write_json(name, {"fingerprint": expected, "values": quality, "encoder": evaluation.judge.name})
    return True


def _samples_job(evaluation: Evaluation, name: str, model: str, method: str, step: int) -> bool:
    run = evaluation.run
    samples, _ = read_samples(run.store, run.samples_directory(model, method, step), run.config.models[model].sampling.num_samples)
    training, _ = read_images(run.store, run.images_file(method))
    expected = fingerprint([evaluation.inputs, _digest(samples), _digest(training)])
    if _stored(run, name, expected) is not None:
        return False
    metrics = evaluate_images(
        torch.from_numpy(samples), evaluation.held_out, evaluation.judge, run.config.evaluation, training=torch.from_numpy(training)
    )
    run.store.write_json(name, {"fingerprint": expected, **metrics.record()})
    return True


def _digest(images: np.ndarray) -> str:
    return sha256_bytes(np.ascontiguousarray(images).tobytes())


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
        figures = "".join(f"{row['values'][name]:>17.3f}" for name in METRICS)
        print(f"{row['model']:<8}{row['method']:<18}{row['step']:>7}{figures}")


if __name__ == "__main__":
    main("evaluate", __doc__, evaluate)
