"""The parts that samples are stored in: their names and fingerprints; it needs no torch."""

from dataclasses import dataclass

from otcondense.diffusion.checkpoint_state import CheckpointState
from otcondense.diffusion.sampler_config import SamplerConfig
from otcondense.store import fingerprint

SAMPLES_SCHEMA_VERSION = 1
SCHEDULING_FIELDS = frozenset({"num_samples"})
"""Settings that change the number of samples, but no sample."""


@dataclass(frozen=True)
class SamplePart:
    """One batch of samples, stored in one file."""

    name: str
    """File name."""
    first: int
    """Index of its first image."""
    count: int
    """Number of images."""


def part_name(part: int) -> str:
    """Return the file name of one part."""
    return f"part-{part:05d}.parquet"


def samples_fingerprint(
    config: SamplerConfig,
    checkpoint: CheckpointState,
    weak: CheckpointState | None = None,
    prompts: str = "",
) -> str:
    """Return the fingerprint of samples: of the sampler and of the weights of its checkpoints.

    Args:
        config: the sampler.
        checkpoint: the checkpoint that is sampled.
        weak: the weak checkpoint of autoguidance.
        prompts: fingerprint of the prompts of a model of captions.
    """
    assert (weak is None) == (config.autoguidance is None), "autoguidance has a weak checkpoint"
    settings = config.identity()
    kept = {name: value for name, value in settings.items() if name not in SCHEDULING_FIELDS}
    weights = checkpoint.files[config.weights].sha256
    key = [SAMPLES_SCHEMA_VERSION, kept, weights, checkpoint.objective]
    if weak is not None:
        key.append(weak.files[config.weights].sha256)
    if prompts:
        key.append({"prompts": prompts})
    return fingerprint(key)


def sampling_units(config: SamplerConfig) -> list[SamplePart]:
    """Return the parts of all samples, one for each batch."""
    parts = []
    for number, first in enumerate(range(0, config.num_samples, config.batch_size)):
        count = min(config.batch_size, config.num_samples - first)
        parts.append(SamplePart(part_name(number), first, count))
    return parts
