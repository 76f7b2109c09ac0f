"""Lists of image ids in files: one id per line, a JSON array, or a subset manifest."""

from functools import lru_cache
from pathlib import Path

from otcondense.errors import InputError
from otcondense.reading import parse_json, read_text
from otcondense.store import Store, read_table

LISTS_KEPT = 8
"""Lists that a process keeps, by file and time: names of results need them again and again."""


def read_ids(path: str, setting: str) -> tuple[str, ...]:
    """Return the image ids that a file lists, each once, in its order.

    Args:
        path: local file: `.parquet` is a manifest of ours; a file that begins with `[` is a JSON
            array of texts; any other one has an id per line.
        setting: that names the file, for messages.

    Raises: InputError if the file is missing, too large or damaged, or lists nothing.
    """
    try:
        state = Path(path).stat()
        changed = (state.st_mtime_ns, state.st_size)
    except (OSError, ValueError):
        changed = (0, 0)
    return _read(path, setting, changed)


@lru_cache(maxsize=LISTS_KEPT)
def _read(path: str, setting: str, _changed: tuple[int, int]) -> tuple[str, ...]:
    if path.endswith(".parquet"):
        place = Path(path)
        # Manifests of earlier versions, which have other columns, list images too.
        found = _of_manifest(Store(str(place.parent)), place.name)
    else:
        found = _listed(path, setting)
    if not found:
        raise InputError(f"{setting} must list at least one image, found none in {path}")
    return tuple(dict.fromkeys(found))


def _of_manifest(store: Store, name: str) -> list[str]:
    if not store.exists(name):
        raise InputError(f"there is no subset manifest {store.path(name)}")
    table = read_table(store, name)
    if "image_id" not in table.column_names:
        raise InputError(
            f"{store.path(name)} must have a column image_id, found {', '.join(table.column_names)}"
        )
    found: list[str] = table.column("image_id").to_pylist()
    return found


def _listed(path: str, setting: str) -> list[str]:
    text = read_text(path, f"{setting} must be a list of image ids or a file of them")
    if not text.lstrip().startswith("["):
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        return [line for line in lines if line]
    values = parse_json(text, path)
    wrong = [value for value in values if not isinstance(value, str)]
    if wrong:
        raise InputError(f"{path} must be an array of image ids as texts, found {wrong[0]!r}")
    return list(values)
