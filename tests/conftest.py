"""Repeatable examples, one shared Ray cluster, one shared finished run, and a limit of seconds.

Hypothesis draws the same examples every time, so a red run is a change of ours, not of the dice.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.verbs import call

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

LIMIT_SECONDS = float(os.environ.get("OTCONDENSE_TEST_SECONDS", "10"))
"""An unmarked test must not take longer. Raise it on a machine that is busy or slow."""
LONG_LANES = ("slow", "full")
OWN_SECONDS = "own_seconds"
SHARED_SCOPES = ("session", "package", "module", "class")
ONE_CLUSTER = "tests/ray/"
"""The tests below share a cluster and a finished run: one xdist worker runs them all."""


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A local cluster of two CPUs whose workers import this repository."""
    import ray

    from jobs.cluster.start import start_ray

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    start_ray(num_cpus=2)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Path:
    """The folder of a finished tiny run. Read it, or change a copy (`tests.runs.copy_run`)."""
    from tests.ray.tiny import write_config

    root = tmp_path_factory.mktemp("tiny")
    call("run", ["--config", str(write_config(root))])
    return root


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `--dist loadgroup`, keep each file on one worker, and all files of `ONE_CLUSTER`."""
    for item in items:
        file = item.nodeid.split("::")[0]
        group = ONE_CLUSTER if file.startswith(ONE_CLUSTER) else file
        item.add_marker(pytest.mark.xdist_group(group))


class SharedFixtures:
    """Counts the seconds that a test spends on fixtures that other tests use too."""

    seconds = 0.0


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
    started = time.perf_counter()
    try:
        return (yield)
    finally:
        if fixturedef.scope in SHARED_SCOPES:
            SharedFixtures.seconds += time.perf_counter() - started


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Note the seconds of a test's own, without shared fixtures, for the summary."""
    report = yield
    if item.get_closest_marker("slow") is None and item.get_closest_marker("full") is None:
        report.user_properties.append((OWN_SECONDS, call.duration - SharedFixtures.seconds))
    SharedFixtures.seconds = 0.0
    return report


class Limit:
    """Fails the run if an unmarked test took too long."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            return
        own = dict(report.user_properties).get(OWN_SECONDS, 0.0)
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + own

    @property
    def too_slow(self) -> dict[str, float]:
        return {name: own for name, own in self.seconds.items() if own > LIMIT_SECONDS}

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.too_slow and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for name, own in self.too_slow.items():
            terminalreporter.write_line(
                f"error: {name} took {own:.1f} s; a test without the marker slow or full may take "
                f"{LIMIT_SECONDS:g} s. Make it faster or mark it."
            )


def pytest_configure(config: pytest.Config) -> None:
    """Check the limit where the reports of all workers come together."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Limit())
