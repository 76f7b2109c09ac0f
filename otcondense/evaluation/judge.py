"""Measures images through networks in this process, with all metrics.

A `Judge` runs one network over `ImageSet`s. `sample_figures` returns the metrics of the registry
through a main judge and further judges.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import UInt8
from safetensors.torch import load, save
from torch import Tensor

from otcondense.evaluation.adm_files import AdmReference, read_reference
from otcondense.evaluation.encoding import EncodedImages, ImageEncoder, encode_images
from otcondense.evaluation.evaluation_config import EvaluationConfig
from otcondense.evaluation.judged import Figures, JudgedSets, judged_figures
from otcondense.store import Store, fingerprint, sha256_bytes


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images that can be read several times, one part at a time."""

    parts: Callable[[], Iterable[UInt8[Tensor, "_ c h w"]]]
    """Yields all images in their order."""

    @cached_property
    def sha256(self) -> str:
        """Digest of all pixels, their sizes and their order."""
        digest = hashlib.sha256()
        for part in self.parts():
            digest.update(f"{tuple(part.shape[1:])}".encode())
            digest.update(part.contiguous().numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class FeatureCache:
    """A directory of features, which later measurements of the same images use."""

    directory: str
    settings: Mapping[str, object] = field(default_factory=dict)
    """Settings of the network that change its features, such as the size it resizes images to."""

    def encode(self, images: ImageSet, network: ImageEncoder, batch_size: int) -> EncodedImages:
        """Return the features of a set: from the cache, or else computed and stored there.

        A cached file that is damaged is computed again.
        """
        content = [images.sha256, network.name, network.weights_sha256, batch_size]
        key = fingerprint([*content, dict(self.settings)])
        store = Store(self.directory)
        name = f"{key[:16]}.safetensors"
        kept = _undamaged(store, name)
        if kept is not None:
            tensors = load(kept)
            return EncodedImages(
                features=tensors["features"],
                logits=tensors.get("logits"),
                spatial=tensors.get("spatial"),
            )

        encoded = encode_images(images.parts(), network, batch_size)
        tensors = {part: value for part, value in vars(encoded).items() if value is not None}
        contiguous = {part: value.contiguous() for part, value in tensors.items()}
        data = save(contiguous)
        store.write_bytes(name, data)
        store.write_bytes(_digest_file(name), sha256_bytes(data).encode())
        return encoded


def _digest_file(name: str) -> str:
    return f"{name}.sha256"


def _undamaged(store: Store, name: str) -> bytes | None:
    """Return a cached file, None if it is missing or differs from its digest."""
    if not (store.exists(name) and store.exists(_digest_file(name))):
        return None
    data = store.read_bytes(name)
    return data if store.read_bytes(_digest_file(name)) == sha256_bytes(data).encode() else None


@dataclass(frozen=True)
class Judge:
    """One network that images are measured through."""

    network: ImageEncoder
    batch_size: int
    cache: FeatureCache | None = None
    _kept: dict[ImageSet, EncodedImages] = field(default_factory=dict, init=False, repr=False)

    def encode(self, images: ImageSet) -> EncodedImages:
        """Return the features of a set; its images are never in memory as a whole."""
        if self.cache is None:
            return encode_images(images.parts(), self.network, self.batch_size)
        return self.cache.encode(images, self.network, self.batch_size)

    def encode_once(self, images: ImageSet) -> EncodedImages:
        """Return the features of a set, and keep them for the next call."""
        if images not in self._kept:
            self._kept[images] = self.encode(images)
        return self._kept[images]


@dataclass(frozen=True)
class Reference:
    """ADM's reference: statistics, and images for precision and recall."""

    statistics: AdmReference
    images: ImageSet

    @classmethod
    def read(cls, path: str) -> "Reference":
        """Read the statistics of a reference file.

        Raises: InputError if the file is missing or damaged.
        """
        statistics = read_reference(path)
        return cls(statistics, ImageSet(statistics.images))

    @property
    def sha256(self) -> str:
        """Digest of the statistics."""
        pool = self.statistics.pool
        return sha256_bytes(pool.mean.numpy().tobytes() + pool.covariance.numpy().tobytes())


@dataclass(frozen=True)
class Comparison:
    """The sets that samples are compared with; None skips their metrics."""

    held_out: ImageSet | None
    training: ImageSet | None = None
    """Images that the model was trained on."""
    reference: Reference | None = None


def sample_figures(
    samples: ImageSet,
    against: Comparison,
    judge: Judge,
    further: Mapping[str, Judge],
    config: EvaluationConfig,
    device: torch.device | None = None,
) -> Figures:
    """Return all metrics of samples; each image passes each network once.

    Args:
        samples: generated images.
        against: the sets that they are compared with.
        judge: the main network; Inception if there is a reference.
        further: further networks by name.
        config: settings of the metrics.
        device: where the metrics are computed; None is the CPU.

    Raises: InputError for too few or unreadable images.
    """
    place = device or torch.device("cpu")
    main = JudgedSets(
        network=judge.network,
        samples=judge.encode(samples),
        held_out=_encoded(judge, against.held_out),
        training=_encoded(judge, against.training) if against.held_out is not None else None,
        reference=None
        if against.reference is None
        else judge.encode_once(against.reference.images),
    )
    others = {}
    if against.held_out is not None:
        others = {name: _sets(other, samples, against.held_out) for name, other in further.items()}
    statistics = None if against.reference is None else against.reference.statistics
    moved = {name: each.to(place) for name, each in others.items()}
    return judged_figures(main.to(place), moved, statistics, config)


def _encoded(judge: Judge, images: ImageSet | None) -> EncodedImages | None:
    return None if images is None else judge.encode_once(images)


def _sets(judge: Judge, samples: ImageSet, held_out: ImageSet) -> JudgedSets:
    return JudgedSets(judge.network, judge.encode(samples), judge.encode_once(held_out))
