"""The drawing of faults, a few of them tried, and what came of the long series; `make chaos` tries more."""

from pathlib import Path

import pytest

from tests.chaos.faults import WEIGHTS, draw, family, stage_of
from tests.chaos.outcomes import Outcome, read
from tests.chaos.trying import Workshop, attempt

SEED, MOST_TRIES = 2606, 5
FILES = (
    "features/resnet-0/class_name=0/part-0.parquet",
    "selection/geometry_aware-0/class_name=0/selection.parquet",
    "selection/geometry_aware-0/quality-0.json",
    "training/sit-0/metrics.jsonl",
    "training/sit-0/samples/1/part-0.parquet",
)


def test_a_fault_is_drawn_from_its_seed_and_number_alone() -> None:
    drawn = [draw(SEED, number, FILES) for number in range(300)]
    assert drawn == [draw(SEED, number, FILES) for number in range(300)]
    assert drawn != [draw(SEED + 1, number, FILES) for number in range(300)]
    assert {fault.kind for fault in drawn} == set(WEIGHTS)


def test_files_belong_to_the_stage_that_writes_them() -> None:
    assert [stage_of(name) for name in FILES] == [
        "extract",
        "select",
        "evaluate",
        "train",
        "sample",
    ]
    assert len({family(name) for name in FILES}) == len(FILES)


def test_every_fault_of_the_long_series_was_survived() -> None:
    outcomes = read()
    assert outcomes
    assert [row["problems"] for row in outcomes if row["is_hit"] and not row["has_passed"]] == []


def first_hit(workshop: Workshop, kind: str) -> Outcome:
    """Try the first faults of a kind until one comes in time."""
    numbers = [number for number in range(1000) if workshop.fault(SEED, number).kind == kind][
        :MOST_TRIES
    ]
    for number in numbers:
        outcome = attempt(workshop, workshop.fault(SEED, number), SEED, number)
        if outcome.is_hit:
            return outcome
    raise AssertionError(f"no fault of kind {kind} came in time")


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_broken_write_a_damaged_file_a_dead_worker_and_a_dead_driver(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    try:
        outcomes = [first_hit(workshop, kind) for kind in ("write", "damage", "worker", "driver")]
    finally:
        workshop.close()
    assert [
        (outcome.kind, outcome.problems) for outcome in outcomes if not outcome.has_passed
    ] == []
