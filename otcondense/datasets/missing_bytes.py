"""Rows of a table of images that have a path and no bytes, or neither.

Hugging Face's `Image` stores `{bytes: null, path: ...}` for images that were not embedded.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int64

from otcondense.datasets.names import is_below
from otcondense.datasets.parts import TEXT, Faulty, Labels, Part
from otcondense.datasets.paths_below import sizes_and_times
from otcondense.datasets.records import SourceConfig, image_path, is_remote
from otcondense.errors import InputError

NEITHER = "has neither bytes nor a path in its row"


def with_paths(
    source: SourceConfig,
    root: str,
    part: Part,
    is_missing: Bool[np.ndarray, " n"],
    paths: Sequence[str | None],
) -> list[Part]:
    """Return a part whose rows without bytes are images below the root, or unusable.

    Args:
        source: the configuration.
        root: folder or URI below which the paths lie.
        part: the rows.
        is_missing: whether each row has no bytes.
        paths: of the rows without bytes.
    """
    missing = np.flatnonzero(is_missing)
    assert len(missing) == len(paths), "one path for each row without bytes"
    if not len(missing):
        return [part]
    folder = source.model_copy(update={"path": root})
    reasons = [_fault(folder, path) for path in paths]
    is_lost = np.array([reason is not None for reason in reasons])
    faulty = Faulty()
    with_bytes = np.flatnonzero(~is_missing)
    lost = missing[is_lost]
    for place, reason in enumerate(each for each in reasons if each is not None):
        faulty.add(len(with_bytes) + place, reason)
    parts = [replace(select(part, np.concatenate([with_bytes, lost])), faulty=faulty)]
    if is_lost.all():
        return parts
    found = pa.array(
        [path for path, reason in zip(paths, reasons, strict=True) if reason is None], TEXT
    )
    rows = select(part, missing[~is_lost])
    sizes, times = sizes_and_times(source, root, found)
    places = pa.array([image_path(folder, path) for path in found.to_pylist()], TEXT)
    parts.append(Part(rows.ids, rows.labels, sizes, times, path=places, captions=rows.captions))
    return parts


def select(part: Part, rows: Int64[np.ndarray, " m"]) -> Part:
    """Return some rows of a part, without what is known to be wrong with them."""
    return Part(
        ids=part.ids.take(pa.array(rows)),
        labels=Labels(part.labels.codes[rows], part.labels.values),
        size_bytes=part.size_bytes[rows],
        mtime_ns=part.mtime_ns[rows],
        file=part.file,
        position=None if part.position is None else part.position[rows],
        captions=None if part.captions is None else part.captions.take(pa.array(rows)),
    )


def _fault(folder: SourceConfig, path: str | None) -> str | None:
    """Return why an image without bytes cannot be used, None if its file is there."""
    if not path:
        return NEITHER
    if not is_below(path):
        return f"has no bytes in its row, and its path {path[:80]!a} leads out of the source"
    try:
        place = image_path(folder, path)
    except InputError as error:
        return f"has no bytes in its row: {error}"
    if not is_remote(folder.path) and not Path(place).is_file():
        return f"has no bytes in its row, and there is no file {path[:80]!a} in the source"
    return None
