"""What a training will take: parameters, memory of each device, arithmetic."""

from dataclasses import dataclass

import torch

from otcondense.diffusion.alignment import build_projector
from otcondense.diffusion.attach import Attachments
from otcondense.diffusion.model import MLP_RATIO, Transformer
from otcondense.diffusion.text import TextEmbedder
from otcondense.diffusion.training_config import TrainingConfig

FLOAT_BYTES = 4
STATE_COPIES = 5
"""Weights, their average, gradients and the two moments of AdamW, all float32."""
BLOCK_BYTES = {"float32": 84, "bfloat16": 50}
"""Bytes that one block keeps for the backward pass, for each token and channel; measured (tests/unit/diffusion/test_forecast.py)."""
CAST_BYTES = {"float32": 0, "bfloat16": 2}
"""Bytes of each weight's copy in the precision of the arithmetic."""
TRAINING_PASSES = 3
"""A backward pass takes twice the arithmetic of a forward pass."""
NOTHING = Attachments()


@dataclass(frozen=True)
class TrainingForecast:
    """What one training run takes."""

    parameters: int
    """Of the model with all that is attached."""
    state_bytes: int
    """Weights, averages, gradients and moments, on every device."""
    activation_bytes: int
    """What the forward pass keeps for the backward one, on every device."""
    flops: float
    """Arithmetic of the whole run: matrix products of all passes, a multiply and an add counted as two."""

    @property
    def device_bytes(self) -> int:
        """Memory of one device, training data not counted."""
        return self.state_bytes + self.activation_bytes

    @property
    def text(self) -> str:
        """One line for a person."""
        return (
            f"{self.parameters / 1e6:.1f} M parameters; {self.device_bytes / 1e9:.3g} GB on each device "
            f"({self.state_bytes / 1e9:.3g} GB weights and optimizer, {self.activation_bytes / 1e9:.3g} GB activations)"
        )


def forward_flops(model: Transformer) -> float:
    """Return the arithmetic of one forward pass for one image: matrix products and attention of all blocks."""
    _, height, width = model.image_shape
    tokens, d = (height // model.patch_size) * (width // model.patch_size), model.size.width
    products = (3 + 1 + 2 * MLP_RATIO) * d * d * tokens  # qkv, output, perceptron
    attention = 2 * tokens * tokens * d
    modulation = 6 * d * d
    ends = tokens * d * model.patch_size**2 * (model.image_shape[0] + model.out_channels)
    return 2.0 * (model.size.depth * (products + attention + modulation) + ends)


def forecast_training(
    config: TrainingConfig,
    num_classes: int,
    image_shape: tuple[int, int, int],
    parts: Attachments = NOTHING,
) -> TrainingForecast:
    """Return what training will take, from the shapes alone."""
    size = config.model.size
    with torch.device("meta"):
        model = Transformer(size, config.model, num_classes, image_shape)
        if config.alignment is not None and parts.token_width is not None:
            model.projector = build_projector(size.width, parts.token_width, config.alignment)
        if config.text and parts.text is not None:
            model.text_embedder = TextEmbedder(parts.text.to("meta"), size.width)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    images = config.global_batch_size // (config.world_size * config.accumulation)
    tokens, casts = model.pos_embed.shape[1], parameters * CAST_BYTES[config.precision]
    return TrainingForecast(
        parameters=parameters,
        state_bytes=parameters * FLOAT_BYTES * STATE_COPIES,
        activation_bytes=images * tokens * size.width * size.depth * BLOCK_BYTES[config.precision]
        + casts,
        flops=TRAINING_PASSES * forward_flops(model) * config.global_batch_size * config.num_steps,
    )
