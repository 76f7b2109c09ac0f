"""Thumbnails of the source's images and sheets of samples."""

from functools import partial

from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from jobs.thumbnails.stored import Pictures
from otcondense.datasets import image_locations, read_image_bytes
from otcondense.datasets.thumbnails import THUMBNAIL_SIDE, thumbnail
from otcondense.datasets.unreadable import UnreadableImageError
from otcondense.diffusion.samples import read_samples
from otcondense.errors import InputError
from otcondense.report import image_sheet

SAMPLES_SHOWN = 60
SHEET_WIDTH = 900
"""Pixels, the width of the page's column."""
TILE = 40
"""Smallest side of a sample on the sheet, in pixels."""


def chosen_picture(stored: Pictures, run: Run, image_id: str, side: int) -> bytes:
    """Return a picture of an image: the stored thumbnail where it is large enough, or alone left.

    Raises: InputError if the image has no stored thumbnail and its source cannot be read from here.
    """
    known = stored.get(image_id)
    if known is not None and side <= THUMBNAIL_SIDE:
        return known
    try:
        return source_picture(run, image_id, side)
    except InputError:
        if known is None:
            raise
        return known


def source_picture(run: Run, image_id: str, side: int) -> bytes:
    """Return a picture of one image of the source, PNG where it is tiny, else JPEG.

    Args:
        run: the run.
        image_id: an image of the run. Requests name it by its row in the class, so that no
            request can name a file.
        side: largest side in pixels.

    Raises: InputError if it cannot be read from here.
    """
    try:
        (location,) = image_locations(run.config.source, [image_id], partial(run_listing, run))
        data = read_image_bytes(location)
        return thumbnail(data, side=side, max_pixels=run.config.source.max_pixels)
    except (OSError, UnreadableImageError) as error:
        raise InputError(f"image {image_id!r} cannot be read from here ({error})") from error


def sample_sheet(run: Run, model: str, method: str, step: int) -> bytes:
    """Return the first samples of one checkpoint as a PNG sheet.

    Raises: InputError if there are none.
    """
    if (model, method, step) not in run.checkpoints():
        raise InputError(f"the run samples no checkpoint {model!r} on {method!r} at step {step}")
    count = min(SAMPLES_SHOWN, run.config.models[model].sampling.num_samples)
    images, _ = read_samples(run.store, run.samples_directory(model, method, step), count)
    return image_sheet(images, width=SHEET_WIDTH, tile=TILE).png
