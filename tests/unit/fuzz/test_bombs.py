"""Small files that claim to be large: refused by name, in little memory and time."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from jobs.command.settings import load_config
from jobs.measure.image_sets import iterate_images
from otcondense.checkpoints import PublicModel, from_public, read_public
from otcondense.datasets import (
    SourceConfig,
    list_images,
    read_image_bytes,
)
from otcondense.errors import InputError
from otcondense.evaluation import npz_images, read_reference
from otcondense.fetched import read_tensors
from tests.generators.containers import png, write_tar
from tests.unit.fuzz.kinds import features_of, use
from tests.unit.fuzz.limits import little


def listed(kind: str, **settings: Any) -> Callable[[Path], Any]:
    return lambda path: use(SourceConfig(path=str(path.parent), kind=kind, **settings))


def parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path / "a.parquet", **options)
    return path / "a.parquet"


def repeated(value: Any, rows: int, kind: pa.DataType) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(rows, np.int32)), pa.array([value], kind)
    )


LONG = 20_000
"""Rows of a column that repeats one long value."""


def long_labels(path: Path) -> Path:
    label = repeated("x" * 100_000, LONG, pa.string())
    return parquet(path, {"image": repeated(png(1), LONG, pa.binary()), "label": label})


def long_ids(path: Path) -> Path:
    ids = repeated("x" * 100_000, LONG, pa.string())
    image = repeated(png(1), LONG, pa.binary())
    return parquet(path, {"image": image, "label": np.zeros(LONG, int), "id": ids})


def long_paths(path: Path) -> Path:
    image = repeated("x" * 100_000, LONG, pa.string())
    return parquet(path, {"image": image, "label": np.zeros(LONG, int)})


def varint(value: int) -> bytes:
    """Return a positive number as Thrift writes it."""
    value *= 2
    data = b""
    while value > 0x7F:
        data += bytes([value & 0x7F | 0x80])
        value >>= 7
    return data + bytes([value])


def false_footer(path: Path) -> Path:
    """A column of labels of 120 MB; its footer says that it has 4 MB."""
    label = pa.array(["x" * 4000] * 30_000)
    columns = {"image": repeated(png(1), 30_000, pa.binary()), "label": label}
    file = parquet(path, columns, compression="zstd", use_dictionary=False, write_statistics=False)
    claimed = pq.ParquetFile(file).metadata.row_group(0).column(1).total_uncompressed_size
    true = varint(claimed)
    false = varint(4 * 10**6)
    data = file.read_bytes()
    assert true in data
    assert len(false) == len(true)
    file.write_bytes(data.replace(true, false))
    return file


def many_rows(path: Path) -> Path:
    rows = 10_000_000
    table = pa.table({"image": pa.nulls(rows, pa.binary()), "label": pa.nulls(rows, pa.int64())})
    pq.write_table(table, path / "a.parquet", row_group_size=rows)
    return path / "a.parquet"


def zeros(path: Path, compression: str) -> Path:
    image = pa.array([b"\0" * 25 * 10**6 for _ in range(8)], pa.binary())
    return parquet(
        path,
        {"image": image, "label": np.zeros(8, int)},
        compression=compression,
        use_dictionary=False,
    )


def one_large_image(path: Path) -> Path:
    """One image of 4 MB in all of 1000 rows: 4 GB if every row took memory of its own."""
    noise = np.random.default_rng(0).bytes(2**22)
    columns = {"image": repeated(noise, 1000, pa.binary()), "label": np.zeros(1000, int)}
    return parquet(path, columns)


def wide_features(path: Path) -> Path:
    rows, width = 1400, 50_000
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(rows * width, np.float32)), width)
    return parquet(path, {"features": values, "label": np.zeros(rows, int)})


def empty_rows(path: Path) -> Path:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (100000000, 0), }"
    return npy(path, "features", header, labels=np.zeros(4, int))


def empty_labels(path: Path) -> Path:
    header = "{'descr': '<U0', 'fortran_order': False, 'shape': (100000000,), }"
    np.save(path / "features.npy", np.zeros((4, 2), np.float32))
    return npy(path, "labels", header)


def huge_labels(path: Path) -> Path:
    header = "{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,), }"
    np.save(path / "features.npy", np.zeros((4, 2), np.float32))
    return npy(path, "labels", header)


def nested_header(path: Path) -> Path:
    np.save(path / "labels.npy", np.zeros(4, int))
    return npy(path, "features", "(" * 9000)


def npy(path: Path, name: str, header: str, **others: np.ndarray) -> Path:
    text = header.encode().ljust(118) + b"\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    (path / f"{name}.npy").write_bytes(content)
    for other, values in others.items():
        np.save(path / f"{other}.npy", values)
    return path / f"{name}.npy"


def npz(path: Path, members: dict[str, tuple[tuple[int, ...], str, int]]) -> Path:
    """Write an archive of arrays of zeros by name: shape, type and bytes."""
    with zipfile.ZipFile(path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (shape, kind, size) in members.items():
            sink = io.BytesIO()
            header = {"descr": kind, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(sink, header)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                file.write(sink.getvalue())
                for start in range(0, size, 2**20):
                    file.write(b"\0" * min(2**20, size - start))
    return path / "a.npz"


def statistics(path: Path) -> Path:
    side = 5000
    return npz(
        path, {"mu": ((side,), "<f8", 8 * side), "sigma": ((side, side), "<f8", 8 * side**2)}
    )


def large_samples(path: Path) -> Path:
    size = 25 * 2000 * 2000 * 3
    return npz(path, {"arr_0": ((25, 2000, 2000, 3), "|u1", size)})


def huge_sample(path: Path) -> Path:
    return npz(path, {"arr_0": ((1, 30_000, 30_000, 3), "|u1", 10**7)})


def header_of(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.type = kind
    return info.tobuf(tarfile.GNU_FORMAT)


def large_label(path: Path) -> Path:
    """A label of 6 GB, in a file with a hole."""
    tar = write_tar(path / "a.tar", {"1.png": png(1)})
    with tar.open("r+b") as file:
        file.seek(1024)
        file.write(header_of("1.cls", 6 * 2**30))
        file.truncate(7 * 2**30)
    return tar


def long_name(path: Path) -> Path:
    """An extended header of 6 GB, in a file with a hole."""
    tar = path / "a.tar"
    with tar.open("wb") as file:
        file.write(header_of("././@LongLink", 6 * 2**30, tarfile.GNUTYPE_LONGNAME))
        file.truncate(7 * 2**30)
    return tar


def large_image(path: Path) -> Path:
    """An image of 6 GB, in a file with a hole: listed, and not read."""
    tar = path / "a.tar"
    with tar.open("wb") as file:
        file.write(header_of("1.png", 6 * 2**30))
        file.seek(512 + 6 * 2**30)
        file.write(header_of("1.cls", 1) + b"1".ljust(512, b"\0") + b"\0" * 1024)
    return tar


def backwards(path: Path) -> Path:
    """A header of a negative size leads back to itself."""
    header = bytearray(header_of("1.png", 0))
    header[124:136] = b"\xff" * 10 + b"\xfc\x00"
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    (path / "a.tar").write_bytes(bytes(header) + b"\0" * 2048)
    return path / "a.tar"


def compressed_tar(path: Path) -> Path:
    (path / "a.tar").write_bytes(gzip.compress(b"\0" * 10**8))
    return path / "a.tar"


def large_file(path: Path) -> Path:
    """An image of 6 GB, a file with a hole, in a folder of images."""
    (path / "cat").mkdir()
    (path / "cat" / "0.png").write_bytes(png(0))
    with (path / "cat" / "1.png").open("wb") as file:
        file.truncate(6 * 2**30)
    return path / "cat"


def saved(path: Path, batch: pa.RecordBatch, compression: str | None = None) -> Path:
    (path / "dataset_info.json").write_text("{}")
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(str(path / "d.arrow"), batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return path / "d.arrow"


def compressed_arrow(path: Path) -> Path:
    columns = {"image": [b"\0" * 2**28], "label": [0]}
    return saved(path, pa.RecordBatch.from_pydict(columns), "zstd")


def null_rows(path: Path) -> Path:
    columns = {"image": pa.nulls(10**9), "label": pa.nulls(10**9)}
    return saved(path, pa.RecordBatch.from_pydict(columns))


def run_length(path: Path) -> Path:
    ends = pa.array([10**9], pa.int32())
    label = pa.RunEndEncodedArray.from_arrays(ends, pa.array(["x"]))
    return saved(path, pa.RecordBatch.from_pydict({"image": label, "label": label}))


def deflated_weights(path: Path) -> Path:
    with zipfile.ZipFile(path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", b"\x80\x02}.")
        archive.writestr("w/data/0", b"\0" * 10**8)
    return path / "w.pth"


def deep_names(path: Path) -> Path:
    """Names of a model of 150 blocks of width 20,000, which would take 7 TB, and no tensors."""
    width = 20_000
    state = {
        "x_embedder.proj.weight": torch.zeros(width, 1, 1, 1),
        "y_embedder.embedding_table.weight": torch.zeros(2, 1),
        "final_layer.linear.weight": torch.zeros(1, 1),
        "pos_embed": torch.zeros(1, 4, 1),
    }
    state |= {f"blocks.{number}.x": torch.zeros(1) for number in range(150)}
    save_file(state, path / "m.safetensors")
    return path / "m.safetensors"


def aliases(path: Path) -> Path:
    """Nine aliases of nine aliases ..."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (path / "c.yaml").write_text("\n".join(lines))
    return path / "c.yaml"


