"""The choices of each method where tail and outliers are known.

The images are letters in common fonts, letters in rare fonts, and noise. No model is trained on the
chosen images.

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
    scan_images,
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
NAMES: dict[str, tuple[str, dict[str, float]]] = {
    "kappa 1": ("geometry_aware", {"kappa": 1.0}),
    "kappa 1.2": ("geometry_aware", {"kappa": 1.2}),
    **{method: (method, {}) for method in METHODS},
}
"""Method and parameters of each row of the table."""
BUDGETS = (10, 40)
MEASURES = ("outliers", "tail", "coverage")
NEIGHBOURS = 3
"""Nearest neighbours of the coverage."""


@dataclass(frozen=True)
class Images:
    """A split, with the output of a network."""

    kinds: np.ndarray
    """head, tail or outlier."""
    labels: Int[np.ndarray, " n"]
    features: Float32[np.ndarray, "n d"]
    logits: Float32[np.ndarray, "n c"]


@dataclass(frozen=True)
class Pool:
    """The images to choose from and the images to judge by, each seen by its own network."""

    train: Images
    """Training images, as the chooser sees them."""
    margins: Float[np.ndarray, " n"]
    """Area under the margin of each training image."""
    seen: Images
    """Training images, as the judge sees them."""
    unseen: Images
    """Held-out images, as the judge sees them."""


def network(root: Path, name: str, seed: int, classes: int) -> EncoderConfig:
    """Train a small network on the letters, including the outliers."""
    config = EncoderConfig(
        name=name,
        weights=str(root / f"{name}.safetensors"),
        train=TrainEncoderConfig(epochs=6, seed=seed),
        image_size=32,
        in_chans=1,
        crop_pct=1.0,
        num_classes=classes,
        device="cpu",
        batch_size=64,
    )
    train_encoder(scan_images(SourceConfig(path=str(root / "glyphs/train"))), config)
    return config


def encoded(records: list[ImageRecord], config: EncoderConfig) -> Images:
    """Return features, logits and kinds of all images."""
    encoder = load_encoder(config)
    pictures = []
    for record in records:
        image = decode_image(read_image_bytes(record.path), channels=1, max_pixels=2**20)
        pictures.append(np.asarray(image)[None])
    output = encoder.encode_pixels(torch.from_numpy(np.stack(pictures)))
    assert output.logits is not None
    kinds = np.array([Path(record.path).name.split("-")[0] for record in records])
    labels = np.array([record.class_index for record in records])
    return Images(kinds, labels, output.features.numpy(), output.logits.numpy())


def choose(name: str, budget: int, pool: Pool) -> Int[np.ndarray, " k"]:
    """Return the rows that a method chooses from all classes."""
    method, settings = NAMES[name]
    train = pool.train
    losses = cross_entropy(torch.from_numpy(train.logits), torch.from_numpy(train.labels)).numpy()
    chosen = []
    for label in np.unique(train.labels):
        rows = np.flatnonzero(train.labels == label)
        selector = SELECTORS[method](budget=budget, seed=int(label), **settings)
        selector.fit(
            train.features[rows],
            cross_entropy=losses[rows],
            logits=train.logits[rows],
            difficulty=pool.margins[rows],
        )
        chosen.append(rows[selector.indices_])
    return np.concatenate(chosen)


def make_pool(config: GlyphConfig) -> Pool:
    """Draw the letters, train the two networks, and encode the images."""
    classes = len(config.letters)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_glyphs(root / "glyphs", config)
        train_records = list_images(SourceConfig(path=str(root / "glyphs/train")))
        held_out_records = list_images(SourceConfig(path=str(root / "glyphs/held_out")))
        chooser = network(root, "test_resnet", 0, classes)
        judge = network(root, "test_convnext", 1, classes)
        train = encoded(train_records, chooser)
        seen = encoded(train_records, judge)
        unseen = encoded(held_out_records, judge)
    features = torch.from_numpy(train.features)
    labels = torch.from_numpy(train.labels)
    margins = area_under_margin(features, labels, classes, MarginConfig()).numpy()
    return Pool(train, margins, seen, unseen)


def measure(name: str, budget: int, pool: Pool) -> dict[str, float]:
    """Choose with one method; return the shares of outliers and tail, and the coverage."""
    rows = choose(name, budget, pool)
    counts = Counter(pool.train.kinds[rows])
    coverage = density_coverage(pool.seen.features[rows], pool.unseen.features, NEIGHBOURS).coverage
    return {
        "outliers": counts["outlier"] / len(rows),
        "tail": counts["tail"] / len(rows),
        "coverage": coverage,
    }


def print_table(table: dict[str, list[float]]) -> None:
    """Print one line per method, with all measures of each budget."""
    columns: list[str] = []
    for budget in BUDGETS:
        columns += [f"{part} k{budget}" for part in MEASURES]
    print(f"{'':<16}" + "".join(f"{column:>14}" for column in columns))
    for name, values in table.items():
        print(f"{name:<16}" + "".join(f"{value:>14.3f}" for value in values))


def main() -> None:
    """Choose with every method, print the table and check the bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute: five letters")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    config = GlyphConfig(letters="ABCDE") if quick else GlyphConfig()
    pool = make_pool(config)

    figures: dict[str, float] = {}
    table: dict[str, list[float]] = defaultdict(list)
    bounds = {}
    for budget in BUDGETS:
        for name in NAMES:
            found = measure(name, budget, pool)
            key = f"{name.replace(' ', '_')}_k{budget}"
            figures |= {f"{key}_{part}": value for part, value in found.items()}
            table[name] += found.values()
        bounds[f"geometry_aware_k{budget}_outliers"] = {"at_most": config.outlier_share}
    print_table(table)

    figures |= {"share_of_outliers": config.outlier_share, "share_of_tail": config.tail_share}
    if not finish("long_tail", figures, bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
