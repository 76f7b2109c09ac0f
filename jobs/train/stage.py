"""Train every configured model on its subsets with Ray Train: `otcondense train`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from jobs.cluster.side_by_side import side_by_side
from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.command.wording import EARLIER
from jobs.judging.loss_images import write_held_out_pixels
from jobs.judging.run_images import HeldOutImages
from jobs.run_directory.bars import Bar, training_bar
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from jobs.train.job import TrainJob
from jobs.train.launch import restore_summaries
from jobs.train.launch import train as run_training
from jobs.train.placement import Placement, plan_trainings
from jobs.train.resume import next_start
from otcondense.datasets.images import load_images, manifest_images
from otcondense.diffusion import TrainingConfig
from otcondense.diffusion.inputs import Inputs, inputs_identity, latent_shape
from otcondense.store import fingerprint, read_fingerprint, read_manifest, stored_metadata
from otcondense.store.images import write_images


@dataclass(frozen=True)
class _Training:
    """One model on one of its subsets."""

    model: str
    method: str
    job: TrainJob

    @property
    def is_here(self) -> bool:
        """Whether this process trains, without workers."""
        return self.job.config.num_workers == 0

    @property
    def bar(self) -> Bar:
        """Its progress."""
        return training_bar(self.model, self.method)


def train(run: Run) -> None:
    """Train each model on each of its subsets."""
    still_open = []
    for training in _trainings(run):
        if training.job.missing_steps():
            still_open.append(training)
        else:
            _note_finished(run, training)
    _train(run, still_open)


def _trainings(run: Run) -> Iterator[_Training]:
    """Yield every training, with its images written."""
    num_classes = len(run_listing(run).classes)
    if any(model.training.keep_best == "held_out_loss" for model in run.config.models.values()):
        write_held_out_pixels(run, HeldOutImages(run))
    for model, method in run.trainings():
        if run.config.models[model].training.data == "pixels":
            write_training_images(run, method)
        yield _Training(model, method, training_job(run, model, method, num_classes))


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


def _train(run: Run, trainings: Sequence[_Training]) -> None:
    """Train in this process, or by workers: side by side as far as the cluster has room."""
    calls = [partial(_fit, run, each, None) for each in trainings if each.is_here]
    side_by_side(calls, at_once=1)
    by_workers = [each for each in trainings if not each.is_here]
    if not by_workers:
        return

    start_ray()
    plan = plan_trainings([each.job.config for each in by_workers], run.config.cluster)
    calls = [
        partial(_fit, run, each, placement)
        for each, placement in zip(by_workers, plan.placements, strict=True)
    ]
    side_by_side(calls, plan.at_once)


def _fit(run: Run, training: _Training, placement: Placement | None) -> None:
    config = training.job.config
    with Progress(run.store, *training.bar) as progress:
        progress.show(next_start(training.job), config.num_steps)
        result = run_training(
            training.job,
            lambda line: progress.show(line.step, config.num_steps, loss=line.loss),
            placement,
        )
    workers = "" if placement is None else f", by {placement.words}"
    start = f"resumed from step {result.resumed_from}" if result.resumed_from else "from the start"
    _note(training, f"{start}{workers}")


def _note_finished(run: Run, training: _Training) -> None:
    restore_summaries(training.job)
    with Progress(run.store, *training.bar) as progress:
        progress.show(training.job.config.num_steps, training.job.config.num_steps)
    _note(training, EARLIER)


def _note(training: _Training, ending: str) -> None:
    title = f"train {training.model} on {training.method}"
    note(title, f"{training.job.config.num_steps} steps, {ending}")
