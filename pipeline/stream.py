"""The Ray Data part of extraction: chunks in, encoded chunks out, in any order."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import ray
from ray.data import ActorPoolStrategy, DataContext, Dataset

from otcondense.encoders import EncoderConfig
from otcondense.errors import InputError
from otcondense.threads import one_thread
from pipeline.chunks import Chunk, DecodeConfig, decode_chunk
from pipeline.encoding import EncodedChunk, EncoderActor
from pipeline.extraction_config import ExtractionConfig

CHUNKS_PER_TASK = 4
"""Chunks that one decoding task takes at most; more would make tasks long, fewer would cost more
scheduling."""
TASKS_PER_CPU = 2
"""Decoding tasks for each CPU at least, so that no CPU waits for a long one."""


@dataclass(frozen=True)
class Resources:
    """Resources that each worker asks Ray for."""

    cpus_per_reader: float
    cpus_per_encoder: float
    gpus_per_encoder: float


@dataclass(frozen=True)
class ChunkEncoding:
    """How chunks become features."""

    decode: DecodeConfig
    encoder: EncoderConfig
    weights_sha256: str
    """Of the encoder; the run fails if the weights of a worker differ."""


def stream_encoded(
    chunks: list[Chunk], encoding: ChunkEncoding, config: ExtractionConfig
) -> Iterator[EncodedChunk]:
    """Decode and encode chunks; yields each when it is ready, in any order.

    Raises: InputError before any work if the cluster is too small; Ray Data would wait for ever.
    """
    if not chunks:
        return
    if config.num_encoders:
        yield from _stream_on_cluster(chunks, encoding, config)
    else:
        yield from _stream_here(chunks, encoding)


def _stream_here(chunks: list[Chunk], encoding: ChunkEncoding) -> Iterator[EncodedChunk]:
    with one_thread():
        actor = EncoderActor(encoding.encoder, encoding.weights_sha256)
        for chunk in chunks:
            decoded = decode_chunk(chunk.row(), encoding.decode)
            batch = {name: np.asarray([value]) for name, value in decoded.items()}
            encoded = actor(batch)
            yield EncodedChunk.from_row({name: values[0] for name, values in encoded.items()})


def _stream_on_cluster(
    chunks: list[Chunk], encoding: ChunkEncoding, config: ExtractionConfig
) -> Iterator[EncodedChunk]:
    cluster: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    resources = plan_resources(config, encoding.encoder, cluster)

    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.execution_no_progress_timeout_s = config.stall_timeout_s
    logging.getLogger("ray.data").setLevel(logging.ERROR)

    with DataContext.current(context):
        encoded = _plan_stream(chunks, encoding, config, resources, int(cluster["CPU"]))
    for row in encoded.iter_rows():
        yield EncodedChunk.from_row(row)


def _plan_stream(
    chunks: list[Chunk],
    encoding: ChunkEncoding,
    config: ExtractionConfig,
    resources: Resources,
    cpus: int,
) -> Dataset:
    """Return the data set of encoded chunks; nothing runs until its rows are read."""
    fewest_tasks = -(-len(chunks) // CHUNKS_PER_TASK)
    tasks = max(min(len(chunks), TASKS_PER_CPU * cpus), fewest_tasks)
    rows = ray.data.from_items([chunk.row() for chunk in chunks], override_num_blocks=tasks)

    # Without a demand for memory Ray would fuse both steps: the actor would decode every image.
    decoded = rows.map(
        decode_chunk,  # type: ignore[arg-type]
        fn_kwargs={"config": encoding.decode},
        num_cpus=resources.cpus_per_reader,
        memory=encoding.decode.task_bytes(CHUNKS_PER_TASK),
    )
    arguments = {
        "config": _for_workers(encoding.encoder),
        "expected_sha256": encoding.weights_sha256,
    }
    return decoded.map_batches(
        EncoderActor,
        fn_constructor_kwargs=arguments,
        batch_size=1,
        batch_format="numpy",
        compute=ActorPoolStrategy(size=config.num_encoders),
        num_cpus=resources.cpus_per_encoder,
        num_gpus=resources.gpus_per_encoder,
    )


def _for_workers(encoder: EncoderConfig) -> EncoderConfig:
    """Make the path of the weights absolute: workers do not share the driver's directory."""
    if encoder.weights is None:
        return encoder
    return encoder.model_copy(update={"weights": str(Path(encoder.weights).resolve())})


def plan_resources(
    config: ExtractionConfig, encoder: EncoderConfig, cluster: dict[str, float]
) -> Resources:
    """Return the resources of each worker on a cluster with these total resources.

    Raises: InputError if the encoders would leave no CPU to read images, or there are too few GPUs.
    """
    cpus = cluster.get("CPU", 0.0)
    needed = config.num_encoders * config.cpus_per_encoder + config.cpus_per_reader
    if needed > cpus:
        raise InputError(
            f"extraction needs {needed:g} CPUs for {config.num_encoders} encoder(s) and one "
            f"reader, the cluster has {cpus:g}; lower extraction.num_encoders, cpus_per_encoder "
            "or cpus_per_reader"
        )
    gpus = cluster.get("GPU", 0.0)
    per_encoder = config.gpus_per_encoder
    if per_encoder is None:
        per_encoder = 1.0 if gpus and encoder.device != "cpu" else 0.0
    if config.num_encoders * per_encoder > gpus:
        raise InputError(
            f"extraction needs {config.num_encoders * per_encoder:g} GPUs for "
            f"{config.num_encoders} encoder(s), the cluster has {gpus:g}; "
            "lower extraction.num_encoders or gpus_per_encoder"
        )
    return Resources(config.cpus_per_reader, config.cpus_per_encoder, per_encoder)
