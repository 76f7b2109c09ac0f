"""Hypothesis draws the same examples every time: a red run is a change of ours, not of the dice. One local Ray cluster serves all tests."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A local cluster of two CPUs whose workers import this repository."""
    import ray

    from jobs.cluster.start import start_ray

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    start_ray(num_cpus=2)
    yield
    ray.shutdown()
