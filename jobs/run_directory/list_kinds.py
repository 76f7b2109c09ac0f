"""The kinds of files that list images."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.run_directory.list_records import NAME_COLUMNS, NamedList, Rows, named_in
from otcondense.errors import InputError
from otcondense.reading import LIST_BYTES, check_size, open_regular, parse_json, read_text
from otcondense.store import Store, read_table
from otcondense.store.tables import METADATA_KEY

MOST_ROWS = 2**24
"""Rows of a table of another tool: more than the images of ImageNet-21K."""
Reader = Callable[[NamedList], list[str]]
SAMPLES = "samples"
"""List of the samples in FiftyOne's samples.json."""
LISTS_SHOWN = 3
"""Lists of an object that a message names."""
ID = "image_id"
"""Column of the ids in files of ours."""


def kind_of(named: NamedList) -> Reader:
    """Return the reader for a file, by the end of its name; all others list an id per line."""
    return KINDS.get(Path(named.path).suffix.lower(), _plain)


def _text_of(named: NamedList) -> str:
    return read_text(named.path, f"{named.setting} must be a list of image ids or a file of them")


def _plain(named: NamedList) -> list[str]:
    return _listed(_text_of(named), named)


def _listed(text: str, named: NamedList) -> list[str]:
    """Return ids one per line, or those of a JSON array."""
    if text.lstrip().startswith("["):
        return _of_json(text, named)
    _refuse_word(named)
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return [line for line in lines if line]


def _refuse_word(named: NamedList) -> None:
    if named.word:
        raise InputError(
            f"{named.path} is a plain list of ids and has no part {named.word}; leave out the part"
        )


def _json(named: NamedList) -> list[str]:
    text = _text_of(named)
    return _of_json(text, named) if text.lstrip().startswith("{") else _listed(text, named)


def _of_json(text: str, named: NamedList) -> list[str]:
    values = parse_json(text, named.path)
    if isinstance(values, dict):
        values = _list_in(values, named)
    elif values and all(isinstance(each, str) for each in values):
        _refuse_word(named)
    if all(isinstance(each, str) for each in values):
        return list(values)
    return _of_objects([(f"entry {number}", each) for number, each in enumerate(values, 1)], named)


def _list_in(values: Mapping[str, Any], named: NamedList) -> list[Any]:
    """Return the list of an object: the one that is named, or the samples of FiftyOne."""
    lists = {name: value for name, value in values.items() if isinstance(value, list)}
    if named.word in lists:
        return lists[named.word]
    if SAMPLES in lists:
        return lists[SAMPLES]
    words = " or ".join(f"{named.path}#{name}" for name in list(lists)[:LISTS_SHOWN])
    raise InputError(
        f"{named.shown} must be one list of images, found an object with the lists "
        f"{', '.join(list(lists)[:LISTS_SHOWN]) or 'none'}; "
        + (f"name one as in {words}" if words else "correct the path")
    )


def _of_objects(entries: Sequence[tuple[str, Any]], named: NamedList) -> list[str]:
    wrong = next((each for _, each in entries if not isinstance(each, dict)), None)
    if wrong is not None:
        raise InputError(
            f"{named.path} must be an array of image ids as texts, or of objects, found {wrong!r}"
        )
    columns = dict.fromkeys(key for _, each in entries for key in each)
    return named_in(Rows(tuple(columns), lambda _: iter(entries)), named)


def _json_lines(named: NamedList) -> list[str]:
    text = _text_of(named)
    if not text.lstrip().startswith("{"):
        return _listed(text, named)
    lines = enumerate(text.split("\n"), 1)
    filled = [(f"line {number}", line) for number, line in lines if line.strip()]
    entries = [(place, parse_json(line, f"{named.path}, {place},")) for place, line in filled]
    return _of_objects(entries, named)


def _csv(named: NamedList) -> list[str]:
    """Read a table with a header; a file whose first line has no known column lists ids."""
    text = _text_of(named)
    delimiter = "\t" if named.path.lower().endswith(".tsv") else ","
    header = next(_cells(text, delimiter, named), [])
    if not {*NAME_COLUMNS, named.word} & set(header):
        return _listed(text, named)

    def read(_: Sequence[str]) -> Iterator[tuple[str, Mapping[str, object]]]:
        cells = _cells(text, delimiter, named)
        next(cells)
        for number, row in enumerate((row for row in cells if row), 1):
            yield f"row {number}", dict(zip(header, row, strict=False))

    return named_in(Rows(tuple(header), read), named)


def _cells(text: str, delimiter: str, named: NamedList) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error as error:
        raise InputError(f"{named.path} cannot be read as CSV ({error}); repair it") from error


def _parquet(named: NamedList) -> list[str]:
    """Read the manifest of a subset, or a table of another tool."""
    place = Path(named.path)
    store = Store(str(place.parent))
    if not store.exists(place.name):
        raise InputError(f"there is no subset manifest {store.path(place.name)}")
    try:
        with open_regular(place) as file:
            table = pq.ParquetFile(file)
            if METADATA_KEY not in (table.schema_arrow.metadata or {}):
                return named_in(_rows_of(table, named), named)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{named.path} is not a readable Parquet file ({error})") from error
    return _of_manifest(store, place.name)


def _rows_of(table: pq.ParquetFile, named: NamedList) -> Rows:
    names = tuple(table.schema_arrow.names)

    def read(wanted: Sequence[str]) -> Iterator[tuple[str, Mapping[str, object]]]:
        columns = [name for name in wanted if name in names]
        _check_columns(table, columns, named)
        parts = table.iter_batches(columns=columns)
        rows = (row for part in parts for row in part.to_pylist())
        for number, row in enumerate(rows, 1):
            yield f"row {number}", row

    return Rows(names, read)


def _check_columns(table: pq.ParquetFile, columns: Sequence[str], named: NamedList) -> None:
    """Refuse columns that need more memory than a list of ids does."""
    size = 0
    for number in range(table.num_row_groups):
        group = table.metadata.row_group(number)
        chunks = [group.column(each) for each in range(group.num_columns)]
        wanted = [chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns]
        size += sum(chunk.total_uncompressed_size for chunk in wanted)
    check_size(f"{named.path}, {' and '.join(columns)},", size, LIST_BYTES)
    count = table.metadata.num_rows
    if count > MOST_ROWS:
        raise InputError(
            f"{named.path} must have at most {MOST_ROWS:,} rows, found {count:,}; "
            "is it the right file?"
        )


def _of_manifest(store: Store, name: str) -> list[str]:
    # Manifests of earlier versions, which have other columns, list images too.
    table = read_table(store, name)
    if ID not in table.column_names:
        raise InputError(
            f"{store.path(name)} must have a column {ID}, found {', '.join(table.column_names)}"
        )
    found: list[str] = table.column(ID).to_pylist()
    return found


KINDS: dict[str, Reader] = {
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
    ".tsv": _csv,
}
"""Readers by the end of the file's name."""
