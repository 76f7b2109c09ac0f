"""What each method of a run made of every image, for tools that show images.

An image is chosen, represented by a chosen one, or left out.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from otcondense.datasets.listing import Listing
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.wanted import manifest_images
from otcondense.errors import InputError
from otcondense.exports.export import Export
from otcondense.exports.hub_metadata import TEXT_COLUMN
from otcondense.store import (
    GROUP,
    ClassSelection,
    FeatureView,
    Store,
    TrueClasses,
    read_class_selection,
)

CHOSEN, REPRESENTED, LEFT_OUT = "chosen", "represented", "left out"
OUTCOMES = pa.array([CHOSEN, REPRESENTED, LEFT_OUT], pa.string())
"""What a method made of an image."""
UNMATCHED = "far from every chosen image"
HELD_OUT = "a held-out image has the same bytes"
"""Reasons why an image is left out."""


@dataclass(frozen=True)
class ChoicesExport:
    """The classes of a run to export, and the options of the formats."""

    store: Store
    source: SourceConfig
    listing: Callable[[], Listing]
    """Returns the listing of the source if it is needed."""
    features: FeatureView
    """The features, as the selection sees them."""
    selections: Mapping[str, str]
    """Directory of the selections by each method, in the run."""
    classes: list[str]
    """Names of the classes, in the order of their indices."""
    held_out: frozenset[str] = frozenset()
    """SHA-256 of the held-out images whose copies were left out."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Images of each class."""
    is_grouped: bool = False
    """Whether the classes are groups: the listing then has the class of each image."""
    files: Literal["link", "copy"] = "link"
    """For fiftyone: links to the images of the source, or copies."""
    images: bool | None = None
    """For embedding_atlas: whole images, none, or thumbnails (None)."""
    captions: Callable[[list[str]], pa.Array | None] = lambda _: None
    """Returns the captions of images by their ids; None if the source has none."""

    def read(self) -> Iterator["ClassChoices"]:
        """Yield one class at a time.

        Raises: InputError if a selection is damaged, missing, or not of the same images as another.
        """
        counts: Counter[int] = Counter()
        for name in self.classes:
            found = {}
            for method, directory in self.selections.items():
                found[method] = read_class_selection(self.store, directory, name)
            made = ClassChoices(found, self.held_out)
            choices = replace(made, captions=self.captions(made.first.image_ids))
            yield self._in_classes(choices, counts) if self.is_grouped else choices

    def _in_classes(self, group: "ClassChoices", counts: Counter[int]) -> "ClassChoices":
        """Return the images of a group with their classes, and their places in these.

        Args:
            group: the group.
            counts: images of each class in earlier groups; those of this one are added.
        """
        listing = self.listing()
        rows = listing.find(group.first.image_ids)
        missing = [image_id for image_id in group.first.image_ids if image_id not in rows]
        if missing:
            raise InputError(
                f"the source must list every image of group {group.first.class_name}, found no "
                f"{missing[0]}; run `otcondense extract_features` again"
            )
        index = listing.class_index[[rows[image_id] for image_id in group.first.image_ids]]
        places = []
        for each in index.tolist():
            places.append(counts[each])
            counts[each] += 1
        true = TrueClasses([listing.classes[each] for each in index], index)
        return replace(group, true=true, places=np.array(places))


