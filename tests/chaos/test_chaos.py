"""The drawing of faults; `make chaos` tries them."""

from tests.chaos.faults import WEIGHTS, draw, family, stage_of

SEED = 2606
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
    assert [stage_of(name) for name in FILES] == ["extract", "select", "evaluate", "train", "sample"]
    assert len({family(name) for name in FILES}) == len(FILES)
