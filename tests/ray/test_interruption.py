"""An interrupted or killed driver leaves a run that the same command finishes: same bytes."""

import signal

import pytest

from tests.chaos.faults import stage_of
from tests.chaos.subject import Subject, differences, finished
from tests.verbs import call

pytestmark = pytest.mark.timeout(2400)
BEGUN = {
    "extract": "features/*/class_name=0/part-0.parquet",
    "select": "selection/*/class_name=0/selection.parquet",
    "train": "training/sit-*/checkpoints/*6/state.json",
    "sample": "training/*/samples/*/part-00000.parquet",
}
"""The first file that a stage writes."""
WORKERS = {
    "extract": ("extraction.num_encoders=1",),
    "train": ("models.sit.training.num_workers=1",),
}
"""Ray replaces the handler of SIGTERM, Ray Train that of SIGINT: each has to run."""


@pytest.mark.parametrize(
    ("stage", "number"),
    [
        pytest.param("extract", signal.SIGINT, marks=pytest.mark.full),
        pytest.param("select", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("train", signal.SIGINT, marks=[pytest.mark.slow, pytest.mark.ci]),
        pytest.param("sample", signal.SIGKILL, marks=pytest.mark.full),
    ],
    ids=["extract SIGINT", "select SIGTERM", "train SIGINT", "sample SIGKILL"],
)
def test_the_same_command_resumes_a_run_that_was_interrupted_in_any_stage(
    subject: Subject, stage: str, number: signal.Signals
) -> None:
    workers = WORKERS.get(stage, ())
    with subject.without(stage) as run:
        with subject.start(run, overrides=workers) as command:
            assert command.wait_until(lambda: bool(list(run.glob(BEGUN[stage])))), command.output
            command.signal(number)
            ended = command.end()
        if number == signal.SIGKILL:
            assert ended.code == -signal.SIGKILL
        else:
            assert ended.code == 130, ended.output
            assert "run the same command again to resume" in ended.output
            assert "Traceback" not in ended.output
        before = finished(subject, run)
        assert {stage_of(name) for name in before} >= {"extract", "select"} - {stage}

        call("run", [f"--config={subject.config}", f"--run={run}", *workers])
        assert differences(subject, run) == []
        assert finished(subject, run).items() >= before.items()