@dataclass(frozen=True)
class ClassChoices:
    """The images of one class and what each method made of them."""

    selections: Mapping[str, ClassSelection]
    """By method; at least one."""
    held_out: frozenset[str]
    true: TrueClasses | None = None
    """Classes of the images of a group; None if all are of one class."""
    places: Int[np.ndarray, " n"] | None = None
    """Places of the images in their classes; None if they are those in the selection."""
    captions: pa.Array | None = None
    """Of the images, in their order; None if the source has none."""

    def __post_init__(self) -> None:
        for method, each in self.selections.items():
            if each.image_ids != self.first.image_ids:
                raise InputError(
                    f"class {each.class_name} must have the same images under every method, found "
                    f"others under {method}; run `otcondense select_subset` again, or name one "
                    "method with --method"
                )

    @property
    def first(self) -> ClassSelection:
        """The selection by the first method."""
        return next(iter(self.selections.values()))

    def rows(self) -> pa.Table:
        """Return what is known of each image without a method, one row each.

        `rank` is the place in the class, which names images inside other files. Images of a group
        have a column `group`, too, and images with captions a column `text`.
        """
        first = self.first
        size = len(first.image_ids)
        places = np.arange(size) if self.places is None else self.places
        true = self.true
        if true is None:
            true = TrueClasses([first.class_name] * size, np.full(size, first.class_index))
        columns = {
            "image_id": pa.array(first.image_ids, pa.string()),
            "class_name": pa.array(true.names, pa.string()),
            "class_index": pa.array(true.index, pa.int32()),
            "rank": pa.array(places, pa.int32()),
            "cross_entropy": _or_null(first.cross_entropy, size),
            "sha256": pa.array(first.sha256, pa.string()),
        }
        if self.true is not None:
            columns[GROUP] = pa.array([first.class_name] * size, pa.string())
        if self.captions is not None:
            columns[TEXT_COLUMN] = self.captions.cast(pa.string())
        return pa.table(columns)

    def outcomes(self, method: str) -> pa.Table:
        """Return what one method made of each image, one row each.

        Columns: `outcome`; of chosen images `rank` by gain from 0, `gain`, `weight` and
        `represents`, the number of images that it represents, itself included; `represented_by`,
        the id of the chosen image that represents it, for a chosen one its own; of those left out
        `left_out`, the reason.
        """
        selection = self.selections[method]
        size = len(selection.image_ids)
        chosen = np.isin(np.arange(size), selection.indices)
        left_out = ~chosen & (selection.assignment < 0)
        codes = np.where(chosen, 0, np.where(left_out, 2, 1))
        return pa.table(
            {
                "outcome": OUTCOMES.take(pa.array(codes)),
                **_figures(selection),
                "represented_by": _represented_by(selection),
                "left_out": self._reasons(selection, left_out),
            }
        )

    def _reasons(self, selection: ClassSelection, left_out: np.ndarray) -> pa.Array:
        reasons = []
        for is_out, sha256 in zip(left_out.tolist(), selection.sha256, strict=True):
            reason = HELD_OUT if sha256 in self.held_out else UNMATCHED
            reasons.append(reason if is_out else None)
        return pa.array(reasons, pa.string())

    def as_export(self, choices: ChoicesExport) -> Export:
        """Return the images of the class as a subset of all, for what writes images.

        Raises: InputError if the source does not have one.
        """
        rows = self.rows()
        images = manifest_images(rows, choices.source, choices.listing)
        return Export(rows, images, choices.source, choices.listing, files=choices.files)


def _or_null(values: np.ndarray | None, size: int) -> pa.Array:
    if values is None:
        return pa.nulls(size, pa.float32())
    return pa.array(values, pa.float32(), from_pandas=True)


def _figures(selection: ClassSelection) -> dict[str, pa.Array]:
    """Return the columns of numbers that chosen images have, null for the others."""
    budget = len(selection.indices)
    counts = np.bincount(
        selection.assignment[selection.assignment >= 0], minlength=len(selection.image_ids)
    )
    values: dict[str, tuple[np.ndarray, pa.DataType]] = {
        "rank": (selection.rank, pa.int32()),
        "gain": (selection.gain, pa.float64()),
        "weight": (selection.represented_mass * budget, pa.float64()),
        "represents": (counts[selection.indices], pa.int32()),
    }
    columns = {}
    for name, (known, kind) in values.items():
        whole = np.full(len(selection.image_ids), np.nan)
        whole[selection.indices] = known
        columns[name] = pa.array(whole, pa.float64(), from_pandas=True).cast(kind)
    return columns


def _represented_by(selection: ClassSelection) -> pa.Array:
    ids = pa.array(selection.image_ids, pa.string())
    return ids.take(pa.array(selection.assignment, mask=selection.assignment < 0))
