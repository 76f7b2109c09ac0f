"""The images of the denoising loss: held-out images as pixels, in the size of training."""

import numpy as np

from jobs.judging.run_images import UNKNOWN_CLASS, HeldOutImages
from jobs.run_directory.run import Run
from otcondense.datasets.listing import identity_of
from otcondense.diffusion.held_out_loss import LOSS_IMAGES, evenly
from otcondense.store import fingerprint, read_fingerprint
from otcondense.store.images import write_images


def write_held_out_pixels(run: Run, held_out: HeldOutImages) -> str:
    """Write held-out images as pixels, unless they are up to date.

    They are at most `LOSS_IMAGES`, evenly spread over the images of all classes of the source.

    Returns: the name of the file; "" if no held-out image is of a class of the source.
    Raises: InputError naming an image that cannot be used.
    """
    known = np.flatnonzero(held_out.classes != UNKNOWN_CLASS)
    if len(known) == 0:
        return ""
    name = run.held_out_pixels_file()
    content = [identity_of(held_out.listing.table), sorted(held_out.class_names.items())]
    expected = fingerprint([*content, list(run.config.pixels.shape), LOSS_IMAGES])
    if read_fingerprint(run.store, name) != expected:
        rows = known[evenly(len(known), LOSS_IMAGES)]
        pixels = held_out.pixels.load(rows.tolist())
        write_images(run.store, name, pixels, held_out.classes[rows], fingerprint=expected)
    return name
