"""The columns of a manifest."""

from dataclasses import dataclass
from difflib import get_close_matches

from otcondense.datasets.records import SourceConfig
from otcondense.datasets.trees import SourceFile
from otcondense.errors import InputError

PATH_COLUMNS = ("path", "file_name")
"""Columns of the paths if `source.image_column` is not set and no column has its default name; the
second one is that of metadata files of the `datasets` library."""
MOST_COLUMNS = 10_000
"""Columns of a manifest at most."""


@dataclass(frozen=True)
class Columns:
    """The columns of a manifest."""

    names: list[str]
    """All of them."""
    path: str
    label: str | None
    image_id: str | None
    caption: str | None

    @property
    def chosen(self) -> tuple[str, str | None, str | None, str | None]:
        """Names of the columns of the path, the label, the id and the caption."""
        return self.path, self.label, self.image_id, self.caption


def find_columns(source: SourceConfig, file: SourceFile, names: list[str]) -> Columns:
    """Return the columns that a source names.

    Raises: InputError for a column that is missing, with the nearest, or there twice.
    """
    if len(names) > MOST_COLUMNS:
        raise InputError(
            f"{file.path} must have at most {MOST_COLUMNS} columns, found {len(names)}; "
            "is it the right file?"
        )
    path = source.image_column
    if path == SourceConfig.model_fields["image_column"].default and path not in names:
        found = [name for name in PATH_COLUMNS if name in names]
        path = found[0] if found else PATH_COLUMNS[0]
    _check(file, names, path, "image_column")
    for setting in ("label_column", "id_column", "captions"):
        name = getattr(source, setting)
        if name is not None:
            _check(file, names, name, setting)
    return Columns(names, path, source.label_column, source.id_column, source.captions)


def _check(file: SourceFile, names: list[str], name: str, setting: str) -> None:
    if names.count(name) == 1:
        return
    found = "two columns" if name in names else "no column"
    near = get_close_matches(name, names, n=1) or names
    raise InputError(
        f"{file.path} has {found} {name!r}; "
        f"set source.{setting} to one of its columns, such as {', '.join(near)}"
    )
