"""The worker that turns shards into files: it reads, decodes and encodes, and keeps no image."""

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from otcondense.datasets import ImageRecord
from otcondense.datasets.wanted import changed_message, unusable_message
from otcondense.errors import InputError
from otcondense.in_flight import Arrays, results_in_order
from pipeline.failures import packed, raise_packed
from pipeline.images import BATCHES_AHEAD, Decoded, decode_together, decoded_images, stacked
from pipeline.quarantine import Lost
from pipeline.shard_files import ShardRows, write_shard
from pipeline.shards import Shard
from pipeline.work import Extraction

Places = Int64[np.ndarray, " n"]


@dataclass(frozen=True)
class ShardResult:
    """What a worker tells of a shard: its rows stay in its file."""

    number: int
    images: int
    """Images whose results are needed, also those that cannot be used."""
    lost: list[Lost]

    def row(self) -> dict[str, Any]:
        """Return the result as a row of a data set."""
        return {"result": json.dumps(asdict(self)), "error": b""}

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> "ShardResult":
        """Return the result in a row.

        Raises: the error of the worker, if there was one.
        """
        raise_packed(row["error"])
        values = json.loads(row["result"])
        lost = [Lost(**each) for each in values.pop("lost")]
        return cls(**values, lost=lost)


class ShardWorker:
    """Encodes shards with one network, also several at a time, each in a thread.

    Encoding a shard again writes the same bytes.
    """

    def __init__(self, extraction: Extraction) -> None:
        torch.set_num_threads(1)
        torch.backends.cudnn.deterministic = True
        self._extraction = extraction
        self._network = extraction.work.load(assigned=extraction.assigned)
        self._together = self._network.batch_transform
        self._transform = extraction.work.transform() if self._together is None else None
        self._in_use = threading.Lock()

    def encode(self, shard: Shard) -> ShardResult:
        """Write the file of one shard.

        Raises: InputError if results are not finite.
        """
        listing = self._extraction.listing
        rows = shard.rows(listing)
        is_wanted = self._extraction.is_wanted(rows)
        places = _in_wanted_batches(is_wanted, self._extraction.work.batch_size)
        records = listing.take(rows[places])
        images: list[Decoded] = []
        batches = self._batches(records, images)
        found = list(results_in_order(self._results, batches, self._network.device))
        kept = _Kept(records, is_wanted[places], images)
        if self._extraction.work.needs_every_image:
            _refuse_unusable(records, images, listing.hashes(rows[places]))
        arrays = _joined(found, kept.usable)
        for name, values in arrays.items():
            check_finite(name, values, kept.image_ids)
        write_shard(self._extraction, shard, kept.rows(arrays))
        return ShardResult(shard.number, int(is_wanted.sum()), kept.lost)

    def _results(self, pixels: Tensor, class_index: Tensor) -> dict[str, Tensor]:
        with self._in_use:  # networks set switches of the whole process
            return self._network(pixels, class_index)

    def _batches(
        self, records: Sequence[ImageRecord], facts: list[Decoded]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the pixels and classes of each batch, and add its images to `facts`.

        Only the last batch is filled up: the results of its padding are behind those of all images.
        """
        work = self._extraction.work
        pinned = self._network.device.type == "cuda"
        images = decoded_images(
            [record.path for record in records],
            self._transform,
            threads=self._extraction.threads,
            ahead=BATCHES_AHEAD * work.batch_size,
        )
        for start in range(0, len(records), work.batch_size):
            part = list(islice(images, work.batch_size))
            if self._together is not None:
                part = decode_together(part, self._together)
            labels = np.zeros(work.batch_size, np.int64)
            indices = [record.class_index for record in records[start : start + len(part)]]
            labels[: len(part)] = indices
            facts += [image.without_pixels() for image in part]
            pixels = stacked(part, work.batch_size, work.shape, pinned=pinned)
            yield pixels, torch.from_numpy(labels)


class ShardActor:
    """The worker as an actor of Ray Data: a row in, a row out."""

    def __init__(self, extraction: Extraction) -> None:
        self._error = b""
        try:
            self._worker = ShardWorker(extraction)
        except Exception as error:  # noqa: BLE001 - raised in the driver
            # Ray Data would start an actor that fails again and again.
            self._error = packed(error)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Encode the shard of a row; an error is returned, not raised."""
        if self._error:
            return {"result": "", "error": self._error}
        shard = Shard(int(row["number"]), int(row["start"]), int(row["stop"]))
        try:
            return self._worker.encode(shard).row()
        except Exception as error:  # noqa: BLE001 - raised in the driver
            return {"result": "", "error": packed(error)}


@dataclass(frozen=True)
class _Kept:
    """The images of a shard whose results are needed."""

    records: Sequence[ImageRecord]
    is_wanted: NDArray[np.bool_]
    images: Sequence[Decoded]

    @property
    def usable(self) -> NDArray[np.int64]:
        """Places of the wanted images that can be used."""
        is_usable = np.array([image.reason is None for image in self.images], dtype=bool)
        return np.flatnonzero(is_usable & self.is_wanted)

    @property
    def image_ids(self) -> list[str]:
        """Ids of the usable images."""
        return [self.records[place].image_id for place in self.usable]

    @property
    def lost(self) -> list[Lost]:
        """The wanted images that cannot be used."""
        found = []
        for record, image, wanted in zip(self.records, self.images, self.is_wanted, strict=True):
            if wanted and image.reason is not None:
                found.append(Lost(record.image_id, record.class_name, image.reason))
        return found

    def rows(self, arrays: Arrays) -> ShardRows:
        """Return the rows of the file of the shard."""
        usable = [self.images[place] for place in self.usable]
        indices = [self.records[place].class_index for place in self.usable]
        return ShardRows(
            image_ids=self.image_ids,
            class_index=np.array(indices, dtype=np.int32),
            sha256=[image.sha256 for image in usable],
            width=[image.width for image in usable],
            height=[image.height for image in usable],
            arrays=arrays,
            lost=self.lost,
        )


def _in_wanted_batches(is_wanted: NDArray[np.bool_], batch_size: int) -> Places:
    """Return the places of a shard that lie in a batch with a wanted image.

    Such a batch is encoded whole, so that it is always the same.
    """
    starts = range(0, len(is_wanted), batch_size)
    parts = [np.arange(start, min(start + batch_size, len(is_wanted))) for start in starts]
    wanted = [part for part in parts if is_wanted[part].any()]
    return np.concatenate(wanted) if wanted else np.arange(0)


def _joined(parts: Sequence[Arrays], rows: NDArray[np.int64]) -> Arrays:
    """Return some rows of the results of all batches."""
    return {name: np.concatenate([part[name] for part in parts])[rows] for name in parts[0]}


def _refuse_unusable(
    records: Sequence[ImageRecord], images: Sequence[Decoded], hashes: Sequence[str] | None
) -> None:
    """Refuse chosen images that cannot be used or have changed since they were chosen.

    Raises: InputError naming the first one.
    """
    expected = hashes or [image.sha256 for image in images]
    for record, image, sha256 in zip(records, images, expected, strict=True):
        if image.reason is not None:
            raise InputError(unusable_message(record.path, f"cannot be used ({image.reason})"))
        if image.sha256 != sha256:
            raise InputError(changed_message(record.path))


def check_finite(name: str, values: NDArray[Any], image_ids: Sequence[str]) -> None:
    """Refuse the results of a network that are not finite.

    Raises: InputError naming the result and the first image.
    """
    others = tuple(range(1, values.ndim))
    bad = np.flatnonzero(~np.isfinite(values).all(axis=others))
    if len(bad):
        raise InputError(
            f"{name} must be finite, found NaN or infinite values for "
            f"{image_ids[bad[0]]} and {len(bad) - 1} more"
        )
