"""What keeps a GPU busy works there, and changes results by no more than rounding."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from otcondense.devices import resolve_device
from otcondense.diffusion import SamplerConfig, create_state, make_batch, sample_batch, train_step
from otcondense.diffusion.batches import batches
from otcondense.diffusion.model import compile_blocks
from otcondense.encoders import Encoder, EncoderConfig
from otcondense.encoders.encoder import build_model
from otcondense.in_flight import results_in_order
from pipeline.feature_work import FeatureNetwork
from tests.gpu.test_on_gpu import (
    CLASSES,
    WARM_UP,
    config,
    latents,
    model_with_output,
    waiting_forbidden,
)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning"),
]
OBJECTIVES = {"DiT": "dit", "SiT": "sit-linear"}
METHODS = [("DiT", "ddpm"), ("DiT", "ddim"), ("SiT", "euler"), ("SiT", "heun"), ("SiT", "sde")]
STEPS = 4
COMPILED = "import sys, tests.gpu.test_speed_on_gpu as own; own.write_compiled(*sys.argv[1:])"
"""Samples with compiled blocks."""


def sampler(method: str) -> SamplerConfig:
    return SamplerConfig(method=method, num_steps=STEPS, batch_size=8)


def write_compiled(family: str, method: str, file: str) -> None:
    """Write the samples of a model with compiled blocks, of a full batch and of one that is not."""
    model = model_with_output(family, "cuda")
    compile_blocks(model)
    parts = [torch.arange(8), torch.arange(8, 11)]
    found = [sample_batch(model, OBJECTIVES[family], part, sampler(method))[0] for part in parts]
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    torch.save({"images": torch.cat(found), "graphs": graphs}, file)


def test_a_gpu_is_found() -> None:
    assert resolve_device("auto") == resolve_device("cuda", assigned=True) == "cuda"


@pytest.mark.parametrize("family", ["DiT", "SiT"])
def test_batches_made_ahead_are_those_made_in_turn(family: str) -> None:
    data = latents()
    training = config(family, data="latents", flip=True)
    curves = []
    for ahead in (False, True):
        state = create_state(training, CLASSES, data.source.image_shape, "cuda")
        with batches(
            lambda step: make_batch(training, step, data), range(STEPS), "cuda", ahead=ahead
        ) as take:
            curves.append([float(train_step(state, take())["loss"]) for _ in range(STEPS)])
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5)


def test_a_step_with_a_batch_made_ahead_does_not_wait() -> None:
    data = latents()
    training = config("DiT", precision="bfloat16", data="latents", flip=True)
    state = create_state(training, CLASSES, data.source.image_shape, "cuda")
    steps = range(WARM_UP + 3)
    with batches(lambda step: make_batch(training, step, data), steps, "cuda", ahead=True) as take:
        for _ in range(WARM_UP):
            train_step(state, take())
        with waiting_forbidden():
            for _ in range(3):
                train_step(state, take())


@pytest.mark.parametrize(("family", "method"), METHODS)
def test_a_batch_of_samples_waits_once_for_the_images(
    family: str, method: str, recwarn: pytest.WarningsRecorder
) -> None:
    model = model_with_output(family, "cuda")
    sample_batch(model, OBJECTIVES[family], torch.arange(8), sampler(method))
    torch.cuda.synchronize()
    recwarn.clear()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        sample_batch(model, OBJECTIVES[family], torch.arange(8), sampler(method))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = [each for each in recwarn if "synchroniz" in str(each.message).lower()]
    assert len([each for each in waits if "debug mode" not in str(each.message)]) <= 1


@pytest.mark.parametrize(("family", "method"), [("SiT", "euler"), ("DiT", "ddpm")])
def test_compiled_samples_are_close_and_one_graph_serves_all_batches(
    family: str, method: str, tmp_path: Path
) -> None:
    # In a process of its own: the compiler trips over this one's checks of shapes and warnings.
    file = tmp_path / "samples.pt"
    code = [sys.executable, "-c", COMPILED, family, method, str(file)]
    result = subprocess.run(code, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    stored = torch.load(file, weights_only=True)
    assert stored["graphs"] == 1
    model = model_with_output(family, "cuda")
    parts = [torch.arange(8), torch.arange(8, 11)]
    expected = [sample_batch(model, OBJECTIVES[family], part, sampler(method))[0] for part in parts]
    assert (stored["images"].int() - torch.cat(expected).int()).abs().max() <= 1


def test_latents_decoded_together_are_those_decoded_one_by_one(tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    from otcondense.representations import LatentConfig, LatentDecoder
    from tests.generators.weights import write_autoencoder

    weights = write_autoencoder(tmp_path)
    values = torch.randn(5, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = LatentDecoder(LatentConfig(model=str(weights), device="cpu"))(values)
    decode = LatentDecoder(LatentConfig(model=str(weights), device="cuda"))
    torch.testing.assert_close(decode(values).cpu(), expected, rtol=0, atol=1e-2)
    torch.testing.assert_close(decode(values, "bfloat16").cpu(), expected, rtol=0, atol=0.1)


def network(precision: str, device: str) -> FeatureNetwork:
    settings = {"name": "test_resnet", "num_classes": CLASSES, "image_size": 32}
    chosen = EncoderConfig.model_validate(settings | {"precision": precision, "device": device})
    torch.manual_seed(0)
    return FeatureNetwork(Encoder(chosen, build_model(chosen), chosen.input_spec()), 10**6)


def batches_of_pixels() -> list[tuple[Tensor, Tensor]]:
    source = torch.Generator().manual_seed(0)
    shape = (4, 3, 32, 32)
    pixels = [torch.randint(0, 256, shape, dtype=torch.uint8, generator=source) for _ in range(6)]
    return [(each, torch.arange(4)) for each in pixels]


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float32", 1e-4), ("tf32", 1e-2), ("bfloat16", 0.05)]
)
def test_features_of_batches_in_flight_are_close_to_those_of_the_cpu(
    precision: str, tolerance: float
) -> None:
    plain = network("float32", "cpu")
    fast = network(precision, "cuda")
    expected = list(results_in_order(plain, batches_of_pixels(), plain.device))
    found = list(results_in_order(fast, batches_of_pixels(), fast.device))
    for one, other in zip(found, expected, strict=True):
        for name in other:
            scale = np.abs(other[name]).max()
            np.testing.assert_allclose(one[name], other[name], rtol=0, atol=tolerance * scale)


def test_encoding_waits_for_nothing_but_results() -> None:
    fast = network("bfloat16", "cuda")
    list(results_in_order(fast, batches_of_pixels(), fast.device))
    with waiting_forbidden():
        list(results_in_order(fast, batches_of_pixels(), fast.device))
