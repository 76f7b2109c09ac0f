"""The DiT/SiT backbone: a transformer on patches.

Adaptive layer norm conditions it on timestep and class.

Source: Peebles & Xie, "Scalable Diffusion Models with Transformers" (2023), section 3.2; Ma et al.,
"SiT" (2024), which keeps the backbone. Parameter names are those of the public checkpoints.
"""

import math

import torch
from jaxtyping import Float, Float16, Int
from torch import Tensor, nn
from torch.nn import functional

from otcondense.diffusion.sizes import MODELS, ModelConfig, ModelSize
from otcondense.errors import InputError

__all__ = ["MODELS", "ModelConfig", "ModelSize", "Transformer", "build_model", "compile_blocks"]

FREQUENCY_CHANNELS = 256
"""Sinusoids of a timestep."""
MAX_PERIOD = 10_000.0
"""Longest period of the sinusoids, divided by 2 pi."""
MLP_RATIO = 4
"""Width of a block's perceptron, relative to the tokens."""
NORM_EPS = 1e-6
"""Epsilon of every layer norm, as in the public checkpoints."""
EMBEDDING_STD = 0.02
"""Standard deviation of the initial embeddings, as in the public trainers."""
BLOCK_MODULATIONS = 6
"""Shift, scale and gate of the attention and of the perceptron."""
FINAL_MODULATIONS = 2
"""Shift and scale of the last layer."""


