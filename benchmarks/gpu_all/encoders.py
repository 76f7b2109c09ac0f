"""Images a second of encoders: through `Encoder` from bytes on the host, and as a resident loop.

The resident loop runs timm's model on one normalised batch that stays on the device: its rate in
bfloat16 is what the way from the host is compared with.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu_all.cases import Case, Figures, Held, Setting, paced
from otcondense.encoders import Encoder, EncoderConfig
from otcondense.encoders.encoder import build_model
from otcondense.in_flight import results_in_order

MODELS = {"inception-v3": "inception-v3", "dinov2-l14": "dinov2-l14"}
"""Presets of the encoders, by their names in the records."""
TINY: dict[str, Any] = {"name": "test_byobnet", "image_size": 64}
"""The model of a rehearsal."""
BATCH = 256
SECONDS = 2.0
"""Time for the timed batches of a case."""
BUFFERS = 4
"""Different batches on the host."""


PRECISIONS = ("bfloat16", "tf32", "float32")
"""Arithmetic of the encoder; that of most worth first."""


def make_encoder(setting: Setting, model: str, precision: str) -> Encoder:
    """Return an encoder with random weights."""
    named: dict[str, Any] = setting.size({"name": MODELS[model]}, TINY)
    config = EncoderConfig.model_validate(
        {
            **named,
            "num_classes": 0,
            "precision": precision,
            "device": setting.device,
            "batch_size": setting.size(BATCH, 4),
        }
    )
    with torch.device(setting.device):
        network = build_model(config)
    return Encoder(config, network, config.input_spec())


def host_batches(encoder: Encoder) -> list[Tensor]:
    """Return random bytes in the size of the model's input."""
    shape = (encoder.config.batch_size, *encoder.spec.shape)
    return [torch.randint(0, 256, shape, dtype=torch.uint8) for _ in range(BUFFERS)]


def resident(setting: Setting, encoder: Encoder) -> float:
    """Return images a second of the model alone."""
    batch = host_batches(encoder)[0].to(setting.device)
    images = encoder.spec.normalize(batch).to(encoder.dtype)
    with torch.inference_mode():
        seconds = paced(setting, lambda: encoder(images), setting.size(SECONDS, 0.01))
    return len(batch) / seconds


def from_host(setting: Setting, encoder: Encoder) -> float:
    """Return images a second of the extraction's way from bytes to features on the host."""
    batches = host_batches(encoder)

    def features(pixels: Tensor) -> dict[str, Tensor]:
        return {"features": encoder.encode_inputs(pixels).features}

    def all_batches() -> None:
        for _ in results_in_order(features, ((each,) for each in batches), encoder.device):
            pass

    seconds = paced(setting, all_batches, setting.size(SECONDS, 0.01))
    return sum(map(len, batches)) / seconds


def measured(setting: Setting, held: Held, model: str, precision: str) -> Figures:
    """Return images a second of both ways, and their ratio."""
    encoder = held.get((model, precision), lambda: make_encoder(setting, model, precision))
    alone = resident(setting, encoder)
    whole = from_host(setting, encoder)
    return {
        "resident_images_per_s": alone,
        "from_host_images_per_s": whole,
        "from_host_ratio": whole / alone,
    }


def cases() -> list[Case]:
    """Return the cases; the arithmetic of most worth first."""
    held = Held()
    return [
        Case(f"{model}_{name}", 12, partial(measured, held=held, model=model, precision=name))
        for name in PRECISIONS
        for model in MODELS
    ]
