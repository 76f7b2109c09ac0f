"""Time and memory of an extraction, from the listing of the source and a timed sample of images."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from otcondense.datasets import ImageRecord, SourceConfig, scan_images
from otcondense.datasets.readings import readings
from otcondense.encoders import Encoder, EncoderConfig, load_encoder
from otcondense.encoders.encoder import build_model
from otcondense.threads import one_thread
from pipeline.extraction_config import ExtractionConfig
from pipeline.feature_work import feature_transform
from pipeline.images import BATCHES_AHEAD, decode, stacked
from pipeline.resources import plan_resources
from pipeline.shards import plan_shards

SAMPLE = 32
"""Images that are decoded and encoded for the forecast."""
FLOAT32_BYTES = 4
FLOAT16_BYTES = 2
OTHER_COLUMNS_BYTES = 100
"""Approximate bytes of the id, the hash and the sizes of one image in a feature file."""
IMAGE_BYTES = 2**26
"""Memory for one decoded image of usual size while it is scaled."""
INPUT_BYTES = 5
"""Bytes of one value of an encoder's input: one as an 8-bit number and four as a float."""


@dataclass(frozen=True)
class ExtractionForecast:
    """Forecast of an extraction with one encoder on this machine."""

    num_images: int
    num_classes: int
    source_bytes: int
    num_batches: int
    decoded_bytes: int
    """Approximate memory of the decoded images of a worker."""
    encoder_bytes: int
    """Memory of an encoder's weights and inputs, without the network's activations."""
    stored_bytes: int
    """Size of the feature files, before compression."""
    unreadable: int
    """Images of the sample that cannot be used."""
    sampled: int
    decode_seconds: float
    """Seconds to read and decode one image in one process."""
    encode_seconds: float
    """Seconds to encode one batch in one process."""
    seconds: float
    """Seconds of the whole extraction, without starting Ray and loading the model."""


@dataclass(frozen=True)
class _BatchTiming:
    """Cost of encoding one batch."""

    seconds: float
    stored_bytes_per_image: int


def forecast_extraction(
    source: SourceConfig, encoder: EncoderConfig, config: ExtractionConfig
) -> ExtractionForecast:
    """Return the time and memory that extracting the features of a source will take.

    Nothing is written.

    Raises: InputError as the extraction does, for a source or an encoder that cannot be used.
    """
    listing = scan_images(source)
    shards = plan_shards(listing, encoder.batch_size)
    num_batches = sum(-(-(each.stop - each.start) // encoder.batch_size) for each in shards)

    sample = _evenly(listing.records, SAMPLE)
    transform = feature_transform(encoder, source.max_pixels)
    started = time.perf_counter()
    decoded = [decode(read, transform) for read in readings(each.path for each in sample)]
    decode_seconds = (time.perf_counter() - started) / len(sample)

    model = _load(encoder)
    shape = encoder.input_spec().shape
    size = encoder.batch_size
    batch = _time_batch(model, stacked(decoded[:size], size, shape))

    input_values = size * int(np.prod(shape))
    return ExtractionForecast(
        num_images=len(listing),
        num_classes=len(listing.names),
        source_bytes=int(listing.numbers("size_bytes").sum()),
        num_batches=num_batches,
        decoded_bytes=(BATCHES_AHEAD + 2) * input_values + IMAGE_BYTES,
        encoder_bytes=_weights_bytes(model) + INPUT_BYTES * input_values,
        stored_bytes=len(listing) * batch.stored_bytes_per_image,
        unreadable=sum(image.reason is not None for image in decoded),
        sampled=len(sample),
        decode_seconds=decode_seconds,
        encode_seconds=batch.seconds,
        seconds=_total(decode_seconds * len(listing), batch.seconds * num_batches, config),
    )


def _evenly(records: Sequence[ImageRecord], count: int) -> list[ImageRecord]:
    """Return at most `count` records, evenly spread over the list."""
    rows = np.linspace(0, len(records) - 1, min(count, len(records))).astype(int)
    return [records[row] for row in np.unique(rows).tolist()]


def _load(encoder: EncoderConfig) -> Encoder:
    """Load the encoder; an untrained one gets random weights, which take the same time."""
    if encoder.train is not None:
        return Encoder(encoder, build_model(encoder), encoder.input_spec())
    return load_encoder(encoder)


def _weights_bytes(model: Encoder) -> int:
    tensors = model.model.state_dict().values()
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _time_batch(model: Encoder, images: torch.Tensor) -> _BatchTiming:
    """Time one batch, after one that warms up."""
    with one_thread():
        model.encode_inputs(images)
        started = time.perf_counter()
        output = model.encode_inputs(images)
        features = output.features.cpu()  # waits for a GPU
        seconds = time.perf_counter() - started
    stored = FLOAT32_BYTES * features.shape[1] + OTHER_COLUMNS_BYTES
    if output.logits is not None:
        stored += FLOAT16_BYTES * output.logits.shape[1]
    return _BatchTiming(seconds, stored)


def _total(decoding: float, encoding: float, config: ExtractionConfig) -> float:
    """Return the seconds of the whole work on this machine.

    Each worker decodes and encodes at the same time, so all its CPUs share the work.
    """
    if not config.uses_cluster:
        return decoding + encoding
    cpus = max(2, os.cpu_count() or 2)
    workers = plan_resources(config, [{"CPU": cpus}], uses_gpu=False)
    together = (decoding + encoding) / (workers.encoders * workers.cpus)
    return max(together, encoding / workers.encoders)
