"""The wheel, built from the sdist, in a fresh environment: the command in an empty folder."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path.cwd()
SMALL = (
    "selection.budget=2",
    "selection.methods=[random]",
    "encoder.train.epochs=1",
    "judge.train.epochs=1",
    "models.sit.training.subsets=[random]",
    "models.sit.training.num_steps=4",
    "models.sit.training.checkpoint_steps=[4]",
    "models.sit.sampling.num_steps=2",
    "models.sit.sampling.num_samples=20",
    "selection.pool.num_actors=0",
    "samplers.num_actors=0",
)
"""The demo at a size of seconds."""
pytestmark = [pytest.mark.slow]


def run(*words: str | Path, directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program, which must end well, without this checkout on its path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        words,
        cwd=directory,
        env={**kept, "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        timeout=840,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def tracked_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist from the tracked files, and the wheel from the sdist."""
    root = tmp_path_factory.mktemp("build")
    for name in tracked_files():
        if not name.startswith(("tests/", "docs/", "benchmarks/", "cluster/")):
            (root / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / "checkout" / name)
    build = "import sys; from setuptools import build_meta; build_meta.build_{}(sys.argv[1])"
    run(sys.executable, "-c", build.format("sdist"), root, directory=root / "checkout")
    (source,) = root.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(root, filter="data")
    unpacked = root / source.name.removesuffix(".tar.gz")
    run(sys.executable, "-c", build.format("wheel"), root, directory=unpacked)
    (built,) = root.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment with the packages of this one; return the script.

    Nothing is fetched. The environment comes first on the path, and sees no editable install.
    """
    root = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", "venv", directory=root)
    python = root / "venv/bin/python"
    install = ("-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    run(sys.executable, *install, wheel, directory=root)
    where = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site = Path(run(python, "-c", where, directory=root).stdout.strip())
    (site / "shared.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")
    return python.with_name("otcondense")


@pytest.mark.ci
def test_the_wheel_holds_the_workflow_below_the_package_only(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert tops == {"otcondense", f"{wheel.name.split('-py3')[0]}.dist-info"}
    for name in tracked_files():
        if name.startswith(("jobs/", "pipeline/", "actors/")):
            assert f"otcondense/_workflow/{name}" in names
        elif name.startswith("otcondense/"):
            assert name in names
    assert {"otcondense/py.typed", "otcondense/_workflow/constraints.txt"} <= names
    assert not any("__pycache__" in name for name in names)


@pytest.mark.ci
def test_the_command_works_from_an_empty_folder(command: Path, tmp_path: Path) -> None:
    found = "import otcondense; print(otcondense.__file__)"
    package = run(command.with_name("python"), "-c", found, directory=tmp_path).stdout
    assert package.startswith(str(command.parents[1]))
    assert run(command, "--version", directory=tmp_path).stdout.startswith("otcondense ")
    assert "extract_features" in run(command, directory=tmp_path).stdout
    assert run(command, "export-samples", "--help", directory=tmp_path).stdout
    hidden = "import importlib.util as u; print([u.find_spec(n) for n in ('jobs', 'pipeline')])"
    specs = run(command.with_name("python"), "-c", hidden, directory=tmp_path).stdout
    assert specs == "[None, None]\n"


def test_the_demo_runs_from_an_empty_folder(command: Path, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    done = run(command, "run", "--config", "demo", *SMALL, directory=folder)
    assert done.stdout.splitlines()[-1].startswith("otcondense run done in ")
    assert {path.name for path in folder.iterdir()} == {"data", "runs"}
    assert (folder / "runs/demo/report.html").is_file()
    run(command, "verify", "runs/demo", directory=folder)
