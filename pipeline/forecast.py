"""What `--dry-run` times and counts of an extraction: a few images, and the memory of a worker."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from otcondense.datasets import ImageRecord, Listing
from otcondense.datasets.readings import readings
from otcondense.encoders import Encoder, EncoderConfig
from otcondense.encoders.arithmetic import EncoderSize, encoder_size
from otcondense.encoders.encoder import build_model, load_weights, weights_file
from otcondense.threads import one_thread
from pipeline.feature_work import feature_transform
from pipeline.images import BATCHES_AHEAD, Decoded, Transform, decode

SAMPLE = 32
"""Images that are decoded, at most."""
DECODE_SECONDS = 2.0
"""Time for decoding them; at least one in each timing."""
ENCODE_SECONDS = 1.5
"""Time for encoding, after one batch that warms up."""
TIMINGS = 3
"""Timings that share these times; their median counts, so that one disturbance does not."""
TIMED_FLOPS = 2e10
"""Arithmetic of a timed batch: half a second of a slow core. Small networks get whole batches."""
FLOAT32_BYTES = 4
FLOAT16_BYTES = 2
OTHER_COLUMNS_BYTES = 100
"""Approximate bytes of the id, the hash and the sizes of one image in a feature file."""
IMAGE_BYTES = 2**26
"""Memory for one decoded image of usual size while it is scaled."""
INPUT_BYTES = 5
"""Bytes of one value of an encoder's input: one as an 8-bit number and four as a float."""


@dataclass(frozen=True)
class DecodedSample:
    """Images of a source, read and decoded in one thread."""

    seconds: float
    """Time of one image: median of the means of `TIMINGS` parts of the sample."""
    count: int
    unreadable: int
    """Images of the sample that cannot be used."""


@dataclass(frozen=True)
class WorkerMemory:
    """Memory of a worker of an extraction, in bytes."""

    encoder: int
    """Weights and inputs, without the network's activations."""
    decoded: int
    """Decoded images that wait, approximately."""


def decode_sample(listing: Listing, encoder: EncoderConfig, max_pixels: int) -> DecodedSample:
    """Read and decode images that are spread evenly over a source.

    Raises: InputError if there is no such network.
    """
    transform = feature_transform(encoder, max_pixels)
    records = _evenly(listing.records, SAMPLE)
    parts = [records[first::TIMINGS] for first in range(min(TIMINGS, len(records)))]
    samples = [_decoded(part, transform) for part in parts]
    return DecodedSample(
        statistics.median(each.seconds for each in samples),
        sum(each.count for each in samples),
        sum(each.unreadable for each in samples),
    )


def _decoded(records: Sequence[ImageRecord], transform: Transform) -> DecodedSample:
    """Read and decode images until the time of one timing is over."""
    decoded: list[Decoded] = []
    started = time.perf_counter()
    for read in readings(each.path for each in records):
        decoded.append(decode(read, transform))
        if time.perf_counter() - started > DECODE_SECONDS / TIMINGS:
            break
    seconds = (time.perf_counter() - started) / len(decoded)
    unreadable = sum(image.reason is not None for image in decoded)
    return DecodedSample(seconds, len(decoded), unreadable)


def _evenly(records: Sequence[ImageRecord], count: int) -> list[ImageRecord]:
    """Return at most `count` records, evenly spread over the list."""
    rows = np.linspace(0, len(records) - 1, min(count, len(records))).astype(int)
    return [records[row] for row in np.unique(rows).tolist()]


def check_weights(encoder: EncoderConfig) -> None:
    """Check that a file of weights is there; weights that the run trains come later.

    Raises: InputError if it is not.
    """
    if encoder.weights_file is not None and encoder.train is None:
        weights_file(encoder.weights_file)


def encode_seconds(encoder: EncoderConfig) -> float:
    """Return the time of one image in one thread of this machine's CPU.

    Weights are loaded from a file only; others are random, which takes the same time.

    Raises: InputError if there is no such network, or the file does not fit it.
    """
    network = build_model(encoder)
    if encoder.weights_file is not None and encoder.train is None:
        load_weights(network, weights_file(encoder.weights_file), encoder)
    on_cpu = encoder.model_copy(update={"device": "cpu"})
    model = Encoder(on_cpu, network, encoder.input_spec())
    images = max(1, min(encoder.batch_size, int(TIMED_FLOPS / encoder_size(encoder).flops)))
    batch = torch.zeros(images, *model.spec.shape, dtype=torch.uint8)
    with one_thread():
        model.encode_inputs(batch)
        return statistics.median(_repeated(model, batch) for _ in range(TIMINGS)) / images


def _repeated(model: Encoder, batch: torch.Tensor) -> float:
    """Return the mean time of one batch."""
    started = time.perf_counter()
    count = 0
    while count == 0 or time.perf_counter() - started < ENCODE_SECONDS / TIMINGS:
        model.encode_inputs(batch)
        count += 1
    return (time.perf_counter() - started) / count


def stored_bytes(size: EncoderSize) -> int:
    """Return the bytes of one image in the feature files, before compression."""
    columns = FLOAT32_BYTES * size.width + FLOAT16_BYTES * size.classes
    return columns + OTHER_COLUMNS_BYTES


def worker_memory(encoder: EncoderConfig) -> WorkerMemory:
    """Return the memory of a worker.

    Raises: InputError if there is no such network.
    """
    values = encoder.batch_size * int(np.prod(encoder.input_spec().shape))
    weights = FLOAT32_BYTES * encoder_size(encoder).parameters
    return WorkerMemory(weights + INPUT_BYTES * values, (BATCHES_AHEAD + 2) * values + IMAGE_BYTES)
