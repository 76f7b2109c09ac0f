"""Which trials are trained at once, in which groups, and what their worker leaves behind."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from jobs.compare.config import CompareConfig
from jobs.run_directory.config import RunConfig
from jobs.trials.config import SweepConfig
from jobs.trials.ensemble_worker import (
    EnsembleUnit,
    EnsembleWorker,
    Member,
    Sampling,
    in_pieces,
)
from jobs.trials.ensembles import at_once, ensemble_units, evaluating, obstacle
from jobs.trials.resources import trial_resources
from jobs.trials.trial import Sweep
from otcondense.diffusion import ModelConfig, SamplerConfig, TrainingConfig
from otcondense.diffusion.train_job import TrainJob
from otcondense.errors import InputError
from otcondense.store import Store
from otcondense.store.images import read_images, write_images

BASE: dict[str, Any] = {
    "run": "runs/compared",
    "source": {"path": "train"},
    "held_out": {"path": "held_out"},
    "selection": {"methods": ["geometry_aware", "random"], "budget": 10},
    "models": {"sit": {"training": {"model": {"name": "SiT-demo/2"}}, "sampling": {}}},
}
SEEDS = {"seed": [0, 1]}


def comparison(size: int | None, **training: object) -> Sweep:
    """Return a comparison whose model is trained with some settings."""
    model = BASE["models"]["sit"]["training"] | training
    values = {**BASE, "models": {"sit": {"training": model, "sampling": {"clip": False}}}}
    if training.get("data") == "latents":
        values["pixels"] = {"size": 256, "channels": 3}
    base = RunConfig.model_validate(values)
    return Sweep(CompareConfig(ensemble_size=size).sweep(base), base)


@pytest.mark.parametrize(
    ("size", "gpus", "device", "expected"),
    [
        (None, 0, "auto", False),
        (None, 1, "auto", True),
        (None, 1, "cpu", False),
        (1, 1, "auto", False),
        (4, 0, "auto", True),
        (4, 1, "cpu", True),
    ],
)
def test_gpus_decide_unless_a_size_is_given(
    size: int | None, gpus: int, device: str, expected: bool
) -> None:
    assert at_once(comparison(size, device=device), gpus) is expected


@pytest.mark.parametrize(
    "training",
    [
        {"data": "latents"},
        {"text": True},
        {"num_workers": 2},
        {"grid_every": 10},
        {"weighting": "manifest"},
        {"keep_best": "held_out_loss"},
    ],
)
def test_trainings_of_another_kind_are_left_to_their_trials(training: dict[str, object]) -> None:
    """Silently where the cluster decides; as a mistake where the user has asked for it."""
    assert at_once(comparison(None, **training), 1) is False
    with pytest.raises(InputError, match=r"ensemble_size=2 cannot be used: .*; leave it out"):
        at_once(comparison(2, **training), 1)
    assert obstacle(comparison(2).base.models["sit"]) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "subset"},
        {"kind": "full", "stop_early": True},
        {"kind": "full", "stop_early": False, "search": "optuna", "num_trials": 2},
    ],
)
def test_sweeps_of_another_kind_have_no_ensembles(changes: dict[str, Any]) -> None:
    config = SweepConfig(space=SEEDS, ensemble_size=2, **changes)
    base = RunConfig.model_validate(BASE)
    with pytest.raises(InputError, match="ensemble_size=2 cannot be used"):
        at_once(Sweep(config, base), 1)
    assert at_once(Sweep(config.model_copy(update={"ensemble_size": None}), base), 1) is False


def test_trials_that_only_evaluate_reserve_less_and_are_the_same_trials() -> None:
    sweep = comparison(None)
    cluster = {"CPU": 8.0, "GPU": 1.0}
    light = evaluating(sweep)
    found = trial_resources(light, cluster)
    assert (found.actors, found.total("GPU"), found.total("CPU")) == ([], 1.0, 1.0)
    assert trial_resources(sweep, cluster).total("GPU") > 1
    assert light.directory == sweep.directory
    for values in sweep.planned():
        assert light.trial(values).key == sweep.trial(values).key


def test_the_size_is_no_part_of_a_sweep_s_place() -> None:
    """The trials of a comparison are found again, whatever the size."""
    assert comparison(None).directory == comparison(4).directory


def test_pieces_get_smaller_where_memory_ends() -> None:
    done: list[list[int]] = []

    def work(piece: list[int]) -> None:
        if len(piece) > 3:
            raise torch.OutOfMemoryError
        done.append(list(piece))

    in_pieces(list(range(10)), 6, work)
    assert done == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    with pytest.raises(torch.OutOfMemoryError):
        in_pieces([[1] * 4], 1, lambda piece: work(piece[0]))


def member(store: Store, number: int, **settings: object) -> Member:
    name = f"images-{number}.parquet"
    images = np.random.default_rng(number).integers(0, 256, (12, 1, 8, 8), dtype=np.uint8)
    write_images(store, name, images, np.arange(12) % 3, fingerprint="images")
    values = {
        "model": ModelConfig(width=16, depth=1, num_heads=2),
        "global_batch_size": 4,
        "num_steps": 4,
        "checkpoint_steps": (2,),
        "seed": number,
    }
    config = TrainingConfig.model_validate(values | settings)
    directory = f"training/run-{number}"
    job = TrainJob(store.root, directory, name, config, 3, (1, 8, 8), f"inputs-{number}")
    sampling = SamplerConfig(num_steps=2, num_samples=5, batch_size=4, seed=number)
    directories = tuple((step, f"{directory}/samples/{step}") for step in config.kept_steps)
    return Member(job, (Sampling(sampling, directories),))


def test_groups_have_one_shape_and_at_most_the_size(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    alike = [member(store, number) for number in range(5)]
    longer = member(store, 5, num_steps=6)
    twice = replace(alike[0], samplings=(replace(alike[0].samplings[0], directories=()),))
    members = [*alike, longer, twice]
    pairs = list(ensemble_units(members, 2, 1))
    assert [len(unit.members) for unit in pairs] == [2, 2, 1, 1]  # the longer one is apart
    assert len(pairs[0].members[0].samplings) == 2  # one training, two trials
    assert [len(unit.members) for unit in ensemble_units(members, None, 2)] == [3, 2, 1]
    assert len({unit.name for unit in pairs}) == 4


def test_a_worker_leaves_finished_models_and_does_nothing_twice(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    members = tuple(member(store, number) for number in range(3))
    plain = members[0].samplings[0]
    unguided = Sampling(
        plain.config.model_copy(update={"cfg_scale": 1.0}),
        tuple((step, f"{directory}-unguided") for step, directory in plain.directories),
    )
    members = (replace(members[0], samplings=(plain, unguided)), *members[1:])
    unit = EnsembleUnit("three", members, 3)
    assert not any(each.is_finished for each in members)
    EnsembleWorker("cpu").run(unit)
    assert all(each.is_finished for each in members)
    assert list(ensemble_units(members, 3, 1)) == []
    parts = [
        read_images(store, f"training/run-{number}/samples/4/part-00001.parquet")[0]
        for number in range(3)
    ]
    assert [part.shape for part in parts] == [(1, 1, 8, 8)] * 3
    assert not np.array_equal(parts[0], parts[1])
    assert store.exists("training/run-0/samples/2-unguided/part-00001.parquet")

    # One part of each is lost: it is made again, and nothing else.
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "training").rglob("*.*")}
    lost = [tmp_path / f"training/run-{number}/samples/2/part-00000.parquet" for number in range(3)]
    contents = [path.read_bytes() for path in lost]
    for path in lost:
        path.unlink()
    EnsembleWorker("cpu").run(unit)
    assert [path.read_bytes() for path in lost] == contents
    after = {path: path.stat().st_mtime_ns for path in before}
    assert {path for path in before if before[path] != after[path]} == set(lost)
