"""Images a second of `sample_batch`, converted to the paper's 250 steps."""

from dataclasses import dataclass
from functools import partial

import torch

from benchmarks.gpu_all.cases import Case, Figures, Held, Setting, paced
from benchmarks.gpu_all.profiling import profiled
from benchmarks.gpu_all.training import TINY_BATCH, TINY_SIDE, blocks_run, tiny_model
from benchmarks.sampling import random_model
from otcondense.diffusion import ModelConfig, SamplerConfig, Transformer, sample_batch
from otcondense.diffusion.forecast import forward_flops
from otcondense.diffusion.model import compile_blocks
from otcondense.diffusion.registry import default_objective

METHODS = {"SiT": "euler", "DiT": "ddpm"}
"""Sampling method of each model family; both call the network once a step."""
PAPER_STEPS = 250
"""Steps to which rates are converted, as in the paper."""
STEPS = 10
"""Sampling steps of a timed batch."""
SECONDS = 4.0
"""Time for the timed batches of a case."""
CLASSES = 1000


@dataclass(frozen=True)
class Sampling:
    """One model and how it is sampled."""

    model: str
    side: int
    batch: int
    compiled: bool = True
    scale: float = 1.5
    """Strength of guidance; 1 is none."""

    @property
    def name(self) -> str:
        """Name in the records."""
        way = "compiled" if self.compiled else "eager"
        guidance = "guided" if self.scale != 1 else "unguided"
        return f"{self.model}_{8 * self.side}_batch_{self.batch}_{way}_{guidance}"


def compiled_model(setting: Setting, sampling: Sampling) -> Transformer:
    """Return a model with random weights whose blocks are compiled when they are first called."""
    side = setting.size(sampling.side, TINY_SIDE)
    settings = setting.size({"name": sampling.model}, tiny_model(sampling.model))
    config = ModelConfig.model_validate(settings)
    model = random_model(config, (4, side, side), CLASSES, setting.device)
    compile_blocks(model)
    return model


def config_of(setting: Setting, sampling: Sampling) -> SamplerConfig:
    """Return the sampler."""
    return SamplerConfig(
        method=METHODS[sampling.model.split("-")[0]],
        num_steps=setting.size(STEPS, 2),
        cfg_scale=sampling.scale,
        guidance_channels=3,
        batch_size=setting.size(sampling.batch, TINY_BATCH),
        clip=False,
        precision="bfloat16",
    )


def measured(setting: Setting, held: Held, sampling: Sampling, *, profile: bool) -> Figures:
    """Return images a second at 250 steps and the share of the peak, or where the time goes."""
    model = held.get((sampling.model, sampling.side), lambda: compiled_model(setting, sampling))
    torch._dynamo.reset()
    config = config_of(setting, sampling)
    objective = default_objective(model.size.family)
    sample = partial(sample_batch, model, objective, torch.arange(config.batch_size), config)
    with blocks_run(setting, compiled=sampling.compiled):
        if profile:
            return profiled(setting, sample)
        rate = config.batch_size / paced(setting, sample, setting.size(SECONDS, 0.01))
    passes = 1 if sampling.scale == 1 else 2
    operations = rate * passes * config.num_steps * forward_flops(model)
    converted = rate * config.num_steps / PAPER_STEPS
    return {f"images_per_s_at_{PAPER_STEPS}_steps": converted} | setting.share(operations)


FLOW = Sampling("SiT-L/2", 32, 128)
STOCHASTIC = Sampling("DiT-L/2", 32, 128)


def cases() -> list[Case]:
    """Return the cases, those of one model in a row."""
    held = Held()

    def timed(sampling: Sampling, seconds: float) -> Case:
        measure = partial(measured, held=held, sampling=sampling, profile=False)
        return Case(sampling.name, seconds, measure)

    return [
        timed(FLOW, 30),
        timed(Sampling("SiT-L/2", 32, 128, compiled=False), 15),
        timed(STOCHASTIC, 25),
        Case(
            f"{STOCHASTIC.name}_profile",
            25,
            partial(measured, held=held, sampling=STOCHASTIC, profile=True),
        ),
        timed(Sampling("DiT-XL/2", 32, 96), 30),
        timed(Sampling("SiT-L/2", 32, 128, scale=1.0), 15),
        timed(Sampling("DiT-L/2", 64, 32), 30),
    ]
