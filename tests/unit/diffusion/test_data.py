"""Training data: latents drawn from their posterior, from memory or from a file."""

import itertools
from dataclasses import replace

import pytest
import torch

from otcondense.diffusion import Moments, TrainingConfig, TrainingSet, make_batch
from otcondense.diffusion.batches import batches, tensors_of
from otcondense.diffusion.data import fits, free_bytes
from otcondense.diffusion.input_shapes import check_grid, latent_shape, token_width
from otcondense.diffusion.inputs import (
    Inputs,
    check_inputs,
    inputs_identity,
    load_inputs,
    load_text,
)
from otcondense.diffusion.node_tables import tables_on
from otcondense.errors import InputError
from otcondense.store import Store
from tests.generators.latents import SCALE, SHIFT, image_rows, write_subset, write_text


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path))


def config(**settings):
    return TrainingConfig(**{"data": "latents", "flip": True, "global_batch_size": 8, **settings})


def test_latents_are_drawn_from_the_posterior(store):
    inputs = write_subset(store)
    data = load_inputs(store, inputs, config(), "cpu")
    assert latent_shape(store, inputs) == data.source.image_shape == (4, 4, 4)
    batch = make_batch(config(), 3, data)
    draws = batch.draws
    assert draws.flip.any()
    assert not draws.flip.all()
    chosen = [int(torch.nonzero(data.labels == label).flatten()[0]) for label in batch.labels]
    assert len(chosen) == 8
    where = {
        mean.numpy().tobytes(): (row, flip)
        for row in range(12)
        for flip, mean in enumerate(data.source.mean[row])
    }
    for x, noise, flip in zip(batch.x, draws.posterior, draws.flip, strict=True):
        fitting = [
            key
            for key, (row, orientation) in where.items()
            if torch.allclose(
                x,
                (
                    data.source.mean[row, orientation].float()
                    + data.source.std[row, orientation].float() * noise
                    - SHIFT
                )
                * SCALE,
                atol=1e-6,
            )
        ]
        assert [where[key][1] for key in fitting] == [int(flip)]


def test_the_posterior_has_noise_of_its_own(store):
    batch = make_batch(config(), 0, load_inputs(store, write_subset(store), config(), "cpu"))
    assert not torch.equal(batch.draws.posterior, batch.draws.noise)


@pytest.mark.parametrize("alignment", [None, {"depth": 1}])
def test_streamed_batches_are_those_from_memory(alignment, store):
    inputs = write_subset(store)
    resident, streamed = (
        load_inputs(store, inputs, config(resident_gb=limit, alignment=alignment), "cpu")
        for limit in (None, 0)
    )
    assert (resident.streamed, streamed.streamed) == (False, True)
    settings = config(alignment=alignment)
    with batches(
        lambda step: [make_batch(settings, step, streamed)], range(5), "cpu", ahead=True
    ) as take:
        for step in range(5):
            ahead = take()
            now = [make_batch(settings, step, resident)]
            assert len(list(tensors_of(ahead))) == (7 if alignment is None else 8)
            assert all(
                torch.equal(one, other)
                for one, other in zip(tensors_of(ahead), tensors_of(now), strict=True)
            )


def test_tokens_follow_their_image(store):
    inputs = write_subset(store)
    settings = config(alignment={"depth": 1})
    data = load_inputs(store, inputs, settings, "cpu")
    assert token_width(store, inputs) == 6
    batch = make_batch(settings, 0, data)
    for tokens, flip, label in zip(batch.tokens, batch.draws.flip, batch.labels, strict=True):
        fitting = [
            row for row in range(12) if torch.equal(data.tokens[row, int(flip)].float(), tokens)
        ]
        assert data.labels[fitting].tolist() == [int(label)]


