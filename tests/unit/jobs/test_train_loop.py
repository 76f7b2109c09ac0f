"""The training loop of one worker, without Ray: it resumes exactly and skips finished work."""

import errno
import io
import itertools
import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jobs.train import loop as train_loop
from jobs.train.interruption import stop_after_step
from jobs.train.launch import train
from jobs.train.loop import LoopOutcome, TrainJob, Workers, run_loop
from jobs.train.resume import next_start
from otcondense.diffusion import ModelConfig, SamplerConfig, TrainingConfig, sample_batch
from otcondense.diffusion.checkpoint import load_model
from otcondense.diffusion.checkpoint_files import list_checkpoints
from otcondense.diffusion.checkpoint_state import checkpoint_directory
from otcondense.diffusion.held_out_loss import mean_denoising_error
from otcondense.diffusion.training import train_step
from otcondense.errors import InputError, storage_fault
from otcondense.store import Store
from otcondense.store.images import write_images
from tests.generators.trainings import RUN, latent_job
from tests.two_workers import count_reads


@pytest.fixture
def make_job(tmp_path):
    def make(name="run", fingerprint="inputs", num_classes=10, **settings):
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
        return TrainJob(
            store.root,
            RUN,
            "images.parquet",
            TrainingConfig(**{**defaults, **settings}),
            num_classes,
            (1, 8, 8),
            fingerprint,
        )

    torch.set_num_threads(1)
    return make


def results(job):
    """Every file of the run but the logs."""
    return {
        name: job.store.read_bytes(name)
        for name in job.store.list("")
        if not name.startswith("logs/")
    }


def curve(job):
    return [
        json.loads(line)
        for line in job.store.read_bytes(f"{RUN}/metrics.jsonl").decode().splitlines()
    ]


def test_a_whole_run(make_job):
    job, reports = make_job(), []
    assert run_loop(job, Workers(report=reports.append)) == LoopOutcome(0)
    assert list_checkpoints(job.store, RUN) == [4, 10]
    assert [line["step"] for line in curve(job)] == [2, 3, 4, 6, 8, 9, 10]
    assert [report["step"] for report in reports] == [3, 4, 6, 9, 10]
    log = job.store.read_bytes(f"logs/{RUN}/steps.jsonl").decode().splitlines()
    assert len(log) == 7
    assert json.loads(log[0])["step_seconds"] > 0


def test_finished_work_is_skipped(make_job, monkeypatch):
    job = make_job()
    run_loop(job, Workers())
    monkeypatch.setattr(
        train_loop, "create_state", lambda *_: pytest.fail("nothing was left to do")
    )
    assert run_loop(job, Workers()) == LoopOutcome(None)


class LostError(Exception):
    """A worker that dies."""


@pytest.mark.parametrize("death", [3, 4, 6, 9])
def test_interruptions_leave_no_trace(death, make_job):
    """A worker dies just after a checkpoint; the final files are those of an undisturbed run."""
    undisturbed, job = make_job("undisturbed"), make_job("interrupted")
    run_loop(undisturbed, Workers())

    def die(report):
        if report["step"] == death:
            raise LostError

    with pytest.raises(LostError):
        run_loop(job, Workers(report=die))
    assert next_start(job) == death
    assert run_loop(job, Workers()).resumed_from == death
    assert results(job) == results(undisturbed)


@pytest.mark.parametrize("keep_best", ["none", "loss"])
@pytest.mark.parametrize("pressed", [2, 5, 6])
def test_ctrl_c_writes_a_checkpoint_and_leaves_no_trace(pressed, keep_best, make_job, monkeypatch):
    """Before the first checkpoint, between two and at one."""
    settings = {"num_workers": 0, "keep_best": keep_best}
    undisturbed, job = make_job("undisturbed", **settings), make_job("stopped", **settings)
    train(undisturbed)

    def step_and_press(state, *batches):
        if state.step == pressed - 1:
            signal.raise_signal(signal.SIGINT)
        return train_step(state, *batches)

    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(train_loop, "train_step", step_and_press)
            with pytest.raises(
                KeyboardInterrupt, match=f"the next start goes on after step {pressed}"
            ):
                train(job)
    finally:
        signal.signal(signal.SIGINT, earlier)
    assert train(job).resumed_from == pressed
    assert results(job) == results(undisturbed)


def test_ctrl_c_in_the_last_step_is_not_lost():
    # An interrupted verb of another test leaves a handler that ends the process.
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), stop_after_step():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, earlier)


