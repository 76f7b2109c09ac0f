"""Trainings that are done at once write the files of each training by itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from jobs.train.ensemble import Way, train_at_once, way_left
from jobs.train.launch import train
from jobs.train.loss_curve import stored_curve
from otcondense.diffusion import ModelConfig, TrainingConfig
from otcondense.diffusion.checkpoint import load_model
from otcondense.diffusion.checkpoint_files import list_checkpoints
from otcondense.diffusion.checkpoint_state import checkpoint_directory, open_checkpoint
from otcondense.diffusion.train_job import TrainJob
from otcondense.diffusion.training import create_state
from otcondense.store import Store
from otcondense.store.images import write_images

SIZES = (12, 20, 30)


@pytest.fixture
def make_jobs(tmp_path):
    """Return three trainings with seeds and images of their own in one run."""

    def make(name, **settings):
        store = Store(str(tmp_path / name))
        defaults = {
            "model": ModelConfig(width=16, depth=1, num_heads=2),
            "global_batch_size": 4,
            "num_steps": 8,
            "checkpoint_steps": (4,),
            "checkpoint_every": 3,
            "log_every": 2,
            "num_workers": 0,
            "warmup_steps": 2,
            "keep_best": True,
        }
        jobs = []
        for seed, size in enumerate(SIZES):
            rng = np.random.default_rng(seed)
            images = rng.integers(0, 256, (size, 1, 8, 8), dtype=np.uint8)
            file = f"images-{seed}.parquet"
            write_images(store, file, images, np.arange(size) % 10, fingerprint="images")
            config = TrainingConfig(**{**defaults, "seed": seed, **settings})
            directory = f"training/run-{seed}"
            jobs.append(
                TrainJob(store.root, directory, file, config, 10, (1, 8, 8), f"inputs-{seed}")
            )
        return jobs

    torch.set_num_threads(1)
    return make


def names(job):
    return sorted(
        name for name in job.store.list("") if not name.startswith("logs/") and "images" not in name
    )


def weights(job, step):
    model, _ = load_model(job.store, checkpoint_directory(job.directory, step))
    return list(model.parameters())


def assert_trained_alike(jobs, alone):
    for job, other in zip(jobs, alone, strict=True):
        for step in job.config.kept_steps:
            torch.testing.assert_close(
                weights(job, step), weights(other, step), rtol=1e-3, atol=1e-5
            )
        found, expected = stored_curve(job), stored_curve(other)
        assert [line.step for line in found] == [line.step for line in expected]
        losses = [line.loss for line in expected]
        assert [line.loss for line in found] == pytest.approx(losses, rel=1e-4)


def test_files_are_those_of_each_training(make_jobs):
    """Steps, names, lines, fingerprints; the state alone says that there were three at once."""
    jobs, alone = make_jobs("at-once"), make_jobs("alone")
    train_at_once(jobs, Way(0, 8), "cpu")
    for job in alone:
        train(job)
    assert names(jobs[0]) == names(alone[0])
    assert_trained_alike(jobs, alone)
    for job, other in zip(jobs, alone, strict=True):
        found, expected = (
            open_checkpoint(each.store, checkpoint_directory(each.directory, 8)).state
            for each in (job, other)
        )
        assert (found.ensemble_size, expected.ensemble_size) == (3, 1)
        assert {**found.to_json(), "files": 0, "curve": 0, "ensemble_size": 1} == {
            **expected.to_json(),
            "files": 0,
            "curve": 0,
            "ensemble_size": 1,
        }
        assert way_left(job) is None
        assert train(job).resumed_from is None


def test_trainings_go_on_from_a_checkpoint_that_all_have(make_jobs):
    """A longer training is the same with and without the break."""
    whole, jobs = make_jobs("whole"), make_jobs("broken")
    short = [replace(job, config=job.config.model_copy(update={"num_steps": 5})) for job in jobs]
    train_at_once(short, Way(0, 5), "cpu")
    assert [way_left(job) for job in jobs] == [Way(5, 8)] * 3
    train_at_once(jobs, Way(5, 8), "cpu")
    train_at_once(whole, Way(0, 8), "cpu")
    for job, other in zip(jobs, whole, strict=True):
        assert stored_curve(job) == stored_curve(other)
        for one, two in zip(weights(job, 8), weights(other, 8), strict=True):
            assert torch.equal(one, two)


def test_a_model_that_diverges_does_not_stop_the_others(make_jobs, monkeypatch):
    jobs = make_jobs("hurt")

    def broken(config, *rest):
        state = create_state(config, *rest)
        if config.seed == 1:
            state.model.final_layer.linear.bias.data.fill_(float("inf"))
        return state

    monkeypatch.setattr("jobs.train.ensemble.create_state", broken)
    train_at_once(jobs, Way(0, 8), "cpu")
    assert [list_checkpoints(job.store, job.directory)[-1:] for job in jobs] == [[8], [], [8]]
    assert way_left(jobs[1]) == Way(0, 8)
