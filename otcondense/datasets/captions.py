"""The captions of images: the text that describes each, and what is wrong with some of them.

Captions stay in columns. An image without a caption is unusable, as one that cannot be read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int64

from otcondense.byte_sizes import byte_size
from otcondense.datasets.columns import check_column, is_text, one_array, plain_type
from otcondense.datasets.parts import TEXT, Faulty, Part
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.trees import SourceFile
from otcondense.errors import InputError

LONGEST = 10_000
"""Characters of a caption at most: text networks read some hundred, detailed captions have some
thousand, and longer texts are documents in a column of another meaning."""
LONGEST_BYTES = 4 * LONGEST
"""Bytes of a caption at most, in UTF-8."""
EXPANSION = 100
"""Bytes of captions that one byte of a file may become: a dictionary can repeat a long text."""
EXPANSION_FLOOR = 2**26
"""Bytes of captions that any file may hold."""
MISSING = "has no caption"
TOO_LONG = f"has a caption of more than {LONGEST} characters"
NO_TEXT = "has a caption that is not text in UTF-8"
TWICE = "has two captions that differ"


def with_column(
    source: SourceConfig,
    file: SourceFile,
    schema: pa.Schema,
    read: Callable[[str], pa.ChunkedArray],
    part: Part,
) -> Part:
    """Return the rows of a table with their captions, if the source has some.

    Args:
        source: the configuration.
        file: that holds the table.
        schema: of the table.
        read: returns a column by its name.
        part: the rows.

    Raises: InputError if the column is missing, damaged or holds neither texts nor lists of texts.
    """
    if source.captions is None:
        return part
    _check_type(file, source.captions, check_column(source, file.path, schema, "captions"))
    return replace(part, captions=caption_column(file, source.captions, read(source.captions)))


def caption_column(file: SourceFile, name: str, column: pa.ChunkedArray) -> pa.LargeStringArray:
    """Return a column of texts, or the first texts of a column of lists; null where there is none.

    A text that is too long becomes one of `LONGEST` + 1 characters.

    Raises: InputError if it is damaged, of another type, or far larger than its file.
    """
    _check_type(file, name, column.type)
    try:
        column.validate(full=True)
    except (pa.ArrowException, ValueError) as error:
        raise InputError(
            f"column {name!r} of {file.path} is damaged or not UTF-8 ({error}); restore the file"
        ) from error
    chunks = [_first(chunk) if _is_list(column.type) else chunk for chunk in column.chunks]
    _check_size(file, name, chunks)
    return one_array(pa.chunked_array([_short(chunk) for chunk in chunks], TEXT))


def _check_type(file: SourceFile, name: str, found: pa.DataType) -> None:
    kind = plain_type(found.value_type if _is_list(found) else found)
    if not (is_text(kind) or pa.types.is_null(kind)):
        raise InputError(
            f"column {name!r} of {file.path} must hold captions (text, or lists of texts), found "
            f"{found}; set source.captions"
        )


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _first(lists: pa.Array) -> pa.Array:
    """Return the first value of each list, null where there is none."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    places = pa.array(starts, mask=lengths == 0)
    return lists.flatten().take(places)


def _values(texts: pa.Array) -> pa.Array:
    return texts.dictionary if isinstance(texts, pa.DictionaryArray) else texts


def _check_size(file: SourceFile, name: str, chunks: Sequence[pa.Array]) -> None:
    """Refuse texts of a dictionary that would take far more memory than their file."""
    total = 0
    for chunk in chunks:
        lengths = pc.fill_null(pc.binary_length(_values(chunk).cast(TEXT)), 0)
        if isinstance(chunk, pa.DictionaryArray):
            lengths = lengths.take(chunk.indices)
        total += pc.sum(pc.min_element_wise(lengths, LONGEST_BYTES)).as_py() or 0
    if total > max(EXPANSION * file.size_bytes, EXPANSION_FLOOR):
        raise InputError(
            f"column {name!r} of {file.path} must hold about as much as it takes, found "
            f"{byte_size(total)} in {byte_size(file.size_bytes)}; is it the right file?"
        )


def _short(texts: pa.Array) -> pa.LargeStringArray:
    """Return texts as one array of plain ones; each takes little memory."""
    values = pc.utf8_slice_codeunits(_values(texts).cast(TEXT), 0, LONGEST + 1)
    if isinstance(texts, pa.DictionaryArray):
        values = values.take(texts.indices)
    return values


@dataclass
class Captions:
    """Captions that are read one after another."""

    texts: list[str | None] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)
    """Reasons by the number of the caption."""

    def add(self, value: Any, fault: str = "") -> None:
        """Add the caption of the next image.

        Args:
            value: text, bytes in UTF-8, a list that begins with one, or None.
            fault: what is known to be wrong with it.
        """
        if isinstance(value, list):
            value = value[0] if value else None
        text = _text(value) if value is not None and not fault else None
        if fault or (value is not None and text is None):
            self.faults[len(self.texts)] = fault or NO_TEXT
        self.texts.append(text)

    def attach(self, part: Part) -> Part:
        """Return images, one for each caption, with their captions."""
        assert len(self.texts) == len(part), "every image has its place among the captions"
        lost = set(part.faulty.rows)
        faulty = Faulty([*part.faulty.rows], [*part.faulty.reasons])
        for row, reason in self.faults.items():
            if row not in lost:
                faulty.add(row, reason)
        return replace(part, captions=pa.array(self.texts, TEXT), faulty=faulty)


def _text(value: Any) -> str | None:
    """Return a text that is not longer than `LONGEST` + 1; None if it is no text."""
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8-sig")
        except UnicodeDecodeError:
            return None
    if not isinstance(value, str) or not _is_unicode(value):
        return None
    return value.strip()[: LONGEST + 1]


def _is_unicode(text: str) -> bool:
    """Tell whether a text can be stored: lone surrogates cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked_captions(part: Part) -> Part:
    """Return images with stripped captions; those without a usable one are unusable."""
    captions = pa.nulls(len(part), TEXT) if part.captions is None else part.captions
    captions = pc.utf8_trim_whitespace(captions)
    lengths = pc.fill_null(pc.utf8_length(captions), 0).to_numpy()
    faulty = Faulty([*part.faulty.rows], [*part.faulty.reasons])
    is_new = np.ones(len(part), np.bool_)
    is_new[part.faulty.rows] = False
    for row in _rows(is_new & (lengths == 0)):
        faulty.add(row, MISSING)
    for row in _rows(is_new & (lengths > LONGEST)):
        faulty.add(row, TOO_LONG)
    return replace(part, captions=captions, faulty=faulty)


def _rows(is_wanted: Bool[np.ndarray, " n"]) -> list[int]:
    rows: Int64[np.ndarray, " m"] = np.flatnonzero(is_wanted)
    return [int(row) for row in rows]