def merge_keys(path: Path) -> Path:
    """Merge keys of merge keys."""
    lines = ["a0: &a0 {k0: 1, l0: 1}"]
    for n in range(1, 24):
        lines.append(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}, *a{n - 1}], k{n}: 1}}")
    (path / "c.yaml").write_text("\n".join(lines))
    return path / "c.yaml"


def base_sixty(path: Path) -> Path:
    (path / "c.yaml").write_text(f"run: {':'.join(['59'] * 100_000)}")
    return path / "c.yaml"


def configured(path: Path) -> Any:
    return load_config(str(path), [])


BOMBS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any]]] = {
    "parquet, long labels": (long_labels, listed("parquet")),
    "parquet, long ids": (long_ids, listed("parquet", id_column="id")),
    "parquet, long paths": (long_paths, listed("parquet")),
    "parquet, many rows": (many_rows, listed("parquet")),
    "npy, empty rows": (empty_rows, features_of),
    "npy, empty labels": (empty_labels, features_of),
    "npy, huge labels": (huge_labels, features_of),
    "npy, nested header": (nested_header, features_of),
    "features, wide": (wide_features, features_of),
    "npz, statistics": (statistics, lambda path: read_reference(str(path))),
    "npz, huge sample": (huge_sample, lambda path: list(npz_images(str(path)))),
    "tar, label": (large_label, listed("webdataset")),
    "tar, long name": (long_name, listed("webdataset")),
    "tar, backwards": (backwards, listed("webdataset")),
    "tar, compressed": (compressed_tar, listed("webdataset")),
    "arrow, compressed": (compressed_arrow, listed("hf")),
    "arrow, null rows": (null_rows, listed("hf")),
    "arrow, run lengths": (run_length, listed("hf")),
    "weights, deflated": (deflated_weights, read_tensors),
    "weights, deep names": (
        deep_names,
        lambda path: from_public(read_public(str(path)), PublicModel("SiT", 2)),
    ),
    "yaml, aliases": (aliases, configured),
    "yaml, merge keys": (merge_keys, configured),
    "yaml, base 60": (base_sixty, configured),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_claims_too_much_is_refused(tmp_path: Path, name: str) -> None:
    write, read = BOMBS[name]
    file = write(tmp_path)
    with little(), pytest.raises(InputError, match=r"\w+ \w+"):
        read(file)


HARMLESS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], int], int]] = {
    "parquet, one large image": (one_large_image, lambda path: count(path, "parquet"), 1000),
    "npz, large samples": (
        large_samples,
        lambda path: sum(map(len, iterate_images(str(path)))),
        25,
    ),
}


