"""The plan of the work on captions: files to write, and the pieces that workers take.

Both features of captions and the agreement of images with them follow the features of images, whose
files say which images of a class there are. Files and pieces depend on these alone, never on the
number of workers or on what an earlier start finished.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from otcondense.datasets import captions_of
from otcondense.store import Store, class_file, class_files, fingerprint, read_columns
from pipeline.fingerprints import content_of
from pipeline.shard_files import shard_file

PIECE_ROWS = 4096
"""Captions of a piece at most, unless one batch has more: it is what a killed worker loses. A core
reads them with the text network of CLIP-L/14 in about twenty minutes."""


@dataclass(frozen=True)
class Unit:
    """One file to write, of a class or a part of it."""

    name: str
    """Of the class."""
    number: int
    """Of the first of its feature files: that of the part, or 0."""
    sizes: tuple[int, ...]
    """Images in each of its feature files."""
    start: int
    """Place of its first caption among all."""
    file: str
    expected: str
    """Fingerprint of the file."""

    @property
    def size(self) -> int:
        """Number of its images."""
        return sum(self.sizes)

    @property
    def parts(self) -> range:
        """Numbers of its feature files."""
        return range(self.number, self.number + len(self.sizes))


@dataclass(frozen=True)
class Piece:
    """Images of a feature file that follow each other; one worker reads their captions."""

    number: int
    """Among all pieces."""
    unit: int
    """Place of its unit."""
    part: int
    """Number of the feature file."""
    start: int
    """First row of the feature file."""
    stop: int
    caption: int
    """Place of its first caption among all."""

    @property
    def size(self) -> int:
        """Number of its images."""
        return self.stop - self.start

    @property
    def rows(self) -> slice:
        """Its rows of the feature file."""
        return slice(self.start, self.stop)


@dataclass(frozen=True, eq=False)
class CaptionPlan:
    """All files to write, with the captions that they are made of."""

    units: tuple[Unit, ...]
    captions: pa.LargeStringArray
    """Caption of every image, in the order of the units and of their feature files."""
    piece_rows: int
    """Captions of a piece at most."""

    @cached_property
    def pieces(self) -> list[Piece]:
        """The pieces of all units, in their order."""
        step = self.piece_rows
        found: list[Piece] = []
        for place, unit in enumerate(self.units):
            first = unit.start
            for part, size in zip(unit.parts, unit.sizes, strict=True):
                for start in range(0, size, step):
                    stop = min(start + step, size)
                    found.append(Piece(len(found), place, part, start, stop, first + start))
                first += size
        return found

    @cached_property
    def pieces_of(self) -> list[list[Piece]]:
        """The pieces of each unit."""
        found: list[list[Piece]] = [[] for _ in self.units]
        for piece in self.pieces:
            found[piece.unit].append(piece)
        return found

    def is_whole(self, piece: Piece) -> bool:
        """Tell whether a piece is all of its unit."""
        return piece.size == self.units[piece.unit].size

    def texts(self, piece: Piece) -> list[str]:
        """Return the captions of a piece."""
        texts: list[str] = self.captions.slice(piece.caption, piece.size).to_pylist()
        return texts


@dataclass(frozen=True)
class CaptionWork:
    """What the work on captions reads and writes."""

    store: Store
    captions: str
    """Name of the table of captions."""
    features: str
    """Directory of the features of the images."""
    directory: str
    """Of what is written."""
    class_names: list[str]
    key: str
    """Fingerprint of all settings."""

    def plan(self, shared: Sequence[str], *, in_parts: bool, batch_size: int) -> CaptionPlan:
        """Return the files to write.

        Args:
            shared: digests of the network, and of captions that all images are compared with.
            in_parts: whether a large class has a file for each part, as its features have.
            batch_size: captions that the network reads together; a piece has whole batches.

        Raises: MissingInputError if features or captions are missing, InputError if an image with
            features has no caption.
        """
        files = list(self._files(in_parts=in_parts))
        ids = [[self._ids(file) for file in of_unit] for _, _, of_unit in files]
        every = [each for of_unit in ids for each in of_unit]
        texts = captions_of(self.store, self.captions, pa.concat_arrays(every))
        ends = np.cumsum([sum(map(len, of_unit)) for of_unit in ids]).tolist()
        units = []
        for (name, number, of_unit), known, (start, stop) in zip(
            files, ids, pairwise([0, *ends]), strict=True
        ):
            captions = _by_id(texts.slice(start, stop - start), known)
            contents = [content_of(self.store, file) for file in of_unit]
            key = fingerprint([self.key, *contents, *shared, fingerprint(captions)])
            sizes = tuple(map(len, known))
            file = class_file(self.directory, name, number)
            units.append(Unit(name, number, sizes, start, file, key))
        piece_rows = max(1, PIECE_ROWS // batch_size) * batch_size
        return CaptionPlan(tuple(units), texts, piece_rows)

    def _files(self, *, in_parts: bool) -> Iterator[tuple[str, int, list[str]]]:
        """Yield class, number and feature files of each file to write."""
        for name in self.class_names:
            files = class_files(self.store, self.features, name)
            if in_parts:
                yield from ((name, number, [file]) for number, file in enumerate(files))
            else:
                yield name, 0, files

    def _ids(self, file: str) -> pa.Array:
        ids = read_columns(self.store, file, ["image_id"]).column("image_id")
        return ids.combine_chunks()

    def piece_file(self, piece: Piece) -> str:
        """Return the name of the file of a piece, which lies there until its unit is written."""
        return shard_file(self.directory, piece.number)


def _by_id(captions: pa.Array, ids: Sequence[pa.Array]) -> list[str]:
    """Return the captions of a unit in the order of the ids of its images.

    Args:
        captions: in the order of its feature files.
        ids: of the images in each of them.
    """
    if len(ids) > 1:
        captions = captions.take(pc.sort_indices(pa.concat_arrays(ids)))
    found: list[str] = captions.to_pylist()
    return found
