"""CSV and JSONL files that list images: a path, a label, and an optional id in each row.

The rows are read one after another and become columns in parts.
"""

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from otcondense.datasets.access import open_file
from otcondense.datasets.building import build_listing
from otcondense.datasets.captions import Captions
from otcondense.datasets.files import SourceFile, container_files
from otcondense.datasets.listing import Listing
from otcondense.datasets.manifest_columns import Columns, find_columns
from otcondense.datasets.named_files import folder_name, folder_of
from otcondense.datasets.names import LONGEST_ID
from otcondense.datasets.parts import TEXT, Labels, Numbers, Part, sorted_texts
from otcondense.datasets.path_parts import path_part, without
from otcondense.datasets.records import SourceConfig
from otcondense.errors import InputError
from otcondense.reading import parse_json

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
"""Of manifests."""
LINE_BYTES = 2**20
"""Longest line: a row with captions and boxes is some kilobytes."""
PART = 2**16
"""Rows that become columns together."""
DELIMITERS = ",;\t"
"""What can separate the columns of a CSV; the one that the header has most is taken."""


def scan_manifest(source: SourceConfig) -> Listing:
    """Return the images that the CSV and JSONL files at `source.path` name.

    Paths are relative to the folder of the file, or to the folder that `source.path` is. An id is
    the path unless `source.id_column` is set. If all labels of the CSV files are whole numbers,
    they are class indices.

    Raises: InputError for a missing column, a row that cannot be read, a path that leads out of the
        folder, and wrong labels or ids.
    """
    files, others = container_files(source, *SUFFIXES)
    parts = [part for file in files for part in _parts(source, file)]
    parts = _with_numbers(parts)
    ignored = sorted_texts([without(others.column, parts)])
    return build_listing(source, parts, None, ignored, folder_of(source))


def _parts(source: SourceConfig, file: SourceFile) -> Iterator[Part]:
    """Yield the rows of one file."""
    collected = _Rows()
    for line, row in table_rows(source, file):
        collected.add(file, line, row)
        if len(collected.paths) == PART:
            yield collected.part(source, file)
            collected = _Rows()
    if collected.paths:
        yield collected.part(source, file)


def table_rows(source: SourceConfig, file: SourceFile) -> Iterator[tuple[int, "Row"]]:
    """Yield number and content of the rows of a CSV or JSONL file.

    Raises: InputError as `scan_manifest` does.
    """
    with open_file(file.path) as opened:
        lines = _lines(file, opened)
        is_json = file.name.lower().endswith((".jsonl", ".ndjson"))
        yield from _json_rows(source, file, lines) if is_json else _csv_rows(source, file, lines)


def _lines(file: SourceFile, opened: Any) -> Iterator[str]:
    """Yield the lines of a file, none of which may be long.

    Raises: InputError for a long line, and for one that is not UTF-8.
    """
    stream = opened if isinstance(opened, io.BufferedIOBase) else io.BufferedReader(opened)
    number = 0
    while data := stream.readline(LINE_BYTES + 1):
        number += 1
        if len(data) > LINE_BYTES:
            raise InputError(
                f"line {number} of {file.path} must have at most {LINE_BYTES} bytes; "
                "is it the right file?"
            )
        try:
            yield data.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{file.path} must be text in UTF-8, found another encoding in line {number}; "
                "save it as UTF-8"
            ) from error


Row = tuple[Any, Any, Any, Any]
"""Path, label, id and caption of an image as they are stored; None where there is no column."""


def _csv_rows(
    source: SourceConfig, file: SourceFile, lines: Iterator[str]
) -> Iterator[tuple[int, Row]]:
    """Yield number and content of the rows of a CSV file."""
    header = next(lines, "")
    delimiter = max(DELIMITERS, key=header.count)
    names = next(csv.reader([header], delimiter=delimiter), [])
    columns = find_columns(source, file, [name.strip() for name in names])
    places = [None if each is None else columns.names.index(each) for each in columns.chosen]
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if not row:
                continue
            if len(row) != len(names):
                raise InputError(
                    f"line {reader.line_num + 1} of {file.path} must have {len(names)} values like "
                    f"the header, found {len(row)}; repair it"
                )
            path, label, image_id, caption = (
                None if each is None else row[each] for each in places
            )
            yield reader.line_num + 1, (path, label, image_id, caption)
    except csv.Error as error:
        raise InputError(
            f"line {reader.line_num + 1} of {file.path} cannot be read ({error}); repair it"
        ) from error


def _json_rows(
    source: SourceConfig, file: SourceFile, lines: Iterator[str]
) -> Iterator[tuple[int, Row]]:
    """Yield number and content of the rows of a JSONL file."""
    columns: Columns | None = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"line {number} of {file.path}"
        values = parse_json(line, where)
        if not isinstance(values, dict):
            raise InputError(f"{where} must be an object, found {type(values).__name__}; repair it")
        if columns is None:
            columns = find_columns(source, file, list(values))
        path, label, image_id, caption = (
            None if each is None else values.get(each) for each in columns.chosen
        )
        yield number, (path, label, image_id, caption)


class _Rows:
    """Rows of a manifest while they are read."""

    def __init__(self) -> None:
        self.paths: list[str | None] = []
        self._ids: list[str] = []
        self._codes: list[int] = []
        self._labels = Numbers()
        self._captions = Captions()

    def add(self, file: SourceFile, line: int, row: Row) -> None:
        """Add one row."""
        path, label, image_id = (None if value == "" else value for value in row[:3])
        for value in row[:3]:
            if isinstance(value, str) and len(value.encode()) > LONGEST_ID:
                raise InputError(
                    f"line {line} of {file.path} must have values of at most {LONGEST_ID} bytes; "
                    "is it the right file?"
                )
        self.paths.append(None if path is None else str(path))
        self._codes.append(self._labels.of(_hashable(label)))
        if image_id is not None:
            self._ids.append(str(image_id))
        self._captions.add(row[3])

    def part(self, source: SourceConfig, file: SourceFile) -> Part:
        """Return the rows as columns."""
        labels = Labels(np.array(self._codes, np.int32), self._labels.values)
        if source.label_column is None:
            labels = Labels.same(folder_name(source), len(self.paths))
        ids = None
        if source.id_column is not None:
            if len(self._ids) < len(self.paths):
                raise InputError(
                    f"every row of {file.path} must have an id in {source.id_column!r}, found "
                    f"{len(self.paths) - len(self._ids)} without; set source.id_column"
                )
            ids = pa.array(self._ids, TEXT)
        part = path_part(source, file, labels, pa.array(self.paths, TEXT), ids)
        return part if source.captions is None else self._captions.attach(part)


def _hashable(label: Any) -> Any:
    """Return a label that may be a list or object in JSON, as text that no class has."""
    return repr(label).encode() if isinstance(label, list | dict) else label


def _with_numbers(parts: list[Part]) -> list[Part]:
    """Return the parts with labels as numbers if all of them are the digits of one."""
    values = [value for part in parts for value in part.labels.values]
    if not values or not all(isinstance(value, str) and _is_number(value) for value in values):
        return parts
    return [part.relabelled([int(value) for value in part.labels.values]) for part in parts]


def _is_number(text: str) -> bool:
    """Tell whether a text is a number as it is written: 007 is a name."""
    return text.isascii() and text.isdigit() and len(text) < 19 and text == str(int(text))
