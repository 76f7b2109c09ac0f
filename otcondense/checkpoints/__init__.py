"""Checkpoints of other implementations: public DiT and SiT files, and diffusers' pipeline, to and from our model."""

from otcondense.checkpoints.public import (
    PublicModel,
    from_public,
    read_public,
    reverse_time,
    to_public,
)

__all__ = ["PublicModel", "from_public", "read_public", "reverse_time", "to_public"]
