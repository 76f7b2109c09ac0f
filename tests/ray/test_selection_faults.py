"""A selector or a node dies during the selection: same bytes, and each class is written once."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from jobs.run_directory.bars import SELECTION_BAR
from otcondense.store import StageProgress, Store, progress_file, read_progress
from tests.commands import Command
from tests.ray.selection_runs import CLASSES, extracted, prepared
from tests.runs import results
from tests.verbs import call

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(2400)]
RESULTS = ("selection/", "subset-")
DEADLINE_SECONDS = 900
POLL_SECONDS = 0.02


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Path:
    return extracted(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, data: Path) -> dict[str, bytes]:
    """The results of one selector; the other tests have two."""
    root = tmp_path_factory.mktemp("undisturbed")
    config = prepared(root, data)
    call("select_subset", ["--config", str(config), "selection.pool.num_actors=1"])
    found = results(root / "run", RESULTS)
    assert len(found) == CLASSES + 1
    return found


def progress_of(root: Path) -> StageProgress | None:
    store = Store(str(root / "run"))
    name = progress_file(SELECTION_BAR.key)
    return read_progress(store, name) if store.exists(name) else None


def busy_worker(root: Path, has_ended: Callable[[], bool] = lambda: False) -> int:
    """Wait until a worker is in the middle of a class, and return its process."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline and not has_ended():
        progress = progress_of(root)
        for unit in progress.units if progress else ():
            if unit.state == "running" and unit.worker:
                return int(unit.worker.rsplit(":", 1)[1])
        time.sleep(POLL_SECONDS)
    raise AssertionError("no class was being selected")


@pytest.mark.slow
@pytest.mark.ci
def test_a_selector_is_killed_in_the_middle_of_a_class(
    tmp_path: Path, data: Path, undisturbed: dict[str, bytes]
) -> None:
    config = prepared(tmp_path, data)
    ended = threading.Event()

    def kill() -> None:
        os.kill(busy_worker(tmp_path, ended.is_set), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    call("select_subset", ["--config", str(config)])
    ended.set()
    killer.join()
    assert results(tmp_path / "run", RESULTS) == undisturbed
    progress = progress_of(tmp_path)
    assert sorted(unit.attempts for unit in progress.units) == [1] * (CLASSES - 1) + [2]
    assert {unit.state for unit in progress.units} == {"done"}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head without CPUs and two nodes of one CPU, as separate raylets of this machine."""
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    yield cluster
    cluster.shutdown()


def node_of(worker: int, nodes: list[Any]) -> Any:
    """Return the node whose raylet started a process."""
    parent = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
    return next(node for node in nodes if node.all_processes["raylet"][0].process.pid == parent)


@pytest.mark.full
def test_a_node_is_lost_without_warning(
    tmp_path: Path, data: Path, undisturbed: dict[str, bytes], cluster: Cluster
) -> None:
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    arguments = ["--config", str(prepared(tmp_path, data))]
    with Command("select_subset", arguments, {"RAY_ADDRESS": cluster.address}) as command:
        worker = busy_worker(tmp_path, lambda: command.has_ended)
        cluster.remove_node(node_of(worker, nodes), allow_graceful=False)
        ended = command.end()
    assert ended.code == 0, ended.output
    assert results(tmp_path / "run", RESULTS) == undisturbed
    progress = progress_of(tmp_path)
    assert sum(unit.attempts for unit in progress.units) == CLASSES + 1