def test_a_damaged_checkpoint_is_recomputed(make_job):
    """Later checkpoints stay as they are."""
    job = make_job()
    run_loop(job, Workers())
    before = results(job)
    job.store.remove(f"{RUN}/checkpoints/step-000004/ema.safetensors")
    assert next_start(job) == 0
    assert run_loop(job, Workers()).resumed_from == 0
    assert results(job) == before


def test_a_start_of_the_driver_reads_no_tensor(make_job, monkeypatch):
    """Neither a fresh start nor one with nothing to do; a lengthened training reads each once."""
    job = make_job(num_workers=0)
    read = count_reads(monkeypatch.setattr)
    assert train(job).resumed_from == 0
    assert train(job).resumed_from is None
    assert read == {}
    assert train(make_job(num_workers=0, num_steps=11)).resumed_from == 10
    assert sorted(read) == [
        f"{RUN}/checkpoints/step-000010/{part}.safetensors"
        for part in ("ema", "model", "optimizer")
    ]
    older = job.store  # step 4 has files of the same sizes, and step 10 is gone
    assert all(
        count == older.size(name.replace("000010", "000004")) for name, count in read.items()
    )


@pytest.mark.parametrize("save", [1, 3, 5])
def test_a_full_disk_under_a_save_ends_the_training_and_leaves_no_trace(
    save, make_job, monkeypatch
):
    """In a save that others follow, and in the last one; the fault is that of the storage."""
    undisturbed, job = make_job("undisturbed"), make_job("full")
    run_loop(undisturbed, Workers())
    writes, flush = itertools.count(1), os.fsync

    def full(descriptor):
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if "/full/" in name and "checkpoints" in name and next(writes) == 4 * save - 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left") as caught:
            run_loop(job, Workers())
    assert storage_fault(caught.value) is not None
    before = {1: 0, 3: 4, 5: 9}[save]
    assert run_loop(job, Workers()).resumed_from == before
    assert results(job) == results(undisturbed)


def test_a_longer_run_resumes_from_a_shorter_one(make_job):
    short, long = make_job(), make_job(num_steps=12, checkpoint_steps=(4, 10))
    run_loop(short, Workers())
    assert next_start(long) == 10
    assert run_loop(long, Workers()).resumed_from == 10
    assert next_start(long) == 12
    reference = make_job("reference", num_steps=12, checkpoint_steps=(4, 10))
    run_loop(reference, Workers())
    assert results(long) == results(reference)


@pytest.mark.parametrize("shorter", [1, 2, 5, 7, 11, 13])
@pytest.mark.parametrize("log_every", [1, 4, 50])
@pytest.mark.parametrize("checkpoint_every", [3, 100])
def test_a_lengthened_training_has_the_curve_of_a_long_one(
    shorter, log_every, checkpoint_every, make_job
):
    settings = {
        "checkpoint_steps": (),
        "log_every": log_every,
        "checkpoint_every": checkpoint_every,
        "keep_best": "loss" if checkpoint_every == 3 else "none",
    }
    run_loop(make_job(num_steps=shorter, **settings), Workers())
    lengthened = make_job(num_steps=14, **settings)
    assert run_loop(lengthened, Workers()).resumed_from == shorter
    reference = make_job("reference", num_steps=14, **settings)
    run_loop(reference, Workers())
    assert results(lengthened) == results(reference)


def test_a_training_lengthened_twice_has_the_curve_of_a_long_one(make_job):
    settings = {"checkpoint_steps": (), "log_every": 50, "checkpoint_every": 100}
    for steps in (3, 5, 11):
        job = make_job(num_steps=steps, **settings)
        run_loop(job, Workers())
    reference = make_job("reference", num_steps=11, **settings)
    run_loop(reference, Workers())
    assert results(job) == results(reference)


def test_only_the_newest_recovery_checkpoints_stay(make_job):
    job, kept = make_job(checkpoint_every=1, checkpoint_steps=(2,)), []
    run_loop(job, Workers(report=lambda _: kept.append(list_checkpoints(job.store, RUN))))
    assert kept[4] == [2, 4, 5]
    assert kept[-1] == [2, 10]


def test_the_best_checkpoint_stays_and_is_named(make_job):
    job = make_job(
        checkpoint_every=1,
        checkpoint_steps=(),
        keep_best="loss",
        learning_rate=0.3,
        warmup_steps=0,
        keep_last=1,
    )
    run_loop(job, Workers())
    losses = {line["step"]: line["loss"] for line in curve(job)}
    best = min(losses, key=losses.get)
    assert job.store.read_json(f"{RUN}/best.json") == {"step": best, "loss": losses[best]}
    assert list_checkpoints(job.store, RUN) == sorted({best, 10})


