"""What a training needs before its first step: the chosen images as pixels, and its job."""

from functools import partial

from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.datasets.images import load_images, manifest_images
from otcondense.diffusion import TrainingConfig
from otcondense.diffusion.inputs import Inputs, inputs_identity, latent_shape
from otcondense.diffusion.train_job import TrainJob
from otcondense.store import fingerprint, read_fingerprint, read_manifest, stored_metadata
from otcondense.store.images import write_images


def write_training_images(run: Run, method: str) -> None:
    """Write the chosen images as pixels, unless they are up to date."""
    name = run.images_file(method)
    shape = run.config.pixels.shape
    expected = fingerprint([run.manifest_fingerprint(method), shape])
    if read_fingerprint(run.store, name) != expected:
        manifest = read_manifest(run.store, run.manifest(method))
        wanted = manifest_images(manifest, run.config.source, partial(run_listing, run))
        loaded = load_images(wanted, run.config.source, shape)
        write_images(run.store, name, loaded.images, loaded.labels, fingerprint=expected)


def training_inputs(run: Run, config: TrainingConfig, method: str) -> Inputs:
    """Return the places of the latents, tokens and text of a training; "" if they are not used."""
    latents = ""
    autoencoder = ""
    if config.data == "latents":
        latents = run.representation_directory("latents", run.config.latents)
        autoencoder = run.config.latents.model

    tokens = ""
    if config.alignment is not None:
        tokens = run.representation_directory("tokens", run.config.tokens)

    return Inputs(
        manifest=run.manifest(method),
        latents=latents,
        tokens=tokens,
        text=run.text_file() if config.text else "",
        autoencoder=autoencoder,
    )


def training_fingerprint(run: Run, config: TrainingConfig, method: str) -> str:
    """Return the fingerprint of a training run: of its images and of its configuration.

    Latents, tokens and text enter by the model that made them.
    """
    made_from = inputs_identity(run.store, training_inputs(run, config, method))
    if config.data == "latents":
        return fingerprint([run.manifest_fingerprint(method), config.identity(), made_from])

    metadata = stored_metadata(run.store, run.images_file(method))
    assert metadata is not None, "the training images are written first"
    key = [metadata["content"], config.identity()]
    if made_from:
        key.append(made_from)
    if config.weighting == "manifest":
        key.append(run.manifest_fingerprint(method))
    return fingerprint(key)


def training_job(run: Run, name: str, method: str, num_classes: int) -> TrainJob:
    """Return the training of one model on one subset.

    Raises: InputError if latents are needed and missing.
    """
    config = run.config.models[name].training
    inputs = training_inputs(run, config, method)
    images_name = ""
    if config.data == "latents":
        shape = latent_shape(run.store, inputs)
    else:
        shape = run.config.pixels.shape
        images_name = run.images_file(method)

    return TrainJob(
        store_root=run.store.root,
        directory=run.training_directory(name, method),
        images_name=images_name,
        config=config,
        num_classes=num_classes,
        image_shape=shape,
        fingerprint=training_fingerprint(run, config, method),
        inputs=inputs,
        classes=run.chosen_classes(method),
        held_out_name=_held_out_name(run, config),
    )


def _held_out_name(run: Run, config: TrainingConfig) -> str:
    """Return the file of the held-out images for the loss that chooses checkpoints; "" if none."""
    name = run.held_out_pixels_file()
    is_used = config.keep_best == "held_out_loss" and run.store.exists(name)
    return name if is_used else ""
