"""Latents and tokens of chosen images, in the order of the images, in one or both orientations."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from otcondense.errors import MissingInputError
from otcondense.store.features import class_file
from otcondense.store.files import Store
from otcondense.store.tables import read_array, read_columns, read_table, stored_metadata

KEYS = ("image_id", "flipped", "sha256")


@dataclass(frozen=True)
class Representation:
    """Arrays of images in one directory, one file for each class."""

    store: Store
    directory: str

    def _file(self, class_name: str) -> str:
        return class_file(self.directory, class_name)

    def metadata(self, class_name: str) -> dict[str, Any]:
        """Return the metadata in the file of one class.

        Raises: MissingInputError if the file is missing or damaged.
        """
        name = self._file(class_name)
        metadata = stored_metadata(self.store, name)
        if metadata is None:
            raise MissingInputError(f"{self.store.path(name)} is missing or damaged", name)
        return metadata

    def row_shapes(self, class_name: str) -> dict[str, tuple[int, ...]]:
        """Return the shape of one row of each array column, by its name."""
        self.metadata(class_name)
        with self.store.open(self._file(class_name)) as file:
            schema = pq.read_schema(file)
        shapes = {}
        for field in schema:
            if b"shape" in (field.metadata or {}):
                shapes[field.name] = tuple(json.loads(field.metadata[b"shape"]))
        return shapes

    def check(self, class_name: str, images: list[tuple[str, str]], *, mirrored: bool) -> None:
        """Check that the wanted images of one class are there, without reading their arrays.

        Raises: MissingInputError as `read` does.
        """
        self.metadata(class_name)
        table = read_columns(self.store, self._file(class_name), KEYS)
        self._rows(class_name, table, images, mirrored=mirrored)

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

        Raises: InputError if the file is damaged; MissingInputError naming the first image that is
            missing, has changed or has no mirrored row.
        """
        self.metadata(class_name)
        table = read_table(self.store, self._file(class_name))
        rows = self._rows(class_name, table, images, mirrored=mirrored)
        return {name: read_array(table, name)[rows] for name in columns}

    def _rows(
        self, class_name: str, table: pa.Table, images: list[tuple[str, str]], *, mirrored: bool
    ) -> np.ndarray:
        """Return the row of each image in each wanted orientation as [n, orientations]."""
        columns = [table.column(name).to_pylist() for name in KEYS]
        row_of = {key: row for row, key in enumerate(zip(*columns, strict=True))}
        orientations = (False, True) if mirrored else (False,)

        rows = []
        missing = []
        for image_id, sha256 in images:
            found = [row_of.get((image_id, flipped, sha256)) for flipped in orientations]
            rows.append(found)
            if None in found:
                missing.append(image_id)
        if missing:
            name = self._file(class_name)
            turned = " and their mirror images" if mirrored else ""
            raise MissingInputError(
                f"{self.store.path(name)} must hold the {len(images)} chosen images of the class"
                f"{turned} as they are now; {len(missing)} are missing, the first is {missing[0]}",
                name,
            )
        return np.array(rows, dtype=np.int64)
