"""Every registered objective trains, samples by each of its methods, and scores.

A new objective adds one row to `PERFECT`. `test_a_new_objective` is a worked example.
"""

from dataclasses import dataclass

import pytest
import torch

from otcondense.diffusion import SamplerConfig, create_state, make_batch, sample_batch, train_step
from otcondense.diffusion.checkpoint import load_model, save_checkpoint
from otcondense.diffusion.denoising_config import DenoisingConfig
from otcondense.diffusion.difficulty import denoising_errors
from otcondense.diffusion.interpolants import GeneralizedVariancePreserving
from otcondense.diffusion.objectives import load_objective
from otcondense.diffusion.registry import OBJECTIVES, ObjectiveEntry, default_objective
from otcondense.diffusion.solvers import integrate
from otcondense.store import Store

SHAPE = (1, 8, 8)
PATH = GeneralizedVariancePreserving()


def gvp_velocity(x, noise, uniform):
    t = uniform.view(-1, 1, 1, 1)
    return PATH.alpha_derivative(t) * x + PATH.sigma_derivative(t) * noise


PERFECT = {
    "sit-linear": lambda x, noise, _: x - noise,
    "sit-gvp": gvp_velocity,
    "dit": lambda _, noise, __: torch.cat([noise, -torch.ones_like(noise)], dim=1),
}
"""The output of a network that knows the answer, for images, noise and draws in [0, 1)."""


def exercise(name, family, tiny_config, digits, tmp_path):
    """Train one step, save, load, sample by each method, score; return the scores."""
    state = create_state(tiny_config(family, objective=name), 10, SHAPE)
    metrics = train_step(state, make_batch(state.config, 0, digits))
    assert torch.isfinite(metrics["loss"])

    store = Store(str(tmp_path))
    saved = save_checkpoint(store, "run", state, fingerprint="x")
    model, _ = load_model(store, saved.directory)
    for method in ("auto", *OBJECTIVES[name].methods, OBJECTIVES[name].preview_method):
        config = SamplerConfig(method=method, num_steps=2, batch_size=2)
        images, _ = sample_batch(model, name, torch.arange(2), config)
        assert images.shape == (2, *SHAPE)

    x = torch.randn(3, *SHAPE)
    return denoising_errors(model, name, x, torch.arange(3), DenoisingConfig(num_timesteps=2))


def test_every_objective_has_a_row():
    assert PERFECT.keys() == OBJECTIVES.keys()


@pytest.mark.parametrize("name", PERFECT)
def test_it_trains_samples_and_scores(name, tiny_config, digits, tmp_path):
    scores = exercise(name, OBJECTIVES[name].family, tiny_config, digits, tmp_path)
    assert scores.shape == (3,)
    assert (scores > 0).all()


@pytest.mark.parametrize("name", PERFECT)
def test_a_perfect_network_has_no_denoising_error(name):
    x = torch.randn(4, *SHAPE)
    noise = torch.randn(4, *SHAPE)
    uniform = torch.linspace(0.05, 0.95, 4)
    output = PERFECT[name](x, noise, uniform)
    errors = load_objective(name).denoising_errors(
        lambda _x, _t, _labels: output, x, noise, uniform, torch.arange(4)
    )
    torch.testing.assert_close(errors, torch.zeros(4), atol=1e-10, rtol=0)


@pytest.mark.parametrize(("family", "name"), [("SiT", "sit-linear"), ("DiT", "dit")])
def test_auto_takes_the_first_objective_of_the_family(family, name):
    assert default_objective(family) == name


@dataclass(frozen=True)
class DataObjective:
    """Predict the clean image on the path x_t = t x + (1 - t) noise."""

    time_convention: str = "t=0 noise, t=1 data, network input t in [0, 1]"
    noise_time: float = 0.0
    data_time: float = 1.0

    def losses(self, network, x, noise, uniform, labels):
        t = uniform.view(-1, 1, 1, 1)
        predicted = network(t * x + (1 - t) * noise, uniform, labels)[:, : x.shape[1]]
        return (predicted.float() - x).square().flatten(1).mean(dim=1)

    denoising_errors = losses

    def sample(self, predict, noise, settings):
        def velocity(x, t):
            return (predict(x, t)[:, : x.shape[1]] - x) / (1 - t)

        return integrate(velocity, noise.draw(), settings.num_steps, heun=False)


DATA = DataObjective()


def test_a_new_objective(tiny_config, digits, tmp_path, monkeypatch):
    """Its class and one line in the registry are all that it needs."""
    entry = ObjectiveEntry(f"{__name__}:DATA", "SiT", ("euler",), preview_method="euler")
    monkeypatch.setitem(OBJECTIVES, "data", entry)
    scores = exercise("data", "SiT", tiny_config, digits, tmp_path)
    assert scores.shape == (3,)
    with pytest.raises(ValueError, match="auto, sit-linear, sit-gvp, dit, data; found 'vp'"):
        tiny_config(objective="vp")


def test_a_new_sampling_method_is_known_to_the_sampler(monkeypatch):
    entry = ObjectiveEntry(f"{__name__}:DATA", "SiT", ("leap",), preview_method="leap")
    with pytest.raises(ValueError, match=r"method must be one of auto, heun, .*, found 'leap'"):
        SamplerConfig(method="leap")
    monkeypatch.setitem(OBJECTIVES, "data", entry)
    assert SamplerConfig(method="leap").method == "leap"
