"""Settings of feature extraction."""

from pydantic import Field

from otcondense.config import Config


class ExtractionConfig(Config):
    """Resources of extraction; nothing here changes a result."""

    num_encoders: int = Field(default=1, ge=0)
    """Encoder actors that work at the same time; 0 decodes and encodes in this process, without a
    cluster."""
    cpus_per_encoder: float = Field(default=1.0, gt=0)
    """CPUs that each encoder actor takes; the other CPUs of the cluster read and decode images."""
    gpus_per_encoder: float | None = Field(default=None, ge=0)
    """GPUs that each encoder actor takes; by default 1 if the cluster has GPUs and the encoder's
    device is not cpu, else 0."""
    cpus_per_reader: float = Field(default=1.0, gt=0)
    """CPUs that each decoding task takes."""
    stall_timeout_s: int = Field(default=600, ge=10)
    """The run fails after this many seconds without progress."""

    def identity(self) -> dict[str, object]:
        """Return the settings that decide the features: none."""
        return {}
