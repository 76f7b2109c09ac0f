"""What keeps a GPU busy while it samples, and that it changes no number on the CPU."""

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from otcondense.diffusion import ModelConfig, SamplerConfig, Transformer, build_model, sample_batch
from otcondense.diffusion.model import compile_blocks
from otcondense.diffusion.sampler import ImageNoise, noise_ahead

SHAPE = (1, 8, 8)
CPU = torch.device("cpu")
OTHER = torch.device("meta")
"""A device for which noise is made ahead."""
DRAWS = 6
SECONDS = 30
"""Far longer than a draw takes."""


def model_of(family: str) -> Transformer:
    config = ModelConfig(name=f"{family}-demo/2", width=32, depth=2, num_heads=2)
    return build_model(config, 10, SHAPE).eval()


def noise_of(indices: Tensor) -> ImageNoise:
    return ImageNoise(3, indices, SHAPE, CPU)


def test_noise_made_ahead_is_that_made_step_by_step() -> None:
    plain = noise_of(torch.arange(3))
    expected = [plain.draw() for _ in range(DRAWS)]
    with noise_ahead(noise_of(torch.arange(3)), DRAWS, OTHER) as ahead:
        found = [ahead.draw() for _ in range(DRAWS)]
    assert all(map(torch.equal, found, expected))


def test_the_next_noise_is_made_before_it_is_asked_for() -> None:
    source = noise_of(torch.arange(3))
    made = threading.Semaphore(0)

    class Counted(ImageNoise):
        def draw(self) -> Tensor:
            drawn = source.draw()
            made.release()
            return drawn

    with noise_ahead(Counted(3, torch.arange(3), SHAPE, CPU), DRAWS, OTHER) as ahead:
        ahead.draw()
        assert all(made.acquire(timeout=SECONDS) for _ in range(3))


def test_on_the_cpu_no_thread_makes_noise() -> None:
    before = threading.active_count()
    with noise_ahead(noise_of(torch.arange(3)), DRAWS, CPU) as plain:
        plain.draw()
        assert threading.active_count() == before


@pytest.fixture
def calls() -> Iterator[list[tuple[int, ...]]]:
    """Shapes of the inputs of a network, as they come."""
    seen: list[tuple[int, ...]] = []
    handle = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: (
            seen.append(tuple(inputs[0].shape)) if isinstance(module, Transformer) else None
        )
    )
    yield seen
    handle.remove()


@pytest.mark.parametrize(("family", "method"), [("SiT", "euler"), ("DiT", "ddpm")])
def test_a_guided_step_is_one_call_of_one_size(
    family: str, method: str, calls: list[tuple[int, ...]]
) -> None:
    """A graph that is compiled for the size serves all batches, also the last one."""
    config = SamplerConfig(method=method, num_steps=3, batch_size=4, cfg_scale=1.5)
    objective = {"SiT": "sit-linear", "DiT": "dit"}[family]
    for count in (4, 1):
        sample_batch(model_of(family), objective, torch.arange(count), config)
    assert calls == [(8, *SHAPE)] * 6


def test_compiling_does_not_rename_samples() -> None:
    plain, compiled = (SamplerConfig(compile_blocks=each).identity() for each in (False, True))
    assert plain == compiled


def test_blocks_are_compiled_for_one_size_of_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    options: list[dict[str, object]] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda _block, **each: options.append(each))
    compile_blocks(model_of("SiT"))
    assert options == [{"dynamic": False}] * 2
