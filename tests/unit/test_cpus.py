"""The number of CPUs, where the system can keep a process to some of them and where it cannot."""

import os

import pytest

from otcondense.cpus import usable_cpus


def test_a_process_kept_to_one_cpu_has_one() -> None:
    kept = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(kept)})
        assert usable_cpus() == 1
    finally:
        os.sched_setaffinity(0, kept)
    assert usable_cpus() == len(kept)


def test_a_system_without_the_question_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cpus() == os.cpu_count()
