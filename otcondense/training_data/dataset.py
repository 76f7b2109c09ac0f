"""A subset as a data set of PyTorch."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Float16
from torch import Tensor
from torch.utils.data import Dataset

from otcondense.datasets.wanted import read_wanted
from otcondense.diffusion.inputs import MOMENTS, Inputs, load_text
from otcondense.errors import InputError
from otcondense.representations.captions import EMBEDDING, read_no_caption
from otcondense.representations.text_config import class_names_file, no_caption_file
from otcondense.store import Store
from otcondense.training_data.stored import StoredArrays
from otcondense.training_data.subset import Subset, SubsetImage, run_subset

RGB = 3
"""Channels of a decoded image."""
HALF = 0.5
"""Share of the items that are mirrored."""


class SubsetDataset(Dataset[tuple[Any, ...]]):
    """The chosen images of a run, or their latents, with the labels of their classes.

    An item is `(image, label)`, as torchvision's `ImageFolder` gives it: the image as an upright
    RGB picture of Pillow, or what `transform` makes of it. The label is the index of the class
    among all classes of the source. With `latents=True` it is `(latent, label)`: a latent
    [channels, height, width] that is drawn from the posterior of the image with torch's random
    numbers, scaled as a diffusion model needs it. With `captions=True` the caption of the image
    comes third: `(image, label, caption)`.

    Nothing is open between two items, so that the workers of a `DataLoader` read for themselves.
    Images come from wherever the source is: a folder, tar, Parquet or Arrow files, a bucket.

    Examples:
        >>> from torch.utils.data import DataLoader, WeightedRandomSampler
        >>> from torchvision.transforms.v2.functional import pil_to_tensor
        >>> from otcondense.training_data import SubsetDataset
        >>> data = SubsetDataset("runs/demo", "geometry_aware", transform=pil_to_tensor)
        >>> sampler = WeightedRandomSampler(data.weights, len(data))
        >>> images, labels = next(iter(DataLoader(data, batch_size=4, sampler=sampler)))
        >>> images.shape[:2]
        torch.Size([4, 3])

    Args:
        run: run directory or its URI, or a subset from `exported_subset` or `manifest_subset`.
        method: name of the subset of a run.
        transform: takes the picture, or the latent; returns the first part of an item.
        latents: give latents of `otcondense extract_latents` in place of images.
        mirror: with latents, mirror half of the items at random. A transform mirrors images.
        check: whether to compare the SHA-256 of each image with that of the image that was chosen.
        captions: give the caption of each image, too.

    Raises: InputError if there is no such run or subset, the subset is not chosen yet, latents are
        missing, the images have no captions, or a package is missing that decodes images. An item
        raises it, too, if its image is missing, cannot be decoded or has changed.
    """

    def __init__(
        self,
        run: str | Path | Subset,
        method: str = "geometry_aware",
        *,
        transform: Callable[[Any], Any] | None = None,
        latents: bool = False,
        mirror: bool = False,
        check: bool = True,
        captions: bool = False,
    ) -> None:
        self.subset = run if isinstance(run, Subset) else run_subset(run, method)
        if captions:
            _refuse_without_captions(self.subset)
        self._captions = captions
        self.transform = transform
        self._mirror = mirror
        self._latents: StoredArrays | None = None
        if latents:
            self._latents = StoredArrays(self.subset, "latents", MOMENTS, mirrored=mirror)
            _ = self._latents.facts  # found now, or refused now
        else:
            _refuse_without_pillow()
        self._wanted = self.subset.wanted
        if not check:
            self._wanted = [replace(image, sha256=None) for image in self._wanted]

    def __len__(self) -> int:
        return len(self.subset.images)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        image = self.subset.images[index]
        item = self.picture(index) if self._latents is None else self._drawn(index)
        if self.transform is not None:
            item = self.transform(item)
        return (item, image.label, image.caption) if self._captions else (item, image.label)

    @property
    def images(self) -> list[SubsetImage]:
        """Id, class, weight and digest of each image."""
        return self.subset.images

    @property
    def classes(self) -> list[str]:
        """Names of all classes of the source by index; some may have no chosen image."""
        return self.subset.classes

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Index of each class by its name."""
        return {name: index for index, name in enumerate(self.classes)}

    @cached_property
    def targets(self) -> list[int]:
        """Label of each item."""
        return [image.label for image in self.images]

    @cached_property
    def weights(self) -> Float[Tensor, " n"]:
        """Weight of each item, float64: the share of its class that it represents, 1 on average.

        As the weights of a `WeightedRandomSampler` they draw each image as often as the images
        that it stands for would be drawn. In a loss they count it so.
        """
        return torch.tensor([image.weight for image in self.images], dtype=torch.float64)

    def picture(self, index: int) -> Any:
        """Return one image as an upright RGB picture of Pillow, without the transform.

        Raises: InputError if it is missing, has changed or cannot be decoded.
        """
        from otcondense.datasets.decoding import UnreadableImageError, decode_image

        image = self._wanted[index]
        limit = self.subset.source.max_pixels
        try:
            return decode_image(read_wanted(image), channels=RGB, max_pixels=limit)
        except UnreadableImageError as error:
            raise InputError(
                f"image {image.path} cannot be decoded ({error}); repair it or leave it out"
            ) from error

    def moments(
        self, index: int
    ) -> tuple[Float16[Tensor, "o c h w"], Float16[Tensor, "o c h w"] | None]:
        """Return mean and standard deviation of one image's latent, as the autoencoder gave them.

        The first row is of the image; with `mirror`, the second one is of its mirror image. An
        autoencoder without a posterior has no standard deviation: None.

        Raises: InputError if the data set has no latents, or those of this image are missing.
        """
        if self._latents is None:
            raise InputError("moments are of latents, found a data set of images; set latents=True")
        arrays = self._latents.arrays(index)
        std = torch.from_numpy(arrays["std"]) if "std" in arrays else None
        return torch.from_numpy(arrays["mean"]), std

    def _drawn(self, index: int) -> Float[Tensor, "c h w"]:
        """Return a latent drawn from the posterior of one image, as training draws it."""
        assert self._latents is not None
        mean, std = self.moments(index)
        row = int(torch.rand(()) < HALF) if self._mirror else 0
        latent = mean[row].float()
        if std is not None:
            latent = torch.addcmul(latent, std[row].float(), torch.randn(latent.shape))
        facts = self._latents.facts
        scaled: Tensor = (latent - facts["shift_factor"]) * facts["scaling_factor"]
        return scaled

    def tokens(self, index: int) -> Float16[Tensor, "o t d"]:
        """Return the patch tokens of one image from `otcondense extract_tokens`.

        The first row is of the image; with `mirror`, the second one is of its mirror image.

        Raises: InputError if there are none.
        """
        return torch.from_numpy(self._tokens.arrays(index)["tokens"])

    @cached_property
    def _tokens(self) -> StoredArrays:
        return StoredArrays(self.subset, "tokens", ("tokens",), mirrored=self._mirror)

    def text(self) -> Float16[Tensor, "rows t d"]:
        """Return the embeddings from `otcondense extract_text`, 0 at padding.

        Of class names there is a row for each class, of captions one for each item. Captions of
        many images take much memory; `caption` reads those of a class when it needs one.

        Raises: InputError if there are none.
        """
        store, directory = self._text_place()
        if store.exists(no_caption_file(directory)):
            return torch.stack([self.caption(index) for index in range(len(self))])
        file = class_names_file(directory)
        return load_text(store, Inputs(text=file), len(self.classes))

    def caption(self, index: int) -> Float16[Tensor, "t d"]:
        """Return the embedding of one image's caption, with `text.of=captions`, 0 at padding.

        Raises: InputError if there is none.
        """
        return torch.from_numpy(self._embeddings.arrays(index)[EMBEDDING][0])

    def no_caption(self) -> Float16[Tensor, "t d"]:
        """Return the embedding of no caption, which guidance leads away from.

        Raises: InputError if there is none.
        """
        store, directory = self._text_place()
        return torch.from_numpy(read_no_caption(store, no_caption_file(directory)))

    @cached_property
    def _embeddings(self) -> StoredArrays:
        return StoredArrays(self.subset, "text", (EMBEDDING,), mirrored=False)

    def _text_place(self) -> tuple[Store, str]:
        """Return the run, and the directory of its text embeddings."""
        origin = self.subset.origin
        if origin.store is None:
            raise InputError(
                f"text embeddings are in a run, found a subset that comes from {origin.name}"
            )
        return origin.store, origin.places["text"]


def _refuse_without_captions(subset: Subset) -> None:
    if any(image.caption is None for image in subset.images):
        raise InputError(
            f"captions need a source with captions (source.captions), found none in "
            f"{subset.origin.name}; leave out captions=True"
        )


def _refuse_without_pillow() -> None:
    if find_spec("PIL") is None:
        raise InputError(
            "images need the package pillow; install it: `python -m pip install pillow`"
        )
