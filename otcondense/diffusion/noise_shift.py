"""Timesteps shifted towards noise, for latents of many values.

Noise hides less of an image the more values tell of it, so that large latents need more of it.

Source: Esser et al., "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis"
(arXiv:2403.03206), equation 23; Zheng et al., "Diffusion Transformers with Representation
Autoencoders" (arXiv:2510.11690), section 4.2, with a shift of sqrt(values of a latent / 4096).
"""

from typing import TypeVar

from torch import Tensor

Times = TypeVar("Times", float, Tensor)


def towards_noise(t: Times, shift: float) -> Times:
    """Return times from noise (0) to data (1), moved towards noise; the ends stay.

    With s = 1 - t, the papers' time, it is 1 - shift s / (1 + (shift - 1) s).

    Args:
        t: times in [0, 1].
        shift: at least 1, which returns `t` itself.
    """
    if shift == 1:
        return t
    return t / (shift - (shift - 1) * t)
