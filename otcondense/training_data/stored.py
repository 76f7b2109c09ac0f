"""Arrays that a run has stored of each chosen image: latents and tokens, a class at a time."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from otcondense.errors import InputError, MissingInputError
from otcondense.store import Representation, class_file
from otcondense.training_data.subset import Subset


class StoredArrays:
    """The arrays of each image of a subset, in one or both orientations.

    The file of a class is read when one of its images is first asked for, and then stays in
    memory, so that a copy of this object for another process is small.

    Raises: InputError if the subset comes from no run.
    """

    def __init__(
        self, subset: Subset, kind: str, columns: tuple[str, ...], *, mirrored: bool
    ) -> None:
        """Find the directory of one kind.

        Args:
            subset: of a run.
            kind: latents or tokens.
            columns: names of the arrays.
            mirrored: whether to read the mirrored images too.
        """
        store = subset.origin.store
        if store is None:
            raise InputError(
                f"{kind} are in a run, found a subset that comes from {subset.origin.name}; name "
                "the run, or leave them out"
            )
        self._kind = kind
        self._name = subset.origin.name
        self._columns = columns
        self._mirrored = mirrored
        self._source = Representation(store, subset.origin.places[kind])
        self._places = _places(subset)
        self._images: dict[str, list[tuple[str, str]]] = {}
        for image in subset.images:
            self._images.setdefault(image.class_name, []).append((image.image_id, image.sha256))
        self._read: dict[str, dict[str, np.ndarray]] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_read": {}}

    def arrays(self, index: int) -> dict[str, np.ndarray]:
        """Return the arrays [orientations, ...] of one image by column.

        Columns that the files do not have are left out: some autoencoders have no posterior, and
        so no `std`.

        Raises: InputError if there are none of this image, or its file is damaged.
        """
        name, row = self._places[index]
        if name not in self._read:
            self._read[name] = self._class(name)
        return {column: rows[row] for column, rows in self._read[name].items()}

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What is the same for all images: the metadata of one class.

        Raises: InputError if there are none.
        """
        try:
            return self._source.metadata(self._places[0][0])
        except MissingInputError as error:
            raise self._missing(error) from error

    def _class(self, name: str) -> dict[str, np.ndarray]:
        try:
            self._source.metadata(name)
            stored = self._stored(name)
            return self._source.read(name, self._images[name], stored, mirrored=self._mirrored)
        except MissingInputError as error:
            raise self._missing(error) from error

    def _stored(self, name: str) -> tuple[str, ...]:
        """Return the wanted columns that the file of a class has."""
        file_name = class_file(self._source.directory, name)
        with self._source.store.open(file_name) as file:
            names = pq.read_schema(file).names
        return tuple(column for column in self._columns if column in names)

    def _missing(self, error: MissingInputError) -> InputError:
        return InputError(f"{error}; run `otcondense extract_{self._kind} {self._name}` first")


def _places(subset: Subset) -> Sequence[tuple[str, int]]:
    """Return class and row in its class of each image."""
    counts: dict[str, int] = {}
    places = []
    for image in subset.images:
        row = counts.get(image.class_name, 0)
        places.append((image.class_name, row))
        counts[image.class_name] = row + 1
    return places
