"""Selections that actors polish have the bytes of those that one process polishes."""

import shutil
from pathlib import Path

import pytest

from jobs.run_directory.run import Run
from jobs.select_subset.stage import select_subset
from tests.generators.grouped_runs import grouped_run
from tests.runs import results

RESULTS = ("selection/", "subset-")


def with_actors(run: Run, number: int) -> Run:
    """Return the run with this many selectors; 0 works in this process."""
    pool = run.config.selection.pool.model_copy(update={"num_actors": number})
    selection = run.config.selection.model_copy(update={"pool": pool})
    return Run(run.config.model_copy(update={"selection": selection}))


@pytest.mark.slow
def test_actors_polish_to_the_same_bytes(tmp_path: Path, ray_cluster: None) -> None:
    run = grouped_run(tmp_path, methods=["geometry_aware"], polish=True)
    found = []
    for number in (0, 2):
        select_subset(with_actors(run, number))
        found.append(results(tmp_path / "run", RESULTS))
        shutil.rmtree(tmp_path / "run" / "selection")
    assert len(found[0]) > 1
    assert found[0] == found[1]