@pytest.fixture
def make_held_out_job(make_job):
    def make(name="run", seed=1, keep_best="held_out_loss", **settings):
        job = make_job(name, keep_best=keep_best, checkpoint_every=1, keep_last=1, **settings)
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 256, (6, 1, 8, 8), dtype=np.uint8)
        write_images(job.store, "held.parquet", images, np.arange(6), fingerprint=f"held {seed}")
        return replace(job, held_out_name="held.parquet")

    return make


SHAKY = {"learning_rate": 0.1, "warmup_steps": 0, "num_steps": 5, "checkpoint_steps": (2,)}
"""A training whose best checkpoint is not the last one."""


def test_the_checkpoint_with_the_lowest_held_out_loss_stays(make_held_out_job):
    job = make_held_out_job(**SHAKY)
    run_loop(job, Workers())
    losses = job.store.read_json(f"{RUN}/held_out_loss.json")["losses"]
    assert list(losses) == ["1", "2", "3", "4", "5"]
    best = min(losses, key=losses.get)
    found = job.store.read_json(f"{RUN}/best.json")
    assert found == {"step": int(best), "held_out_loss": losses[best]}
    assert list_checkpoints(job.store, RUN) == sorted({int(best), 2, 5})
    model, checkpoint = load_model(job.store, checkpoint_directory(RUN, 5))
    expected = mean_denoising_error(model, checkpoint.state.objective, job.load_held_out())
    assert losses["5"] == pytest.approx(expected, rel=1e-8)


def test_the_held_out_loss_changes_no_checkpoint(make_held_out_job):
    plain = make_held_out_job("plain", keep_best="none", **SHAKY)
    job = make_held_out_job(**SHAKY)
    for each in (plain, job):
        run_loop(each, Workers())
    without, with_losses = results(plain), results(job)
    assert with_losses.keys() - without.keys() >= {f"{RUN}/best.json", f"{RUN}/held_out_loss.json"}
    assert {name: with_losses[name] for name in without} == without


@pytest.mark.parametrize("death", [1, 3, 4])
def test_interruptions_leave_no_trace_in_the_held_out_loss(death, make_held_out_job):
    undisturbed, job = make_held_out_job("undisturbed", **SHAKY), make_held_out_job(**SHAKY)
    run_loop(undisturbed, Workers())

    def die(report):
        if report["step"] == death:
            raise LostError

    with pytest.raises(LostError):
        run_loop(job, Workers(report=die))
    run_loop(job, Workers())
    assert results(job) == results(undisturbed)


def test_losses_of_checkpoints_are_computed_where_they_are_missing(make_held_out_job):
    """Lost, of other held-out images, or of a training that did not ask for them."""
    job = make_held_out_job(num_workers=0, **SHAKY)
    train(job)
    before = job.store.read_json(f"{RUN}/held_out_loss.json")
    kept = [str(step) for step in list_checkpoints(job.store, RUN)]
    job.store.remove(f"{RUN}/held_out_loss.json")
    assert train(job).resumed_from is None
    again = job.store.read_json(f"{RUN}/held_out_loss.json")
    assert again == {**before, "losses": {step: before["losses"][step] for step in kept}}
    train(make_held_out_job(num_workers=0, seed=2, **SHAKY))
    other = job.store.read_json(f"{RUN}/held_out_loss.json")
    assert other["held_out"] != again["held_out"]
    assert other["losses"].keys() == again["losses"].keys()
    assert other["losses"] != again["losses"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"held_out_name": ""}, "found no held-out images"),
        ({"classes": (8, 9)}, "found 0 of shape"),
        ({"image_shape": (3, 8, 8)}, r"shape \(3, 8, 8\)"),
    ],
)
def test_unusable_held_out_images_are_refused_before_training(change, found, make_held_out_job):
    with pytest.raises(InputError, match=found):
        replace(make_held_out_job(), **change).load_held_out()


def test_a_finished_training_still_needs_its_held_out_images(make_held_out_job):
    job = make_held_out_job(num_workers=0, **SHAKY)
    train(job)
    job.store.remove(f"{RUN}/held_out_loss.json")
    with pytest.raises(InputError, match="found no held-out images"):
        train(replace(job, held_out_name=""))


