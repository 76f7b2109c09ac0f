"""Images of models that sample at once against those of each model by itself."""

import pytest
import torch

from otcondense.diffusion import SamplerConfig, create_state, sample_batch
from otcondense.diffusion.ensemble_sampler import sample_models

SEEDS = (3, 4, 3)
CLASSES = ((), (1, 5), (7,))
OBJECTIVE = {"SiT": "sit-linear", "DiT": "dit"}


@pytest.fixture
def models(tiny_config):
    """Return models whose output is not 0, as that of new models is."""

    def make(family):
        found = []
        for seed in range(3):
            model = create_state(tiny_config(family, seed=seed), 10, (1, 8, 8)).ema
            source = torch.Generator().manual_seed(seed)
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=source))
            found.append(model)
        return found

    return make


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("SiT", {"method": "heun", "cfg_scale": 1.5}),
        ("SiT", {"method": "sde", "cfg_scale": 1.0, "labels": "random"}),
        ("SiT", {"method": "euler", "guidance_interval": (0.3, 0.7)}),
        ("DiT", {"method": "ddpm", "cfg_scale": 2.0}),
    ],
)
def test_images_are_those_of_each_model_up_to_rounding(family, settings, models):
    """With classes, seeds, guidance, noise at each step, and a batch that is not full."""
    configs = [
        SamplerConfig(num_steps=4, batch_size=6, seed=seed, classes=classes, **settings)
        for seed, classes in zip(SEEDS, CLASSES, strict=True)
    ]
    made = models(family)
    indices = torch.arange(6, 11)
    found = sample_models(made, OBJECTIVE[family], indices, configs)
    for model, config, (images, labels) in zip(made, configs, found, strict=True):
        expected, expected_labels = sample_batch(model, OBJECTIVE[family], indices, config)
        assert torch.equal(labels, expected_labels)
        assert images.shape == expected.shape
        assert (images.int() - expected.int()).abs().max() <= 1
    assert not torch.equal(found[0][0], found[2][0])  # one seed, two models
