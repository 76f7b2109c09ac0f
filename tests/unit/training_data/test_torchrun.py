"""The example that trains without Ray: the bytes of `otcondense train`, and of its two workers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from jobs.train.prepare import prepare
from jobs.train.stage import train
from otcondense.diffusion import latest_checkpoint
from otcondense.errors import InputError
from otcondense.training_data import prepare_training
from tests.runs import results
from tests.unit.training_data.runs import STEPS, trained_run
from tests.verbs import output_of

SCRIPT = str(Path("examples/torchrun_dit.py").absolute())
ALONE = [sys.executable, SCRIPT]
PAIR = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
LONG = 2000
"""Steps of a training that does not end before Ctrl-C reaches it."""
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "parts": {"accumulation": 2, "flip": True, "weighting": "manifest"},
}
"""Settings of the training."""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"}


def start(words: list[str], run: Run) -> str:
    """Run the example, which must end well, and return what it printed."""
    command = [*words, run.store.root, "--model", "sit"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def training_of(run: Run) -> dict[str, bytes]:
    """Return all files of the training of a run."""
    return results(Path(run.store.path(run.training_directory("sit", "geometry_aware"))))


@pytest.mark.slow
@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_one_process_writes_the_bytes_of_the_command(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    ours, theirs = (trained_run(tmp_path / name, **settings) for name in ("ours", "theirs"))
    train(ours)
    printed = start(ALONE, theirs)
    assert f"step {STEPS}: loss" in printed
    found = training_of(theirs)
    assert len(found) == 9  # the curve; of two checkpoints: model, average, optimizer, state
    assert found == training_of(ours)
    assert start(ALONE, theirs) == ""  # nothing is left to do
    assert "finished earlier" in output_of("train", [theirs.store.root])


@pytest.mark.slow
def test_two_processes_write_the_bytes_of_two_workers_and_resume(tmp_path: Path) -> None:
    ours, theirs = (trained_run(tmp_path / name) for name in ("ours", "theirs"))
    job = prepare_training(ours.store.root, "sit")
    (tmp_path / "job.json").write_text(json.dumps(job.settings()))
    two = [*PAIR, "-m", "tests.unit.training_data.two_of_ours", str(tmp_path / "job.json")]
    subprocess.run(two, env=environment(), check=True, capture_output=True)
    start([*PAIR, SCRIPT], theirs)
    found = training_of(theirs)
    assert len(found) == 9
    assert found == training_of(ours)

    place = f"{theirs.training_directory('sit', 'geometry_aware')}/checkpoints/step-{STEPS:06d}"
    for name in theirs.store.list(place):
        theirs.store.remove(name)
    printed = start([*PAIR, SCRIPT], theirs)
    assert "step 2:" not in printed
    assert training_of(theirs) == found


@pytest.mark.slow
def test_after_ctrl_c_the_same_command_goes_on(tmp_path: Path) -> None:
    run = trained_run(tmp_path, num_steps=LONG, checkpoint_steps=[], checkpoint_every=50)
    place = run.training_directory("sit", "geometry_aware")
    command = [*ALONE, run.store.root, "--model", "sit"]
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE)
    while latest_checkpoint(run.store, place) is None:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in said
    kept = latest_checkpoint(run.store, place)
    assert kept is not None
    assert kept.step < LONG
    assert f"step {kept.step}:" not in start(ALONE, run)
    calm = trained_run(tmp_path / "calm", num_steps=LONG, checkpoint_steps=[], checkpoint_every=50)
    train(calm)
    assert training_of(run) == training_of(calm)


@pytest.mark.parametrize(
    ("words", "keep_best", "sentence"),
    [
        (("dit", "geometry_aware"), "none", "model must be one of the models of run"),
        (("sit", "ranom"), "none", "did you mean random"),
        (("sit", "random"), "loss", "keep_best=loss is for `otcondense train`"),
    ],
)
def test_a_training_that_is_not_there_is_refused(
    words: tuple[str, str], keep_best: str, sentence: str, waiting: RunConfig
) -> None:
    model = waiting.models["sit"]
    training = model.training.model_copy(update={"keep_best": keep_best})
    models = {"sit": model.model_copy(update={"training": training})}
    with pytest.raises(InputError, match=sentence):
        prepare(waiting.model_copy(update={"models": models}), *words)


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """The configuration of a run whose model is not trained yet."""
    return trained_run(tmp_path_factory.mktemp("waiting")).config
