"""Groups that tasks of Ray Data make have the bytes of those that one process makes."""

from pathlib import Path

import pytest

from otcondense.errors import InputError
from otcondense.store import Store, class_file
from pipeline.cluster_config import ANY_CLUSTER
from pipeline.extraction_config import ExtractionConfig
from pipeline.group_crew import Here, OnCluster
from pipeline.grouping import make_groups
from tests.generators.grouped import FEATURES, plan_of, write_inputs
from tests.runs import results


@pytest.mark.parametrize("labels", ["ignore", pytest.param("keep", marks=pytest.mark.slow)])
def test_tasks_on_a_cluster_give_the_same_bytes(
    tmp_path: Path, ray_cluster: None, labels: str
) -> None:
    found = []
    for name in ("here", "cluster"):
        root = tmp_path / name
        write_inputs(Store(str(root)), 3)
        plan = plan_of(root, labels=labels)
        crew = Here(plan) if name == "here" else OnCluster(plan, ExtractionConfig(), ANY_CLUSTER)
        make_groups(plan, lambda crew=crew: crew, lambda _done, _total: None)
        found.append(results(root, (plan.directory,)))
    assert found[0] == found[1]


def test_the_error_of_a_task_is_that_of_the_user(tmp_path: Path, ray_cluster: None) -> None:
    write_inputs(Store(str(tmp_path)))
    plan = plan_of(tmp_path)
    damaged = tmp_path / class_file(FEATURES, "owl")
    damaged.write_bytes(damaged.read_bytes()[:-9])
    crew = OnCluster(plan, ExtractionConfig(), ANY_CLUSTER)
    with pytest.raises(InputError, match="class_name=owl"):
        make_groups(plan, lambda: crew, lambda _done, _total: None)
