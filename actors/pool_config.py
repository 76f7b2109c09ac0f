"""Settings of a pool of actors; this module imports neither Ray nor torch."""

from pydantic import Field

from otcondense.config import Config


class PoolConfig(Config):
    """Number of actors, and the resources of each."""

    num_actors: int | None = Field(default=None, ge=0)
    """Number of actors that work at the same time; 0 works in the process of the command, without
    Ray, and knows no deadline. By default one for each GPU, or each CPU if the stage uses no GPU,
    as far as memory and units of work go; in a trial of a sweep two, or none without GPUs."""
    num_cpus: float = Field(default=1.0, ge=0)
    """CPUs of each actor."""
    num_gpus: float | None = Field(default=None, ge=0)
    """GPUs of each actor; with a fraction, several actors share one GPU. By default 1 if the stage
    can use GPUs and the cluster has some, else 0."""
    max_attempts: int = Field(default=3, ge=1)
    """Maximum attempts for a unit of work if the actor or node that works on it dies."""
    deadline_seconds: float | None = Field(default=None, gt=0)
    """Seconds after which a unit times out and counts as failed; None sets no limit."""
    grace_seconds: float = Field(default=5.0, ge=0)
    """Seconds in which a cancelled unit (deadline, Ctrl-C) can stop before its actor is killed."""
