"""Train every configured model on its subsets with Ray Train: `python -m jobs.train`."""

from jobs.cli import main
from jobs.progress import Progress, note
from jobs.ray_env import start_ray
from jobs.run_directory import Run
from jobs.train_loop import TrainJob
from jobs.training import train as run_training
from otcondense.datasets import scan_images
from otcondense.diffusion import TrainingConfig
from otcondense.diffusion.images import write_images
from otcondense.store import fingerprint, read_fingerprint, read_manifest, stored_metadata
from pipeline.images import load_images, manifest_images


def train(run: Run) -> None:
    """Train each model on each of its subsets, one run after another."""
    num_classes = len(scan_images(run.config.source).classes)
    for name, method in run.trainings():
        write_training_images(run, method)
        _train(run, name, method, num_classes)


def write_training_images(run: Run, method: str) -> None:
    """Write the chosen images as pixels, unless they are there."""
    name, shape = run.images_file(method), run.config.pixels.shape
    expected = fingerprint([run.manifest_fingerprint(method), shape])
    if read_fingerprint(run.store, name) != expected:
        wanted = manifest_images(read_manifest(run.store, run.manifest(method)), run.config.source)
        loaded = load_images(wanted, run.config.source, shape)
        write_images(run.store, name, loaded.images, loaded.labels, fingerprint=expected)


def training_fingerprint(run: Run, config: TrainingConfig, method: str) -> str:
    """Return the fingerprint of a training run: of its images' content and of its configuration."""
    metadata = stored_metadata(run.store, run.images_file(method))
    assert metadata is not None, "the training images are written first"
    return fingerprint([metadata["content"], config.identity()])


def _train(run: Run, name: str, method: str, num_classes: int) -> None:
    config, title = run.config.models[name].training, f"train {name} on {method}"
    job = TrainJob(
        store_root=run.store.root,
        directory=run.training_directory(name, method),
        images_name=run.images_file(method),
        config=config,
        num_classes=num_classes,
        image_shape=run.config.pixels.shape,
        fingerprint=training_fingerprint(run, config, method),
    )
    if not job.missing_steps():
        note(title, f"{config.num_steps} steps, finished before")
        return
    start_ray()
    with Progress(run.store, f"train-{name}-{method}", title, "step") as progress:
        progress.show(0, config.num_steps)
        result = run_training(job, lambda line: progress.show(line["step"], config.num_steps, loss=line["loss"]))
    note(title, f"{config.num_steps} steps, from step {result.resumed_from}")


if __name__ == "__main__":
    main("train", __doc__, train)
