"""Time of the evaluation: images, samples and held-out images encoded, then metrics."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from otcondense.forecast import measured
from otcondense.forecast.encoding import Images, Network
from otcondense.forecast.hardware import GIGA, Hardware
from otcondense.forecast.stages import Stage, Term, Workers, beside


@dataclass(frozen=True)
class EvaluationWork:
    """The sets of images that are measured."""

    title: str
    images: Images
    """Held-out and chosen images."""
    held_out: int
    """Images that each set of samples is compared with."""
    samples: Sequence[int]
    """Samples of each checkpoint."""
    sample_bytes: int
    """One stored sample."""
    networks: Sequence[Network]
    """The judges, each of which encodes everything."""


def metrics_seconds(hardware: Hardware, samples: int, held_out: int, *, on_gpu: bool) -> float:
    """Return the time of all metrics of one checkpoint: it grows with the pairs of images.

    On a GPU they are one task. On cores, the measured time on two is divided among at most as many
    cores as the machine has.
    """
    if on_gpu:
        known = hardware.metrics_seconds
    else:
        known = sum(measured.CPU_METRICS_SECONDS) * measured.CPU_CORES / hardware.cores
    return known * samples * held_out / measured.METRICS_IMAGES**2


def evaluation_stage(work: EvaluationWork, hardware: Hardware, workers: Workers) -> Stage:
    """Return the time of the evaluation; checkpoints are measured one after another."""
    samples = sum(work.samples)
    count = work.images.count + samples
    rates = [network.images_per_s(hardware, workers) for network in work.networks]
    encoding = Term("encoding", math.fsum(count / rate for rate in rates))
    decoding = Term("decoding", len(rates) * work.images.decoding(hardware, workers))
    stored = samples * work.sample_bytes / (hardware.storage_gb_per_s * GIGA)
    reading = Term("reading", len(rates) * (work.images.reading(hardware) + stored))
    first = beside(reading, decoding, encoding) if workers.on_gpus else (decoding, encoding)
    metrics = math.fsum(
        metrics_seconds(hardware, each, work.held_out, on_gpu=workers.on_gpus)
        for each in work.samples
    )
    terms = (*first, Term("metrics", len(rates) * metrics))
    return Stage("evaluate", work.title, terms, workers)
