"""One run for all tests of the page."""

import shutil
from pathlib import Path

import pytest

from jobs.run_directory.run import Run
from tests.generators.page_runs import HOSTILE, make_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("page"), ("ant", "bee", HOSTILE))


@pytest.fixture
def changed(run: Run, tmp_path: Path) -> Run:
    """A copy of the run that a test may spoil."""
    shutil.copytree(run.store.root, tmp_path / "run")
    return Run(run.config.model_copy(update={"run": str(tmp_path / "run")}))
