"""The wheels for a GPU machine are complete, small enough, and work."""

import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from benchmarks.gpu_bundle.__main__ import PYTHON, build
from benchmarks.gpu_bundle.changes import CHANGES, Change
from benchmarks.gpu_bundle.contents import (
    BROUGHT,
    MACHINE,
    MOST_BYTES,
    ROOTS,
    WHEELS,
    canonical,
    pinned_versions,
    requirements,
)
from benchmarks.gpu_bundle.download import fetch
from benchmarks.gpu_bundle.install import absent
from benchmarks.gpu_bundle.record import record_line, wrong_files
from benchmarks.gpu_bundle.repack import NOTICE, repack

USE_RAY = """
import ray
from jobs.cluster.start import start_ray
start_ray(num_cpus=2)
print(ray.__file__)
print(ray.get(ray.remote(lambda: 6 * 7).remote()))
ray.shutdown()
"""
USE_POT = """
import ot, numpy
print(ot.__file__)
print(ot.emd2([0.5, 0.5], [0.5, 0.5], numpy.array([[1.0, 9.0], [9.0, 2.0]])))
"""
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"


def needs(lines: Iterable[str]) -> Iterator[str]:
    """Yield the names of the requirements that hold on the machine, without extras."""
    machine = default_environment() | {"python_version": PYTHON, "extra": ""}
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(machine):
            yield canonical(requirement.name)


def direct_needs(names: Iterable[str]) -> set[str]:
    """Return the packages that some installed packages ask for."""
    return {need for name in names for need in needs(metadata.requires(name) or ())}


def all_needs(names: Iterable[str]) -> set[str]:
    """Return the packages that some installed packages need, and those that these need."""
    found: set[str] = set()
    new = set(names)
    while new:
        new = direct_needs(new) - found
        found |= new
    return found


def test_the_bundle_and_the_machine_have_all_that_the_wheels_need() -> None:
    wanted = direct_needs(WHEELS)
    assert wanted <= {*WHEELS, *MACHINE, *BROUGHT}
    assert set(WHEELS) <= {*ROOTS, *wanted}


def test_what_is_not_bundled_comes_with_the_packages_of_the_machine() -> None:
    assert set(BROUGHT) <= all_needs(MACHINE)


def test_every_wheel_has_a_pinned_version_and_every_root_a_range() -> None:
    assert set(WHEELS) <= pinned_versions().keys()
    assert [next(needs([line])) for line in requirements()] == list(ROOTS)


def test_every_changed_wheel_is_in_the_bundle() -> None:
    assert CHANGES.keys() <= set(WHEELS)


def test_the_installer_names_what_the_machine_must_have() -> None:
    assert absent(["torch", "no-such-package", "numpy"]) == ["no-such-package"]


def write_wheel(path: Path, files: dict[str, bytes]) -> None:
    listed = "made-1.0.dist-info/RECORD"
    lines = [record_line(name, content) for name, content in files.items()]
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.mkdir("made")  # wheels may list folders, RECORD does not
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6))
            entry.external_attr = 0o755 << 16
            wheel.writestr(entry, content)
        wheel.writestr(listed, "\n".join([*lines, f"{listed},,", ""]))


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "made-1.0-py3-none-any.whl"
    files = {
        "made/core/program": b"\x7fELF",
        "made/jars/all.jar": b"java" * 99,
        "made/a, b.py": b"",
        "made/inner/other-2.0.dist-info/RECORD": b"",
        "made-1.0.dist-info/licenses/LICENSE": b"as you like",
    }
    write_wheel(path, files)
    return path


def test_a_repacked_wheel_lacks_the_unused_files_and_lists_the_others(wheel: Path) -> None:
    change = Change(("made/jars/",), {"made/jars/__init__.py": "# nothing\n"})
    copies = [wheel.parent / name / wheel.name for name in ("first", "second")]
    for copy in copies:
        copy.parent.mkdir()
        repack(wheel, copy, change)
    assert copies[0].read_bytes() == copies[1].read_bytes()
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(copies[0]) as new:
        added = {f"made-1.0.dist-info/{NOTICE}", "made/jars/__init__.py"}
        gone = {"made/", "made/jars/all.jar"}
        assert set(new.namelist()) == set(old.namelist()) - gone | added
        assert wrong_files(old) == wrong_files(new) == []
        program = new.getinfo("made/core/program")
        assert program.external_attr >> 16 == 0o755
        assert b"made/jars/" in new.read(f"made-1.0.dist-info/{NOTICE}")


@pytest.mark.parametrize("content", [b"changed", None], ids=["changed", "unlisted"])
def test_files_that_differ_from_the_list_are_found(wheel: Path, content: bytes | None) -> None:
    name = "made/new.py" if content is None else "made/core/program"
    with zipfile.ZipFile(wheel) as old:
        files = {each: old.read(each) for each in old.namelist()}
    files[name] = content or b""
    with zipfile.ZipFile(wheel, "w") as changed:
        for each, kept in files.items():
            changed.writestr(each, kept)
    with zipfile.ZipFile(wheel) as changed:
        assert wrong_files(changed) == [name]


def fetched(work: Iterable[object]) -> None:
    """Do the work; a machine without a network skips the test."""
    try:
        list(work)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the wheels cannot be fetched here: {error}")


@pytest.mark.slow
def test_the_written_bundle_is_complete_and_small_enough(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    fetched(build(each) for each in [folder])
    found: dict[str, set[str]] = {}
    for path in folder.glob("*.whl"):
        with zipfile.ZipFile(path) as opened:
            assert wrong_files(opened) == []
            (name,) = (each for each in opened.namelist() if is_metadata(each))
            facts = Parser().parsestr(opened.read(name).decode())
        found[canonical(facts["Name"])] = set(needs(facts.get_all("Requires-Dist", [])))
    assert found.keys() == set(WHEELS)
    assert set().union(*found.values()) <= {*WHEELS, *MACHINE, *BROUGHT}
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MOST_BYTES
    assert {path.name for path in folder.iterdir()} >= {"install.py", "requirements.txt"}


def is_metadata(name: str) -> bool:
    return name.endswith(".dist-info/METADATA") and name.count("/") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "missing", "program", "answer"),
    [
        ("ray", "ray/jars/ray_dist.jar", USE_RAY, "42"),
        ("pot", "ot/bsp/bsp_ot.py", USE_POT, "1.5"),
    ],
)
def test_a_repacked_package_works(
    name: str, missing: str, program: str, answer: str, tmp_path: Path
) -> None:
    fetched(fetch([each], RUNNING, tmp_path) for each in [name])
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*install, "--target", str(site), str(wheel)], check=True)
    assert not (site / missing).exists()
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{site}:{Path.cwd()}", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert result.returncode == 0, result.stderr
    package = missing.partition("/")[0]
    assert result.stdout.split() == [str(site / package / "__init__.py"), answer]
