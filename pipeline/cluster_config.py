"""What the cluster can have, and how long a stage waits for it."""

from pydantic import Field

from otcondense.config import Config


class ClusterConfig(Config):
    """The cluster of a run; nothing here changes a result."""

    use_ray: bool | None = None
    """Whether stages work with Ray. false does everything in the process of the command, one unit
    after another, with the same results: enough for a laptop and small sources. By default with
    Ray, and without it if it does not start and the source has at most 10,000 images."""
    gpus: int | None = Field(default=None, ge=0)
    """GPUs that the cluster has when its autoscaler has started all nodes. By default, those that
    are there when a stage starts."""
    cpus: int | None = Field(default=None, ge=1)
    """CPUs that the cluster has when its autoscaler has started all nodes. By default, those that
    are there when a stage starts."""
    wait_minutes: float = Field(default=30.0, ge=0)
    """How long a stage waits for resources that a cluster does not have yet, or that others
    hold. A cluster that a command starts for itself has nothing to wait for."""

    def identity(self) -> dict[str, object]:
        """Return the settings that decide a result: none."""
        return {}


ANY_CLUSTER = ClusterConfig()
"""Whatever is there."""
