"""Two workers of a training: each byte of a checkpoint and of the data is read once, by one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from otcondense.store import Store
from tests.generators.trainings import RUN


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The folder in which two workers have trained."""
    made = tmp_path_factory.mktemp("two")
    subprocess.run(
        [sys.executable, "-m", "tests.two_workers", str(made)],
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"},
    )
    return made


@pytest.fixture(scope="module")
def seen(root):
    """What each worker saw."""
    return [json.loads((root / f"{rank}.json").read_text()) for rank in range(2)]


def test_the_first_worker_reads_each_byte_once_for_all(seen, root):
    for rank in range(2):
        assert [seen[rank][scene]["resumed_from"] for scene in ("fresh", "lengthened")] == [0, 4]
    assert seen[1]["lengthened"]["read"] == {}
    read = seen[0]["lengthened"]["read"]
    sizes = {name: count for name, count in read.items() if "step-000004" in name}
    assert sizes == read
    assert len(read) == 3
    kept = Store(str(root / "stopped"))  # every step has files of the same sizes
    for name, count in read.items():
        assert count == kept.size(name.replace("000004", "000002"))


def test_nothing_to_do_reads_no_tensor(seen):
    for rank in range(2):
        assert seen[rank]["finished"] == {"resumed_from": None, "read": {}}
        assert seen[rank]["fresh"]["read"] == {}


def test_a_checkpoint_that_rots_on_the_disk_gives_way_to_an_older_one(seen):
    """The damage shows when the file is used: size and time of change are as before."""
    for rank in range(2):
        assert seen[rank]["damaged"]["resumed_from"] == 2


def test_workers_that_went_on_end_like_those_that_never_stopped(seen, root):
    """Also the moments and averages of the second worker: its weights follow them."""
    calm, stopped = (Store(str(root / name)) for name in ("calm", "stopped"))
    names = calm.list(RUN)
    assert {name.split("/")[3] for name in names if "checkpoints" in name} == {
        "step-000002",
        "step-000008",
    }
    assert names == stopped.list(RUN)
    for name in names:
        assert calm.read_bytes(name) == stopped.read_bytes(name), name


def test_both_report_each_checkpoint_of_a_start(seen):
    assert [report["step"] for report in seen[0]["reports"]] == [
        *(2, 4, 6, 8),
        *(2, 4),
        6,
        *(4, 6, 8),
    ]
    assert seen[0]["reports"] == seen[1]["reports"]


def test_streamed_data_are_written_by_one_worker_of_a_machine(seen):
    kinds, classes = 3, 3  # latents, tokens, captions
    assert [each["classes"] for each in seen] == [{"classes": kinds * classes}, {}]


def test_an_error_of_the_first_worker_reaches_all(seen):
    mistake, full = "InputError  a mistake", "OSError 28 [Errno 28] full"
    assert seen[0]["errors"] == [*[mistake] * 2, *[full] * 2, *["KeyError  'bug'"] * 2]
    others = seen[1]["errors"]
    assert others[:2] == [mistake] * 2
    assert all(text.startswith("OSError 28") for text in others[2:4])
    assert others[4:] == ["RuntimeError  'bug'"] * 2
