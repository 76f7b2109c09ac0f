"""Latents and tokens as training asks for them: the rows of chosen images, in their order, in one or both orientations."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from otcondense.errors import InputError
from otcondense.store.features import class_file
from otcondense.store.files import Store
from otcondense.store.tables import read_array, read_columns, read_table, stored_metadata

KEYS = ("image_id", "flipped", "sha256")


@dataclass(frozen=True)
class Representation:
    """Arrays of images in one directory, a file for each class, as `jobs.extract_latents` and `jobs.extract_tokens` write them."""

    store: Store
    directory: str
    verb: str
    """What makes them, for messages."""

    def metadata(self, class_name: str) -> dict[str, Any]:
        """Return what is kept beside the rows of one class.

        Raises: InputError if the file is missing or damaged.
        """
        found = stored_metadata(self.store, class_file(self.directory, class_name))
        if found is None:
            place = self.store.path(class_file(self.directory, class_name))
            raise InputError(f"{place} is missing or damaged; run `python -m {self.verb}` first")
        return found

    def row_shape(self, class_name: str, column: str) -> tuple[int, ...]:
        """Return the shape of one row of an array column."""
        self.metadata(class_name)
        with self.store.open(class_file(self.directory, class_name)) as file:
            return tuple(json.loads(pq.read_schema(file).field(column).metadata[b"shape"]))

    def check(self, class_name: str, images: list[tuple[str, str]], *, mirrored: bool) -> None:
        """Check that the wanted images of one class are there, without reading their arrays.

        Raises: InputError as `read` does.
        """
        self.metadata(class_name)
        self._rows(
            class_name,
            read_columns(self.store, class_file(self.directory, class_name), KEYS),
            images,
            mirrored=mirrored,
        )

    def read(
        self,
        class_name: str,
        images: list[tuple[str, str]],
        columns: tuple[str, ...],
        *,
        mirrored: bool,
    ) -> dict[str, np.ndarray]:
        """Return each array column as [n, orientations, ...].

        Args:
            class_name: the class.
            images: image_id and SHA-256 of the wanted images, all of the class.
            columns: names of the array columns.
            mirrored: whether to return the mirrored image's rows as a second orientation.

        Raises: InputError if the file is damaged, naming the first image that is missing, is another one now, or has no mirrored row.
        """
        self.metadata(class_name)
        table = read_table(self.store, class_file(self.directory, class_name))
        rows = self._rows(class_name, table, images, mirrored=mirrored)
        return {name: read_array(table, name)[rows] for name in columns}

    def _rows(
        self, class_name: str, table: pa.Table, images: list[tuple[str, str]], *, mirrored: bool
    ) -> np.ndarray:
        keys = zip(*(table.column(name).to_pylist() for name in KEYS), strict=True)
        found = {key: row for row, key in enumerate(keys)}
        orientations = (False, True) if mirrored else (False,)
        rows = np.array(
            [
                [found.get((image_id, flipped, sha256), -1) for flipped in orientations]
                for image_id, sha256 in images
            ]
        )
        missing = [
            image_id for (image_id, _), places in zip(images, rows, strict=True) if places.min() < 0
        ]
        if missing:
            turned = " and their mirror images" if mirrored else ""
            raise InputError(
                f"{self.store.path(class_file(self.directory, class_name))} must hold the {len(images)} chosen images of the class{turned} "
                f"as they are now; {len(missing)} are missing, the first is {missing[0]}; run `python -m {self.verb}`"
            )
        return rows
