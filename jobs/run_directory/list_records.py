"""Rows of a list of images: which of them are meant, and which of their values names the image."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

from otcondense.errors import InputError
from otcondense.near_names import did_you_mean
from otcondense.reading import LONGEST_SHOWN

NAME_COLUMNS = (
    "image_id",
    "filepath",
    "file_path",
    "file_path_abs",
    "img_filename",
    "filename",
    "file_name",
    "image_path",
    "img_path",
    "path",
    "id",
    "image",
)
"""Columns that name an image, the surest first: ours, FiftyOne's, LightlyStudio's, fastdup's, those
of data sets on the Hub. A path says more than the number that another tool gave an image."""
TAGS = "tags"
"""Column of a sample's tags in FiftyOne and others."""
TRUE, FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no", ""})
"""Texts of truth values in CSV, in lower case."""
TAGS_SHOWN = 5


@dataclass(frozen=True)
class NamedList:
    """A list that a setting names."""

    path: str
    """Local file."""
    word: str
    """The part of the file that is meant; empty for all of it."""
    setting: str

    @property
    def shown(self) -> str:
        """The list as the user has named it."""
        return f"{self.path}#{self.word}" if self.word else self.path


@dataclass(frozen=True)
class Rows:
    """Rows of a file, read one after the other."""

    columns: tuple[str, ...]
    """Names of all columns."""
    read: Callable[[Sequence[str]], Iterator[tuple[str, Mapping[str, object]]]]
    """Yields each row with its place in words, such as "line 3"; only the columns that are asked
    for are needed."""


def named_in(rows: Rows, named: NamedList) -> list[str]:
    """Return the ids or paths of the rows that a list means.

    Raises: InputError if no column names images, the word fits nothing, or a value is no text.
    """
    if named.word in rows.columns:
        return _by_column(rows, named)
    key = _name_column(rows, named)
    if not named.word:
        return [_text(row.get(key), key, place, named) for place, row in rows.read([key])]
    return _tagged(rows, key, named)


def _name_column(rows: Rows, named: NamedList) -> str:
    for name in NAME_COLUMNS:
        if name in rows.columns:
            return name
    raise InputError(
        f"{named.path} must have a column that names images ({', '.join(NAME_COLUMNS)}), found "
        f"{', '.join(rows.columns) or 'none'}; name it as in {named.path}#COLUMN"
    )


def _by_column(rows: Rows, named: NamedList) -> list[str]:
    """Return the texts of a column, or the names of the rows in which it is true."""
    values = [row.get(named.word) for _, row in rows.read([named.word])]
    if named.word in NAME_COLUMNS or not all(map(_is_truth, values)):
        read = rows.read([named.word])
        return [_text(row.get(named.word), named.word, place, named) for place, row in read]
    key = _name_column(rows, named)
    meant = compress(rows.read([key]), map(_truth, values))
    return [_text(row.get(key), key, place, named) for place, row in meant]


def _is_truth(value: object) -> bool:
    return value is None or isinstance(value, bool) or str(value).lower() in TRUE | FALSE


def _truth(value: object) -> bool:
    return value is not None and str(value).lower() in TRUE


def _tagged(rows: Rows, key: str, named: NamedList) -> list[str]:
    found: list[str] = []
    counts: Counter[str] = Counter()
    for place, row in rows.read([key, TAGS]):
        tags = _tags(row.get(TAGS))
        counts.update(tags)
        if named.word in tags:
            found.append(_text(row.get(key), key, place, named))
    if not found:
        known = [f"{tag} ({count})" for tag, count in counts.most_common(TAGS_SHOWN)]
        hint = did_you_mean(named.word, [*counts, *rows.columns])
        raise InputError(
            f"{named.path} has no tag and no column {named.word}, found the tags "
            f"{', '.join(known) or 'none'} and the columns {', '.join(rows.columns)}{hint}"
        )
    return found


def _tags(value: object) -> list[str]:
    """Return tags: a list, a JSON array in a text, or a text with commas."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value.replace("'", '"'))
        except ValueError:
            return []
    if isinstance(value, str):
        return [tag.strip() for tag in value.split(",") if tag.strip()]
    return [str(tag) for tag in value] if isinstance(value, Sequence) else []


def _text(value: object, key: str, place: str, named: NamedList) -> str:
    """Return the value that names an image; numbers are ids, too."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        shown = repr(value)[:LONGEST_SHOWN] if value else "nothing"
        raise InputError(
            f"{named.path}, {place}: {key} must be the id or path of an image, found {shown}"
        )
    return value
