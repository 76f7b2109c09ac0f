"""The state of a stream as a table of images and some facts, to be stored anywhere."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from otcondense.config import Config
from otcondense.datasets.names import order_classes
from otcondense.errors import InputError
from otcondense.store.tables import array_column, array_field, read_array
from otcondense.streaming.class_stream import ClassStream
from otcondense.streaming.config import StreamConfig
from otcondense.streaming.moments import Moments
from otcondense.streaming.rows import StreamRows, joined

PARTS = ("reservoir", "check", "kept", "pending")
"""What an image is kept for; one that is kept for several has a row for each."""
VERSION = 1
"""Raised when the same images leave another state; older states are refused."""
VECTORS = ("mean", "squares", "low", "high", "centre")
"""Vectors of the moments, in the order in which they are stored."""


class ClassFacts(Config):
    """What is known of a class, besides its images in memory."""

    name: str
    count: int
    """Images in finished blocks."""
    radius: float
    vectors: str
    """The vectors of the moments as float64, little-endian, in base 64; empty before the first
    block."""


class StreamFacts(Config):
    """What is known of a stream, besides its images in memory."""

    version: int = VERSION
    config: StreamConfig
    seen: int
    has_ids: bool | None
    has_labels: bool | None
    classes: tuple[ClassFacts, ...]


@dataclass(frozen=True, eq=False)
class StreamState:
    """A stream so far: the same images in the same order leave the same state."""

    facts: StreamFacts
    images: pa.Table
    """Columns class_name, part, arrival, id and features, in this order."""


@dataclass(frozen=True)
class Totals:
    """Facts of all classes together."""

    seen: int
    has_ids: bool | None
    has_labels: bool | None


def pack(config: StreamConfig, classes: Mapping[str, ClassStream], totals: Totals) -> StreamState:
    """Return the state of a stream."""
    names = order_classes(classes)
    facts = StreamFacts(
        config=config,
        seen=totals.seen,
        has_ids=totals.has_ids,
        has_labels=totals.has_labels,
        classes=tuple(_facts_of(name, classes[name]) for name in names),
    )
    return StreamState(facts, _table({name: classes[name] for name in names}))


def unpack(state: StreamState) -> dict[str, ClassStream]:
    """Return the classes of a stored state.

    Raises: InputError for the state of another version.
    """
    if state.facts.version != VERSION:
        raise InputError(
            f"the state of a stream must be of version {VERSION}, found {state.facts.version}; "
            "begin the stream again with this version"
        )
    features = read_array(state.images, "features")
    arrival = state.images.column("arrival").to_numpy()
    rows = StreamRows(features, arrival, tuple(state.images.column("id").to_pylist()))
    keys = [state.images.column(name).to_pylist() for name in ("class_name", "part")]
    places: dict[tuple[str, str], list[int]] = {}
    for place, key in enumerate(zip(*keys, strict=True)):
        places.setdefault(key, []).append(place)
    found = {}
    for facts in state.facts.classes:
        parts = {part: rows.take(places.get((facts.name, part), [])) for part in PARTS}
        found[facts.name] = _class(state.facts.config, facts, parts)
    return found


def _class(config: StreamConfig, facts: ClassFacts, parts: Mapping[str, StreamRows]) -> ClassStream:
    width = parts["pending"].features.shape[1]
    empty = ClassStream.empty(config, width)
    return ClassStream(
        config,
        empty.reservoir.with_rows(parts["reservoir"]),
        empty.check.with_rows(parts["check"]),
        parts["kept"],
        parts["pending"],
        _moments(facts, width),
    )


def _table(classes: Mapping[str, ClassStream]) -> pa.Table:
    rows: list[StreamRows] = []
    names: list[str] = []
    of_part: list[str] = []
    for name, stream in classes.items():
        kept = (stream.reservoir.rows, stream.check.rows, stream.kept, stream.pending)
        for part, images in zip(PARTS, kept, strict=True):
            rows.append(images)
            names += [name] * len(images)
            of_part += [part] * len(images)
    everything = joined(rows) if rows else StreamRows.none(1)
    features = everything.features.astype("<f4")
    return pa.table(
        [
            pa.array(names, pa.string()),
            pa.array(of_part, pa.string()),
            pa.array(everything.arrival),
            pa.array(everything.ids, pa.string()),
            array_column(features),
        ],
        schema=pa.schema(
            [
                pa.field("class_name", pa.string()),
                pa.field("part", pa.string()),
                pa.field("arrival", pa.int64()),
                pa.field("id", pa.string()),
                array_field("features", features),
            ]
        ),
    )


def _facts_of(name: str, stream: ClassStream) -> ClassFacts:
    moments = stream.moments
    if moments is None:
        return ClassFacts(name=name, count=0, radius=0.0, vectors="")
    values = np.stack([getattr(moments, each) for each in VECTORS]).astype("<f8")
    text = b64encode(values.tobytes()).decode()
    return ClassFacts(name=name, count=moments.count, radius=moments.radius, vectors=text)


def _moments(facts: ClassFacts, width: int) -> Moments | None:
    if not facts.vectors:
        return None
    values = np.frombuffer(b64decode(facts.vectors), "<f8").reshape(len(VECTORS), width)
    mean, squares, low, high, centre = values.astype(np.float64)
    return Moments(facts.count, mean, squares, low, high, centre, facts.radius)
