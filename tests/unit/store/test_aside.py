"""Results are taken away until new ones have taken their place: on disks and in object stores."""

import uuid
from pathlib import Path

import pytest

from otcondense.store import Store, put_back, set_aside

NAMES = ("a/x.bin", "a/y.bin")


@pytest.fixture(params=["disk", "object store"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    root = str(tmp_path / "run")
    if request.param == "object store":
        root = f"memory://{uuid.uuid4().hex}/run"
    store = Store(root)
    for name in (*NAMES, "b/z.bin"):
        store.write_bytes(name, b"old")
    return store


def test_they_are_deleted_at_a_good_end(store: Store) -> None:
    with set_aside(store, NAMES):
        assert store.list() == ["b/z.bin"]
        store.write_bytes("a/x.bin", b"new")
    assert store.list() == ["a/x.bin", "b/z.bin"]
    assert store.read_bytes("a/x.bin") == b"new"
    assert store.list_hidden(".aside") == []


def fail(store: Store) -> None:
    with set_aside(store, NAMES):
        store.write_bytes("a/x.bin", b"new")
        raise KeyboardInterrupt


def test_those_whose_place_is_free_are_put_back_after_a_failure(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail(store)
    assert store.list() == ["a/x.bin", "a/y.bin", "b/z.bin"]
    assert store.read_bytes("a/x.bin") == b"new"
    assert store.read_bytes("a/y.bin") == b"old"


def test_what_a_killed_process_has_set_aside_is_put_back(store: Store) -> None:
    held = set_aside(store, NAMES)  # nobody ends it: the process is gone
    held.__enter__()
    assert store.list() == ["b/z.bin"]
    put_back(store)
    assert store.list() == ["a/x.bin", "a/y.bin", "b/z.bin"]
    put_back(store)
    assert store.read_bytes("a/y.bin") == b"old"
