"""Letters: common and rare fonts, and outliers (noise, another letter, one upside down)."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from benchmarks.outliers.pools import COMMON, OUTLIER, RARE, Pool, margins_of, probed
from otcondense.datasets import (
    ImageRecord,
    SourceConfig,
    decode_image,
    list_images,
    read_image_bytes,
    scan_images,
)
from otcondense.datasets.glyphs import GlyphConfig, write_glyphs
from otcondense.encoders import (
    EncoderConfig,
    EncoderOutput,
    TrainEncoderConfig,
    load_encoder,
    train_encoder,
)

KINDS = {"head": COMMON, "tail": RARE, "outlier": OUTLIER}
"""What the first part of an image's name says."""
MOST_PIXELS = 2**20

Encode = Callable[[UInt8[Tensor, "n k h w"]], EncoderOutput]


@dataclass(frozen=True)
class Letters:
    """Letters; every repeat draws its own.

    The judge, and one of the encoders, are small networks that are trained on the images to choose
    from, outliers included.
    """

    config: GlyphConfig
    foreign: Encode | None
    """A network that never saw letters as classes, as the second encoder."""
    foreign_name: str = "lite0"
    name: str = "letters"

    def draw(self, repeat: int) -> list[Pool]:
        """Return the pools of one repeat, one for each encoder."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "glyphs"
            write_glyphs(root, replace(self.config, seed=repeat))
            train, held_out = _records(root / "train"), _records(root / "held_out")
            pictures, unseen = _pictures(train), _pictures(held_out)
            classes = len(self.config.letters)
            chooser = _trained(root, "test_resnet", 2 * repeat, classes)(pictures)
            judge = _trained(root, "test_convnext", 2 * repeat + 1, classes)
            judged, reference = judge(pictures).features, judge(unseen).features
        labels = np.array([record.class_index for record in train])
        features = chooser.features.numpy()
        assert chooser.logits is not None
        pool = Pool(
            self.name,
            "trained on the letters",
            _kinds(train),
            labels,
            features,
            chooser.logits.numpy(),
            margins_of(features, labels),
            judged.numpy(),
            _kinds(held_out),
            reference.numpy(),
        )
        return [pool] if self.foreign is None else [pool, self._seen_by_foreign(pool, pictures)]

    def _seen_by_foreign(self, pool: Pool, pictures: UInt8[Tensor, "n 1 h w"]) -> Pool:
        assert self.foreign is not None
        features: Float32[np.ndarray, "n d"] = self.foreign(pictures).features.numpy()
        return replace(
            pool,
            encoder=self.foreign_name,
            features=features,
            logits=probed(features, pool.labels),
            margins=margins_of(features, pool.labels),
        )


def _records(folder: Path) -> Sequence[ImageRecord]:
    return list_images(SourceConfig(path=str(folder)))


def _kinds(records: Sequence[ImageRecord]) -> np.ndarray:
    return np.array([KINDS[Path(record.path).name.split("-")[0]] for record in records])


def _pictures(records: Sequence[ImageRecord]) -> UInt8[Tensor, "n 1 h w"]:
    pictures = []
    for record in records:
        image = decode_image(read_image_bytes(record.path), channels=1, max_pixels=MOST_PIXELS)
        pictures.append(np.asarray(image)[None])
    return torch.from_numpy(np.stack(pictures))


def _trained(root: Path, name: str, seed: int, classes: int) -> Encode:
    """Train a small network on the letters to choose from, outliers included."""
    config = EncoderConfig(
        name=name,
        weights=str(root.parent / f"{name}.safetensors"),
        train=TrainEncoderConfig(epochs=6, seed=seed),
        image_size=32,
        in_chans=1,
        crop_pct=1.0,
        num_classes=classes,
        device="cpu",
        batch_size=64,
    )
    train_encoder(scan_images(SourceConfig(path=str(root / "train"))), config)
    return load_encoder(config).encode_pixels
