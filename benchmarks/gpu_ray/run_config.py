"""The configuration of the run: the keys a user would write, in real and in tiny size."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu_ray.images import ImageSet
from jobs.run_directory.config import RunConfig

MODEL = "dit"
"""Name of the model in the configuration."""
METHOD = "geometry_aware"
ENCODER = "encoder.safetensors"
JUDGE = "judge.safetensors"
SEED = 2
"""Seed of the weights of the encoder; those of the judge take the next one."""


@dataclass(frozen=True)
class Size:
    """How large everything is."""

    images: ImageSet
    encoder: dict[str, Any]
    judge: dict[str, Any]
    """A narrower network: the matrix roots of the metrics take the CPU long for 2,048 features."""
    budget: int
    """Images to choose from each class."""
    pixels: int
    """Side of the images that the model is trained on: without an autoencoder, 32 pixels give as
    many tokens as the latents of 256."""
    model: dict[str, Any]
    training: dict[str, Any]
    sampling: dict[str, Any]

    @property
    def chosen(self) -> int:
        """Images of the subset."""
        return self.budget * self.images.classes


REAL = Size(
    images=ImageSet(classes=16, train=1250, held_out=100, side=256),
    encoder={"name": "inception-v3", "batch_size": 256, "precision": "bfloat16"},
    judge={"name": "resnet-34", "batch_size": 256, "precision": "bfloat16"},
    budget=50,
    pixels=32,
    model={"name": "DiT-S/2"},
    training={
        "num_steps": 600,
        "global_batch_size": 256,
        "learning_rate": 1e-4,
        "precision": "bfloat16",
        "compile_blocks": True,
        "flip": True,
    },
    sampling={"num_steps": 50, "num_samples": 2048, "batch_size": 256, "precision": "bfloat16"},
)
"""About five minutes on an H100, with Ray's start and the compilation."""
TINY = Size(
    images=ImageSet(classes=3, train=16, held_out=8, side=64),
    encoder={"name": "test_resnet", "image_size": 32, "batch_size": 8},
    judge={"name": "test_convnext", "image_size": 32, "batch_size": 8},
    budget=4,
    pixels=8,
    model={"name": "DiT-demo/2", "width": 16, "depth": 1, "num_heads": 2},
    training={"num_steps": 8, "global_batch_size": 8, "log_every": 4, "warmup_steps": 2},
    sampling={"num_steps": 2, "num_samples": 24, "batch_size": 8},
)
"""A rehearsal on a CPU; it compiles nothing, since code for a CPU takes a minute."""


def run_config(size: Size, root: Path, device: str) -> RunConfig:
    """Return the configuration of a run below `root`.

    On a GPU every stage must use it: `device: cuda` is an error where there is none. On a CPU the
    numbers of workers are the defaults.

    Args:
        size: how large everything is.
        root: folder of the images, weights and results.
        device: cuda or cpu.
    """
    network = {"num_classes": size.images.classes, "device": device}
    training = {**size.training, "model": size.model, "subsets": [METHOD], "device": device}
    config: dict[str, Any] = {
        "run": str(root / "run"),
        "source": {"path": str(root / "train")},
        "held_out": {"path": str(root / "held_out")},
        "encoder": {**size.encoder, **network, "weights": str(root / ENCODER)},
        "judge": {**size.judge, **network, "weights": str(root / JUDGE)},
        "selection": {"budget": size.budget, "methods": [METHOD]},
        "pixels": {"size": size.pixels, "channels": 3},
        "evaluation": {"inception_score_splits": 2},
    }
    if device == "cuda":
        selectors = min(size.images.classes, os.cpu_count() or 1)
        config["selection"]["pool"] = {"num_actors": selectors}
        config["samplers"] = {"num_actors": 1, "num_gpus": 1}
        training["num_workers"] = 1
    steps = training["num_steps"]
    training |= {"checkpoint_steps": [steps], "checkpoint_every": steps}
    config["models"] = {MODEL: {"training": training, "sampling": size.sampling}}
    return RunConfig.model_validate(config)


def write_networks(config: RunConfig) -> None:
    """Write the random weights of both networks, the same each time."""
    import torch
    from safetensors.torch import save_file

    from otcondense.encoders.encoder import build_model

    for seed, network in enumerate(config.extracting, SEED):
        torch.manual_seed(seed)
        assert network.weights is not None
        save_file(build_model(network).state_dict(), network.weights)
