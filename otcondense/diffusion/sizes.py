"""The named sizes of the two model families, and the configuration that picks one."""

from dataclasses import dataclass
from typing import Literal

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


# Width, depth and heads: Table 1 of Peebles & Xie, "Scalable Diffusion Models with Transformers" (2023); SiT keeps them.
_LETTERS = {"S": (384, 12, 6), "B": (768, 12, 12), "L": (1024, 24, 16), "XL": (1152, 28, 16)}
_FAMILIES: tuple[Family, ...] = ("DiT", "SiT")

MODELS: dict[str, ModelSize] = {
    **{
        f"{family}-{letter}/{patch}": ModelSize(family, *size, patch)
        for family in _FAMILIES
        for letter, size in _LETTERS.items()
        for patch in (2, 4, 8)
    },
    **{f"{family}-demo/2": ModelSize(family, 64, 4, 4, 2) for family in _FAMILIES},
}


class ModelConfig(Config):
    """The backbone of the diffusion model."""

    name: str = "SiT-demo/2"
    """Family, size and patch size: DiT-{S,B,L,XL}/{2,4,8}, SiT-{S,B,L,XL}/{2,4,8}, or DiT-demo/2 and SiT-demo/2."""
    width: int | None = Field(default=None, ge=8)
    """Width of the token vectors; empty takes the named size's."""
    depth: int | None = Field(default=None, ge=1)
    """Number of transformer blocks; empty takes the named size's."""
    num_heads: int | None = Field(default=None, ge=1)
    """Number of attention heads, which must divide the width; empty takes the named size's."""
    learn_sigma: bool = True
    """Twice as many output channels, as the public checkpoints have: DiT learns its variance with them, SiT ignores them."""
    freq_shift: Literal[0, 1] = 0
    """Timestep frequencies i/(half - freq_shift): 0 is the public DiT and SiT, 1 is what diffusers' DiTPipeline uses."""

    @property
    def size(self) -> ModelSize:
        """The resolved size.

        Raises: InputError for an unknown name, or a number of heads that does not divide the width.
        """
        if self.name not in MODELS:
            raise InputError(f"model.name must be one of {', '.join(MODELS)}; found {self.name!r}")
        named = MODELS[self.name]
        width, heads = self.width or named.width, self.num_heads or named.num_heads
        if width % heads or width % 4:
            raise InputError(
                f"model.width must be a multiple of 4 and of model.num_heads, found width {width} and {heads} heads"
            )
        if named.family == "DiT" and not self.learn_sigma:
            raise InputError(
                "model.learn_sigma must be true for a DiT, whose loss learns the variance; found false"
            )
        return ModelSize(named.family, width, self.depth or named.depth, heads, named.patch_size)
