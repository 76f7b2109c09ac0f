"""Training on Ray Train with two gloo workers, and sampling on an actor."""

import json
import os
import signal
from contextlib import suppress

import numpy as np
import psutil
import pytest
import ray
import torch

from actors.sampler import Sampler, SamplerActor, SampleUnit
from jobs.cluster.start import start_ray
from jobs.train.launch import train
from jobs.train.loop import TrainJob, Workers, run_loop
from otcondense.diffusion import ModelConfig, SamplerConfig, TrainingConfig
from otcondense.diffusion.samples import read_samples, sampling_units
from otcondense.errors import InputError
from otcondense.store import Store
from otcondense.store.images import write_images

SHAPE = (1, 8, 8)

pytestmark = pytest.mark.slow


def config(**settings):
    defaults = {
        "model": ModelConfig(width=16, depth=1, num_heads=2),
        "global_batch_size": 8,
        "num_steps": 12,
        "checkpoint_steps": (6,),
        "log_every": 3,
        "num_workers": 2,
    }
    return TrainingConfig(**{**defaults, **settings})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    torch.set_num_threads(1)
    made = Store(str(tmp_path_factory.mktemp("run")))
    images = np.random.default_rng(0).integers(0, 256, (20, *SHAPE), dtype=np.uint8)
    write_images(made, "images.parquet", images, np.arange(20) % 10, fingerprint="images")
    return made


def job(store, name, settings=None, fingerprint="inputs"):
    return TrainJob(
        store.root,
        f"training/{name}",
        "images.parquet",
        settings or config(),
        10,
        SHAPE,
        fingerprint,
    )


@pytest.fixture(scope="module")
def trained(ray_cluster, store):
    """Two workers' run, its result and the progress that the driver saw."""
    seen = []
    return train(job(store, "two"), seen.append), seen


def curve(store, directory):
    return [
        json.loads(line)
        for line in store.read_bytes(f"{directory}/metrics.jsonl").decode().splitlines()
    ]


def test_two_workers_follow_the_curve_of_one(trained, store):
    result, seen = trained
    assert sorted(result.checkpoints) == [6, 12]
    assert result.resumed_from == 0
    assert [line.step for line in seen] == [3, 6, 9, 12]
    run_loop(job(store, "one", config(num_workers=1)), Workers())
    losses = [
        [line["loss"] for line in curve(store, f"training/{name}")] for name in ("one", "two")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_without_workers_it_trains_here_and_writes_the_same(store):
    here, alone = (
        job(store, name, config(num_workers=number)) for name, number in (("here", 0), ("alone", 1))
    )
    assert train(here).resumed_from == 0
    run_loop(alone, Workers())
    for name in (
        "metrics.jsonl",
        "checkpoints/step-000012/ema.safetensors",
        "checkpoints/step-000006/optimizer.safetensors",
    ):
        assert store.read_bytes(f"{here.directory}/{name}") == store.read_bytes(
            f"{alone.directory}/{name}"
        )


def test_a_lost_or_damaged_curve_is_written_again(store, trained):
    name = "training/two/metrics.jsonl"
    before = store.read_bytes(name)
    for damage in (
        lambda: store.remove(name),
        lambda: store.write_bytes(name, before.replace(b"1", b"2", 1)),
    ):
        damage()
        train(job(store, "two"))
        assert store.read_bytes(name) == before


def test_a_second_call_finds_everything_done(trained, store):
    result = train(job(store, "two"))
    assert result.resumed_from is None
    assert result.checkpoints == trained[0].checkpoints


def test_another_configuration_is_refused(trained, store):
    with pytest.raises(InputError, match=r"learning_rate: expected 0.1"):
        train(job(store, "two", config(learning_rate=0.1), "changed"))


def test_samplers_write_the_same_parts_in_any_order(trained, store):
    settings = SamplerConfig(num_samples=10, batch_size=4, num_steps=2)
    parts = sampling_units(settings)

    def unit(part, directory):
        checkpoint = trained[0].checkpoints[12]
        return SampleUnit(part.name, checkpoint, directory, part, settings, "f")

    actor = SamplerActor.options(num_cpus=0).remote(store.root)
    units = [unit(part, "samples/actor") for part in reversed(parts)]
    assert ray.get([actor.run.remote(each) for each in units]) == [
        {"size": 2},
        {"size": 4},
        {"size": 4},
    ]
    ray.kill(actor)
    local = Sampler(store.root)
    for part in parts:
        local.run(unit(part, "samples/local"))
        assert store.read_bytes(f"samples/local/{part.name}") == store.read_bytes(
            f"samples/actor/{part.name}"
        )
    assert read_samples(store, "samples/actor", 10)[1].tolist() == list(range(10))


def files(store, directory):
    return {name.removeprefix(directory): store.read_bytes(name) for name in store.list(directory)}


@pytest.mark.slow
def test_a_killed_worker_costs_at_most_one_interval(ray_cluster, store):
    """SIGKILL to the first worker after its second checkpoint: same files as undisturbed."""
    settings, killed = (
        config(num_steps=400, checkpoint_steps=(), checkpoint_every=100, log_every=50),
        [],
    )

    def kill_once(line):
        if line.step >= 250 and not killed:
            killed.append(line.step)
            os.kill(line.process, signal.SIGKILL)

    result = train(job(store, "killed", settings), kill_once)
    assert killed
    assert killed[0] - 100 <= result.resumed_from < 400
    train(job(store, "calm", settings))
    assert files(store, "training/killed") == files(store, "training/calm")


@pytest.mark.slow
def test_a_killed_controller_ends_in_a_sentence(store):
    """In a cluster of its own: what the workers held stays taken as long as the driver lives."""
    ray.shutdown()
    start_ray(num_cpus=2)

    def kill(_):
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # the line before this one has killed it
                if "ray::TrainController" in " ".join(process.cmdline()):
                    process.kill()

    with pytest.raises(
        InputError,
        match=r"controller of .*given_up died: .*checkpoint",
    ):
        train(job(store, "given_up", config(num_steps=1000, checkpoint_steps=())), kill)
    ray.shutdown()
    start_ray(num_cpus=2)
