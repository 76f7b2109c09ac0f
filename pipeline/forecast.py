"""What an extraction would take, from the listing of the source and a timed sample of real images."""

import os
import time
from dataclasses import dataclass

import numpy as np
import torch

from otcondense.datasets import SourceConfig, list_images
from otcondense.encoders import Encoder, EncoderConfig, load_encoder
from otcondense.encoders.encoder import build_model
from pipeline.chunks import DecodeConfig, decode_chunk, make_chunks, read_statuses
from pipeline.stream import CHUNKS_PER_TASK, ExtractionConfig

SAMPLE = 32
"""Images that are decoded and encoded for the forecast."""


@dataclass(frozen=True)
class ExtractionForecast:
    """What an extraction with one encoder would take on this machine."""

    num_images: int
    num_classes: int
    source_bytes: int
    num_batches: int
    reader_bytes: int
    """Memory of a decoding task, about."""
    encoder_bytes: int
    """Memory of an encoder's weights and inputs; what the network needs in between comes on top."""
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
    """Forecast of the whole, without starting Ray and loading the model."""


def forecast_extraction(
    source: SourceConfig, encoder: EncoderConfig, config: ExtractionConfig
) -> ExtractionForecast:
    """Return what extracting the features of a source would take; nothing is written.

    Raises: InputError as the extraction itself, for a source or an encoder that is not as it must be.
    """
    records = list_images(source)
    sizes = np.unique([record.class_index for record in records], return_counts=True)[1]
    batches = int(np.ceil(sizes / encoder.batch_size).sum())
    chosen = [
        records[row]
        for row in np.unique(
            np.linspace(0, len(records) - 1, min(SAMPLE, len(records))).astype(int)
        )
    ]
    decode = DecodeConfig(
        encoder.input_spec(), max(encoder.batch_size, len(chosen)), source.max_pixels
    )
    started = time.perf_counter()
    decoded = decode_chunk(next(make_chunks(chosen, len(chosen))), decode)
    per_image = (time.perf_counter() - started) / len(chosen)
    statuses = read_statuses(decoded["statuses"])
    model = _load(encoder)
    per_batch, row_bytes = _time_batch(
        model, torch.from_numpy(decoded["images"][: encoder.batch_size])
    )
    weights = sum(
        tensor.numel() * tensor.element_size() for tensor in model.model.state_dict().values()
    )
    return ExtractionForecast(
        num_images=len(records),
        num_classes=len(sizes),
        source_bytes=sum(record.size_bytes for record in records),
        num_batches=batches,
        reader_bytes=DecodeConfig(decode.spec, encoder.batch_size, source.max_pixels).task_bytes(
            CHUNKS_PER_TASK
        ),
        encoder_bytes=weights + 5 * encoder.batch_size * int(np.prod(decode.spec.shape)),
        stored_bytes=len(records) * row_bytes,
        unreadable=sum(status.reason is not None for status in statuses),
        sampled=len(chosen),
        decode_seconds=per_image,
        encode_seconds=per_batch,
        seconds=_total(per_image * len(records), per_batch * batches, config),
    )


def _load(encoder: EncoderConfig) -> Encoder:
    """Load the encoder, with fresh weights if it has still to be trained: they take the same time."""
    if encoder.train is not None:
        return Encoder(encoder, build_model(encoder), encoder.input_spec())
    return load_encoder(encoder)


def _time_batch(model: Encoder, images: torch.Tensor) -> tuple[float, int]:
    """Return the seconds of one batch, after one that warms up, and the bytes that are stored for an image."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model.encode_inputs(images)
        started = time.perf_counter()
        output = model.encode_inputs(images)
        features = output.features.cpu()  # waits for a GPU
        seconds = time.perf_counter() - started
    finally:
        torch.set_num_threads(threads)
    classes = 0 if output.logits is None else output.logits.shape[1]
    return seconds, 4 * features.shape[1] + 2 * classes + 100


def _total(decoding: float, encoding: float, config: ExtractionConfig) -> float:
    """Return the time of the slower of both kinds of workers; in one process, of both."""
    if not config.num_encoders:
        return decoding + encoding
    cpus = max(2, os.cpu_count() or 2)
    readers = max(
        1.0, (cpus - config.num_encoders * config.cpus_per_encoder) // config.cpus_per_reader
    )
    return max(decoding / readers, encoding / config.num_encoders)
