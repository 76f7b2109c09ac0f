"""The denoising loss of a model on images it was not trained on, which shows memorisation.

Training loss falls all the time. The loss on held-out images falls with it at first, and turns up
once the model begins to memorise (arXiv:2505.16959).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from otcondense.diffusion.model import Transformer
from otcondense.diffusion.objectives import load_objective
from otcondense.diffusion.random_streams import LOSS, generator, moved
from otcondense.diffusion.text import CaptionEmbedder
from otcondense.store import Store
from otcondense.store.images import read_images, to_unit_range

LOSS_TIMESTEPS = 8
"""Timesteps of each image, one in each of as many equal parts of the way: most of the noise of the
loss comes from the timestep."""
LOSS_IMAGES = 1000
"""Most images of one loss; with 8 timesteps each, its standard error is about 1 % of it."""
LOSS_SEED = 2020
"""Seed of noise and timesteps: the same everywhere, so that all losses can be compared."""
LOSS_BATCH = 64
"""Images of one forward pass."""


@dataclass(frozen=True)
class LossImages:
    """The images of a loss."""

    images: UInt8[Tensor, "n c h w"]
    labels: Int[Tensor, " n"]
    places: Int[Tensor, " n"]
    """Index of each image, which decides its noise and its timesteps."""

    @classmethod
    def spread(
        cls, images: UInt8[Tensor, "n c h w"], labels: Int[Tensor, " n"], classes: tuple[int, ...]
    ) -> "LossImages":
        """Return at most `LOSS_IMAGES` images, evenly spread over those of some classes.

        Args:
            images: a set in its own order.
            labels: class of each.
            classes: classes that the model was trained on; empty takes all.
        """
        known = torch.arange(len(labels))
        if classes:
            known = torch.isin(labels, torch.tensor(classes)).nonzero()[:, 0]
        places = known[torch.from_numpy(evenly(len(known), LOSS_IMAGES))]
        return cls(images[places], labels[places], places)

    def __len__(self) -> int:
        return len(self.labels)


def read_loss_images(store: Store, name: str, classes: tuple[int, ...]) -> LossImages:
    """Return the images of a loss from a file of pixels.

    Args:
        store: the run.
        name: of the file.
        classes: classes that the model was trained on; empty takes all.

    Raises: InputError if the file is missing or damaged.
    """
    images, labels = read_images(store, name)
    return LossImages.spread(torch.from_numpy(images), torch.from_numpy(labels), classes)


def evenly(count: int, limit: int) -> Int[np.ndarray, " k"]:
    """Return at most `limit` rows, evenly spread over `count` rows, in rising order."""
    if count <= limit:
        return np.arange(count)
    return np.linspace(0, count - 1, limit).round().astype(np.int64)


@torch.inference_mode()
def mean_denoising_error(
    model: Transformer, objective: str, data: LossImages, seed: int = LOSS_SEED
) -> float:
    """Return the mean squared error of the model's prediction, over images and timesteps.

    DiT predicts the noise, SiT the velocity; no label is dropped. Noise and timesteps of an image
    are a function of the seed and its index, so that models are compared on equal draws. Held-out
    images have no captions: a model of captions is measured without class and caption, as
    `label_drop` trained it.

    Args:
        model: frozen model of pixels, on the device to compute on.
        objective: name in `OBJECTIVES` of the objective it was trained with.
        data: at least one image.
        seed: of noise and timesteps.
    """
    assert len(data) > 0, "a loss needs images"
    trained_with = load_objective(objective)
    device = model.pos_embed.device
    total = 0.0
    for rows in torch.split(torch.arange(len(data)), LOSS_BATCH):
        noise, uniform = _draws(data.places[rows], model.image_shape, seed)
        x = moved(to_unit_range(data.images[rows]), device)
        known = data.labels[rows]
        if isinstance(model.text_embedder, CaptionEmbedder):
            known = torch.full_like(known, model.num_classes)
        labels = moved(known, device)
        for part in range(LOSS_TIMESTEPS):
            errors = trained_with.denoising_errors(
                model, x, moved(noise[:, part], device), moved(uniform[:, part], device), labels
            )
            total += float(errors.double().sum())
    return total / (len(data) * LOSS_TIMESTEPS)


def _draws(
    places: Int[Tensor, " b"], shape: tuple[int, int, int], seed: int
) -> tuple[Float[Tensor, "b t c h w"], Float[Tensor, "b t"]]:
    """Return the noise of each image at each timestep, and the draws in [0, 1) of the timesteps."""
    noise = []
    uniform = []
    for place in places.tolist():
        source = generator(seed, LOSS, place)
        noise.append(torch.randn(LOSS_TIMESTEPS, *shape, generator=source))
        uniform.append(torch.rand(LOSS_TIMESTEPS, generator=source))
    parts = torch.arange(LOSS_TIMESTEPS)
    return torch.stack(noise), (parts + torch.stack(uniform)) / LOSS_TIMESTEPS
