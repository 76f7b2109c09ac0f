"""The Ray Data part of extraction: chunks in, encoded chunks out, in whatever order they are ready."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from pydantic import Field
from ray.data import ActorPoolStrategy, DataContext

from otcondense.config import Config
from otcondense.encoders import EncoderConfig
from otcondense.errors import InputError
from pipeline.chunks import DecodeConfig, decode_chunk
from pipeline.encoding import EncoderActor

CHUNKS_PER_TASK = 4


class ExtractionConfig(Config):
    """How extraction is spread over the cluster; nothing here changes a result."""

    num_encoders: int = Field(default=1, ge=0)
    """Encoder actors that work at the same time; 0 decodes and encodes in this process, without a cluster."""
    cpus_per_encoder: float = Field(default=1.0, gt=0)
    """CPUs that each encoder actor takes; the rest of the cluster's CPUs read and decode images."""
    gpus_per_encoder: float | None = Field(default=None, ge=0)
    """GPUs that each encoder actor takes; by default 1 if the cluster has GPUs and the encoder's device is not cpu, else 0."""
    cpus_per_reader: float = Field(default=1.0, gt=0)
    """CPUs that each decoding task takes."""
    stall_timeout_s: int = Field(default=600, ge=10)
    """Seconds without any progress after which the run gives up."""

    def identity(self) -> dict[str, object]:
        """Return the settings that decide the features: none."""
        return {}


@dataclass(frozen=True)
class Resources:
    """What the two kinds of workers ask Ray for."""

    cpus_per_reader: float
    cpus_per_encoder: float
    gpus_per_encoder: float


def stream_encoded(
    rows: list[dict[str, Any]],
    decode: DecodeConfig,
    encoder: EncoderConfig,
    config: ExtractionConfig,
    sha256: str,
) -> Iterator[dict[str, Any]]:
    """Decode and encode chunks; yields each as `EncoderActor` returns it, in any order.

    Raises: InputError before anything starts if the cluster is too small, since Ray Data would wait for ever.
    """
    if not rows:
        return
    stream = _stream_on_cluster if config.num_encoders else _stream_here
    yield from stream(rows, decode, encoder, config, sha256)


def _stream_here(
    rows: list[dict[str, Any]],
    decode: DecodeConfig,
    encoder: EncoderConfig,
    _config: ExtractionConfig,
    sha256: str,
) -> Iterator[dict[str, Any]]:
    threads = torch.get_num_threads()
    actor = EncoderActor(encoder, sha256)
    try:
        for row in rows:
            decoded = decode_chunk(row, decode)
            encoded = actor({name: np.asarray([value]) for name, value in decoded.items()})
            yield {name: values[0] for name, values in encoded.items()}
    finally:
        torch.set_num_threads(threads)


def _stream_on_cluster(
    rows: list[dict[str, Any]],
    decode: DecodeConfig,
    encoder: EncoderConfig,
    config: ExtractionConfig,
    sha256: str,
) -> Iterator[dict[str, Any]]:
    # Asking for memory also keeps Ray from fusing both steps into the actor, where images would be decoded one by one.
    cluster: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    resources = plan_resources(config, encoder, cluster)
    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context.execution_no_progress_timeout_s = config.stall_timeout_s
    with DataContext.current(context):
        tasks = max(min(len(rows), 2 * int(cluster["CPU"])), -(-len(rows) // CHUNKS_PER_TASK))
        encoded = (
            ray.data.from_items(rows, override_num_blocks=tasks)
            .map(
                decode_chunk,  # type: ignore[arg-type]
                fn_kwargs={"config": decode},
                num_cpus=resources.cpus_per_reader,
                memory=decode.task_bytes(CHUNKS_PER_TASK),
            )
            .map_batches(
                EncoderActor,
                fn_constructor_kwargs={"config": _for_workers(encoder), "sha256": sha256},
                batch_size=1,
                batch_format="numpy",
                compute=ActorPoolStrategy(size=config.num_encoders),
                num_cpus=resources.cpus_per_encoder,
                num_gpus=resources.gpus_per_encoder,
            )
        )
    yield from encoded.iter_rows()


def _for_workers(encoder: EncoderConfig) -> EncoderConfig:
    """Make the path of the weights absolute: workers have another working directory than the driver."""
    return (
        encoder
        if encoder.weights is None
        else encoder.model_copy(update={"weights": str(Path(encoder.weights).resolve())})
    )


def plan_resources(
    config: ExtractionConfig, encoder: EncoderConfig, cluster: dict[str, float]
) -> Resources:
    """Return what each worker asks for on a cluster with these total resources.

    Raises: InputError if the encoders would leave no CPU to read images, or there are too few GPUs.
    """
    cpus, gpus = cluster.get("CPU", 0.0), cluster.get("GPU", 0.0)
    needed = config.num_encoders * config.cpus_per_encoder + config.cpus_per_reader
    if needed > cpus:
        raise InputError(
            f"extraction needs {needed:g} CPUs for {config.num_encoders} encoder(s) and one reader, the cluster has {cpus:g}; lower "
            "extraction.num_encoders, cpus_per_encoder or cpus_per_reader"
        )
    per_encoder = config.gpus_per_encoder
    if per_encoder is None:
        per_encoder = 1.0 if gpus and encoder.device != "cpu" else 0.0
    if config.num_encoders * per_encoder > gpus:
        raise InputError(
            f"extraction needs {config.num_encoders * per_encoder:g} GPUs for {config.num_encoders} encoder(s), the cluster has {gpus:g}; "
            "lower extraction.num_encoders or gpus_per_encoder"
        )
    return Resources(config.cpus_per_reader, config.cpus_per_encoder, per_encoder)
