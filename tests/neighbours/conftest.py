"""The environment of other tools, made by `make test-neighbours`, and a run to export."""

import shutil
from pathlib import Path

import pytest

from jobs.run_directory.run import Run
from tests.browser.conftest import browser
from tests.generators.page_runs import HOSTILE, make_run

__all__ = ["browser", "libraries", "programs", "run"]
ENVIRONMENT = Path("build/neighbours")
CLASSES = ("ant", "bee", HOSTILE)


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of the programs of the environment."""
    if not (ENVIRONMENT / ".installed").exists():
        pytest.skip("make test-neighbours installs the tools that this test opens")
    return (ENVIRONMENT / "bin").absolute()


@pytest.fixture(scope="session")
def libraries(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folders of OpenSSL 1.1, with which the MongoDB of the environment is linked."""
    (bundled,) = ENVIRONMENT.glob("lib/python3*/site-packages/psycopg2_binary.libs")
    folder = tmp_path_factory.mktemp("openssl")
    for name in ("ssl", "crypto"):
        (found,) = bundled.glob(f"lib{name}-*.so.1.1")
        shutil.copy(found, folder / f"lib{name}.so.1.1")
    return f"{folder}:{bundled.absolute()}"


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished selection of three classes by two methods."""
    return make_run(tmp_path_factory.mktemp("run"), CLASSES)
