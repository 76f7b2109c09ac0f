"""The published choices agree with their digests, and with each other."""

import csv
import hashlib
from pathlib import Path

import pytest

from otcondense.selection import SELECTORS
from website.published import DRAWING, PERCENTS, SEEDS, TARGET

CLASSES = 10
SOURCE_ROWS = 60_000


def table() -> list[dict[str, str]]:
    with (TARGET / "subsets.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def rows(name: str) -> list[int]:
    return [int(line) for line in (TARGET / name).read_text().splitlines()]


def test_every_file_has_its_digest_in_both_lists():
    listed = {each["file"]: each["sha256"] for each in table()}
    sums = [line.split("  ") for line in (TARGET / "SHA256SUMS").read_text().splitlines()]
    on_disk = {
        str(path.relative_to(TARGET)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(TARGET, "rows").iterdir()
    }
    assert listed == {name: digest for digest, name in sums} == on_disk


def test_every_method_share_and_seed_is_there():
    found = {(each["method"], int(each["percent"]), each["seed"]) for each in table()}
    wanted = set()
    for method in SELECTORS:
        for percent in PERCENTS:
            seeds = [str(seed) for seed in SEEDS] if method in DRAWING else ["any"]
            wanted |= {(method, percent, seed) for seed in seeds}
    assert found == wanted


@pytest.mark.parametrize("percent", PERCENTS)
def test_files_have_the_budget_of_each_class_and_agree_on_the_classes(percent):
    budget = PERCENTS[percent]
    labels: dict[int, int] = {}
    for each in table():
        if int(each["percent"]) != percent:
            continue
        chosen = rows(each["file"])
        assert len(set(chosen)) == len(chosen) == budget * CLASSES == int(each["images"])
        assert all(0 <= row < SOURCE_ROWS for row in chosen)
        for place, row in enumerate(chosen):
            assert labels.setdefault(row, place // budget) == place // budget
