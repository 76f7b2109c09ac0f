"""A selector, a node or the driver dies in the middle of the selection: the same command ends with the same bytes, each class done once."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.cluster_utils import Cluster

from jobs.run_directory.stages import SELECTION_BAR
from otcondense.store import StageProgress, Store, progress_file, read_progress
from tests.ray.selection_runs import CLASSES, extracted, finish, prepared, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Path:
    return extracted(tmp_path_factory.mktemp("data"))


def results(root: Path) -> dict[str, bytes]:
    found = [*root.glob("run/selection/*/*/selection.parquet"), *root.glob("run/subset-*.parquet")]
    assert len(found) == CLASSES + 1
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, data: Path) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("undisturbed")
    finish(start("select_subset", with_actors(prepared(root, data), 1)))
    return results(root)


def with_actors(config: Path, number: int) -> Path:
    """Set the size of the pool; a selector asks for half a CPU, so that this machine has room for four."""
    values = yaml.safe_load(config.read_text())
    values["selection"]["pool"] |= {"num_actors": number, "num_cpus": 0.5}
    config.write_text(yaml.safe_dump(values))
    return config


def progress_when(
    root: Path, process: subprocess.Popen, condition: Callable[[StageProgress], bool]
) -> StageProgress:
    """Return the progress of the selection once it is as wanted."""
    store, deadline = Store(str(root / "run")), time.monotonic() + 900
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stdout.read()
        if store.exists(progress_file(SELECTION_BAR.key)):
            progress = read_progress(store, progress_file(SELECTION_BAR.key))
            if condition(progress):
                return progress
        time.sleep(0.02)
    raise AssertionError("the selection never came so far")


def workers(progress: StageProgress) -> set[int]:
    """Return the processes that are in the middle of a class."""
    return {
        int(unit.worker.rsplit(":", 1)[1])
        for unit in progress.units
        if unit.state == "running" and unit.worker
    }


def test_a_selector_killed_in_mid_class(
    tmp_path: Path, data: Path, undisturbed: dict[str, bytes]
) -> None:
    config = prepared(tmp_path, data)
    process = start("select_subset", config)
    victim = min(
        workers(progress_when(tmp_path, process, lambda progress: bool(workers(progress))))
    )
    os.kill(victim, signal.SIGKILL)
    finish(process)
    assert results(tmp_path) == undisturbed
    progress = read_progress(Store(str(tmp_path / "run")), progress_file(SELECTION_BAR.key))
    assert sorted(unit.attempts for unit in progress.units) == [1] * (CLASSES - 1) + [2]
    assert {unit.state for unit in progress.units} == {"done"}


def test_a_driver_killed_and_started_again(
    tmp_path: Path, data: Path, undisturbed: dict[str, bytes]
) -> None:
    config = prepared(tmp_path, data)
    process = start("select_subset", config)
    progress_when(tmp_path, process, lambda progress: progress.done >= 2)
    process.kill()
    process.wait()
    finished = {
        path: path.stat().st_mtime_ns
        for path in tmp_path.glob("run/selection/*/*/selection.parquet")
    }
    assert 2 <= len(finished) < CLASSES
    finish(start("select_subset", config))
    assert results(tmp_path) == undisturbed
    assert {path: path.stat().st_mtime_ns for path in finished} == finished, (
        "a finished class was done again"
    )


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head that works on nothing and two nodes of one CPU, as separate raylets of this machine."""
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    yield cluster
    cluster.shutdown()


def node_of(worker: int, nodes: list[Any]) -> Any:
    """Return the node whose raylet started a process."""
    parent = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
    return next(node for node in nodes if node.all_processes["raylet"][0].process.pid == parent)


def test_a_node_lost_without_warning(
    tmp_path: Path, data: Path, undisturbed: dict[str, bytes], cluster: Cluster
) -> None:
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    config = prepared(tmp_path, data)
    process = start("select_subset", config, RAY_ADDRESS=cluster.address)
    worker = min(
        workers(progress_when(tmp_path, process, lambda progress: bool(workers(progress))))
    )
    cluster.remove_node(node_of(worker, nodes), allow_graceful=False)
    finish(process)
    assert results(tmp_path) == undisturbed
    progress = read_progress(Store(str(tmp_path / "run")), progress_file(SELECTION_BAR.key))
    assert sum(unit.attempts for unit in progress.units) == CLASSES + 1


def test_four_selectors_give_the_bytes_of_one(
    tmp_path: Path, data: Path, undisturbed: dict[str, bytes]
) -> None:
    finish(start("select_subset", with_actors(prepared(tmp_path, data), 4)))
    assert results(tmp_path) == undisturbed
