"""Rows of a table that name their images by paths below a folder."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from otcondense.datasets.columns import row_ids
from otcondense.datasets.missing_bytes import NEITHER
from otcondense.datasets.named_files import folder_of
from otcondense.datasets.parts import TEXT, Faulty, Labels, Part
from otcondense.datasets.paths_below import sizes_and_times
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.trees import SourceFile


def path_part(
    source: SourceConfig,
    file: SourceFile,
    labels: Labels,
    paths: pa.LargeStringArray,
    ids: pa.LargeStringArray | None,
) -> Part:
    """Return the rows of a table as images below the folder of the source.

    Args:
        source: the configuration.
        file: the table.
        labels: of the rows.
        paths: below the folder, or absolute and in it; a row may have none.
        ids: of the rows; None takes the paths.

    Raises: InputError for a path that leads out of the folder.
    """
    root = folder_of(source)
    faulty = Faulty()
    for row in pc.indices_nonzero(paths.is_null()).to_pylist():
        faulty.add(row, NEITHER)
    names = _below(root, pc.coalesce(paths, row_ids(file, len(paths))))
    sizes, times = sizes_and_times(source, root, names)
    if ids is None:
        return Part(names, labels, sizes, times, faulty=faulty)
    places = pc.binary_join_element_wise(pa.scalar(root, TEXT), names, pa.scalar("/", TEXT))
    return Part(ids, labels, sizes, times, path=places, faulty=faulty)


def _below(root: str, paths: pa.LargeStringArray) -> pa.LargeStringArray:
    """Return paths relative to the root: without a leading ./ and without the root itself."""
    for start in ("./", f"{root}/"):
        shorter = pc.binary_replace_slice(paths, 0, len(start.encode()), "")
        paths = pc.if_else(pc.starts_with(paths, start), shorter, paths)
    return paths


def without(others: pa.LargeStringArray, parts: Sequence[Part]) -> pa.LargeStringArray:
    """Return the names of other files without those that are images of a table."""
    is_image = pa.array(np.zeros(len(others), np.bool_))
    for part in parts:
        if part.file is None and part.path is None:
            is_image = pc.or_(is_image, pc.is_in(others, value_set=part.ids))
    return others.filter(pc.invert(is_image))
