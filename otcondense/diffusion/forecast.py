"""The cost of a training: parameters, memory of each device, arithmetic."""

from dataclasses import dataclass

import torch

from otcondense.byte_sizes import byte_size
from otcondense.diffusion.alignment import build_projector
from otcondense.diffusion.attach import Attachments, text_embedder
from otcondense.diffusion.model import MLP_RATIO, Transformer
from otcondense.diffusion.sampler_config import SamplerConfig
from otcondense.diffusion.training_config import TrainingConfig

MEGA = 1e6
FLOAT_BYTES = 4
"""Size of a float32."""
STATE_COPIES = 5
"""Weights, their average, gradients and the two moments of AdamW, all float32."""
BLOCK_BYTES = {"float32": 84, "bfloat16": 50}
"""Bytes that one block keeps for the backward pass, for each token and channel.

Measured; tests/unit/diffusion/test_forecast.py compares them with autograd.
"""
CAST_BYTES = {"float32": 0, "bfloat16": 2}
"""Bytes of each weight's copy in the precision of the arithmetic."""
TRAINING_PASSES = 3
"""A backward pass takes twice the arithmetic of a forward pass."""
NOTHING = Attachments()


@dataclass(frozen=True)
class TrainingForecast:
    """The cost of one training run."""

    parameters: int
    """Of the model with its attached parts."""
    state_bytes: int
    """Weights, averages, gradients and moments, on every device."""
    activation_bytes: int
    """Results of the forward pass that the backward pass needs, on every device."""
    flops: float
    """Arithmetic of the whole run: the matrix products of all passes.

    A multiply and an add count as two.
    """

    @property
    def device_bytes(self) -> int:
        """Memory of one device, training data not counted."""
        return self.state_bytes + self.activation_bytes

    @property
    def text(self) -> str:
        """One line for a person."""
        return (
            f"{self.parameters / MEGA:.1f} M parameters; "
            f"{byte_size(self.device_bytes)} on each device "
            f"({byte_size(self.state_bytes)} weights and optimizer, "
            f"{byte_size(self.activation_bytes)} activations)"
        )


def on_meta(parts: Attachments) -> Attachments:
    """Return the attachments as shapes alone."""
    text = None if parts.text is None else parts.text.to("meta")
    no_caption = None if parts.no_caption is None else parts.no_caption.to("meta")
    return Attachments(text, parts.token_width, no_caption)


def forward_flops(model: Transformer) -> float:
    """Return the arithmetic of one forward pass for one image: products and attention."""
    channels, height, width = model.image_shape
    tokens = (height // model.patch_size) * (width // model.patch_size)
    d = model.size.width

    products = (3 + 1 + 2 * MLP_RATIO) * d * d * tokens  # qkv, output, perceptron
    attention = 2 * tokens * tokens * d
    modulation = 6 * d * d
    ends = tokens * d * model.patch_size**2 * (channels + model.out_channels)
    return 2.0 * (model.size.depth * (products + attention + modulation) + ends)


def forecast_training(
    config: TrainingConfig,
    num_classes: int,
    image_shape: tuple[int, int, int],
    parts: Attachments = NOTHING,
) -> TrainingForecast:
    """Return the cost of a training, computed from the shapes alone."""
    size = config.model.size
    with torch.device("meta"):
        model = Transformer(size, config.model, num_classes, image_shape)
        if config.alignment is not None and parts.token_width is not None:
            model.projector = build_projector(size.width, parts.token_width, config.alignment)
        if config.text and (parts.text is not None or parts.no_caption is not None):
            model.text_embedder = text_embedder(config, on_meta(parts), size.width)

    parameters = sum(parameter.numel() for parameter in model.parameters())
    images = config.global_batch_size // (config.world_size * config.accumulation)
    values = images * model.pos_embed.shape[1] * size.width * size.depth
    blocks = values * BLOCK_BYTES[config.precision]
    casts = parameters * CAST_BYTES[config.precision]
    passes = TRAINING_PASSES * config.global_batch_size * config.num_steps
    return TrainingForecast(
        parameters=parameters,
        state_bytes=parameters * FLOAT_BYTES * STATE_COPIES,
        activation_bytes=blocks + casts,
        flops=passes * forward_flops(model),
    )


def sampling_passes(config: SamplerConfig, method: str) -> float:
    """Return the forward passes of one image: Heun takes two a step, guidance doubles them.

    Args:
        config: the sampler.
        method: its sampling method, as `resolve_method` returns it.
    """
    calls = config.num_steps * (2 if method == "heun" else 1)
    first, last = config.guidance_interval
    guided = 0.0 if config.guidance_scale == 1 else last - first
    return calls * (1 + guided)
