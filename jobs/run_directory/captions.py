"""The captions of a run's images, for what shows or writes some of them."""

from collections.abc import Sequence

import pyarrow as pa

from jobs.run_directory.run import Run
from otcondense.datasets import captions_of
from otcondense.datasets.stored_captions import some_captions
from otcondense.errors import InputError


def run_captions(run: Run, image_ids: pa.Array | Sequence[str]) -> pa.Array | None:
    """Return the captions of some images in their order; None if the source has none.

    Raises: MissingInputError if they are not stored yet, InputError if an image has none.
    """
    if run.config.source.captions is None:
        return None
    if isinstance(image_ids, pa.ChunkedArray):
        image_ids = image_ids.combine_chunks()
    ids = image_ids if isinstance(image_ids, pa.Array) else pa.array(image_ids, pa.string())
    return captions_of(run.store, run.captions_file(), ids)


def captions_to_show(run: Run, image_ids: Sequence[str]) -> dict[str, str]:
    """Return the captions of a few images by id, as far as they can be read."""
    if run.config.source.captions is None or not image_ids:
        return {}
    try:
        return some_captions(run.store, run.captions_file(), image_ids)
    except InputError:
        return {}
