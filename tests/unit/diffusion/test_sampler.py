"""Samplers: orders of accuracy, diffusers' schedulers, guidance, and independence of the batch."""

import math

import pytest
import torch

from otcondense.diffusion import ModelConfig, SamplerConfig, build_model, sample_batch
from otcondense.diffusion.gaussian_diffusion import respaced_schedule
from otcondense.diffusion.interpolants import GeneralizedVariancePreserving, Linear
from otcondense.diffusion.sampler import GuidedModel, image_labels, of_trained, resolve_method
from otcondense.diffusion.solvers import EulerMaruyama, ReverseStep, integrate
from otcondense.errors import InputError

SHAPE = (1, 8, 8)
METHODS = [("SiT", "heun"), ("SiT", "euler"), ("SiT", "sde"), ("DiT", "ddpm"), ("DiT", "ddim")]
OBJECTIVE = {"SiT": "sit-linear", "DiT": "dit"}


def random_model(family, seed=5):
    model = build_model(
        ModelConfig(name=f"{family}-demo/2", width=32, depth=2, num_heads=2), 10, SHAPE
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


@pytest.mark.parametrize("noise_shift", [1.0, 2.0])
@pytest.mark.parametrize(("heun", "order"), [(False, 1), (True, 2)])
def test_order_of_the_integrator(heun, order, noise_shift):
    """dx/dt = x cos(t) from 1 has the solution exp(sin t)."""
    errors = [
        abs(
            float(
                integrate(
                    lambda x, t: x * math.cos(t),
                    torch.ones(1, 1, 1, 1, dtype=torch.float64),
                    n,
                    heun=heun,
                    noise_shift=noise_shift,
                )
            )
            - math.exp(math.sin(1))
        )
        for n in (20, 40)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"
)
@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("step", [999, 500, 1])
def test_steps_equal_diffusers(step, clip):
    from diffusers import DDIMScheduler, DDPMScheduler

    common = {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02, "clip_sample": clip}
    x = torch.randn(2, 3, 4, 4)
    output = torch.randn(2, 6, 4, 4).clamp(-1, 1)
    ours = ReverseStep(respaced_schedule(1000), clip)
    ddim = DDIMScheduler(**common, set_alpha_to_one=True)
    ddim.set_timesteps(1000)
    expected = ddim.step(output[:, :3], step, x, use_clipped_model_output=True).prev_sample
    torch.testing.assert_close(ours.ddim(output, x, step), expected, rtol=1e-3, atol=1e-4)
    ddpm = DDPMScheduler(**common, variance_type="learned_range")
    noise = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = ddpm.step(output, step, x, generator=torch.Generator().manual_seed(0)).prev_sample
    torch.testing.assert_close(ours.ddpm(output, x, step, noise), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("family", "method"), METHODS)
def test_samples_do_not_depend_on_the_batch(family, method):
    """Other batches, order and padding give the same images, up to one grey level."""
    model = random_model(family)
    settings = {"method": method, "num_steps": 4}
    whole, labels = sample_batch(
        model, OBJECTIVE[family], torch.arange(12), SamplerConfig(batch_size=12, **settings)
    )
    again, _ = sample_batch(
        model, OBJECTIVE[family], torch.arange(12), SamplerConfig(batch_size=12, **settings)
    )
    assert torch.equal(whole, again)
    assert len({image.numpy().tobytes() for image in whole}) == 12
    assert torch.equal(labels, torch.arange(12) % 10)
    for indices in (torch.tensor([11, 3, 7]), torch.arange(5)):
        part, some = sample_batch(
            model, OBJECTIVE[family], indices, SamplerConfig(batch_size=5, **settings)
        )
        assert (part.int() - whole[indices].int()).abs().max() <= 1
        assert torch.equal(some, labels[indices])


def test_seed_and_model_matter():
    model = random_model("SiT")
    first, second = (
        sample_batch(
            model,
            "sit-linear",
            torch.arange(2),
            SamplerConfig(batch_size=2, num_steps=2, seed=seed),
        )[0]
        for seed in (0, 1)
    )
    assert not torch.equal(first, second)


@pytest.mark.parametrize("channels", [None, 1])
def test_guidance_extrapolates(channels):
    """Guided channels are null + scale (class - null); the others are the class's output."""
    model = random_model("DiT")
    x = torch.randn(3, *SHAPE)
    labels = torch.tensor([1, 2, 3])
    with torch.no_grad():
        of_class = model(x, torch.full((3,), 7.0), labels)
        of_null = model(x, torch.full((3,), 7.0), torch.full((3,), 10))
        guided = GuidedModel(
            model, labels, SamplerConfig(cfg_scale=2.5, guidance_channels=channels), 999.0, 0.0
        )(x, 7.0)
        plain = GuidedModel(model, labels, SamplerConfig(cfg_scale=1.0))(x, 7.0)
    torch.testing.assert_close(plain, of_class)
    torch.testing.assert_close(
        guided[:, :1], (of_null + 2.5 * (of_class - of_null))[:, :1], rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(guided[:, 1:], of_class[:, 1:], rtol=1e-4, atol=1e-5)


def autoguided(weight, **settings):
    values = {"batch_size": 4, "num_steps": 3, "cfg_scale": 1.0, **settings}
    return SamplerConfig(autoguidance={"checkpoint_step": 250, "weight": weight}, **values)


@pytest.mark.parametrize("channels", [None, 1])
def test_autoguidance_extrapolates_from_the_weak_model(channels):
    """Guided channels are weak + weight (strong - weak) of the class; the others are strong."""
    strong, weak = random_model("DiT"), random_model("DiT", 6)
    x, labels, times = torch.randn(3, *SHAPE), torch.tensor([1, 2, 3]), torch.full((3,), 7.0)
    config = autoguided(2.5, guidance_channels=channels)
    with torch.no_grad():
        good, bad = strong(x, times, labels), weak(x, times, labels)
        guided = GuidedModel(strong, labels, config, 999.0, 0.0, weak)(x, 7.0)
    assert torch.equal(guided[:, :1], (bad + 2.5 * (good - bad))[:, :1])
    assert torch.equal(guided[:, 1:], good[:, 1:])


@pytest.mark.parametrize(("family", "method"), METHODS)
def test_autoguidance_by_itself_or_with_weight_one_is_none(family, method):
    strong, weak = random_model(family), random_model(family, 6)
    settings = {"method": method, "batch_size": 4, "num_steps": 3, "cfg_scale": 1.0}
    plain, guided, own, one = (
        sample_batch(strong, OBJECTIVE[family], torch.arange(4), config, weak=other)[0]
        for config, other in (
            (SamplerConfig(**settings), None),
            (autoguided(2.0, method=method), weak),
            (autoguided(2.0, method=method), strong),
            (autoguided(1.0, method=method), weak),
        )
    )
    assert torch.equal(one, plain)
    assert (own.int() - plain.int()).abs().max() <= 1
    assert not torch.equal(guided, plain)


def test_autoguided_samples_do_not_depend_on_the_batch():
    strong, weak = random_model("SiT"), random_model("SiT", 6)
    whole, _ = sample_batch(strong, "sit-linear", torch.arange(4), autoguided(2.0), weak=weak)
    again, _ = sample_batch(strong, "sit-linear", torch.arange(4), autoguided(2.0), weak=weak)
    assert torch.equal(whole, again)
    for indices in (torch.tensor([3, 1]), torch.arange(1)):
        config = autoguided(2.0, batch_size=2)
        part, _ = sample_batch(strong, "sit-linear", indices, config, weak=weak)
        assert (part.int() - whole[indices].int()).abs().max() <= 1


def test_autoguidance_takes_the_place_of_classifier_free_guidance():
    with pytest.raises(ValueError, match=r"needs cfg_scale=1, found 1\.5"):
        SamplerConfig(autoguidance={"checkpoint_step": 250})
    config = autoguided(2.0)
    assert config.at_step(250).autoguidance is None
    assert config.at_step(251) == config
    assert "autoguidance" in config.identity()
    assert "autoguidance" not in config.at_step(250).identity()


def test_random_labels_depend_on_the_index_alone():
    config = SamplerConfig(labels="random")
    labels = image_labels(config, torch.arange(500), 10)
    assert torch.equal(labels[[17, 3]], image_labels(config, torch.tensor([17, 3]), 10))
    assert labels.bincount(minlength=10).min() > 25


def test_only_trained_classes_are_sampled():
    config = of_trained(SamplerConfig(), (3, 4), 5)
    assert image_labels(config, torch.arange(5), 5).tolist() == [3, 4, 3, 4, 3]
    drawn = image_labels(config.model_copy(update={"labels": "random"}), torch.arange(100), 5)
    assert set(drawn.tolist()) == {3, 4}
    assert of_trained(SamplerConfig(), range(5), 5) == SamplerConfig(), (
        "as before where all classes have images"
    )
    assert of_trained(SamplerConfig(classes=(1,)), (3, 4), 5).classes == (1,), "what was asked for"
    with pytest.raises(InputError, match=r"sampling\.classes must be within 0 and 4, .* found 7"):
        image_labels(SamplerConfig(classes=(7,)), torch.arange(2), 5)
    with pytest.raises(ValueError, match="classes must be different class indices"):
        SamplerConfig(classes=(1, 1))


@pytest.mark.parametrize(
    ("objective", "method"), [("dit", "heun"), ("sit-linear", "ddpm"), ("sit-gvp", "ddim")]
)
def test_a_method_that_does_not_fit_the_objective(objective, method):
    with pytest.raises(InputError, match=f"{objective}, found {method}"):
        resolve_method(SamplerConfig(method=method), objective)


class Draws:
    """Noise for many one-pixel images."""

    def __init__(self, count):
        self._count, self._generator = count, torch.Generator().manual_seed(0)

    def draw(self):
        return torch.randn(self._count, 1, 1, 1, generator=self._generator, dtype=torch.float64)


@pytest.mark.parametrize("path", [Linear(), GeneralizedVariancePreserving()])
def test_the_stochastic_equation_keeps_the_marginals(path):
    """Data of mean 2 and standard deviation 0.5 has a velocity in closed form.

    The samples have that mean and deviation.
    """
    mean = 2.0
    std = 0.5

    def velocity(x, t):
        time = torch.tensor(t, dtype=torch.float64)
        alpha, sigma, of_alpha, of_sigma = (
            getattr(path, name)(time)
            for name in ("alpha", "sigma", "alpha_derivative", "sigma_derivative")
        )
        variance = (alpha * std) ** 2 + sigma**2
        slope = (of_alpha * alpha * std**2 + of_sigma * sigma) / variance
        return of_alpha * mean + slope * (x - alpha * mean)

    samples = EulerMaruyama(path, 400)(velocity, Draws(20_000)).flatten()
    assert float(samples.mean()) == pytest.approx(mean, abs=0.03)
    assert float(samples.std()) == pytest.approx(std, abs=0.02)


@pytest.mark.parametrize(("family", "method"), METHODS)
def test_outside_its_interval_guidance_is_off_and_free(family, method):
    model = random_model(family)
    batches = []
    model.register_forward_hook(lambda _, inputs, __: batches.append(len(inputs[0])))

    def images(**settings):
        batches.clear()
        config = SamplerConfig(method=method, batch_size=2, num_steps=10, cfg_scale=3.0, **settings)
        return sample_batch(model, OBJECTIVE[family], torch.arange(2), config)[0], list(batches)

    everywhere, twice = images()
    nowhere, once = images(guidance_interval=(0.0, 0.0))
    partly, mixed = images(guidance_interval=(0.5, 1.0))
    assert set(twice) == {4}
    assert once.count(4) == 1
    assert set(mixed) == {2, 4}
    assert mixed == sorted(mixed), "the first half of the way is not guided"
    assert not torch.equal(everywhere, partly)
    assert not torch.equal(nowhere, partly)


def test_decoded_latents():
    model = random_model("SiT")
    config = SamplerConfig(batch_size=2, num_steps=2, clip=False)
    plain, _ = sample_batch(model, "sit-linear", torch.arange(2), config)
    decoded, _ = sample_batch(model, "sit-linear", torch.arange(2), config, lambda x: -x)
    assert torch.equal(255 - plain.int(), decoded.int())


def test_identity_of_the_first_samples():
    names = {
        *("method", "num_steps", "cfg_scale", "guidance_channels", "num_samples", "batch_size"),
        *("labels", "clip", "weights", "precision", "seed"),
    }
    assert set(SamplerConfig().identity()) == names
    assert "guidance_interval" in SamplerConfig(guidance_interval=(0.3, 1.0)).identity()
    with pytest.raises(ValueError, match="must rise within 0 and 1"):
        SamplerConfig(guidance_interval=(0.9, 0.1))


@pytest.mark.parametrize("strength", [float("inf"), float("nan"), -1.0])
def test_guidance_without_a_finite_strength_is_refused(strength):
    with pytest.raises(ValueError, match="cfg_scale"):
        SamplerConfig(cfg_scale=strength)
    with pytest.raises(ValueError, match="weight"):
        autoguided(strength)