def test_a_part_at_a_time_follows_the_same_curve(make_job):
    whole, cut = make_job("whole"), make_job("cut", accumulation=2)
    for job in (whole, cut):
        run_loop(job, Workers())
    assert [line["loss"] for line in curve(cut)] == pytest.approx(
        [line["loss"] for line in curve(whole)], rel=1e-4
    )


def test_grids_of_samples(make_job):
    job = make_job(grid_every=5)
    run_loop(job, Workers())
    for step in (5, 10):
        sheet = Image.open(io.BytesIO(job.store.read_bytes(f"{RUN}/grids/step-{step:06d}.png")))
        assert sheet.size == (64, 64)
        assert np.asarray(sheet).std() > 10


def test_times_go_to_the_logs_and_to_tensorboard(make_job):
    job = make_job()
    run_loop(job, Workers())
    lines = [
        json.loads(line)
        for line in job.store.read_bytes(f"logs/{RUN}/steps.jsonl").decode().splitlines()
    ]
    assert all(0 <= line["data_wait_seconds"] <= line["step_seconds"] for line in lines)
    (events,) = job.store.list(f"logs/{RUN}/tensorboard")
    written = job.store.read_bytes(events)
    assert all(
        name in written
        for name in (b"loss", b"learning_rate", b"step_seconds", b"data_wait_seconds")
    )
    assert not any("seconds" in name for line in curve(job) for name in line)


def test_out_of_memory_says_what_to_change(make_job, monkeypatch):
    """The allocator itself refuses, in the place where a step would first ask for so much."""
    monkeypatch.setattr(train_loop, "train_step", lambda *_: torch.empty(2**58, dtype=torch.uint8))
    with pytest.raises(
        InputError,
        match=r"(?s)out of memory with 4 images .* forecast .* on each device .*raise accumulation",
    ):
        run_loop(make_job(), Workers())


@pytest.mark.parametrize("text", [True, "captions"])
@pytest.mark.parametrize("streamed", [False, True])
def test_training_on_latents_with_tokens_and_text(streamed, text, tmp_path):
    """Interrupted or not, from memory or a file: same checkpoints, and they can be sampled."""
    jobs = [
        latent_job(tmp_path / name, text=text, resident_gb=0 if streamed else None)
        for name in ("calm", "interrupted")
    ]
    for job in jobs:
        job.check_data()
    run_loop(jobs[0], Workers())

    def die(report):
        if report["step"] == 3:
            raise LostError

    with pytest.raises(LostError):
        run_loop(jobs[1], Workers(report=die))
    run_loop(jobs[1], Workers())
    assert results(jobs[0]) == results(jobs[1])
    assert set(curve(jobs[0])[0]) == {"step", "loss", "alignment", "learning_rate"}
    model, checkpoint = load_model(jobs[0].store, checkpoint_directory(RUN, 6))
    config = SamplerConfig(batch_size=4, num_steps=2, clip=False)
    images, _ = sample_batch(
        model, checkpoint.state.objective, torch.arange(4), config, lambda x: x[:, :3]
    )
    assert images.shape == (4, 3, 4, 4)


def test_divergence_stops_and_keeps_the_last_good_checkpoint(make_job, monkeypatch):
    job, real = make_job(), train_loop.train_step

    def step(state, batch):
        metrics = real(state, batch)
        return {**metrics, "loss": metrics["loss"] * (math.nan if state.step == 5 else 1)}

    monkeypatch.setattr(train_loop, "train_step", step)
    outcome = run_loop(job, Workers())
    assert "between step 4 and step 6" in outcome.diverged
    assert list_checkpoints(job.store, RUN) == [3, 4]
    assert curve(job)[-1]["step"] == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [({"learning_rate": 0.1}, "learning_rate"), ({"fingerprint": "others"}, "other inputs")],
)
def test_foreign_checkpoints_are_refused(change, message, make_job):
    run_loop(make_job(), Workers())
    foreign = make_job(**change)
    before = results(foreign)
    with pytest.raises(InputError, match=message):
        run_loop(foreign, Workers())
    assert results(foreign) == before


@pytest.mark.parametrize("change", [{"fingerprint": "changed"}, {"num_classes": 12}])
def test_changed_images_or_classes_lead_to_a_new_training(change, make_job):
    run_loop(make_job(), Workers())
    changed, reference = make_job(**change), make_job("reference", **change)
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
def test_images_of_other_classes_or_shapes_are_refused(change, message, make_job):
    with pytest.raises(InputError, match=message):
        replace(make_job(), **change).load_images()
