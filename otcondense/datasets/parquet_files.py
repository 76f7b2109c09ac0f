"""One Parquet file or a folder of them: a row per image, with its bytes or its path, and a label.

Only labels and ids are read to list a source; the bytes of an image are read when it is decoded.
Parquet is read by row groups: files sorted by class, or with small row groups, are read once, and
files in random order once per class.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from otcondense.datasets.columns import check_column, huggingface_names, is_bytes, row_id
from otcondense.datasets.files import SourceFile, container_files
from otcondense.datasets.labels import LabelledRow, build_listing
from otcondense.datasets.listing import Listing
from otcondense.datasets.parquet_cells import cell
from otcondense.datasets.parquet_open import ParquetSource, open_parquet
from otcondense.datasets.records import SourceConfig, image_path, is_remote
from otcondense.errors import InputError


def scan_parquet(source: SourceConfig) -> Listing:
    """Return the images of the Parquet files at `source.path`.

    An id is FILE/ROW unless `source.id_column` is set. Class names come from the Hugging Face
    metadata of the files if they have any.

    Raises: InputError for a damaged file, a missing column, one of the wrong type, and wrong labels
        or ids.
    """
    files, ignored = container_files(source, ".parquet")
    rows: list[LabelledRow] = []
    names: tuple[str, ...] | None = None
    for file in files:
        with open_parquet(file.path) as opened:
            metadata = opened.schema.metadata
            names = names or huggingface_names(metadata, source.label_column, file.path)
            rows += _rows(source, file, opened)
    return build_listing(source, rows, names, ignored)


def _rows(source: SourceConfig, file: SourceFile, opened: ParquetSource) -> Iterator[LabelledRow]:
    kind = check_column(source, file.path, opened.schema, "image_column")
    check_column(source, file.path, opened.schema, "label_column")
    if any(test(_plain_type(kind)) for test in (pa.types.is_string, pa.types.is_large_string)):
        return _path_rows(source, file, opened)
    return _cell_rows(source, file, opened, _leaf(source, file, kind))


def _leaf(source: SourceConfig, file: SourceFile, kind: pa.DataType) -> str:
    """Return the name of the column of bytes: the image column, or the field `bytes` in it."""
    name = source.image_column
    if is_bytes(_plain_type(kind)):
        return name
    if pa.types.is_struct(kind):
        fields = [kind.field(number) for number in range(kind.num_fields)]
        if any(field.name == "bytes" and is_bytes(_plain_type(field.type)) for field in fields):
            return f"{name}.bytes"
    raise InputError(
        f"column {name!r} of {file.path} must hold bytes, a struct with bytes, or paths as text, "
        f"found {kind}"
    )


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values of a column that may be a dictionary."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _cell_rows(
    source: SourceConfig, file: SourceFile, opened: ParquetSource, leaf: str
) -> Iterator[LabelledRow]:
    labels = opened.plain_column(source.label_column)
    ids = row_ids(source, file, opened, len(labels))
    position = 0
    for number, group in enumerate(opened.groups):
        stored = sum(each.stored_bytes for each in group.below(leaf))
        size = stored // max(1, group.rows)
        for row in range(group.rows):
            location = cell(file.path, number, row, leaf)
            yield LabelledRow(ids[position], labels[position], location, size, file.mtime_ns)
            position += 1


def _path_rows(
    source: SourceConfig, file: SourceFile, opened: ParquetSource
) -> Iterator[LabelledRow]:
    """Yield the rows of a file with a column of paths.

    A path is also the id, unless there is a column of ids.
    """
    folder = source
    if not is_remote(source.path) and not Path(source.path).is_dir():
        folder = source.model_copy(update={"path": str(Path(source.path).parent)})
    names = opened.plain_column(source.image_column)
    labels = opened.plain_column(source.label_column)
    ids = names if source.id_column is None else row_ids(source, file, opened, len(names))
    for image_id, name, label in zip(ids, names, labels, strict=True):
        location = image_path(folder, name or "")
        size, changed = _size_and_change(location)
        yield LabelledRow(str(image_id), label, location, size, changed)


def _size_and_change(location: str) -> tuple[int, int]:
    """Return size and time of change of a local file, zeros for a remote or missing one.

    Extraction finds a missing file when it reads it, and puts it in the quarantine.
    """
    if is_remote(location) or not Path(location).is_file():
        return 0, 0
    status = Path(location).stat()
    return status.st_size, status.st_mtime_ns


def row_ids(source: SourceConfig, file: SourceFile, opened: ParquetSource, count: int) -> list[str]:
    """Return the ids of a file's rows, from the column of ids if one is set."""
    if source.id_column is None:
        return [row_id(file, row) for row in range(count)]
    check_column(source, file.path, opened.schema, "id_column")
    return [str(value) for value in opened.plain_column(source.id_column)]
