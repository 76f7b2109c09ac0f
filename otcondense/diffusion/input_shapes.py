"""Shapes of a training's latents and tokens, as they are stored."""

from math import sqrt

from otcondense.diffusion.inputs import Inputs, first_class, representation
from otcondense.errors import InputError
from otcondense.store import Store


def latent_shape(store: Store, inputs: Inputs) -> tuple[int, int, int]:
    """Return channels, height and width of the latents.

    Raises: InputError if there are none.
    """
    name = first_class(store, inputs)
    shape = representation(store, inputs, "latents").row_shapes(name)["mean"]
    return (shape[0], shape[1], shape[2])


def token_width(store: Store, inputs: Inputs) -> int:
    """Return the width of the tokens.

    Raises: InputError if there are none.
    """
    name = first_class(store, inputs)
    return representation(store, inputs, "tokens").row_shapes(name)["tokens"][1]


def check_grid(
    store: Store, inputs: Inputs, patch_size: int, image_shape: tuple[int, int, int]
) -> None:
    """Check that images have a token for each patch of the model.

    Args:
        store: the run.
        inputs: places of the inputs, with tokens.
        patch_size: of the model.
        image_shape: channels, height and width of its input.

    Raises: InputError naming both numbers, and the size of the tokens' images that fits.
    """
    name = first_class(store, inputs)
    source = representation(store, inputs, "tokens")
    found = source.row_shapes(name)["tokens"][0]
    side = image_shape[1] // patch_size
    if found != side**2:
        pixels = int(source.metadata(name).get("input_size", 0)) / sqrt(found)
        fitting = f"; set tokens.input_size={round(pixels * side)}" if pixels else ""
        raise InputError(
            f"tokens must be one for each of the {side**2} patches of {patch_size} of the model's "
            f"input {image_shape}, found {found}{fitting}"
        )
