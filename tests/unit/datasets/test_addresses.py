"""Addresses of stores: read through fsspec's own file systems, or refused with what to do."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from huggingface_hub import HfFileSystem

from otcondense.datasets import SourceConfig, access, list_images, read_image_bytes
from otcondense.errors import InputError
from tests.generators.containers import LABELS, png, write_parquet, write_path_parquet
from tests.generators.hub_datasets import hub_dataset

REPOSITORY = "me/pets"


def files_below(root: Path) -> dict[str, bytes]:
    paths = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


@pytest.fixture
def hub_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """Gives the files of a data set that the real file system reads, to be filled."""
    files: dict[str, bytes] = {}
    HfFileSystem.clear_instance_cache()
    with hub_dataset(REPOSITORY, files) as endpoint:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        )
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield files
    HfFileSystem.clear_instance_cache()


@pytest.mark.parametrize("path", ["", "@v1", "/data", "@v1/data/train-0.parquet"])
def test_parquet_of_the_hub_is_a_source(
    tmp_path: Path, hub_files: dict[str, bytes], path: str
) -> None:
    write_parquet(tmp_path / "data")
    hub_files |= {"README.md": b"a card", **files_below(tmp_path)}
    address = f"hf://datasets/{REPOSITORY}{path}"
    records = list_images(SourceConfig(path=address, kind="parquet", id_column="key"))
    found = {record.image_id: record for record in records}
    numbers = range(4 if path.endswith("0.parquet") else 6)
    assert found.keys() == {f"k/{number}" for number in numbers}
    for number in numbers:
        record = found[f"k/{number}"]
        assert record.class_name == LABELS[number]
        assert read_image_bytes(record.path) == png(number)


def test_a_folder_of_images_and_a_manifest_of_the_hub_are_sources(
    tmp_path: Path, hub_files: dict[str, bytes]
) -> None:
    hub_files |= {f"{label}/{number}.png": png(number) for number, label in enumerate(LABELS)}
    rows = [f"{label}/{number}.png,{label}" for number, label in enumerate(LABELS)]
    hub_files["metadata.csv"] = "\n".join(["file_name,label", *rows]).encode()
    address = f"hf://datasets/{REPOSITORY}"
    folder = list_images(SourceConfig(path=address))
    manifest = list_images(SourceConfig(path=f"{address}/metadata.csv", kind="manifest"))
    assert [(each.image_id, each.class_name) for each in manifest] == [
        (each.image_id, each.class_name) for each in folder
    ]
    for one, two in zip(folder, manifest, strict=True):
        assert read_image_bytes(one.path) == read_image_bytes(two.path)


def test_a_hub_that_does_not_answer_is_named_with_the_other_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    HfFileSystem.clear_instance_cache()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        InputError,
        match=r"hf://datasets/me/pets@v1/data cannot be reached .*`hf download --repo-type dataset "
        r"me/pets --local-dir FOLDER`\) and set source.path=FOLDER",
    ):
        list_images(SourceConfig(path="hf://datasets/me/pets@v1/data", kind="parquet"))
    HfFileSystem.clear_instance_cache()


@pytest.mark.parametrize(
    ("address", "package", "extra"),
    [
        ("s3://bucket/x", "s3fs", "s3"),
        ("gs://bucket/x", "gcsfs", "gs"),
        ("gcs://bucket/x", "gcsfs", "gs"),
        ("az://container/x", "adlfs", "az"),
        ("abfs://container/x", "adlfs", "az"),
        ("abfss://container@account.dfs.core.windows.net/x", "adlfs", "az"),
    ],
)
@pytest.mark.parametrize("kind", ["image_folder", "parquet", "manifest"])
def test_a_store_whose_package_is_missing_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, address: str, package: str, extra: str, kind: str
) -> None:
    monkeypatch.setattr(access, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(InputError, match=rf"{package}, found none; .*'otcondense\[{extra}\]'"):
        list_images(SourceConfig(path=address, kind=kind))


def test_every_store_has_an_extra_of_the_project() -> None:
    text = Path("pyproject.toml").read_text()
    for package, extra in access.STORES.values():
        line = rf"{extra} = ["
        assert line in text
        assert package in text or package == "huggingface_hub"


class Bucket(MemoryFileSystem):
    """A store of another scheme than those that fsspec brings."""

    protocol = ("bucket",)
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("bucket:").strip("/")

    def unstrip_protocol(self, name: str) -> str:
        return f"bucket:/{self._strip_protocol(name)}"


@pytest.mark.parametrize("write", [write_parquet, write_path_parquet])
def test_a_store_that_fsspec_knows_is_read(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    fsspec.register_implementation("bucket", Bucket, clobber=True)
    Bucket().put(str(write(tmp_path / "data")), f"/name/{write.__name__}", recursive=True)
    address = f"bucket://name/{write.__name__}"
    records = list_images(SourceConfig(path=address, kind="parquet"))
    assert all(f"{address}/" in each.path for each in records)
    assert sorted(read_image_bytes(each.path) for each in records) == sorted(map(png, range(6)))
