"""Parquet tables with a fingerprint: the same content gives the same bytes."""

import hashlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from otcondense.errors import DamagedInputError, InputError, MissingInputError
from otcondense.store.files import Store
from otcondense.store.json_text import canonical_json

METADATA_KEY = b"otcondense"
"""Key of our metadata in the schema."""
CHECKED_FOLDER = "logs/checked"
"""Folder of the lists of files that are known to be undamaged."""
ROW_GROUP_ROWS = "row_group_rows"
"""Key in the metadata of the rows of a row group."""
WRITER = re.compile(r"parquet-cpp-arrow version \d+\.\d+\.\d+")


def array_field(name: str, array: NDArray[Any]) -> pa.Field:
    """Return the field of an array column: one fixed-size binary per row, with dtype and shape."""
    shape = list(array.shape[1:])
    width = int(array.dtype.itemsize * np.prod(shape, dtype=np.int64))
    return pa.field(
        name, pa.binary(width), metadata={"dtype": array.dtype.str, "shape": json.dumps(shape)}
    )


def array_column(array: NDArray[Any]) -> pa.Array:
    """Return `array` [n, ...] as one fixed-size binary value per row, in C order, not copied."""
    rows = np.ascontiguousarray(array)
    width = int(rows.dtype.itemsize * np.prod(rows.shape[1:], dtype=np.int64))
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(rows), [None, pa.py_buffer(rows)]
    )


def read_array(table: pa.Table, name: str) -> NDArray[Any]:
    """Return the array column `name` as [n, ...] with its stored dtype."""
    field = table.schema.field(name)
    column = table.column(name).combine_chunks()
    chunk = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    shape = json.loads(field.metadata[b"shape"])
    values = np.frombuffer(chunk.buffers()[1], dtype=np.dtype(field.metadata[b"dtype"].decode()))
    rows = values.reshape(-1, *shape)
    return rows[chunk.offset : chunk.offset + len(chunk)].copy()


def write_table(
    store: Store, name: str, table: pa.Table, *, fingerprint: str, **metadata: Any
) -> None:
    """Write `table`, whole or not at all, with `fingerprint` and `metadata` in its schema.

    If `metadata` has `row_group_rows`, each row group has so many rows; else all rows are in one.
    """
    described = {"fingerprint": fingerprint, "content": table_digest(table), **metadata}
    plain = json.loads(canonical_json(described))
    plain["description"] = _description_digest(table.schema, plain)
    signed = table.replace_schema_metadata({METADATA_KEY: canonical_json(plain).encode()})
    store.write_bytes(name, _parquet(signed).to_pybytes())


def _parquet(table: pa.Table) -> pa.Buffer:
    """Return the Parquet file of a table.

    One version of pyarrow gives the same bytes for the same table. Arrays are not compressed:
    compression would save 8 % of floats and make reading them seven times slower.
    """
    plain = {field.name for field in table.schema if pa.types.is_fixed_size_binary(field.type)}
    compression = {name: "none" if name in plain else "zstd" for name in table.column_names}
    others = [name for name in table.column_names if name not in plain]
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression=compression,
        use_dictionary=others or False,
        store_schema=True,
        row_group_size=table_metadata(table).get(ROW_GROUP_ROWS),
    )
    return sink.getvalue()


def table_digest(table: pa.Table) -> str:
    """Return the SHA-256 of the content of a table.

    It does not depend on chunking, compression and the bytes under nulls.
    """
    columns = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if column.null_count:
            columns[f"{name}/null"] = column.is_null()
            is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
            column = column.fill_null("" if is_text else 0)
        columns[name] = column
    plain = pa.table({name: pa.concat_arrays([column]) for name, column in columns.items()})
    sink = _Digest()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), plain.schema) as writer:
        writer.write_table(plain, max_chunksize=max(1, plain.num_rows))
    return sink.sha256.hexdigest()


class _Digest(io.RawIOBase):
    """A file that keeps the SHA-256 of what is written to it: a table is not in memory twice."""

    def __init__(self) -> None:
        super().__init__()
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.sha256.update(data)
        return len(data)


def _description_digest(schema: pa.Schema, kept: dict[str, Any]) -> str:
    """Return the SHA-256 of the metadata.

    That is: names and types of the columns, dtypes and shapes of arrays, and the values of `kept`.
    """
    columns = []
    for field in schema:
        stored = field.metadata or {}
        array = {key: stored.get(key.encode(), b"").decode() for key in ("dtype", "shape")}
        columns.append([field.name, str(field.type), array])
    others = {key: value for key, value in kept.items() if key != "description"}
    return hashlib.sha256(canonical_json([columns, others]).encode()).hexdigest()


