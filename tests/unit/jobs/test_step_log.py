"""The log of steps: appended, read from the last place, in groups on an object store."""

import pytest

from jobs.train.step_log import REMOTE_SECONDS, StepLog, StepWriter, step_log
from otcondense.diffusion.loss_lines import LoggedLine
from otcondense.store import Store

RUN = "training/run"


def line(step):
    return LoggedLine(step, 0.5, 0.1, step_seconds=1.0, data_wait_seconds=0.0, time=2.0, process=3)


def steps(lines):
    return [each.step for each in lines]


@pytest.fixture(params=["local", "memory://steps"])
def store(request, tmp_path):
    root = str(tmp_path) if request.param == "local" else request.param
    made = Store(root)
    yield made
    made.remove("logs")


def test_only_new_whole_lines_are_read(store):
    assert StepLog(store, RUN).new_lines() == []
    writer = StepWriter(store, RUN)
    writer.add(line(1))
    writer.flush()
    log = StepLog(store, RUN)
    writer.add(line(2))
    writer.add(line(3))
    writer.flush()
    assert log.new_lines() == [line(2), line(3)]
    assert log.new_lines() == []


def test_a_torn_line_costs_itself_alone(store):
    """A killed worker leaves a line without an end; its successor goes on behind it."""
    log = StepLog(store, RUN)
    store.write_bytes(step_log(RUN), b'{"step": 1, "lo')
    assert log.new_lines() == []
    writer = StepWriter(store, RUN)
    writer.add(line(2))
    writer.flush()
    assert steps(log.new_lines()) == [2]
    assert steps(StepLog(store, "training/none").new_lines()) == []


def test_a_local_file_is_appended_not_written_again(tmp_path):
    store, writer = Store(str(tmp_path)), StepWriter(Store(str(tmp_path)), RUN)
    writer.add(line(1))
    file = tmp_path / step_log(RUN)
    first = file.stat()
    for step in range(2, 5):
        writer.add(line(step))
    assert file.stat().st_ino == first.st_ino
    assert file.stat().st_size == 4 * first.st_size
    assert len(store.read_lines(step_log(RUN), LoggedLine)) == 4


def test_an_object_is_written_at_most_every_so_many_seconds():
    store, now = Store("memory://seldom"), [0.0]
    writer = StepWriter(store, RUN, lambda: now[0])
    log = StepLog(store, RUN)
    seen = []
    for step in range(1, 10):
        now[0] = step * REMOTE_SECONDS / 3
        writer.add(line(step))
        seen.append(steps(log.new_lines()))
    writer.flush()
    assert seen == [[], [], [1, 2, 3], [], [], [4, 5, 6], [], [], [7, 8, 9]]
    store.remove("logs")
