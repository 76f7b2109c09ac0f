"""Files are written whole or not at all, and names stay below the root."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from otcondense.errors import InputError
from otcondense.store import Store, canonical_json, fingerprint, hash8
from otcondense.store.local_files import is_file


@dataclass(frozen=True)
class Line:
    step: int


def test_write_leaves_only_the_final_file(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write_bytes("a/b.bin", b"one")
    store.write_bytes("a/b.bin", b"two")
    assert store.read_bytes("a/b.bin") == b"two"
    assert store.list() == ["a/b.bin"]
    assert os.listdir(tmp_path / "a") == ["b.bin"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ConnectionError])
def test_a_storage_fault_is_not_a_missing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    class Failing(type(tmp_path)):
        stat = fail

    monkeypatch.setattr(MemoryFileSystem, "info", fail)
    with pytest.raises(error):
        Store("memory://bucket").exists("a")
    with pytest.raises(error):
        is_file(Failing(tmp_path))


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store = Store(str(tmp_path))
    store.write_bytes("a.bin", b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises(OSError, match="No space"):
        store.write_bytes("a.bin", b"new")
    assert store.read_bytes("a.bin") == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def fail_to_write(store: Store, name: str) -> None:
    with store.writing(name) as file:
        file.write(b"thr")
        raise ConnectionError


def test_a_file_in_parts_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for content in (b"one", b"two"):
        with store.writing("a/b.bin") as file:
            file.write(content[:1])
            file.write(content[1:])
    with pytest.raises(ConnectionError):
        fail_to_write(store, "a/b.bin")
    assert store.read_bytes("a/b.bin") == b"two"
    assert os.listdir(tmp_path / "a") == ["b.bin"]


def test_the_end_of_a_log(tmp_path: Path) -> None:
    for store in (Store(str(tmp_path)), Store("memory://tail")):
        assert store.read_tail("log", 3) == b""
        store.append_line("log", "one")
        assert store.read_tail("log", 1) == b"ne\n"
        assert store.read_tail("log", 9) == b""


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x"])
def test_names_cannot_leave_the_root(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="below its root"):
        Store(str(tmp_path)).write_bytes(name, b"")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"1", b"\xff", b'{"a": 1}', b'{"a": 1, "content": "0"}', None]
)
def test_an_object_that_was_changed_is_refused(tmp_path: Path, content: bytes | None) -> None:
    store = Store(str(tmp_path))
    store.write_json("a.json", {"a": 0.1, "b": [None, "x"]})
    assert store.read_json("a.json") == {"a": 0.1, "b": [None, "x"]}
    changed = store.read_bytes("a.json").replace(b"0.1", b"0.3") if content is None else content
    store.write_bytes("a.json", changed)
    with pytest.raises(InputError, match=r"a\.json"):
        store.read_json("a.json")


def test_broken_lines_of_a_log_are_skipped(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert store.read_lines("log.jsonl", Line) == []
    store.write_bytes(
        "log.jsonl", b'{"step": 1}\n{"st{"step": 3}\n\0\0\n[4]\n{"step": 5}\n{"step": 6'
    )
    assert store.read_lines("log.jsonl", Line) == [Line(1), Line(5)]


@pytest.mark.parametrize("root", ["local", "memory://logs"])
def test_a_line_that_was_cut_does_not_take_the_next_along(tmp_path: Path, root: str) -> None:
    store = Store(str(tmp_path / root) if root == "local" else root)
    store.append_line("log.jsonl", '{"step": 1}')
    store.write_bytes("log.jsonl", store.read_bytes("log.jsonl") + b'{"st')
    store.append_line("log.jsonl", '{"step": 2}')
    assert store.read_lines("log.jsonl", Line) == [Line(1), Line(2)]


def test_a_log_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("x")
    Store(str(tmp_path / "file" / "run")).append_line("log.jsonl", "{}")
    assert "log.jsonl is not written: Not a directory" in caplog.text
    assert (tmp_path / "file").read_text() == "x"


def test_an_object_store_has_the_same_interface() -> None:
    store = Store("memory://bucket/run")
    store.write_json("a/b.json", {"b": 1, "a": [1.5, None]})
    store.append_line("logs/x", "1")
    store.append_line("logs/x", "2")
    assert not store.is_local
    assert store.read_json("a/b.json") == {"a": [1.5, None], "b": 1}
    assert store.list() == ["a/b.json", "logs/x"]
    assert store.read_bytes("logs/x") == b"1\n2\n"
    store.remove("a")
    assert store.list() == ["logs/x"]


def test_fingerprints_depend_on_content_not_order() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 1.5})
    assert hash8([1]) == fingerprint([1])[:8]
    assert canonical_json({"b": "ä", "a": None}) == '{"a":null,"b":"ä"}'


def test_values_without_a_canonical_form_are_refused() -> None:
    with pytest.raises(TypeError, match="canonical"):
        fingerprint({"a": object()})
