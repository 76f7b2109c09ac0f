"""The example that trains the transformer of diffusers: the pipeline that it saves draws images."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from otcondense.training_data import SubsetDataset
from tests.generators.page_runs import make_run
from tests.generators.weights import write_autoencoder
from tests.unit.training_data.test_subset_dataset import with_representations
from tests.unit.training_data.test_torchrun import environment

SMALL = "--steps 3 --depth 1 --width 16 --heads 2 --log-every 1"
"""A small model; batches of 64 by default, which is more than the subset has."""


def example(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "examples/diffusers_dit.py", *words]
    return subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.slow
def test_another_class_of_autoencoder_is_refused(tmp_path: Path) -> None:
    autoencoder = write_autoencoder(tmp_path / "vae", "AutoencoderDC")
    done = example("run", "--autoencoder", autoencoder, "--output", str(tmp_path / "pipeline"))
    assert "must be an AutoencoderKL, found AutoencoderDC" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("latents", "side"), [(False, 16), (True, 4)])
def test_the_pipeline_loads_and_draws(latents: bool, side: int, tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    run = make_run(tmp_path)
    words = [*SMALL.split(), "--image-size", str(side)]
    if latents:
        with_representations(run)
        words += ["--latents"]
    autoencoder = write_autoencoder(tmp_path / "vae")
    output = str(tmp_path / "pipeline")
    done = example(run.store.root, *words, "--autoencoder", autoencoder, "--output", output)
    assert done.returncode == 0, done.stderr
    assert "step 3: loss" in done.stdout
    pipeline = diffusers.DiTPipeline.from_pretrained(output)
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline(
        class_labels=[0, 2], generator=torch.manual_seed(0), num_inference_steps=2
    ).images
    assert [image.size for image in drawn] == [(side, side)] * 2
    assert pipeline.labels == SubsetDataset(run.store.root).class_to_idx
