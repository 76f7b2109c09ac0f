"""Faults are drawn repeatably, and a run survives a fault of each kind; `make chaos` tries more."""

from collections.abc import Iterator

import pytest

from tests.chaos.faults import WEIGHTS, draw, family, stage_of
from tests.chaos.subject import Subject
from tests.chaos.trying import Workshop, attempt

SEED = 2606
MOST_TRIES = 5
QUICK = {"write": [pytest.mark.slow], "damage": [pytest.mark.slow]}
"""Tried by `make test-slow`; the other kinds by `make test-all`."""
FILES = (
    "features/resnet-0/class_name=0/part-0.parquet",
    "selection/geometry_aware-0/class_name=0/selection.parquet",
    "selection/geometry_aware-0/quality-0.json",
    "training/sit-0/metrics.jsonl",
    "training/sit-0/samples/1/part-0.parquet",
)


def test_a_fault_is_drawn_from_its_seed_and_number_alone() -> None:
    drawn = [draw(SEED, number, FILES) for number in range(1000)]
    assert drawn == [draw(SEED, number, FILES) for number in range(1000)]
    assert drawn != [draw(SEED + 1, number, FILES) for number in range(1000)]
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


@pytest.fixture(scope="module")
def workshop(subject: Subject) -> Iterator[Workshop]:
    made = Workshop(subject)
    yield made
    made.close()


@pytest.mark.timeout(2400)
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=QUICK.get(kind, pytest.mark.full)) for kind in WEIGHTS],
)
def test_a_run_survives_a_fault_of_each_kind(workshop: Workshop, kind: str) -> None:
    numbered = [(number, workshop.fault(SEED, number)) for number in range(3000)]
    faults = [(number, fault) for number, fault in numbered if fault.kind == kind]
    for number, fault in faults[:MOST_TRIES]:
        outcome = attempt(workshop, fault, SEED, number)
        if outcome.is_hit:
            assert outcome.has_passed, outcome.problems
            return
    raise AssertionError(f"no fault of kind {kind} arrived before the command ended")
