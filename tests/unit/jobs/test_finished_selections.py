"""A start of the selection reads only selections that may have changed."""

from pathlib import Path

import pytest

from actors.selection_unit import SelectionUnit
from jobs.select_subset import finished
from jobs.select_subset.finished import FinishedSelections
from otcondense.store import Store, selection_file, write_table
from otcondense.store.selection import MANIFEST_SCHEMA

NAMES = ("a", "b")


def unit_of(name: str, fingerprint: str = "f") -> SelectionUnit:
    return SelectionUnit(
        name=name,
        subset="random",
        method="random",
        class_name=name,
        size=3,
        settings={},
        difficulty_directory=None,
        directory="selection/random-0",
        fingerprint=fingerprint,
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path))
    for name in NAMES:
        file = selection_file("selection/random-0", name)
        write_table(made, file, MANIFEST_SCHEMA.empty_table(), fingerprint="f")
    return made


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read whole."""
    names: list[str] = []
    plain = finished.read_fingerprint

    def noted(store: Store, name: str) -> str | None:
        names.append(name)
        return plain(store, name)

    monkeypatch.setattr(finished, "read_fingerprint", noted)
    return names


def start(store: Store) -> list[bool]:
    """Look at all selections, as a start does; say which are finished."""
    found = FinishedSelections(store)
    states = [found.has(unit_of(name)) for name in NAMES]
    found.save()
    return states


def test_the_second_start_reads_no_selection(store: Store, read: list[str]) -> None:
    assert start(store) == [True, True]
    assert len(read) == 2
    assert start(store) == [True, True]
    assert len(read) == 2


def test_selections_that_were_just_made_are_not_read(store: Store, read: list[str]) -> None:
    made = FinishedSelections(store)
    made.add(unit_of(name) for name in NAMES)
    made.save()
    assert start(store) == [True, True]
    assert read == []


@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_a_selection_that_may_have_changed_is_read_again(
    store: Store, read: list[str], damage: str
) -> None:
    start(store)
    read.clear()
    file = Path(store.path(selection_file("selection/random-0", "a")))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content if damage == "changed" else content[:-7])
    assert start(store) == [False, True]
    assert "class_name=a" in read[0]


def test_a_selection_from_other_inputs_is_not_finished(store: Store) -> None:
    start(store)
    assert not FinishedSelections(store).has(unit_of("a", "other inputs"))