def count(path: Path, kind: str) -> int:
    records = list_images(SourceConfig(path=str(path.parent), kind=kind))
    return sum(len(read_image_bytes(record.path)) == 2**22 for record in records)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_file_that_repeats_itself_is_read_in_little_memory(tmp_path: Path, name: str) -> None:
    write, read, expected = HARMLESS[name]
    file = write(tmp_path)
    with little():
        assert read(file) == expected


@pytest.mark.parametrize("compression", ["gzip", "zstd", "brotli", "lz4"])
def test_compressed_zeros_in_place_of_images_are_not_read(tmp_path: Path, compression: str) -> None:
    """Kilobytes that become 200 MB: the images are lost, one by one."""
    file = zeros(tmp_path, compression)
    with little():
        assert use(SourceConfig(path=str(file), kind="parquet")) == []


@pytest.mark.parametrize(
    ("write", "kind", "read"), [(large_file, "image_folder", 1), (large_image, "webdataset", 0)]
)
def test_a_huge_image_is_not_read(
    tmp_path: Path, write: Callable[[Path], Path], kind: str, read: int
) -> None:
    write(tmp_path)
    with little():
        assert len(use(SourceConfig(path=str(tmp_path), kind=kind))) == read


def test_a_footer_that_states_false_sizes_is_refused(tmp_path: Path) -> None:
    file = false_footer(tmp_path)
    with little(), pytest.raises(InputError, match="as large as its footer says, found larger"):
        list_images(SourceConfig(path=str(file), kind="parquet"))
