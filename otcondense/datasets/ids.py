"""Checks of millions of image ids: with Arrow for all, one by one for the suspicious ones."""

import pyarrow as pa
import pyarrow.compute as pc

from otcondense.datasets.names import LONGEST_ID, check_image_id, is_below, shown_name
from otcondense.errors import InputError

FORBIDDEN = r"[\x00-\x1f\x7f-\x{9f}\x{2028}\x{2029}]"
"""Characters of the kinds `names.FORBIDDEN_KINDS`; texts of Arrow are valid Unicode."""
UPWARDS = r"[\\\x00]|(?:^|/)\.{0,2}(?:/|$)"
"""What a relative path that does not lead upwards does not have; see `is_below`."""


def check_image_ids(image_ids: pa.Array | pa.ChunkedArray, where: str) -> None:
    """Refuse ids of images that a later stage could not store.

    Raises: InputError with the first one and the rule that it breaks.
    """
    lengths = pc.binary_length(image_ids)
    is_long = pc.or_(pc.equal(lengths, 0), pc.greater(lengths, LONGEST_ID))
    suspicious = pc.or_(is_long, pc.match_substring_regex(image_ids, FORBIDDEN))
    for row in pc.indices_nonzero(suspicious).to_pylist():
        check_image_id(image_ids[row].as_py(), where)


def check_relative_paths(names: pa.Array | pa.ChunkedArray, where: str) -> None:
    """Refuse paths of files below a source that training or an export could not use.

    Raises: InputError with the first one and the rule that it breaks.
    """
    check_image_ids(names, where)
    for row in pc.indices_nonzero(pc.match_substring_regex(names, UPWARDS)).to_pylist():
        name = names[row].as_py()
        assert not is_below(name), "the pattern and the function are one rule"
        raise InputError(
            f"a file of a source must have a plain relative path without backslashes, found "
            f"{shown_name(name)} in {where}; rename it"
        )