def apply(module: nn.Module, *inputs: Tensor) -> Tensor:
    """Return the output of a module that returns one tensor; `nn.Module` calls are untyped."""
    output: Tensor = module(*inputs)
    return output


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Scale and shift the tokens `x` (N, T, D) by one vector (N, D) each per sample."""
    # A product and a sum, each rounded, as in the public implementations: outputs then agree to the
    # last bit.
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


class TimestepEmbedder(nn.Module):
    """Embeds timesteps by sinusoids and a two-layer perceptron."""

    frequencies: Tensor

    def __init__(self, width: int, freq_shift: int) -> None:
        super().__init__()
        self.freq_shift = freq_shift
        half = FREQUENCY_CHANNELS // 2
        numbers = torch.arange(half, dtype=torch.float32)
        frequencies = torch.exp(-math.log(MAX_PERIOD) * numbers / (half - freq_shift))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.mlp = nn.Sequential(
            nn.Linear(FREQUENCY_CHANNELS, width), nn.SiLU(), nn.Linear(width, width)
        )

    def forward(self, t: Float[Tensor, " n"]) -> Float[Tensor, "n d"]:
        angles = t[:, None].float() * self.frequencies[None]  # (N, 128)
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1)  # (N, 256)
        return apply(self.mlp, waves)  # (N, D)


class LabelEmbedder(nn.Module):
    """A table of class vectors; the last row is the null class, for samples without a label."""

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(num_classes + 1, width)

    def forward(self, labels: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
        return apply(self.embedding_table, labels)


class Attention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        joined = apply(self.qkv, x).view(n, tokens, 3, self.num_heads, -1)
        q, k, v = joined.permute(2, 0, 3, 1, 4)  # 3 of (N, heads, T, D / heads)
        out = functional.scaled_dot_product_attention(q, k, v)
        return apply(self.proj, out.transpose(1, 2).reshape(n, tokens, width))  # (N, T, D)


class Mlp(nn.Module):
    """Two linear layers with a tanh-approximated GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, MLP_RATIO * width)
        self.fc2 = nn.Linear(MLP_RATIO * width, width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.gelu(apply(self.fc1, x), approximate="tanh")
        return apply(self.fc2, hidden)


class Block(nn.Module):
    """A transformer block with adaLN-Zero conditioning."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=NORM_EPS)
        self.attn = Attention(width, num_heads)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=NORM_EPS)
        self.mlp = Mlp(width)
        self.adaLN_modulation = nn.Sequential(
            nn.SiLU(), nn.Linear(width, BLOCK_MODULATIONS * width)
        )

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        modulation = apply(self.adaLN_modulation, c).chunk(BLOCK_MODULATIONS, dim=1)
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation  # 6 of (N, D)
        attended = apply(self.attn, modulate(self.norm1(x), shift1, scale1))  # (N, T, D)
        x = x + gate1.unsqueeze(1) * attended
        changed = apply(self.mlp, modulate(self.norm2(x), shift2, scale2))  # (N, T, D)
        return x + gate2.unsqueeze(1) * changed


class FinalLayer(nn.Module):
    """From tokens to the pixels of their patches."""

    def __init__(self, width: int, patch_values: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(width, elementwise_affine=False, eps=NORM_EPS)
        self.linear = nn.Linear(width, patch_values)
        self.adaLN_modulation = nn.Sequential(
            nn.SiLU(), nn.Linear(width, FINAL_MODULATIONS * width)
        )

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift, scale = apply(self.adaLN_modulation, c).chunk(FINAL_MODULATIONS, dim=1)
        normed = modulate(self.norm_final(x), shift, scale)
        return apply(self.linear, normed)  # (N, T, p * p * C_out)


class PatchEmbedder(nn.Module):
    """A linear map of each patch, as the convolution of the public checkpoints."""

    def __init__(self, patch_size: int, in_channels: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, width, kernel_size=patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        return apply(self.proj, x).flatten(2).transpose(1, 2)  # (N, T, D)


class Transformer(nn.Module):
    """Predicts noise (DiT) or velocity (SiT).

    Its inputs are a noisy image or latent, the timestep and the class.
    """

    pos_embed: Tensor

    def __init__(
        self,
        size: ModelSize,
        config: ModelConfig,
        num_classes: int,
        image_shape: tuple[int, int, int],
    ) -> None:
        super().__init__()
        channels, side, _ = image_shape
        self.num_classes = num_classes
        self.image_shape = image_shape
        self.size = size
        self.patch_size = size.patch_size
        self.out_channels = 2 * channels if config.learn_sigma else channels
        self.x_embedder = PatchEmbedder(size.patch_size, channels, size.width)
        self.t_embedder = TimestepEmbedder(size.width, config.freq_shift)
        self.y_embedder = LabelEmbedder(num_classes, size.width)
        self.register_buffer("pos_embed", position_table(side // size.patch_size, size.width))
        self.blocks = nn.ModuleList(Block(size.width, size.num_heads) for _ in range(size.depth))
        self.final_layer = FinalLayer(size.width, size.patch_size**2 * self.out_channels)
        self.text_embedder: nn.Module | None = None
        self.projector: nn.Module | None = None
        self.aligned_depth = 0

    def forward(
        self,
        x: Float[Tensor, "n c h w"],
        t: Float[Tensor, " n"],
        labels: Int[Tensor, " n"],
        text: Int[Tensor, " n"] | Float16[Tensor, "n words e"] | None = None,
    ) -> Float[Tensor, "n k h w"] | tuple[Float[Tensor, "n k h w"], Float[Tensor, "n t d"]]:
        """Return the raw output; in training also the tokens of the projector, if there is one.

        The output has 2c channels if `learn_sigma`.

        Args:
            x: noisy images or latents.
            t: timesteps in the objective's own unit: [0, 1] for SiT, 0..999 for DiT.
            labels: class indices; `num_classes` is the null class.
            text: for a model of class names, the classes of the names if they differ from `labels`;
                for a model of captions, their embeddings, None for no caption.
        """
        tokens = self.x_embedder(x) + self.pos_embed  # (N, T, D)
        c = self.t_embedder(t) + self.y_embedder(labels)  # (N, D)
        if self.text_embedder is not None:
            c = c + self.text_embedder(labels, text)  # (N, D)
        projected = None
        for depth, block in enumerate(self.blocks, start=1):
            tokens = block(tokens, c)  # (N, T, D)
            if self.projector is not None and self.training and depth == self.aligned_depth:
                projected = self.projector(tokens)  # (N, T, D_tokens)
        patches = apply(self.final_layer, tokens, c)  # (N, T, p * p * C_out)
        out = self.unpatchify(patches, x.shape[2], x.shape[3])  # (N, C_out, H, W)
        return out if projected is None else (out, projected)

    def unpatchify(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Put the patches (N, T, p * p * C) back into images (N, C, H, W)."""
        p = self.patch_size
        patches = tokens.view(-1, height // p, width // p, p, p, self.out_channels)
        return patches.permute(0, 5, 1, 3, 2, 4).reshape(-1, self.out_channels, height, width)


def position_table(grid: int, width: int) -> Float[Tensor, "1 t d"]:
    """Return the fixed sine-cosine table [1, grid * grid, width] of a square grid.

    The patches come row by row. The first half of the channels encodes the column, the second half
    the row.
    """
    frequencies = MAX_PERIOD ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angles = torch.arange(grid, dtype=torch.float64)[:, None] * frequencies  # (grid, D / 4)
    axis = torch.cat([angles.sin(), angles.cos()], dim=1)  # (grid, D / 2)
    columns = axis.repeat(grid, 1)  # (grid * grid, D / 2)
    rows = axis.repeat_interleave(grid, dim=0)  # (grid * grid, D / 2)
    return torch.cat([columns, rows], dim=1).float().unsqueeze(0)


def initialize(model: Transformer, generator: torch.Generator) -> None:
    """Draw the initial weights of DiT: Xavier, small embeddings, and adaLN-Zero.

    Source: Peebles & Xie (2023), section 3.2 and appendix A; Xavier bounds are those of the fused
    qkv matrix.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            nn.init.zeros_(module.bias)
    patches = model.x_embedder.proj
    nn.init.xavier_uniform_(patches.weight.view(patches.out_channels, -1), generator=generator)
    assert patches.bias is not None
    nn.init.zeros_(patches.bias)
    nn.init.normal_(model.y_embedder.embedding_table.weight, std=EMBEDDING_STD, generator=generator)
    for name, parameter in model.named_parameters():
        if name.startswith("t_embedder.mlp") and name.endswith("weight"):
            nn.init.normal_(parameter, std=EMBEDDING_STD, generator=generator)
        elif "adaLN_modulation" in name or name.startswith("final_layer.linear"):
            nn.init.zeros_(parameter)


def compile_blocks(model: Transformer) -> None:
    """Compile the blocks when they are first called; one compilation serves all of them.

    It is done in place: the names of the weights stay. Each size of batch is compiled for itself.
    """
    for block in model.blocks:
        block.compile(dynamic=False)


def build_model(
    config: ModelConfig, num_classes: int, image_shape: tuple[int, int, int], seed: int = 0
) -> Transformer:
    """Return the backbone for images or latents of `image_shape` (C, H, W).

    Its weights are drawn from `seed`.

    Raises: InputError if the images are not square or not a whole number of patches.
    """
    size = config.size
    _, height, width = image_shape
    if height != width or height % size.patch_size:
        raise InputError(
            "images must be square with a side divisible by the patch size "
            f"{size.patch_size}, found {height} x {width}"
        )
    model = Transformer(size, config, num_classes, image_shape)
    initialize(model, torch.Generator().manual_seed(seed))
    return model
