"""Images of a source by what other tools call them: an id, a path or the name of a file."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from otcondense.datasets import Listing
from otcondense.errors import InputError
from otcondense.near_names import did_you_mean

MOST_SUGGESTED = 10_000
"""Images among which the nearest id is looked for: of more, it would take seconds."""
LONGEST_NAME = 4096
"""Characters of a path; a longer text names no file, and has too many ends to try."""
FILE_SCHEME = "file://"


def matched(listing: Listing, names: Iterable[str], setting: str, place: str) -> dict[str, str]:
    """Return the image id that each name means.

    A name is an id; or the end of one id only, such as the name of a file; or a path that ends in
    ids, where the longest one counts.

    Args:
        listing: images of the source.
        names: what a list holds.
        setting: the settings that named the list, for messages.
        place: path of the source, for messages.

    Raises: InputError if a name fits no image, or several.
    """
    wanted = list(dict.fromkeys(names))
    found = {name: name for name in listing.find(wanted)}
    found |= _by_end_of_id(listing, [name for name in wanted if name not in found], setting)
    found |= _by_end_of_path(listing, [name for name in wanted if name not in found])
    unknown = [name for name in wanted if name not in found]
    if unknown:
        near = did_you_mean(unknown[0], _ids(listing)) if len(listing) <= MOST_SUGGESTED else ""
        count = f" ({len(unknown):,} of {len(wanted):,} are unknown)" if len(wanted) > 1 else ""
        raise InputError(f"{setting} must name images of {place}, found {unknown[0]}{count}{near}")
    return {name: found[name] for name in wanted}


def _ids(listing: Listing) -> list[str]:
    ids: list[str] = listing.table.column("image_id").to_pylist()
    return ids


def _plain(name: str) -> str:
    return name.removeprefix(FILE_SCHEME).replace("\\", "/")


def _ends(path: str) -> Iterator[str]:
    """Yield the ends of a path, the longest first."""
    parts = [part for part in _plain(path)[:LONGEST_NAME].split("/") if part not in ("", ".")]
    for start in range(len(parts)):
        yield "/".join(parts[start:])


def _by_end_of_path(listing: Listing, names: Sequence[str]) -> dict[str, str]:
    """Return the ids in which paths end, such as the absolute path of a file of the source."""
    if not names:
        return {}
    known = listing.find(end for name in names for end in _ends(name))
    found = {}
    for name in names:
        end = next((end for end in _ends(name) if end in known), None)
        if end is not None:
            found[name] = end
    return found


def _by_end_of_id(listing: Listing, names: Sequence[str], setting: str) -> dict[str, str]:
    """Return the only id that ends in each name.

    Raises: InputError if there are several.
    """
    if not names:
        return {}
    ids = listing.table.column("image_id")
    last = pc.replace_substring_regex(ids, "^.*/", "")
    plain = {name: _plain(name).strip("/") for name in names}
    files = pa.array({each.rpartition("/")[2] for each in plain.values()}, last.type)
    rows = np.flatnonzero(pc.is_in(last, value_set=files).to_numpy(zero_copy_only=False))
    near: dict[str, list[str]] = {}
    for image_id in ids.take(pa.array(rows)).to_pylist():
        near.setdefault(image_id.rpartition("/")[2], []).append(image_id)
    return dict(_only(plain, near, setting))


def _only(
    plain: dict[str, str], near: dict[str, list[str]], setting: str
) -> Iterator[tuple[str, str]]:
    for name, end in plain.items():
        same = near.get(end.rpartition("/")[2], [])
        ids = [each for each in same if f"/{each}".endswith(f"/{end}")]
        if len(ids) > 1:
            raise InputError(
                f"{setting} must name one image each, found {name}, which fits {len(ids):,}, among "
                f"them {ids[0]} and {ids[1]}; write the id"
            )
        if ids:
            yield name, ids[0]
