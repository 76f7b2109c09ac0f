"""Settings of feature extraction."""

from typing import ClassVar

from pydantic import Field

from otcondense.config import Config


class ExtractionConfig(Config):
    """Resources of extraction; nothing here changes a result."""

    num_encoders: int | None = Field(default=None, ge=0)
    """Workers that read, decode and encode at the same time; by default one for each GPU of the
    cluster, or each CPU if there are no GPUs. 0 works in this process, without a cluster."""
    cpus_per_encoder: float | None = Field(default=None, gt=0)
    """CPUs of each worker; so many of its threads read and decode images. By default the workers
    share all CPUs."""
    gpus_per_encoder: float | None = Field(default=None, ge=0)
    """GPUs of each worker; by default 1 if the cluster has GPUs and the encoder's device is not
    cpu, else 0."""
    stall_timeout_s: int = Field(default=3600, ge=10)
    """The run fails after this many seconds in which no worker finished a shard of images."""

    RETIRED: ClassVar[frozenset[str]] = frozenset({"cpus_per_reader"})

    @property
    def uses_cluster(self) -> bool:
        """Whether workers of a cluster do the work, not this process."""
        return self.num_encoders != 0

    def identity(self) -> dict[str, object]:
        """Return the settings that decide the features: none."""
        return {}


class RepresentationResources(ExtractionConfig):
    """Resources of the extraction of latents and tokens."""

    RETIRED: ClassVar[frozenset[str]] = frozenset(
        {
            "num_actors",
            "num_cpus",
            "num_gpus",
            "max_attempts",
            "deadline_seconds",
            "grace_seconds",
        }
    )
