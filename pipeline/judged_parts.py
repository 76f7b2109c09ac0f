"""Images that are stored as pixels, encoded for the evaluation: samples, and ADM's reference.

A part is some files of images that one worker reads and encodes into one file. The parts depend on
the stored files alone, never on the number of workers, and so do the batches in them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pyarrow as pa
import torch
from jaxtyping import UInt8
from torch import Tensor

from otcondense.errors import InputError
from otcondense.evaluation import EncodedImages, ImageEncoder, encode_images, npz_images
from otcondense.store import (
    Store,
    array_column,
    array_field,
    fingerprint,
    read_array,
    read_fingerprint,
    read_table,
    write_table,
)
from otcondense.store.images import read_images
from pipeline.judges import JudgeConfig

PART_IMAGES = 1024
"""Images of a part, rounded up to whole files: it is what a killed worker loses."""
VERSION = 1


@dataclass(frozen=True)
class PixelFile:
    """A file of images."""

    name: str
    """In the run, or the path of an .npz file."""
    content: str
    """Digest of what it holds."""
    count: int
    """Images to take, from the first on."""


@dataclass(frozen=True)
class Part:
    """Files of images that are encoded together."""

    result: str
    """Name of the file of the results."""
    files: tuple[PixelFile, ...]
    outputs: tuple[str, ...]
    """Outputs of the network that are kept, by the names in `evaluation.encoding.PARTS`."""
    judge: JudgeConfig

    @property
    def directory(self) -> str:
        """Directory of the results."""
        return self.result.rsplit("/", 1)[0]

    @property
    def count(self) -> int:
        """Images of the part."""
        return sum(file.count for file in self.files)

    @property
    def fingerprint(self) -> str:
        """Of the images, the weights and the settings."""
        images = [[file.content, file.count] for file in self.files]
        return fingerprint([VERSION, self.judge.key, images, list(self.outputs)])

    def is_encoded(self, store: Store) -> bool:
        """Tell whether the results are there, undamaged and of these images."""
        return read_fingerprint(store, self.result) == self.fingerprint


def parts_of(
    directory: str, files: Iterable[PixelFile], outputs: tuple[str, ...], judge: JudgeConfig
) -> list[Part]:
    """Return the parts of a set.

    Args:
        directory: of the results.
        files: of the images, in their order.
        outputs: outputs of the network to keep.
        judge: the network.
    """
    groups: list[list[PixelFile]] = []
    size = PART_IMAGES
    for file in files:
        if size >= PART_IMAGES:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += file.count
    return [
        Part(f"{directory}/{number:06d}.parquet", tuple(group), outputs, judge)
        for number, group in enumerate(groups)
    ]


def encode_part(store: Store, part: Part, network: ImageEncoder, threads: int) -> None:
    """Encode the images of a part and write the results.

    Raises: InputError if images are missing or damaged, or results are not finite.
    """
    images = chain.from_iterable(_images(store, file) for file in part.files)
    encoded = encode_images(images, network, part.judge.batch_size, threads)
    if len(encoded) != part.count:
        raise InputError(
            f"{part.files[0].name} and {len(part.files) - 1} more files must hold {part.count} "
            f"images, found {len(encoded)}; run the stage that writes them again"
        )
    fields = []
    columns = []
    for name in part.outputs:
        values = getattr(encoded, name)
        if values is None:
            continue
        array = values.float().numpy()
        fields.append(array_field(name, array))
        columns.append(array_column(array))
    table = pa.Table.from_arrays(columns, schema=pa.schema(fields))
    write_table(store, part.result, table, fingerprint=part.fingerprint)


def _images(store: Store, file: PixelFile) -> Iterator[UInt8[Tensor, "_ c h w"]]:
    """Yield the images of a file."""
    if file.name.endswith(".npz"):
        yield from npz_images(file.name)
    else:
        yield torch.from_numpy(read_images(store, file.name)[0][: file.count])


def read_parts(store: Store, files: Sequence[str]) -> EncodedImages:
    """Return the results of all parts of a set, in order.

    Raises: InputError if a file is missing or damaged; the next start encodes it again.
    """
    tables = [read_table(store, name) for name in files]
    arrays: dict[str, Any] = {"logits": None}
    for name in tables[0].column_names:
        arrays[name] = torch.cat([torch.from_numpy(read_array(each, name)) for each in tables])
    return EncodedImages(**arrays)
