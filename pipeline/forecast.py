"""Time and memory of an extraction, from the listing of the source and a timed sample of images."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from otcondense.datasets import ImageRecord, SourceConfig, list_images
from otcondense.encoders import Encoder, EncoderConfig, load_encoder
from otcondense.encoders.encoder import build_model
from otcondense.threads import one_thread
from pipeline.chunks import DecodeConfig, decode_chunk, make_chunks, read_statuses
from pipeline.extraction_config import ExtractionConfig
from pipeline.stream import CHUNKS_PER_TASK

SAMPLE = 32
"""Images that are decoded and encoded for the forecast."""
FLOAT32_BYTES = 4
FLOAT16_BYTES = 2
OTHER_COLUMNS_BYTES = 100
"""Approximate bytes of the id, the hash and the sizes of one image in a feature file."""
INPUT_BYTES = 5
"""Bytes of one value of an encoder's input: one as an 8-bit number and four as a float."""


@dataclass(frozen=True)
class ExtractionForecast:
    """Forecast of an extraction with one encoder on this machine."""

    num_images: int
    num_classes: int
    source_bytes: int
    num_batches: int
    reader_bytes: int
    """Approximate memory of a decoding task."""
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
    records = list_images(source)
    _, sizes = np.unique([record.class_index for record in records], return_counts=True)
    num_batches = int(np.ceil(sizes / encoder.batch_size).sum())

    sample = _evenly(records, SAMPLE)
    decode = DecodeConfig(encoder.input_spec(), encoder.batch_size, source.max_pixels)
    for_sample = replace(decode, batch_size=max(encoder.batch_size, len(sample)))
    (chunk,) = make_chunks(sample, len(sample))
    started = time.perf_counter()
    decoded = decode_chunk(chunk.row(), for_sample)
    decode_seconds = (time.perf_counter() - started) / len(sample)

    model = _load(encoder)
    batch = _time_batch(model, torch.from_numpy(decoded["images"][: encoder.batch_size]))

    input_values = encoder.batch_size * int(np.prod(decode.spec.shape))
    statuses = read_statuses(decoded["statuses"])
    return ExtractionForecast(
        num_images=len(records),
        num_classes=len(sizes),
        source_bytes=sum(record.size_bytes for record in records),
        num_batches=num_batches,
        reader_bytes=decode.task_bytes(CHUNKS_PER_TASK),
        encoder_bytes=_weights_bytes(model) + INPUT_BYTES * input_values,
        stored_bytes=len(records) * batch.stored_bytes_per_image,
        unreadable=sum(status.reason is not None for status in statuses),
        sampled=len(sample),
        decode_seconds=decode_seconds,
        encode_seconds=batch.seconds,
        seconds=_total(decode_seconds * len(records), batch.seconds * num_batches, config),
    )


def _evenly(records: Sequence[ImageRecord], count: int) -> list[ImageRecord]:
    """Return at most `count` records, evenly spread over the list."""
    rows = np.linspace(0, len(records) - 1, min(count, len(records))).astype(int)
    return [records[row] for row in np.unique(rows)]


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
    """Return the time of the slower kind of workers; in one process, the sum of both times."""
    if not config.num_encoders:
        return decoding + encoding
    cpus = max(2, os.cpu_count() or 2)
    free = cpus - config.num_encoders * config.cpus_per_encoder
    readers = max(1.0, free // config.cpus_per_reader)
    return max(decoding / readers, encoding / config.num_encoders)
