"""Weights of the manifest in the loss: exact, the same over workers, and absent by default."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from jobs.train.loop import Workers, run_loop
from otcondense.diffusion import create_state, make_batch
from otcondense.diffusion.training import batch_loss, batch_losses
from otcondense.diffusion.weights import manifest_weights
from otcondense.errors import InputError
from otcondense.store import Store, read_manifest, write_table
from tests.generators.latents import write_subset
from tests.generators.trainings import RUN, latent_job

SHAPE = (1, 8, 8)
WEIGHTS = [3.0, 1.0, 0.0, 2.0]


def set_weights(store, inputs, weights):
    table = read_manifest(store, inputs.manifest)
    column = pa.array(np.resize(np.array(weights, dtype=np.float64), len(table)))
    place = table.column_names.index("weight")
    changed = table.set_column(place, "weight", column).replace_schema_metadata(None)
    write_table(store, inputs.manifest, changed, fingerprint="weights")


@pytest.fixture
def weighted(digits):
    return replace(digits, weights=torch.linspace(0, 2, digits.num_images))


def test_weights_have_mean_one_in_each_class(tmp_path):
    store = Store(str(tmp_path))
    inputs = write_subset(store)
    set_weights(store, inputs, [value / 9 for value in WEIGHTS])
    expected = torch.tensor(WEIGHTS * 3) / 1.5
    torch.testing.assert_close(manifest_weights(store, inputs.manifest), expected)


@pytest.mark.parametrize("weights", [[0.0], [1.0, -1.0], [float("nan"), 1.0]])
def test_unusable_weights_name_the_class(weights, tmp_path):
    store = Store(str(tmp_path))
    inputs = write_subset(store)
    set_weights(store, inputs, weights)
    with pytest.raises(InputError, match="in class c0, found a sum"):
        manifest_weights(store, inputs.manifest)


def test_the_loss_is_the_weighted_mean(tiny_config, weighted):
    """The gradients of single images add up with their weights."""
    config = tiny_config(weighting="manifest")
    state = create_state(config, 10, SHAPE)
    whole = batch_loss(state, make_batch(config, 0, weighted))
    size = config.global_batch_size
    plain = tiny_config()
    single = [make_batch(plain, 0, weighted, (part, size)) for part in range(size)]
    weights = make_batch(config, 0, weighted).weights
    losses = torch.stack([batch_loss(state, part) for part in single])
    torch.testing.assert_close(whole, (losses * weights).mean())
    assert whole.item() != pytest.approx(losses.mean().item(), rel=1e-3)


def test_weights_of_one_change_nothing(tiny_config, digits):
    same = replace(digits, weights=torch.ones(digits.num_images))
    state = create_state(tiny_config(), 10, SHAPE)
    uniform = batch_loss(state, make_batch(tiny_config(), 0, digits))
    manifest = batch_loss(state, make_batch(tiny_config(weighting="manifest"), 0, same))
    assert uniform.item() == manifest.item()


def test_parts_of_a_batch_have_their_own_weights(tiny_config, weighted):
    config = tiny_config(weighting="manifest")
    whole = make_batch(config, 2, weighted)
    parts = [make_batch(config, 2, weighted, (part, 4)).weights for part in range(4)]
    assert torch.equal(torch.cat(parts), whole.weights)


def test_the_default_is_no_part_of_the_identity(tiny_config):
    assert "weighting" not in tiny_config().identity()
    assert tiny_config(weighting="manifest").identity()["weighting"] == "manifest"


def test_a_training_reads_its_weights_and_repeats_exactly(tmp_path):
    """The tokens' alignment is weighted too; a training without weights ends elsewhere."""
    ends = {}
    for name, weighting in (("a", "manifest"), ("b", "manifest"), ("c", "uniform")):
        job = latent_job(tmp_path / name, weighting=weighting)
        set_weights(job.store, job.inputs, WEIGHTS)
        job.check_data()
        run_loop(job, Workers())
        ends[name] = job.store.read_bytes(f"{RUN}/metrics.jsonl")
    assert ends["a"] == ends["b"] != ends["c"]


def test_the_alignment_is_weighted(tmp_path):
    job = latent_job(tmp_path, weighting="manifest")
    set_weights(job.store, job.inputs, WEIGHTS)
    state = create_state(job.config, 3, (4, 4, 4), parts=job.attachments())
    batch = make_batch(job.config, 0, job.load_data("cpu"))
    single = [
        batch_losses(state, make_batch(job.config, 0, job.load_data("cpu"), (part, 4)))
        for part in range(4)
    ]
    total = sum(each["alignment"].item() for each in single) / 4
    assert batch_losses(state, batch)["alignment"].item() == pytest.approx(total, rel=1e-5)
    assert batch.weights.max() > 1
    unweighted = batch_losses(state, replace(batch, weights=None))["alignment"].item()
    assert unweighted != pytest.approx(total, rel=1e-6)


def test_unusable_weights_are_found_before_training(tmp_path):
    job = latent_job(tmp_path, weighting="manifest", text=False, alignment=None)
    with pytest.raises(InputError, match="weights >= 0"):
        job.check_data()
