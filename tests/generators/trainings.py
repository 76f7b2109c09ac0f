"""A tiny training on latents, with tokens and text."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from otcondense.diffusion import ModelConfig, TrainingConfig
from otcondense.diffusion.train_job import TrainJob
from otcondense.store import Store
from tests.generators.latents import write_captions, write_subset

RUN = "training/run"


def latent_job(root: Path, **settings: Any) -> TrainJob:
    """Write the inputs of a training below `root`, and return it."""
    store = Store(str(root))
    inputs = write_subset(store)
    if settings.get("text") == "captions":
        inputs = replace(inputs, text="", captions=write_captions(store))
    values = {
        "model": ModelConfig(name="DiT-demo/2", width=16, depth=2, num_heads=2),
        "data": "latents",
        "text": True,
        "alignment": {"depth": 1, "hidden_width": 8},
        "flip": True,
        "global_batch_size": 4,
        "num_steps": 6,
        "checkpoint_steps": (),
        "checkpoint_every": 3,
        "log_every": 2,
        "num_workers": 1,
    }
    return TrainJob(
        store.root,
        RUN,
        "",
        TrainingConfig(**{**values, **settings}),
        3,
        (4, 4, 4),
        "inputs",
        inputs,
    )
