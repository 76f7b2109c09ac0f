"""The training loop as one worker runs it, without Ray: interruptions leave no trace, finished work is skipped."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from jobs import train_loop
from jobs.train_loop import TrainJob, Workers, run_loop
from otcondense.diffusion import ModelConfig, TrainingConfig
from otcondense.diffusion.checkpoint import list_checkpoints
from otcondense.diffusion.images import write_images
from otcondense.errors import InputError
from otcondense.store import Store

RUN = "training/run"


@pytest.fixture
def make_job(tmp_path):
    def make(name="run", fingerprint="inputs", **settings):
        store = Store(str(tmp_path / name))
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (20, 1, 8, 8), dtype=np.uint8)
        write_images(store, "images.parquet", images, np.arange(20) % 10, fingerprint="images")
        defaults = {
            "model": ModelConfig(width=16, depth=1, num_heads=2),
            "global_batch_size": 4,
            "num_steps": 10,
            "checkpoint_steps": (4,),
            "checkpoint_every": 3,
            "log_every": 2,
            "num_workers": 1,
        }
        return TrainJob(store.root, RUN, "images.parquet", TrainingConfig(**{**defaults, **settings}), 10, (1, 8, 8), fingerprint)

    torch.set_num_threads(1)
    return make


def results(job):
    """Every file of the run but the logs."""
    return {name: job.store.read_bytes(name) for name in job.store.list("") if not name.startswith("logs/")}


def curve(job):
    return [json.loads(line) for line in job.store.read_bytes(f"{RUN}/metrics.jsonl").decode().splitlines()]


def test_a_whole_run(make_job):
    job, reports = make_job(), []
    assert run_loop(job, Workers(report=reports.append)) == {"resumed_from": 0, "diverged": None}
    assert list_checkpoints(job.store, RUN) == [4, 10]
    assert [line["step"] for line in curve(job)] == [2, 3, 4, 6, 8, 9, 10]
    assert [report["step"] for report in reports] == [3, 4, 6, 9, 10]
    log = job.store.read_bytes(f"logs/{RUN}/steps.jsonl").decode().splitlines()
    assert len(log) == 7
    assert json.loads(log[0])["step_seconds"] > 0


def test_finished_work_is_skipped(make_job, monkeypatch):
    job = make_job()
    run_loop(job, Workers())
    monkeypatch.setattr(train_loop, "create_state", lambda *_: pytest.fail("nothing was left to do"))
    assert run_loop(job, Workers()) == {"resumed_from": 0, "diverged": None}


class LostError(Exception):
    """A worker that dies."""


@pytest.mark.parametrize("death", [3, 4, 6, 9])
def test_interruptions_leave_no_trace(death, make_job):
    """A worker dies just after a checkpoint; the files at the end are those of an undisturbed run."""
    undisturbed, job = make_job("undisturbed"), make_job("interrupted")
    run_loop(undisturbed, Workers())

    def die(report):
        if report["step"] == death:
            raise LostError

    with pytest.raises(LostError):
        run_loop(job, Workers(report=die))
    assert run_loop(job, Workers())["resumed_from"] == death
    assert results(job) == results(undisturbed)


def test_damage_is_mended(make_job):
    """A damaged early checkpoint is made again without touching the later ones."""
    job = make_job()
    run_loop(job, Workers())
    before = results(job)
    job.store.remove(f"{RUN}/checkpoints/step-000004/ema.safetensors")
    assert run_loop(job, Workers())["resumed_from"] == 0
    assert results(job) == before


def test_a_longer_run_goes_on(make_job):
    short, long = make_job(), make_job(num_steps=12, checkpoint_steps=(4, 10))
    run_loop(short, Workers())
    assert run_loop(long, Workers())["resumed_from"] == 10
    reference = make_job("reference", num_steps=12, checkpoint_steps=(4, 10))
    run_loop(reference, Workers())
    assert results(long) == results(reference)


def test_only_the_newest_recovery_checkpoints_stay(make_job):
    job, kept = make_job(checkpoint_every=1, checkpoint_steps=(2,)), []
    run_loop(job, Workers(report=lambda _: kept.append(list_checkpoints(job.store, RUN))))
    assert kept[4] == [2, 4, 5]
    assert kept[-1] == [2, 10]


def test_divergence_stops_and_keeps_the_last_good_checkpoint(make_job, monkeypatch):
    job, real = make_job(), train_loop.train_step

    def step(state, batch):
        metrics = real(state, batch)
        return {**metrics, "loss": metrics["loss"] * (math.nan if state.step == 5 else 1)}

    monkeypatch.setattr(train_loop, "train_step", step)
    outcome = run_loop(job, Workers())
    assert "between step 4 and step 6" in outcome["diverged"]
    assert list_checkpoints(job.store, RUN) == [3, 4]
    assert curve(job)[-1]["step"] == 4


@pytest.mark.parametrize(("change", "message"), [({"learning_rate": 0.1}, "learning_rate"), ({"fingerprint": "others"}, "other inputs")])
def test_foreign_checkpoints_are_refused(change, message, make_job):
    run_loop(make_job(), Workers())
    foreign = make_job(**change)
    before = results(foreign)
    with pytest.raises(InputError, match=message):
        run_loop(foreign, Workers())
    assert results(foreign) == before


def test_changed_images_are_trained_on_anew(make_job):
    run_loop(make_job(), Workers())
    changed, reference = make_job(fingerprint="changed"), make_job("reference", fingerprint="changed")
    changed.clear_outdated()
    assert list_checkpoints(changed.store, RUN) == []
    run_loop(changed, Workers())
    run_loop(reference, Workers())
    assert results(changed) == results(reference)
    changed.clear_outdated()
    assert results(changed) == results(reference)


def test_clearing_spares_another_configuration(make_job):
    run_loop(make_job(), Workers())
    other = make_job(seed=1)
    before = results(other)
    with pytest.raises(InputError, match="seed: expected 1, found 0"):
        other.clear_outdated()
    assert results(other) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_classes": 5}, "classes 0 to 4, found 0 to 9"),
        ({"image_shape": (3, 8, 8)}, r"shape \(3, 8, 8\), found 20 of shape \(1, 8, 8\)"),
        ({"images_name": "absent.parquet"}, "absent.parquet"),
    ],
)
def test_unfitting_images(change, message, make_job):
    with pytest.raises(InputError, match=message):
        replace(make_job(), **change).load_images()
