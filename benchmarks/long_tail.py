"""What each method chooses where tail and outliers are known: letters in common fonts, in rare fonts, and noise. No model is trained on the choice.

`python -m benchmarks.long_tail [--quick]`
"""

import argparse
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int

from benchmarks.harness import finish
from otcondense.datasets import (
    ImageRecord,
    SourceConfig,
    decode_image,
    list_images,
    read_image_bytes,
)
from otcondense.datasets.glyphs import GlyphConfig, write_glyphs
from otcondense.encoders import (
    EncoderConfig,
    TrainEncoderConfig,
    cross_entropy,
    load_encoder,
    train_encoder,
)
from otcondense.encoders.margins import MarginConfig, area_under_margin
from otcondense.evaluation import density_coverage
from otcondense.selection import SELECTORS

METHODS = (
    "geometry_aware",
    "random",
    "herding",
    "k_center",
    "ccs",
    "dq",
    "k_means",
    "k_medoids",
    "nearest_mean",
)
NAMES = {
    "kappa 1": ("geometry_aware", {"kappa": 1.0}),
    "kappa 1.2": ("geometry_aware", {"kappa": 1.2}),
    **{m: (m, {}) for m in METHODS},
}
BUDGETS = (10, 40)


@dataclass(frozen=True)
class Images:
    """A split with what a network says of it."""

    kinds: np.ndarray
    """head, tail or outlier."""
    labels: Int[np.ndarray, " n"]
    features: Float32[np.ndarray, "n d"]
    logits: Float32[np.ndarray, "n c"]


def network(root: Path, name: str, seed: int, classes: int) -> EncoderConfig:
    """Train a small network on the letters, outliers and all."""
    weights = str(root / f"{name}.safetensors")
    shape = {
        "image_size": 32,
        "in_chans": 1,
        "crop_pct": 1.0,
        "num_classes": classes,
        "device": "cpu",
        "batch_size": 64,
    }
    config = EncoderConfig(
        name=name, weights=weights, train=TrainEncoderConfig(epochs=6, seed=seed), **shape
    )
    train_encoder(list_images(SourceConfig(path=str(root / "glyphs/train"))), config)
    return config


def encoded(records: list[ImageRecord], config: EncoderConfig) -> Images:
    """Return features, logits and kinds of all images."""
    encoder = load_encoder(config)
    pictures = [
        np.asarray(decode_image(read_image_bytes(record.path), channels=1, max_pixels=2**20))[None]
        for record in records
    ]
    output = encoder.encode_pixels(torch.from_numpy(np.stack(pictures)))
    assert output.logits is not None
    kinds = np.array([Path(record.path).name.split("-")[0] for record in records])
    labels = np.array([record.class_index for record in records])
    return Images(kinds, labels, output.features.numpy(), output.logits.numpy())


def choose(
    name: str, budget: int, train: Images, margins: Float[np.ndarray, " n"]
) -> Int[np.ndarray, " k"]:
    """Return the rows that a method chooses from all classes."""
    method, settings = NAMES[name]
    losses = cross_entropy(torch.from_numpy(train.logits), torch.from_numpy(train.labels)).numpy()
    chosen = []
    for label in np.unique(train.labels):
        rows = np.flatnonzero(train.labels == label)
        selector = SELECTORS[method](budget=budget, seed=int(label), **settings)
        selector.fit(
            train.features[rows],
            cross_entropy=losses[rows],
            logits=train.logits[rows],
            difficulty=margins[rows],
        )
        chosen.append(rows[selector.indices_])
    return np.concatenate(chosen)


def main() -> None:
    """Choose by every method, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute: five letters")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    config = GlyphConfig(letters="ABCDE") if quick else GlyphConfig()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_glyphs(root / "glyphs", config)
        splits = [
            list_images(SourceConfig(path=str(root / f"glyphs/{split}")))
            for split in ("train", "held_out")
        ]
        chooser, judge = (
            network(root, name, seed, len(config.letters))
            for name, seed in (("test_resnet", 0), ("test_convnext", 1))
        )
        train = encoded(splits[0], chooser)
        seen, unseen = (encoded(records, judge) for records in splits)
    features, labels = torch.from_numpy(train.features), torch.from_numpy(train.labels)
    margins = area_under_margin(features, labels, len(config.letters), MarginConfig()).numpy()
    table: dict[str, list[str]] = defaultdict(list)
    for budget in BUDGETS:
        for name in NAMES:
            rows = choose(name, budget, train, margins)
            shares = {kind: count / len(rows) for kind, count in Counter(train.kinds[rows]).items()}
            covered = density_coverage(seen.features[rows], unseen.features, 3).coverage
            key = f"{name.replace(' ', '_')}_k{budget}"
            found = {
                "outliers": shares.get("outlier", 0.0),
                "tail": shares.get("tail", 0.0),
                "coverage": covered,
            }
            figures |= {f"{key}_{part}": value for part, value in found.items()}
            table[name].append("".join(f"{value:>10.3f}" for value in found.values()))
    print(
        f"{'':<16}"
        + "".join(
            f"{f'{part} k{budget}':>10}"
            for budget in BUDGETS
            for part in ("outl.", "tail", "cover")
        )
    )
    for name, cells in table.items():
        print(f"{name:<16}" + "".join(cells))
    figures |= {"share_of_outliers": config.outlier_share, "share_of_tail": config.tail_share}
    bounds = {
        f"geometry_aware_k{budget}_outliers": {"at_most": config.outlier_share}
        for budget in BUDGETS
    }
    if not finish("long_tail", figures, bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
