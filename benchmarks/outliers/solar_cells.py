"""Photographs of solar cells (elpv-dataset): defects as a rare mode, and labels in doubt.

The images are CC-BY-NC-SA 4.0: they are read from the wheel that the user names, and nothing of
them is kept. Source: S. Deitsch et al., Automatic classification of defective photovoltaic module
cells in electroluminescence images, Solar Energy 185 (2019).
"""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, UInt8
from torch import Tensor

from benchmarks.outliers.pools import COMMON, OUTLIER, RARE, Pool, margins_of, probed
from otcondense.datasets.fast_decoding import decode_pixels
from otcondense.reading import check_size, open_regular

FOLDER = "elpv_dataset/data"
LABELS_BYTES = 2**20
"""Largest list of labels; it has 120,704 bytes."""
IMAGE_BYTES = 2**20
"""Largest image file; they have about 40 kB."""
MOST_PIXELS = 2**20
DEFECTIVE = 0.5
"""Probability of a defect above which an image counts as defective."""
RARE_SHARE = 0.05
"""Share of the images to choose from that are defective cells, in the set where they are rare."""
HELD_OUT_SHARE = 0.4

Encode = Callable[[UInt8[Tensor, "n 1 h w"]], Float32[Tensor, "n d"]]


@dataclass(frozen=True)
class SolarCells:
    """All cells, as the encoder and the judge see them."""

    probability: Float[np.ndarray, " n"]
    """Of a defect, as the experts see it: 0, 1/3, 2/3 or 1."""
    cell: Int[np.ndarray, " n"]
    """0 monocrystalline, 1 polycrystalline."""
    features: Float32[np.ndarray, "n d"]
    judged: Float32[np.ndarray, "n e"]


def read_cells(wheel: Path, encode: Encode, judge: Encode, count: int | None = None) -> SolarCells:
    """Return the cells of the wheel of elpv-dataset 1.0.0.post1, or `count` spread over them.

    Raises: RefusedFileError for parts that are too large, OSError or KeyError for another file.
    """
    with open_regular(wheel) as file, zipfile.ZipFile(file) as archive:
        lines = _part(archive, f"{FOLDER}/labels.csv", LABELS_BYTES).decode().splitlines()
        lines = lines[:: max(1, len(lines) // count)] if count else lines
        pictures = []
        for line in lines:
            data = _part(archive, f"{FOLDER}/{line.split()[0]}", IMAGE_BYTES)
            pictures.append(decode_pixels(data, channels=1, max_pixels=MOST_PIXELS))
    images = torch.stack(pictures)
    return SolarCells(
        np.array([float(line.split()[1]) for line in lines]),
        np.array([int(line.split()[2] == "poly") for line in lines]),
        encode(images).numpy(),
        judge(images).numpy(),
    )


def _part(archive: zipfile.ZipFile, name: str, allowed: int) -> bytes:
    check_size(name, archive.getinfo(name).file_size, allowed)
    return archive.read(name)


@dataclass(frozen=True)
class RareDefects:
    """Classes are the two kinds of cell; certain defects are rare, doubtful cells left out.

    Each repeat draws which cells are held out and which of the defects are left.
    """

    cells: SolarCells
    encoder: str
    images: int
    """Intact cells of each class to choose from, at most."""
    name: str = "solar cells, rare defects"

    def draw(self, repeat: int) -> list[Pool]:
        """Return the pool of one repeat."""
        generator = np.random.default_rng(repeat)
        probability = self.cells.probability
        source, held_out = _halves(len(probability), generator)
        cell = self.cells.cell
        parts = []
        for kind in np.unique(cell):
            of_kind = generator.permutation(source[cell[source] == kind])
            intact = of_kind[probability[of_kind] == 0][: self.images]
            defects = of_kind[probability[of_kind] == 1]
            parts += [intact, defects[: round(RARE_SHARE / (1 - RARE_SHARE) * len(intact))]]
        rows = np.sort(np.concatenate(parts))
        unseen = held_out[np.isin(probability[held_out], (0, 1))]
        kinds = np.where(probability == 1, RARE, COMMON)
        return [_pool(self, cell, kinds, rows, unseen)]


@dataclass(frozen=True)
class DoubtfulLabels:
    """Classes are intact and defective; the cells on which experts were unsure are in doubt.

    Each repeat draws which cells are held out; doubtful ones are not.
    """

    cells: SolarCells
    encoder: str
    images: int
    """Of each class to choose from, at most."""
    name: str = "solar cells, doubtful labels"

    def draw(self, repeat: int) -> list[Pool]:
        """Return the pool of one repeat."""
        generator = np.random.default_rng(repeat)
        probability = self.cells.probability
        source, held_out = _halves(len(probability), generator)
        is_certain = np.isin(probability, (0, 1))
        kinds = np.where(is_certain, COMMON, OUTLIER)
        labels = (probability > DEFECTIVE).astype(np.int64)
        parts = []
        for label in np.unique(labels):
            parts.append(generator.permutation(source[labels[source] == label])[: self.images])
        rows = np.sort(np.concatenate(parts))
        return [_pool(self, labels, kinds, rows, held_out[is_certain[held_out]])]


def _halves(
    count: int, generator: np.random.Generator
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " m"]]:
    """Return the sorted rows to choose from and those held out."""
    order = generator.permutation(count)
    held_out = round(HELD_OUT_SHARE * count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def _pool(
    cells: RareDefects | DoubtfulLabels,
    labels: Int[np.ndarray, " n"],
    kinds: np.ndarray,
    rows: Int[np.ndarray, " s"],
    unseen: Int[np.ndarray, " m"],
) -> Pool:
    features = cells.cells.features[rows]
    judged = cells.cells.judged
    return Pool(
        cells.name,
        cells.encoder,
        kinds[rows],
        labels[rows],
        features,
        probed(features, labels[rows]),
        margins_of(features, labels[rows]),
        judged[rows],
        kinds[unseen],
        judged[unseen],
    )
