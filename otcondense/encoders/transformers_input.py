"""How a model of transformers wants its images, as a record like timm's.

The images themselves are decoded and resized as for every other encoder: only the numbers come
from the model's preprocessor_config.json.
"""

import math
from functools import lru_cache
from typing import Any

from otcondense.encoders.transformers_model import unusable
from otcondense.errors import InputError
from otcondense.transformers_library import load_library, quiet

FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
"""Pillow's numbers of resizing filters, which preprocessor_config.json uses."""
SCALE = 1 / 255
"""Factor from 8-bit values to 0..1; the models here take no other."""
TOLERANCE = 1e-6
"""Largest difference of a factor that JSON may have rounded."""


@lru_cache(maxsize=16)
def transformers_record(name: str) -> dict[str, Any]:
    """Return size and constants of the input of a model of transformers.

    Args:
        name: of the encoder, with the prefix.

    Raises: InputError if there is no such model here or on the hub, or it prepares images in a way
        that has no counterpart here.
    """
    library = load_library(name)
    place = name.partition(":")[2]
    try:
        with quiet(library):
            found = library.AutoImageProcessor.from_pretrained(place, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise unusable(name, error) from error
    _refuse_others(name, found)
    plain = (0.0,) * 3, (1.0,) * 3
    mean, std = (found.image_mean, found.image_std) if found.do_normalize else plain
    return {
        **_sizes(name, found),
        "mean": tuple(mean),
        "std": tuple(std),
        "interpolation": FILTERS.get(int(found.resample), str(found.resample)),
        "num_classes": 0,
        "fixed_input_size": False,
    }


def _refuse_others(name: str, found: Any) -> None:
    """Refuse a preparation that has no counterpart here.

    Raises: InputError.
    """
    factor = found.rescale_factor if found.do_rescale else 0.0
    wrong = {
        "do_resize": not found.do_resize,
        "rescale_factor": abs(factor - SCALE) > TOLERANCE,
        "do_pad": bool(getattr(found, "do_pad", False)),
    }
    for setting, is_wrong in wrong.items():
        if is_wrong:
            raise InputError(
                f"{name} must resize its images and scale them to 0..1 without padding, found "
                f"{setting}={getattr(found, setting)} in its preprocessor_config.json; take "
                "another model, or a function of your own"
            )


def _sizes(name: str, found: Any) -> dict[str, Any]:
    """Return the size of the input, and the resize before the crop.

    Raises: InputError for a rule of size that has no counterpart here.
    """
    size = _numbers(found.size)
    crop = _numbers(found.crop_size) if found.do_center_crop else None
    if set(size) == {"shortest_edge"} and crop is not None:
        short = size["shortest_edge"]
        wanted = (crop["height"], crop["width"])
        share = _share(max(wanted), short)
        mode = "center"
    elif set(size) == {"height", "width"} and size["height"] == size["width"]:
        wanted = (size["height"], size["width"]) if crop is None else (crop["height"],) * 2
        share = _share(wanted[0], size["height"])
        mode = "squash"
    else:
        raise InputError(
            f"the images of {name} must be resized to a square, or to a short side and then "
            f"cropped, found size={size} and crop_size={crop}; take another model, or a function "
            "of your own"
        )
    if wanted[0] != wanted[1] or share > 1:
        raise InputError(f"{name} must take square crops of resized images, found crop_size={crop}")
    return {"input_size": (3, *wanted), "crop_pct": share, "crop_mode": mode}


def _numbers(size: Any) -> dict[str, int]:
    """Return the numbers of a size that are set."""
    pairs = size.items() if hasattr(size, "items") else vars(size).items()
    return {name: int(value) for name, value in pairs if value is not None}


def _share(wanted: int, resized: int) -> float:
    """Return the share of the crop in the resized image, such that wanted / share is `resized`.

    The size is rounded down after the division, so that the last digit counts.
    """
    share = wanted / resized
    while math.floor(wanted / share) < resized:
        share = math.nextafter(share, 0)
    return share
