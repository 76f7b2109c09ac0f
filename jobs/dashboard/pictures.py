"""Thumbnails of the source's images and sheets of samples."""

import io
from functools import partial

from PIL import Image

from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.datasets import image_locations, read_image_bytes
from otcondense.datasets.decoding import UnreadableImageError, decode_reduced
from otcondense.diffusion.samples import read_samples
from otcondense.errors import InputError
from otcondense.report import image_sheet

SMALLEST_SHOWN = 64
"""Images up to this side are enlarged by whole numbers, so that their pixels can be seen."""
JPEG_QUALITY = 85
"""Of Pillow's scale up to 95."""
REDUCING_GAP = 2.0
"""Pillow first reduces a JPEG file to at least twice the wanted size, which is faster."""
SAMPLES_SHOWN = 60
SHEET_WIDTH = 900
"""Pixels, the width of the page's column."""
TILE = 40
"""Smallest side of a sample on the sheet, in pixels."""


def thumbnail(run: Run, image_id: str, side: int) -> bytes:
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
        image = decode_reduced(
            read_image_bytes(location), side=side, max_pixels=run.config.source.max_pixels
        )
    except (OSError, UnreadableImageError) as error:
        raise InputError(f"image {image_id!r} cannot be read from here ({error})") from error
    return _encoded(image, side)


def _encoded(image: Image.Image, side: int) -> bytes:
    buffer = io.BytesIO()
    longest = max(image.size)
    if longest <= SMALLEST_SHOWN:
        times = max(1, side // longest)
        image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST).save(
            buffer, "PNG"
        )
    else:
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
        image.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def media_type(picture: bytes) -> str:
    """Return the media type of a picture that `thumbnail` made."""
    return "image/png" if picture.startswith(b"\x89PNG") else "image/jpeg"


def sample_sheet(run: Run, model: str, method: str, step: int) -> bytes:
    """Return the first samples of one checkpoint as a PNG sheet.

    Raises: InputError if there are none.
    """
    if (model, method, step) not in run.checkpoints():
        raise InputError(f"the run samples no checkpoint {model!r} on {method!r} at step {step}")
    count = min(SAMPLES_SHOWN, run.config.models[model].sampling.num_samples)
    images, _ = read_samples(run.store, run.samples_directory(model, method, step), count)
    return image_sheet(images, width=SHEET_WIDTH, tile=TILE).png
