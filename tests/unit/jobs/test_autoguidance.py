"""Autoguidance in a run: which checkpoints it needs, and what the samples depend on."""

from pathlib import Path

import pytest
import torch

from jobs.run_directory.run import Run
from jobs.sample.stage import sample, sampling_units_of
from jobs.train.stage import train
from jobs.verify.training import check_trainings
from otcondense.diffusion.checkpoint import load_model
from otcondense.diffusion.checkpoint_state import checkpoint_directory
from otcondense.diffusion.sampler import sample_batch
from otcondense.diffusion.samples import is_sampled, read_samples
from otcondense.errors import InputError
from tests.unit.jobs.test_evaluate_stage import METHOD, Values, make_run, without_workers

GUIDED: Values = {"autoguidance": {"checkpoint_step": 2, "weight": 3.0}}
PLAIN: Values = {"num_samples": 4, "batch_size": 4, "num_steps": 2, "cfg_scale": 1.0}
TRAINING: Values = {
    "num_steps": 6,
    "checkpoint_steps": [1, 2],
    "warmup_steps": 0,
    "learning_rate": 0.05,
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = without_workers(make_run(tmp_path), TRAINING, {**PLAIN, **GUIDED})
    train(made)
    return made


def test_later_checkpoints_are_guided_by_the_weak_one(run: Run) -> None:
    sample(run)
    for step in (1, 2, 6):
        (unit,) = sampling_units_of(run, "sit", METHOD, step)
        assert (unit.weak is None) == (step <= 2)
        assert is_sampled(run.store, unit.directory, unit.part, unit.fingerprint)
        found, _ = read_samples(run.store, unit.directory, 4)
        places = [place for place in (unit.checkpoint, unit.weak) if place is not None]
        strong, *weak = [load_model(run.store, place)[0] for place in places]
        expected, _ = sample_batch(strong, "sit-linear", torch.arange(4), unit.config, None, *weak)
        assert torch.equal(torch.from_numpy(found), expected)
    assert [each for each in check_trainings(run) if "samples" in each.file] == []


def test_unguided_checkpoints_have_the_samples_of_a_run_without_guidance(run: Run) -> None:
    plain = without_workers(run, {}, {"autoguidance": None})
    for step, same in ((1, True), (2, True), (6, False)):
        (guided,) = sampling_units_of(run, "sit", METHOD, step)
        (unguided,) = sampling_units_of(plain, "sit", METHOD, step)
        assert (guided.fingerprint == unguided.fingerprint) is same


def test_a_missing_weak_checkpoint_is_named(run: Run) -> None:
    place = checkpoint_directory(run.training_directory("sit", METHOD), 2)
    run.store.remove(f"{place}/ema.safetensors")
    with pytest.raises(
        InputError, match=r"autoguidance of models.sit needs .* step 2 .*`otcondense train`"
    ):
        list(sampling_units_of(run, "sit", METHOD, 6))
    with pytest.raises(InputError):
        sample(run)


@pytest.mark.parametrize("step", [3, 6, 9])
def test_only_an_earlier_kept_checkpoint_can_guide(step: int, tmp_path: Path) -> None:
    sampling = {**PLAIN, "autoguidance": {"checkpoint_step": step}}
    with pytest.raises(ValueError, match=rf"before the last step 6, found {step}.*keeps 1, 2, 6"):
        without_workers(make_run(tmp_path), TRAINING, sampling)


@pytest.mark.parametrize(
    ("change", "found"), [({"data": "latents"}, "data=latents"), ({}, "no held_out")]
)
def test_a_held_out_loss_that_cannot_be_had_is_refused(
    change: Values, found: str, tmp_path: Path
) -> None:
    made = make_run(tmp_path)
    plain = made.config.model_dump(mode="json", exclude_unset=True)
    plain["models"]["sit"]["training"] |= {"keep_best": "held_out_loss", **change}
    if change:
        plain["models"]["sit"]["sampling"]["clip"] = False
        plain |= {"pixels": {"size": 256, "channels": 3}}
    else:
        plain["held_out"] = None
    with pytest.raises(
        ValueError, match=rf"keep_best=held_out_loss .* {found}; set keep_best=loss"
    ):
        type(made.config).model_validate(plain)
