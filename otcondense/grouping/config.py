"""The configuration of the groups that images are selected from."""

from typing import Literal

from pydantic import Field

from otcondense.config import Config

MOST_IMAGES = 2000
"""Images of a group by default: selecting 10 of them takes seconds on one core, with its proof."""


class GroupConfig(Config):
    """How images are grouped before the selection, so that no selection sees too many at once."""

    most: int = Field(default=MOST_IMAGES, ge=2)
    """Most images of a group; a class with no more is one group."""
    labels: Literal["keep", "ignore"] = "keep"
    """keep groups the images of each class by themselves; ignore groups all images together, for
    sources without labels."""
    resamplings: int = Field(default=0, ge=0, le=20)
    """Times that the centres of a level are fitted again to images drawn evenly over its cells, so
    that dense regions get fewer centres; 0 follows the density of the images."""
    seed: int = Field(default=0, ge=0)
    """Seed of the images that centres are fitted to."""
