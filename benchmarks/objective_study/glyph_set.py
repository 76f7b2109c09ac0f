"""Letters as a set of the study, seen by networks that were trained on other letters.

`python -m benchmarks.objective_study.glyph_set FOLDER` writes glyph_features.npz and
glyph_judges.npz, in some five minutes.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int, UInt8

from otcondense.datasets import (
    SourceConfig,
    decode_image,
    list_images,
    read_image_bytes,
    scan_images,
)
from otcondense.datasets.glyphs import GlyphConfig, write_glyphs
from otcondense.encoders import EncoderConfig, TrainEncoderConfig, load_encoder, train_encoder

CHOSEN_FROM = GlyphConfig(letters="ABCDEFGHIJ", train_images=1000, held_out_images=300)
CHOOSER = GlyphConfig(letters="KLMNOPQR", seed=1)
JUDGE = GlyphConfig(letters="STUVWXYZ", seed=2)
POOLING = 2
"""Side of the squares of pixels that are averaged."""


def trained(folder: Path, name: str, config: GlyphConfig) -> EncoderConfig:
    """Return a network that was trained on letters."""
    root = folder / name
    write_glyphs(root, config)
    encoder = EncoderConfig(
        name=name,
        weights=str(folder / f"{name}.safetensors"),
        train=TrainEncoderConfig(epochs=6, seed=config.seed),
        image_size=config.size,
        in_chans=1,
        crop_pct=1.0,
        num_classes=len(config.letters),
        device="cpu",
        batch_size=64,
    )
    train_encoder(scan_images(SourceConfig(path=str(root / "train"))), encoder)
    return encoder


def pictures(folder: Path) -> tuple[UInt8[np.ndarray, "n 1 h w"], Int[np.ndarray, " n"]]:
    """Return the images of a folder and their classes."""
    records = list_images(SourceConfig(path=str(folder)))
    images = [
        np.asarray(decode_image(read_image_bytes(each.path), channels=1, max_pixels=2**20))[None]
        for each in records
    ]
    return np.stack(images), np.array([each.class_index for each in records])


def encoded(images: UInt8[np.ndarray, "n 1 h w"], config: EncoderConfig) -> np.ndarray:
    """Return the features of images, float32 [n, d]."""
    features: Float32[np.ndarray, "n d"] = (
        load_encoder(config).encode_pixels(torch.from_numpy(images)).features.numpy()
    )
    return features


def pixels(images: UInt8[np.ndarray, "n 1 h w"]) -> Float32[np.ndarray, "n p"]:
    """Return averages of squares of pixels."""
    pooled = torch.nn.functional.avg_pool2d(torch.from_numpy(images).float(), POOLING)
    return pooled.flatten(1).numpy()


def main() -> None:
    """Draw the letters, train the networks, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    target = parser.parse_args().folder
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_glyphs(folder / "set", CHOSEN_FROM)
        chooser = trained(folder, "test_resnet", CHOOSER)
        judge = trained(folder, "test_convnext", JUDGE)
        source, labels = pictures(folder / "set/train")
        held, held_labels = pictures(folder / "set/held_out")
        target.mkdir(parents=True, exist_ok=True)
        features = encoded(source, chooser)
        np.savez(target / "glyph_features.npz", features=features, labels=labels)
        np.savez(
            target / "glyph_judges.npz",
            held_labels=held_labels,
            source_network=encoded(source, judge),
            held_network=encoded(held, judge),
            source_pixels=pixels(source),
            held_pixels=pixels(held),
        )


if __name__ == "__main__":
    main()