def test_without_mirroring_one_orientation_is_read(store):
    assert load_inputs(store, write_subset(store), config(flip=False), "cpu").source.mean.shape == (
        12,
        1,
        4,
        4,
        4,
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda store: write_subset(
                store, rows=[*image_rows(), ("c1/new.png", "c1", 1, "f" * 64)]
            ),
            None,
        ),
        (
            lambda store: store.remove("latents/x/class_name=c1"),
            "class_name=c1.* is missing or damaged",
        ),
    ],
)
def test_missing_files(damage, message, store):
    inputs = write_subset(store)
    damage(store)
    if message is None:
        check_inputs(store, inputs, config())
        return
    with pytest.raises(InputError, match=message):
        check_inputs(store, inputs, config())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [*image_rows(), ("c1/new.png", "c1", 1, "f" * 64)],
            r"1 are missing, the first is c1/new.png",
        ),
        (
            [(*row[:3], "0" * 64) if row[0] == "c2/3.png" else row for row in image_rows()],
            "the first is c2/3.png",
        ),
    ],
)
def test_missing_or_changed_images_are_named(rows, message, store, tmp_path):
    write_subset(store)
    other = Store(str(tmp_path / "other"))
    inputs = write_subset(other, rows=rows)
    store.write_bytes("subset.parquet", other.read_bytes("subset.parquet"))
    for read in (check_inputs, lambda *arguments: load_inputs(*arguments, "cpu")):
        with pytest.raises(InputError, match=message):
            read(store, inputs, config())


@pytest.mark.parametrize(("patch", "message"), [(1, "each of the 16 patches .* found 4"), (2, "")])
def test_a_model_has_as_many_patches_as_tokens(patch, message, store):
    inputs = write_subset(store, latent_shape=(4, 4, 4), tokens=(4, 6))
    if not message:
        check_grid(store, inputs, patch, (4, 4, 4))
        return
    with pytest.raises(InputError, match=message):
        check_grid(store, inputs, patch, (4, 4, 4))


def test_text_is_masked_and_complete(store):
    inputs = write_subset(store)
    table = load_text(store, inputs, 3)
    assert table.shape == (3, 3, 5)
    assert not table[:, -1].any()
    assert table[:, :-1].all()
    with pytest.raises(InputError, match="classes 0 to 9, found 3 classes"):
        load_text(store, inputs, 10)


def test_identity_has_the_used_inputs_and_the_model_that_made_them(store):
    inputs = write_subset(store)
    found = inputs_identity(store, replace(inputs, tokens=""))
    assert found[:2] == ["latents/x", "w"]
    assert found[2] == inputs.text
    write_text(store, 3, (4, 5))
    assert inputs_identity(store, replace(inputs, tokens=""))[3] != found[3]
    assert inputs_identity(store, Inputs(manifest=inputs.manifest)) == []
    with pytest.raises(InputError, match=r"otcondense extract_text"):
        inputs_identity(store, replace(inputs, text="text/none.parquet"))


def test_fits():
    assert fits(10**9, "cpu", 1.0)
    assert not fits(10**9 + 1, "cpu", 1.0)
    assert not fits(free_bytes("cpu"), "cpu", None)


def test_a_table_in_a_file_keeps_its_values():
    def fill(tables):
        tables["room"].zero_()
        tables["room"][1, 0] = torch.arange(5)

    assert tables_on("cpu", {"room": (3, 2, 5)}, fill, streamed=True)["room"].sum() == 10


def test_an_error_in_the_thread_is_raised_by_take():
    def make(step):
        if step == 2:
            raise InputError("no third batch")
        return step

    with batches(make, range(10), "cpu", ahead=True) as take:
        assert [take(), take()] == [0, 1]
        with pytest.raises(InputError, match="no third batch"):
            take()


def test_leaving_early_stops_the_thread():
    made = itertools.count()
    with batches(lambda _: next(made), range(10**9), "cpu", ahead=True) as take:
        assert take() == 0
    count = next(made)
    assert next(made) == count + 1


def test_pixels_have_no_posterior(digits, tiny_config):
    assert make_batch(tiny_config(), 0, digits).draws.posterior is None
    assert isinstance(digits, TrainingSet)
    assert not isinstance(digits.source, Moments)
