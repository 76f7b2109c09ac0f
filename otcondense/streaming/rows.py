"""Images of a stream: features, places in the order of arrival, and ids."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64


@dataclass(frozen=True, eq=False)
class StreamRows:
    """Some images of a stream."""

    features: Float32[np.ndarray, "n d"]
    arrival: Int64[np.ndarray, " n"]
    """Place of each image in the order of arrival, from 0."""
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def none(cls, width: int) -> "StreamRows":
        """Return no images, with so many columns."""
        return cls(np.empty((0, width), np.float32), np.empty(0, np.int64), ())

    def take(self, places: Sequence[int] | Int64[np.ndarray, " m"]) -> "StreamRows":
        """Return the images at some places, in the order given."""
        index = np.asarray(places, dtype=np.int64)
        ids = tuple(self.ids[place] for place in index.tolist())
        return StreamRows(self.features[index], self.arrival[index], ids)

    def later(self, count: int) -> "StreamRows":
        """Return the images as if `count` others had arrived first."""
        return StreamRows(self.features, self.arrival + count, self.ids)

    def places_of(self, others: "StreamRows") -> list[int]:
        """Return the places of images that are all here."""
        place = {arrival: row for row, arrival in enumerate(self.arrival.tolist())}
        return [place[arrival] for arrival in others.arrival.tolist()]


def joined(parts: Sequence[StreamRows]) -> StreamRows:
    """Return the images of several parts, in their order."""
    ids = [each for part in parts for each in part.ids]
    return StreamRows(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.arrival for part in parts]),
        tuple(ids),
    )


def union(parts: Sequence[StreamRows]) -> StreamRows:
    """Return each image of several parts once, in the order of arrival."""
    everything = joined(parts)
    _, first = np.unique(everything.arrival, return_index=True)
    return everything.take(first)
