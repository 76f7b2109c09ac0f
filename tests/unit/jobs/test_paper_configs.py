"""The paper's configurations: each loads, forecasts its cost, and trains at reduced width."""

import json

import pytest
import torch

from jobs.command.settings import load_config
from jobs.forecasts.model_stages import training_size
from jobs.train.loop import LoopOutcome, run_loop
from otcondense.diffusion import sample_batch
from otcondense.diffusion.checkpoint import load_model
from otcondense.diffusion.checkpoint_state import checkpoint_directory
from otcondense.diffusion.sampler import resolve_method
from otcondense.diffusion.train_job import TrainJob
from otcondense.diffusion.workers import Workers
from otcondense.store import Store
from tests.generators.latents import image_rows, write_subset, write_text

NAMES = {"imagenet-10k": 256, "imagenet-50k": 256, "imagenet-100k": 256, "imagenet512-10k": 512}
SMALL = [
    *(
        f"models.l2.training.model.{key}={value}"
        for key, value in {"width": 16, "depth": 2, "num_heads": 2}.items()
    ),
    *(
        f"models.l2.training.{key}={value}"
        for key, value in {
            "num_steps": 3,
            "checkpoint_steps": "[3]",
            "global_batch_size": 4,
        }.items()
    ),
    *("models.l2.training.alignment.depth=1", "models.l2.training.alignment.hidden_width=8"),
    *(
        "models.l2.training.compile_blocks=false",
        "models.l2.training.grid_every=null",
        "models.l2.training.log_every=1",
    ),
    *("models.l2.sampling.num_steps=2", "models.l2.sampling.batch_size=2"),
]


def load(name, overrides=()):
    return load_config(f"jobs/configs/{name}.yaml", ["source.path=imagenet", *overrides])


@pytest.mark.parametrize(("name", "size"), NAMES.items())
def test_the_forecast_of_the_training(name, size):
    """501.6 million parameters, as GADC's DiT-L/2, and a position table; GFLOP for each image."""
    config = load(name)
    training = config.models["l2"].training
    found = training_size(config, training, 1000, workers=1)
    assert found.parameters / 1e6 == pytest.approx(502.5, abs=1)
    assert found.flops / (training.num_steps * 128) / 1e9 == pytest.approx(
        {256: 484, 512: 2166}[size], rel=0.01
    )
    assert 20e9 < found.device_bytes < 300e9
    assert config.selection.budget == {"10k": 10, "50k": 50, "100k": 100}[name.split("-")[1]]


@pytest.mark.parametrize("family", ["DiT", "SiT"])
@pytest.mark.parametrize(("name", "size"), NAMES.items())
def test_a_few_steps_at_reduced_width(name, size, family, tmp_path):
    torch.set_num_threads(1)
    other = (
        ["models.l2.training.model.name=SiT-L/2", "models.l2.sampling.method=euler"]
        if family == "SiT"
        else []
    )
    config = load(name, [*SMALL, *other]).models["l2"]
    store, side = Store(str(tmp_path)), size // 8
    rows = image_rows(classes=2, per_class=3)
    inputs = write_subset(store, (4, side, side), ((side // 2) ** 2, 768), rows)
    write_text(store, 2, (16, 2048))
    job = TrainJob(
        store.root, "training/run", "", config.training, 2, (4, side, side), "inputs", inputs
    )
    assert run_loop(job, Workers()) == LoopOutcome(0)
    lines = [
        json.loads(line)
        for line in store.read_bytes("training/run/metrics.jsonl").decode().splitlines()
    ]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert all(-1 <= line["alignment"] <= 1 for line in lines)
    model, checkpoint = load_model(store, checkpoint_directory("training/run", 3))
    objective = checkpoint.state.objective
    assert resolve_method(config.sampling, objective) == {"DiT": "ddpm", "SiT": "euler"}[family]
    images, _ = sample_batch(model, objective, torch.arange(2), config.sampling, lambda x: x[:, :3])
    assert images.shape == (2, 3, side, side)
