"""Checks of driver, compiler and shared memory, on the texts and numbers of other machines."""

from pathlib import Path

import pytest

from jobs.command.settings import load_config
from jobs.doctor.gpus import (
    LEAST_DRIVER,
    check_compiler,
    check_driver,
    driver_version,
    needed_gpu,
)
from jobs.doctor.storage import check_shared_memory, machine_memory

GIB = 2**30
MODULE = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Mon Sep  1 12:00:00 UTC 2025\nGCC ..."
OPEN_MODULE = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build  (dvs@host)\n"
    "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"
)
TABLE = "| NVIDIA-SMI 580.65.06     Driver Version: {}     CUDA Version: 13.0     |"


@pytest.mark.parametrize("text", [MODULE, OPEN_MODULE, TABLE, "{}\n{}\n"])
@pytest.mark.parametrize("version", ["580.65.06", "535.104", "450.80.02"])
def test_the_version_of_the_driver_is_read(text: str, version: str) -> None:
    assert driver_version(text.replace("{}", version)) == version


@pytest.mark.parametrize("text", ["", "nothing", "GCC version:  gcc version 12.2.0 (Debian)\n"])
def test_other_texts_have_no_version(text: str) -> None:
    assert driver_version(text) is None


@pytest.mark.parametrize(
    ("version", "cuda", "verdict"),
    [
        ("580.65.06", "13.2", "ok"),
        ("595.10", "13.0", "ok"),
        ("579.99", "13.2", "wrong"),
        ("535.104.05", "13.2", "wrong"),
        ("535.104.05", "12.8", "ok"),
        ("580.65.06", "12.1", "ok"),
        ("470.82.01", "12.1", "wrong"),
        ("470.82.01", "11.8", "ok"),
        ("580.65.06", "99.0", "note"),
        ("580.65.06", None, "wrong"),
    ],
)
def test_the_driver_is_compared_with_the_cuda_of_torch(
    version: str, cuda: str | None, verdict: str
) -> None:
    (finding,) = check_driver(MODULE.format(version), cuda, has_devices=True)
    assert finding.verdict == verdict
    assert version in finding.seen
    if verdict == "wrong" and cuda is not None:
        assert f"install driver {LEAST_DRIVER[int(cuda[:2])]} or newer" in finding.remedy


def test_the_installed_torch_has_a_known_driver() -> None:
    import torch

    assert torch.version.cuda is None or int(torch.version.cuda.split(".")[0]) in LEAST_DRIVER


@pytest.mark.parametrize(("has_devices", "verdicts"), [(True, ["wrong"]), (False, [])])
def test_a_missing_driver_is_wrong_beside_gpus(*, has_devices: bool, verdicts: list[str]) -> None:
    found = check_driver("", "13.2", has_devices=has_devices)
    assert [finding.verdict for finding in found] == verdicts


@pytest.mark.parametrize(
    ("file", "settings", "named"),
    [
        ("imagenet-10k", ["source.path=images"], "encoder.device"),
        ("imagenet-10k", ["source.path=images", "encoder.device=cpu"], "models.l2.training.device"),
        ("demo", [], None),
    ],
)
def test_a_configuration_that_names_a_gpu_needs_one(
    file: str, settings: list[str], named: str | None
) -> None:
    config = load_config(f"jobs/configs/{file}.yaml", settings)
    here = list(needed_gpu(config, seen=False, on_cluster=False))
    assert [finding.verdict for finding in here] == ([] if named is None else ["wrong"])
    assert all(f"{named} is cuda" in finding.seen for finding in here)
    elsewhere = list(needed_gpu(config, seen=False, on_cluster=True))
    assert [finding.verdict for finding in elsewhere] == ([] if named is None else ["note"])
    assert not list(needed_gpu(config, seen=True, on_cluster=False))


@pytest.mark.parametrize(
    ("missing", "compiling", "verdict"),
    [
        ([], None, "ok"),
        ([], ["l2"], "ok"),
        (["a C compiler"], None, "note"),
        (["a C compiler"], [], "ok"),
        (["a C compiler"], ["l2"], "wrong"),
        (["Python's headers"], ["l2"], "wrong"),
    ],
)
def test_a_compiler_is_needed_by_configurations_that_compile(
    missing: list[str], compiling: list[str] | None, verdict: str
) -> None:
    finding = check_compiler(missing, None if missing else "/usr/bin/gcc", compiling)
    assert finding.verdict == verdict
    assert all(each in finding.seen for each in missing)
    assert ("apt-get install gcc" in finding.remedy) == (verdict != "ok")


@pytest.mark.parametrize(
    ("total", "free", "memory", "has_gpus", "verdict"),
    [
        (64 * 2**20, 64 * 2**20, 16 * GIB, True, "wrong"),
        (64 * 2**20, 64 * 2**20, 16 * GIB, False, "note"),
        (16 * GIB, 0, 16 * GIB, True, "wrong"),
        (4 * GIB, 4 * GIB, 16 * GIB, False, "note"),
        (8 * GIB, 8 * GIB, 16 * GIB, True, "ok"),
        (256 * GIB, 250 * GIB, 900 * GIB, True, "ok"),
        (100 * GIB, 100 * GIB, 900 * GIB, True, "note"),
        (256 * GIB, 250 * GIB, 2000 * GIB, True, "ok"),
    ],
)
def test_shared_memory_holds_the_object_store_and_buffers_of_nccl(
    total: int, free: int, memory: int, *, has_gpus: bool, verdict: str
) -> None:
    assert check_shared_memory(total, free, memory, has_gpus=has_gpus).verdict == verdict


@pytest.mark.parametrize(("limit", "share"), [("max", 1), ("1000000", None), (None, 1)])
def test_the_memory_of_a_container_is_its_limit(
    limit: str | None, share: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.doctor.storage.CGROUP_LIMIT", tmp_path / "none")
    whole = machine_memory()
    monkeypatch.setattr("jobs.doctor.storage.CGROUP_LIMIT", tmp_path / "memory.max")
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
    assert machine_memory() == (1_000_000 if share is None else whole)