def _checked_metadata(schema: pa.Schema) -> dict[str, Any]:
    """Return the metadata of a table.

    Raises: ValueError if it was changed.
    """
    try:
        kept = dict(json.loads((schema.metadata or {})[METADATA_KEY]))
        expected = _description_digest(schema, kept)
    except (KeyError, TypeError) as error:
        raise ValueError("it has no metadata of ours") from error
    if kept.get("description") != expected:
        raise ValueError("its metadata are not the ones it was written with")
    return kept


def read_table(store: Store, name: str) -> pa.Table:
    """Return the table stored under `name`; its content and its metadata match their digests.

    Raises: DamagedInputError if `write_table` did not write the file, or it was changed since;
        MissingInputError if it is missing.
    """
    return _read(store, name)[1]


def read_columns(store: Store, name: str, columns: Sequence[str]) -> pa.Table:
    """Return some columns of a stored table without reading the others.

    Only the metadata are checked against their digest.

    Raises: RunFileError as `read_table`.
    """
    with _readable(store, name), store.open(name) as file:
        _checked_metadata(pq.read_schema(file))
        return pq.read_table(file, columns=list(columns))


def _read(store: Store, name: str) -> tuple[bytes, pa.Table]:
    with _readable(store, name):
        data = store.read_bytes(name)
        table = pq.read_table(pa.BufferReader(data))
        kept = _checked_metadata(table.schema)
    if table_digest(table) != kept["content"]:
        _forget_checks(store)
        raise DamagedInputError(
            f"{store.path(name)} does not have the content it was written with", name
        )
    return data, table


@contextmanager
def _readable(store: Store, name: str) -> Iterator[None]:
    """Turn the errors of a file that cannot be read into a RunFileError that names it."""
    try:
        yield
    except (pa.ArrowException, ValueError) as error:
        _forget_checks(store)
        reason = " ".join(str(error).split())
        raise DamagedInputError(
            f"{store.path(name)} is not a readable Parquet file of ours ({reason})", name
        ) from error
    except FileNotFoundError as error:
        raise MissingInputError(f"{store.path(name)} is missing", name) from error
    except OSError as error:
        _forget_checks(store)
        raise DamagedInputError(f"{store.path(name)} is damaged ({error})", name) from error


def _forget_checks(store: Store) -> None:
    """Delete the lists of undamaged files: a file that one may name is damaged.

    The next start of its stage then reads all files, and finds this one.
    """
    with suppress(OSError):  # a run that can only be read stays as it is
        store.remove(CHECKED_FOLDER)


def read_unchanged(store: Store, name: str) -> pa.Table:
    """Return a stored table like `read_table`, and also find damage in bytes that no reader uses.

    The table is written again in memory: not a bit may differ.

    Raises: RunFileError as `read_table`, or if another program than pyarrow wrote the file, or the
        same version would write other bytes.
    """
    data, table = _read(store, name)
    writer = _writer(data)
    if not WRITER.fullmatch(writer):
        raise DamagedInputError(
            f"{store.path(name)} was written by {writer!r}, expected a version of pyarrow", name
        )
    if writer.endswith(f" {pa.__version__}") and not _parquet(table).equals(pa.py_buffer(data)):
        raise DamagedInputError(
            f"{store.path(name)} is damaged: its content is whole, its metadata are not", name
        )
    return table


def _writer(data: bytes) -> str:
    try:
        return str(pq.ParquetFile(pa.BufferReader(data)).metadata.created_by)
    except ValueError:  # bytes that are not text
        return ""


def table_metadata(table: pa.Table) -> dict[str, Any]:
    """Return the fingerprint and the metadata that `write_table` stored with the rows."""
    return dict(json.loads((table.schema.metadata or {}).get(METADATA_KEY, b"{}")))


def stored_metadata(store: Store, name: str) -> dict[str, Any] | None:
    """Return the metadata of a stored table without reading its rows.

    Returns: None if the table is missing or damaged.
    """
    if not store.exists(name):
        return None
    try:
        with store.open(name) as file:
            return _checked_metadata(pq.read_schema(file))
    except (pa.ArrowException, ValueError):
        return None
    except OSError as error:
        # A failing disk or network has an error number; a file that pyarrow cannot parse has none.
        if error.errno is not None:
            raise
        return None


def read_fingerprint(store: Store, name: str) -> str | None:
    """Return the fingerprint of a stored table.

    Returns: None if the table is missing or a single bit of it was changed.
    """
    if not store.exists(name):
        return None
    try:
        return str(table_metadata(read_unchanged(store, name))["fingerprint"])
    except (InputError, KeyError):
        return None
