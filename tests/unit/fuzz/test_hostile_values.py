"""Values made by hand to break a reader: each is refused in a sentence that says what to do."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.command.settings import load_config
from jobs.convert.command import read_class_names
from otcondense.datasets import SourceConfig, list_images
from otcondense.datasets.labels import read_class_names as read_class_list
from otcondense.errors import InputError, storage_fault
from otcondense.representations import TextConfig
from otcondense.representations.tables import text_fingerprint
from tests.generators.containers import described, png, table, write_saved, write_tar

DEEP = b"[" * 200_000
SURROGATE = b'{"label": "\\ud800"}'


def in_tar(name: str, content: bytes) -> Callable[[Path], SourceConfig]:
    def write(root: Path) -> SourceConfig:
        write_tar(root / "a.tar", {"1.png": png(1), name: content})
        return SourceConfig(path=str(root), kind="webdataset")

    return write


def in_parquet(metadata: bytes) -> Callable[[Path], SourceConfig]:
    def write(root: Path) -> SourceConfig:
        columns = table((0, 1, 0, 2, 1, 0))
        schema = columns.schema.with_metadata({"huggingface": metadata})
        pq.write_table(columns.cast(schema), root / "a.parquet")
        return SourceConfig(path=str(root), kind="parquet")

    return write


def in_saved(info: bytes) -> Callable[[Path], SourceConfig]:
    def write(root: Path) -> SourceConfig:
        write_saved(root / "d")
        (root / "d" / "dataset_info.json").write_bytes(info)
        return SourceConfig(path=str(root / "d"), kind="hf")

    return write


def in_class_list(content: bytes) -> Callable[[Path], SourceConfig]:
    def write(root: Path) -> SourceConfig:
        (root / "images" / "a").mkdir(parents=True)
        (root / "images" / "a" / "1.png").write_bytes(png(1))
        (root / "names.txt").write_bytes(content)
        return SourceConfig(path=str(root / "images"), class_names=str(root / "names.txt"))

    return write


def invalid_text(root: Path) -> SourceConfig:
    label = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff\xfe")]
    )
    pq.write_table(pa.table({"image": [png(1)], "label": label}), root / "a.parquet")
    return SourceConfig(path=str(root), kind="parquet")


def lists_as_labels(root: Path) -> SourceConfig:
    pq.write_table(pa.table({"image": [png(1)], "label": [[1, 2]]}), root / "a.parquet")
    return SourceConfig(path=str(root), kind="parquet")


def two_columns(root: Path) -> SourceConfig:
    columns = [pa.array([png(1)]), pa.array([0]), pa.array([1])]
    twice = pa.Table.from_arrays(columns, ["image", "label", "label"])
    pq.write_table(twice, root / "a.parquet")
    return SourceConfig(path=str(root), kind="parquet")


def named(*names: object) -> bytes:
    kept = described(pa.schema([]), names)  # type: ignore[arg-type]
    return bytes(kept.metadata[b"huggingface"])


SOURCES = {
    "json, nested": in_tar("1.json", DEEP),
    "json, surrogate": in_tar("1.json", SURROGATE),
    "json, a list": in_tar("1.json", b"[1]"),
    "json, 5000 digits": in_tar("1.json", b'{"label": ' + b"9" * 5000 + b"}"),
    "json, 4000 digits": in_tar("1.json", b'{"label": ' + b"9" * 4000 + b"}"),
    "json, true": in_tar("1.json", b'{"label": true}'),
    "json, a float": in_tar("1.json", b'{"label": 1.5}'),
    "cls, 5000 digits": in_tar("1.cls", b"9" * 5000),
    "cls, other encoding": in_tar("1.cls", b"\xff\xfe"),
    "cls, empty": in_tar("1.cls", b""),
    "cls, NUL": in_tar("1.cls", b"a\0b"),
    "metadata, nested": in_parquet(DEEP),
    "metadata, a list": in_parquet(b"[1]"),
    "metadata, names that are numbers": in_parquet(named(1, 2, 3)),
    "metadata, a surrogate": in_parquet(named("a", "\ud800", "c")),
    "metadata, no text": in_parquet(b"\xff"),
    "description, nested": in_saved(DEEP),
    "description, a list": in_saved(b"[1]"),
    "description, no text": in_saved(b"\xff\xff"),
    "description, a name": in_saved(b'{"features": {"label": {"names": "cat"}}}'),
    "class list, other encoding": in_class_list("größe\na\n".encode("latin-1")),
    "class list, UTF-16": in_class_list("a\n".encode("utf-16")),
    "class list, empty": in_class_list(b""),
    "class list, doubled": in_class_list(b"a\na\n"),
    "labels, invalid UTF-8": invalid_text,
    "labels, lists": lists_as_labels,
    "labels, two columns": two_columns,
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_hostile_source_is_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    source = SOURCES[name](tmp_path)
    if name == "metadata, a list":
        assert len(list_images(source)) == 6
        return
    with pytest.raises(InputError, match=r"must|cannot be read|damaged|two columns"):
        list_images(source)


def test_a_class_list_of_windows_is_read(tmp_path: Path) -> None:
    """With a mark of the byte order, and lines that end in a carriage return."""
    source = in_class_list(b"\xef\xbb\xbfa\r\nb\r\n")(tmp_path)
    assert read_class_list(source) == ("a", "b")


JSON = {
    "nested": DEEP,
    "a surrogate": b'{"0": "\\udc80"}',
    "other encoding": b"\xff\xfe{",
    "a list": b"[1]",
    "empty": b"",
    "5000 digits": b'{"0": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("name", JSON)
def test_hostile_names_are_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    file = tmp_path / "n.json"
    file.write_bytes(JSON[name])
    with pytest.raises(InputError, match="--class-names must be a JSON file"):
        read_class_names(str(file))
    with pytest.raises(InputError, match=r"text\.names must"):
        text_fingerprint(TextConfig(names=str(file)), "0" * 64, {0: "cat"})


YAML = {
    "nested": "[" * 100_000,
    "nested maps": "{a: " * 5000,
    "a surrogate": 'run: "\\ud800"',
    "NUL": 'run: "a\\0b"',
    "5000 digits": "run: " + "9" * 5000,
    "hexadecimal": "run: 0x" + "f" * 4000,
    "a long value": "run: " + "x" * 100_000,
    "an alias of itself": "a: &a [*a]",
    "an unknown alias": "a: *b",
    "an impossible date": "run: 2020-99-99",
    "a list as a key": "? [1]\n: 2",
    "a merge of a number": "<<: 3",
    "a tag": "run: !!python/object/apply:os.system [true]",
    "two documents": "a: 1\n---\nb: 2",
    "other encoding": "run: größe",
}


@pytest.mark.parametrize("name", YAML)
def test_hostile_yaml_is_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    file = tmp_path / "c.yaml"
    encoding = "latin-1" if name == "other encoding" else "utf-8"
    file.write_bytes(YAML[name].encode(encoding))
    with pytest.raises(InputError, match=r"c\.yaml"):
        load_config(str(file), [])
    if "\n" not in YAML[name]:
        with pytest.raises(InputError):
            load_config("jobs/configs/demo.yaml", [f"source={YAML[name]}"])


def test_bases_without_an_end_are_refused(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.yaml").write_text(f"base: {number + 1}.yaml\n")
    with pytest.raises(InputError, match="at most the 20th base"):
        load_config(str(tmp_path / "0.yaml"), [])


@pytest.mark.parametrize("kind", ["image_folder", "parquet", "webdataset", "hf", "features"])
@pytest.mark.parametrize("path", ["foo://bucket/x", "nosuch+scheme://x"])
def test_an_address_of_an_unknown_kind_is_refused(path: str, kind: str) -> None:
    with pytest.raises(InputError, match=r"cannot be reached .* check the address"):
        list_images(SourceConfig(path=path, kind=kind))


def test_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoCredentialsError(Exception):
        """As botocore raises it: no OSError."""

    def refuse(*_: object, **__: object) -> None:
        raise NoCredentialsError("Unable to locate credentials")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.ls", refuse)
    with pytest.raises(
        InputError, match=r"memory://x cannot be reached \(NoCredentialsError: Unable to locate"
    ):
        list_images(SourceConfig(path="memory://x"))


def test_json_in_the_tests_is_what_it_claims() -> None:
    assert json.loads(SURROGATE)["label"] == "\ud800"


@pytest.mark.parametrize("kind", ["image_folder", "parquet", "webdataset", "hf", "features"])
def test_a_link_to_itself_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match="leads to itself; correct it"):
        list_images(SourceConfig(path=str(tmp_path / "loop"), kind=kind))


@pytest.mark.parametrize("name", ["x" * 300, "loop", "c.yaml/below"])
def test_a_path_that_no_file_can_have_is_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "c.yaml").touch()
    with pytest.raises((InputError, OSError)) as refused:
        load_config(str(tmp_path / name), [])
    assert isinstance(refused.value, InputError) or storage_fault(refused.value) is not None
