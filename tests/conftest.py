"""Repeatable examples, one shared Ray cluster, one shared finished run, and a limit of seconds.

Hypothesis draws the same examples every time, so a red run is a change of ours, not of the dice.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.shapes import check_shapes, check_some_calls
from tests.verbs import call

if TYPE_CHECKING:
    from tests.chaos.subject import Subject

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
check_shapes()

LIMIT_SECONDS = float(os.environ.get("OTCONDENSE_TEST_SECONDS", "10"))
"""An unmarked test must not take longer. Raise it on a machine that is busy or slow."""
LONG_LANES = ("slow", "full")
OWN_SECONDS = "own_seconds"
SHARED_SCOPES = ("session", "package", "module", "class")
ONE_CLUSTER = ("tests/ray/", "tests/chaos/")
"""These tests share a cluster and a finished run ..."""
OWN_RUNS = ("tests/ray/test_submit.py", "tests/ray/test_sweep.py", "tests/ray/test_training.py")
"""... except these, which need no finished run, so that another process can do them."""


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
    """The folder of a finished tiny run. Read it, or change a copy (`tests.runs.copy_run`).

    It encodes and trains in this process; runs with workers write the same bytes.
    """
    from tests.ray.tiny import write_config

    root = tmp_path_factory.mktemp("tiny")
    call("run", ["--config", str(write_config(root, lean=True))])
    return root


@pytest.fixture(scope="session")
def subject(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path) -> "Subject":
    """The part of the tiny run that faults are tried on: one model, one subset, few processes."""
    from tests.chaos.subject import Subject

    return Subject.of(tiny_run, tmp_path_factory.mktemp("subject"))


class OneProcessEach(LoadScopeScheduling):
    """One process runs all tests of a file, and one those of all files of `ONE_CLUSTER`."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", maxsplit=1)[0]
        shares = file.startswith(ONE_CLUSTER) and file not in OWN_RUNS
        return "cluster" if shares else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneProcessEach:
    """Share the tests out among the processes of `-n`."""
    return OneProcessEach(config, log)


def quiet_clock() -> float:
    """Return seconds without those for which this thread waited for a CPU that others used."""
    schedule = Path("/proc/thread-self/schedstat")
    waited = int(schedule.read_text().split()[1]) * 1e-9 if schedule.exists() else 0.0
    return time.perf_counter() - waited


class Stopwatch:
    """Measures the phases of a test without the fixtures that other tests use too."""

    started = 0.0
    in_shared_fixtures = 0.0

    @classmethod
    def lap(cls) -> float:
        """Return the seconds since the last lap, and start the next."""
        now = quiet_clock()
        own = now - cls.started - cls.in_shared_fixtures
        cls.started = now
        cls.in_shared_fixtures = 0.0
        return own


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    Stopwatch.lap()
    check_some_calls()


class SharedFixtures:
    """Takes the time of shared fixtures out of the test that happens to need them first.

    It is a plugin of its own: pytest asks no conftest below the root about session fixtures.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
        started = quiet_clock()
        before = Stopwatch.in_shared_fixtures
        try:
            return (yield)
        finally:
            if fixturedef.scope in SHARED_SCOPES:
                # Fixtures that this one needs are part of its own time.
                Stopwatch.in_shared_fixtures = before + quiet_clock() - started


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Note the seconds of an unmarked test for the summary."""
    report = yield
    own = Stopwatch.lap()
    if not any(item.get_closest_marker(lane) for lane in LONG_LANES):
        report.user_properties.append((OWN_SECONDS, own))
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
    config.pluginmanager.register(SharedFixtures())
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Limit())
