"""The denoising losses of a checkpoint, from files in the run directory."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from jobs.command.progress import note
from jobs.judging.evaluation import Evaluation
from jobs.judging.loss_images import write_held_out_pixels
from jobs.judging.run_images import SampledImages
from jobs.run_directory.run import Run
from otcondense.diffusion.checkpoint import load_model
from otcondense.diffusion.checkpoint_state import STATE_FILE, checkpoint_directory
from otcondense.diffusion.held_out_loss import mean_denoising_error, read_loss_images
from otcondense.evaluation import DenoisingLosses
from otcondense.store import Store


@dataclass(frozen=True)
class LossFiles:
    """The files that the losses of one checkpoint are made from."""

    checkpoint: str
    """Directory of the checkpoint."""
    held_out: str
    """File of the held-out images."""
    chosen: str
    """File of the images that the model was trained on."""
    classes: tuple[int, ...]
    """Classes that the model was trained on."""

    def measure(self, store: Store, device: torch.device) -> DenoisingLosses | None:
        """Return the losses of the averaged weights; None without images of these classes.

        Raises: InputError if a file is missing or damaged.
        """
        sets = [
            read_loss_images(store, name, self.classes) for name in (self.held_out, self.chosen)
        ]
        if not all(len(each) for each in sets):
            return None
        model, checkpoint = load_model(store, self.checkpoint, device=str(device))
        objective = checkpoint.state.objective
        held_out, chosen = (mean_denoising_error(model, objective, each) for each in sets)
        return DenoisingLosses(held_out, chosen)


def loss_files(evaluation: Evaluation, samples: Sequence[SampledImages]) -> dict[str, LossFiles]:
    """Return the files of the losses by the directory of the samples; models of latents have none.

    Held-out images are written as pixels first.
    """
    pixels = [each for each in samples if _is_of_pixels(evaluation.run, each)]
    if len(pixels) < len(samples):
        note("evaluate", "models of latents have no held-out loss: held-out latents are not made")
    found = {each.directory: _files(evaluation.run, each) for each in pixels}
    complete = {name: files for name, files in found.items() if _is_there(evaluation.run, files)}
    if not complete or not write_held_out_pixels(evaluation.run, evaluation.held_out):
        return {}
    return complete


def _is_of_pixels(run: Run, samples: SampledImages) -> bool:
    return run.config.models[samples.model].training.data == "pixels"


def _files(run: Run, samples: SampledImages) -> LossFiles:
    training = run.training_directory(samples.model, samples.method)
    return LossFiles(
        checkpoint=checkpoint_directory(training, samples.step),
        held_out=run.held_out_pixels_file(),
        chosen=run.images_file(samples.method),
        classes=run.chosen_classes(samples.method),
    )


def _is_there(run: Run, files: LossFiles) -> bool:
    """Tell whether checkpoint and training images are still there; samples may outlive them."""
    names = (f"{files.checkpoint}/{STATE_FILE}", files.chosen)
    return all(run.store.exists(name) for name in names)
