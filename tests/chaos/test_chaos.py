"""A few faults of a fixed seed, the first of each kind that takes seconds; `make chaos` tries many of all kinds."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.chaos.faults import WEIGHTS, draw, family, stage_of
from tests.chaos.outcomes import read, table
from tests.chaos.trying import Workshop, attempt

SEED = 2606
KINDS = ("write", "damage", "worker", "driver")
FILES = (
    "features/resnet-0/class_name=0/part-0.parquet",
    "selection/geometry_aware-0/class_name=0/selection.parquet",
    "selection/geometry_aware-0/quality-0.json",
    "training/sit-0/metrics.jsonl",
    "training/sit-0/samples/1/part-0.parquet",
)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    made = Workshop(Path(tmp_path_factory.mktemp("chaos")))
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_command_ends_with_the_same_bytes(workshop: Workshop, kind: str) -> None:
    for number in count():
        fault = workshop.fault(SEED, number)
        if fault.kind != kind:
            continue
        outcome = attempt(workshop, fault, SEED, number)
        if outcome.is_hit:
            assert outcome.has_passed, (fault.name, outcome.problems)
            return


def test_a_fault_is_drawn_from_its_seed_and_number_alone() -> None:
    drawn = [draw(SEED, number, FILES) for number in range(300)]
    assert drawn == [draw(SEED, number, FILES) for number in range(300)]
    assert drawn != [draw(SEED + 1, number, FILES) for number in range(300)]
    assert {fault.kind for fault in drawn} == set(WEIGHTS)


def test_files_belong_to_the_stage_that_writes_them() -> None:
    assert [stage_of(name) for name in FILES] == ["extract", "select", "evaluate", "train", "sample"]
    assert len({family(name) for name in FILES}) == len(FILES)


def test_every_fault_that_was_tried_has_passed() -> None:
    """What is committed was true when it was tried; a failure stays in the file until the same fault passes later."""
    last = {(row["seed"], row["number"]): row for row in read()}
    failed = [key for key, row in last.items() if row["is_hit"] and not row["has_passed"]]
    assert not failed
    assert table(last.values()).count("|") > 0
