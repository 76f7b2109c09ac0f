"""Time of sampling from the kept checkpoints of a model."""

from dataclasses import dataclass

from otcondense.forecast.encoding import Network
from otcondense.forecast.hardware import EAGER_SHARE, FLOAT32_SHARE, GIGA, TERA, Hardware
from otcondense.forecast.stages import Stage, Term, Workers


@dataclass(frozen=True)
class SamplingWork:
    """Samples of all kept checkpoints."""

    title: str
    samples: int
    """Over all checkpoints."""
    flops: float
    """One forward pass for one image."""
    passes: float
    """Forward passes of one image over all steps; guidance doubles them."""
    decoder: Network | None
    """The decoder of latents."""
    image_bytes: int
    """One stored sample."""
    bfloat16: bool = True
    """Whether the network computes in bfloat16."""
    compiled: bool = True
    """Whether the blocks are compiled."""


def sampling_stage(work: SamplingWork, hardware: Hardware, workers: Workers) -> Stage:
    """Return the time of sampling: network, decoder and storage after each other."""
    speed = hardware.core_tflops
    if workers.on_gpus:
        speed = hardware.sampling_tflops * (1.0 if work.bfloat16 else FLOAT32_SHARE)
        speed *= 1.0 if work.compiled else EAGER_SHARE
    network = work.samples * work.passes * work.flops / (workers.count * speed * TERA)
    terms = [Term("network", network)]
    if work.decoder is not None:
        rate = work.decoder.images_per_s(hardware, workers)
        terms.append(Term("decoding of latents", work.samples / rate))
    written = work.samples * work.image_bytes / (hardware.storage_gb_per_s * GIGA)
    terms.append(Term("writing", written))
    return Stage("sample", work.title, tuple(terms), workers)
