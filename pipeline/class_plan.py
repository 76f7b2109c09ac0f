"""The plan of the feature files of a source: of each class, or of each part of a large one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int32

from otcondense.datasets import Listing
from otcondense.datasets.listing import identity_of
from otcondense.store import PartOf, Store, class_file
from otcondense.store.features import WHOLE
from pipeline.class_parts import count_parts, rows_of_parts
from pipeline.fingerprints import class_fingerprint, class_inputs, given_fingerprint
from pipeline.quarantine import class_folder, class_quarantine_file

NOT_PLANNED = -1
"""Place of the plan of an image that belongs to none."""


@dataclass(frozen=True)
class ClassPlan:
    """One class, or a part of a large one, on its way from images to a file."""

    name: str
    index: int
    size: int
    """Images of the file in the source."""
    fingerprint: str
    """Of the file."""
    inputs: str
    """Fingerprint of the inputs of the file besides the images."""
    part: PartOf = field(default_factory=PartOf)
    """The part of the class; all of it by default."""

    @property
    def mark(self) -> int | str:
        """What the files of shards call it: the index of the class, and the part if it is one."""
        if self.part.count == 1:
            return self.index
        return f"{self.index}/{self.part.number}/{self.part.count}"

    @property
    def text(self) -> str:
        """Name for messages."""
        if self.part.count == 1:
            return f"class {self.name}"
        return f"part {self.part.number} of class {self.name}"

    def file(self, directory: str) -> str:
        """Return the name of its file."""
        return class_file(directory, self.name, self.part.number)

    def lost_file(self, directory: str) -> str:
        """Return the name of the list of its lost images."""
        return class_quarantine_file(directory, self.name, self.part.number)

    @classmethod
    def of_values(cls, values: dict[str, Any]) -> "ClassPlan":
        """Return the plan of the values of `asdict`."""
        return cls(**{**values, "part": PartOf(**values["part"])})


@dataclass(frozen=True)
class _Images:
    """The images of a feature file."""

    part: PartOf
    count: int
    identity: str
    """Digest of their ids, sizes and times."""


def plan_classes(listing: Listing, key: str) -> list[ClassPlan]:
    """Return the plan of every class that has images, in the order of their indices.

    Args:
        listing: of the source.
        key: fingerprint of all settings of the stage and of the weights.
    """
    return [_plan(listing, name, _class_images(listing, name), key) for name in listing.names]


def plan_parts(listing: Listing, key: str) -> list[ClassPlan]:
    """Return the plan of every feature file: of each class, or of each part of a large one.

    Args:
        listing: of the source.
        key: fingerprint of all settings of the stage and of the weights.
    """
    plans: list[ClassPlan] = []
    for name in listing.names:
        plans += [_plan(listing, name, images, key) for images in _part_images(listing, name)]
    return plans


def plan_given(listing: Listing, stage_fingerprint: str) -> list[ClassPlan]:
    """Return the plan of every file of features that were computed elsewhere.

    Args:
        listing: of the source.
        stage_fingerprint: of all settings of the stage.
    """
    plans = []
    for name in listing.names:
        index = listing.index_of(name)
        for images in _part_images(listing, name):
            mark = given_fingerprint(images.identity, stage_fingerprint, images.part)
            plans.append(ClassPlan(name, index, images.count, mark, mark, images.part))
    return plans


def _plan(listing: Listing, name: str, images: _Images, key: str) -> ClassPlan:
    index = listing.index_of(name)
    inputs = class_inputs(name, index, key, images.part)
    mark = class_fingerprint(images.identity, inputs)
    return ClassPlan(name, index, images.count, mark, inputs, images.part)


def _class_images(listing: Listing, name: str) -> _Images:
    rows = listing.rows_of(name)
    return _Images(WHOLE, len(rows), identity_of(listing.table.slice(rows.start, len(rows))))


def _part_images(listing: Listing, name: str) -> Iterator[_Images]:
    """Yield the images of each part of a class."""
    count = count_parts(len(listing.rows_of(name)))
    if count == 1:
        yield _class_images(listing, name)
        return
    for number, rows in enumerate(rows_of_parts(listing, name, count)):
        images = identity_of(listing.table.take(pa.array(rows)))
        yield _Images(PartOf(number, count), len(rows), images)


def planned_rows(listing: Listing, plans: Sequence[ClassPlan]) -> Int32[np.ndarray, " images"]:
    """Return the place of the plan of each row of a listing, `NOT_PLANNED` if there is none.

    Args:
        listing: of the source.
        plans: some parts of its classes, those of a class one after the other.
    """
    found = np.full(len(listing), NOT_PLANNED, dtype=np.int32)
    places = {plan: place for place, plan in enumerate(plans)}
    for name, of_class in groupby(plans, lambda plan: plan.name):
        known = list(of_class)
        parts = rows_of_parts(listing, name, known[0].part.count)
        for plan in known:
            found[parts[plan.part.number]] = places[plan]
    return found


def remove_parts(store: Store, directory: str, plans: Sequence[ClassPlan]) -> None:
    """Remove the files of parts that their classes have no longer.

    They are removed before any file is written: a class whose first file names parts that are not
    there cannot be read.

    Args:
        store: the run.
        directory: of the features.
        plans: the files that will be written; a class with fewer parts has new ones only.
    """
    for name, count in {plan.name: plan.part.count for plan in plans}.items():
        kept = {class_file(directory, name, number) for number in range(count)}
        kept |= {class_quarantine_file(directory, name, number) for number in range(count)}
        for stored in store.list(class_folder(directory, name)):
            if stored not in kept:
                store.remove(stored)
