"""The named sizes of the two model families, and the configuration that chooses one."""

from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import Field

from otcondense.config import Config
from otcondense.errors import InputError

Family = Literal["DiT", "SiT"]


@dataclass(frozen=True)
class ModelSize:
    """Family and dimensions of one backbone."""

    family: Family
    width: int
    depth: int
    num_heads: int
    patch_size: int


FAMILIES: tuple[Family, ...] = get_args(Family)
LETTERS = {"S": (384, 12, 6), "B": (768, 12, 12), "L": (1024, 24, 16), "XL": (1152, 28, 16)}
"""Width, depth and heads of the published sizes.

Source: table 1 of Peebles & Xie, "Scalable Diffusion Models with Transformers" (2023), which SiT
keeps.
"""
PATCH_SIZES = (1, 2, 4, 8)
"""Published patch sizes: those of DiT, and 1, RAE's, for latents with a large stride."""
DEMO = (64, 4, 4)
"""Width, depth and heads of a size that trains on a CPU in minutes."""
DEMO_PATCHES = (1, 2)
"""Patch sizes of that size."""
SINUSOIDS = 4
"""The width must be a multiple: sine and cosine of the row and of the column."""


def _named_sizes() -> dict[str, ModelSize]:
    sizes = {}
    for family in FAMILIES:
        for letter, (width, depth, heads) in LETTERS.items():
            for patch in PATCH_SIZES:
                size = ModelSize(family, width, depth, heads, patch)
                sizes[f"{family}-{letter}/{patch}"] = size
    for family in FAMILIES:
        for patch in DEMO_PATCHES:
            sizes[f"{family}-demo/{patch}"] = ModelSize(family, *DEMO, patch_size=patch)
    return sizes


MODELS: dict[str, ModelSize] = _named_sizes()
"""Every named size."""


class ModelConfig(Config):
    """The backbone of the diffusion model."""

    name: str = "SiT-demo/2"
    """Family, size and patch size: DiT-{S,B,L,XL}/{1,2,4,8}, SiT-{S,B,L,XL}/{1,2,4,8}, or
    {DiT,SiT}-demo/{1,2}. Patches of 1 are for latents with a stride of 16 or more."""
    width: int | None = Field(default=None, ge=8)
    """Width of the token vectors; empty takes the named size's."""
    depth: int | None = Field(default=None, ge=1)
    """Number of transformer blocks; empty takes the named size's."""
    num_heads: int | None = Field(default=None, ge=1)
    """Number of attention heads, which must divide the width; empty takes the named size's."""
    learn_sigma: bool = True
    """Twice as many output channels, as in the public checkpoints: DiT learns its variance with
    them, SiT ignores them."""
    freq_shift: Literal[0, 1] = 0
    """Timestep frequencies i/(half - freq_shift): 0 for the public DiT and SiT, 1 for diffusers'
    DiTPipeline."""

    @property
    def size(self) -> ModelSize:
        """The resolved size.

        Raises: InputError for an unknown name, or a number of heads that does not divide the width.
        """
        if self.name not in MODELS:
            raise InputError(f"model.name must be one of {', '.join(MODELS)}; found {self.name!r}")
        named = MODELS[self.name]
        width = self.width or named.width
        heads = self.num_heads or named.num_heads
        depth = self.depth or named.depth
        if width % heads or width % SINUSOIDS:
            raise InputError(
                f"model.width must be a multiple of {SINUSOIDS} and of model.num_heads, "
                f"found width {width} and {heads} heads"
            )
        if named.family == "DiT" and not self.learn_sigma:
            raise InputError(
                "model.learn_sigma must be true for a DiT, whose loss learns the variance; "
                "found false"
            )
        return ModelSize(named.family, width, depth, heads, named.patch_size)
