"""The figures of the forecast are those of the committed benchmarks."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from jobs.forecasts.networks import VAE_DECODER_FLOPS, VAE_ENCODER_FLOPS, half_flops
from otcondense.diffusion import ModelConfig, build_model
from otcondense.diffusion.forecast import forward_flops
from otcondense.encoders import EncoderConfig
from otcondense.encoders.arithmetic import encoder_size
from otcondense.forecast import measured
from otcondense.forecast.hardware import (
    DINO_FLOPS,
    FORWARD_FLOPS,
    INCEPTION_FLOPS,
    PARAMETERS,
    PRESETS,
    TRAINING_PASSES,
)
from otcondense.forecast.stages import Workers
from otcondense.forecast.training import TrainingWork, training_times

RESULTS = Path("benchmarks/results")
STEP = "training/{}_compiled_bfloat16/ms_per_step"


def figure(results: str, name: str) -> float:
    record = json.loads((RESULTS / f"{results}.json").read_text())
    return float(record["figures"][name])


@pytest.mark.parametrize("source", measured.SOURCES, ids=lambda source: source.figure)
def test_a_figure_is_that_of_its_benchmark(source: measured.Source) -> None:
    found = figure(source.results, source.figure) * source.unit
    assert math.isclose(source.value, found, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("model", "figures", "images"),
    [
        ("DiT-L/2", "DiT-L/2_256_batch_128", 128),
        ("SiT-L/2", "SiT-L/2_256_batch_128", 128),
        ("DiT-XL/2", "DiT-XL/2_256_batch_96", 96),
    ],
)
def test_the_measured_steps_are_forecast(model: str, figures: str, images: int) -> None:
    with torch.device("meta"):
        built = build_model(ModelConfig(name=model), 1000, (4, 32, 32))
    parameters = sum(parameter.numel() for parameter in built.parameters())
    flops = TRAINING_PASSES * forward_flops(built)
    work = TrainingWork(model, parameters, flops, steps=1, batch=images, saves=0)
    found = training_times(work, PRESETS["1xH100"], Workers(1, on_gpus=True))
    seconds = figure(measured.GPU_RESULTS, STEP.format(figures)) / 1e3
    assert found.step == pytest.approx(seconds, rel=0.03)
    document = Path("docs/scaling.md").read_text()
    assert f"{1e3 * found.step:.1f} ms" in document
    assert f"{1e3 * seconds:.1f}" in document
    if model.endswith("-L/2"):
        assert parameters == pytest.approx(PARAMETERS, rel=1e-3)
        assert flops / TRAINING_PASSES == pytest.approx(FORWARD_FLOPS, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "flops", "convolutional"),
    [("inception-v3", INCEPTION_FLOPS, True), ("dinov2-l14", DINO_FLOPS, False)],
)
def test_the_arithmetic_of_the_measured_encoders(
    name: str, flops: float, *, convolutional: bool
) -> None:
    found = encoder_size(EncoderConfig(name=name))
    assert found.flops == pytest.approx(flops, rel=1e-3)
    assert found.convolutional == convolutional
    assert found.width == {"inception-v3": 2048, "dinov2-l14": 1024}[name]


@pytest.mark.slow
def test_the_arithmetic_of_the_autoencoder() -> None:
    """The shape of stabilityai/sd-vae-ft-ema, without its weights."""
    from diffusers import AutoencoderKL

    with torch.device("meta"):
        model = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
        )
        image, latent = torch.empty(1, 3, 512, 512), torch.empty(1, 4, 64, 64)
    for half, values, flops in (
        (model.encode, image, VAE_ENCODER_FLOPS),
        (model.decode, latent, VAE_DECODER_FLOPS),
    ):
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            half(values)
        counted = counter.get_total_flops()
        assert half_flops(512, flops) == pytest.approx(counted, rel=1e-4)
