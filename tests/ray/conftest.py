"""One local Ray cluster for the whole test session."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A local cluster of two CPUs whose workers import this repository."""
    import ray

    from jobs.ray_env import start_ray

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    start_ray(num_cpus=2)
    yield
    ray.shutdown()
