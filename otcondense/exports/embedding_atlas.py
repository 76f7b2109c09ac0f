"""What became of every image as one Parquet file that embedding-atlas opens.

Its map takes coordinates (`--x --y`) or makes them from the vectors (`--vector`); its list shows
pictures from a struct of bytes and path, as the `datasets` library stores them.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from otcondense.datasets.ordered import read_all
from otcondense.datasets.thumbnails import thumbnails
from otcondense.errors import InputError
from otcondense.exports.choices import ChoicesExport, ClassChoices
from otcondense.exports.neighbours import nearest_images
from otcondense.exports.parquet_tables import BATCH_ROWS, image_columns, parquet_writer
from otcondense.report.planes import principal_directions, principal_plane, projected
from otcondense.store import GROUP

SUFFIX = ".parquet"
"""embedding-atlas takes a file of any other suffix for a table of text."""
MOST_NEIGHBOURED = 20_000
"""Images of the largest class whose neighbours are computed: that takes seconds, and the time grows
with the square."""
ROWS = ("image_id", "class_name", GROUP, "text", "cross_entropy")
"""Columns of `ClassChoices.rows` that are written, if they are there."""
IMAGE_PLACE = 1
"""Of the column of images, behind their ids: the first columns are those that a table shows."""


@dataclass(frozen=True)
class Plane:
    """Two directions in the space of features."""

    centre: Float[np.ndarray, " d"]
    directions: Float[np.ndarray, "2 _"]

    def points(self, features: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n 2"]:
        """Return the coordinates of images."""
        return projected(np.asarray(features - self.centre, np.float64), self.directions)[0]


def check_embedding_atlas(output: str) -> None:
    """Check the name of the file.

    Raises: InputError if embedding-atlas would not take it for Parquet.
    """
    if not output.lower().endswith(SUFFIX):
        raise InputError(
            f"--output must end in {SUFFIX}, by which embedding-atlas knows what it opens, "
            f"found {output}"
        )


def write_embedding_atlas(choices: ChoicesExport, target: Path, say: Callable[[str], None]) -> int:
    """Write one row for each image, sorted by class and `image_id`.

    Columns: `image_id`, `image`, `class_name`, `text` (the caption, if the source has captions),
    `cross_entropy`; of each method those of
    `ClassChoices.outcomes`, the outcome under the name of the method and the others behind it;
    `x` and `y` in one plane for all classes, `class_x` and `class_y` in the plane of the class,
    `vector`, the features, and `neighbors`, the nearest images of the class.

    Raises: InputError if features or selections are missing, or an image is missing or has changed.
    """
    plane = _plane_of_classes(choices)
    sizes = choices.sizes or choices.listing().sizes
    with_neighbours = max(sizes[name] for name in choices.classes) <= MOST_NEIGHBOURED
    if not with_neighbours:
        say(f"no column neighbors: a class has more than {MOST_NEIGHBOURED} images")
    count = 0
    with ExitStack() as stack:
        writer = None
        for found in choices.read():
            features = _features(choices, found)
            table = _class_table(found, features, plane)
            if with_neighbours:
                table = table.append_column("neighbors", nearest_images(features, count))
            for part in _parts(choices, found, table):
                writer = writer or stack.enter_context(parquet_writer(target, part.schema))
                writer.write_table(part)
            count += len(table)
    return count


def _class_table(found: ClassChoices, features: Float[np.ndarray, "n d"], plane: Plane) -> pa.Table:
    rows = found.rows()
    table = rows.select([name for name in ROWS if name in rows.column_names])
    for method in found.selections:
        outcomes = found.outcomes(method)
        for name in outcomes.column_names:
            title = method if name == "outcome" else f"{method}_{name}"
            table = table.append_column(title, outcomes.column(name))
    points = np.hstack([plane.points(features), principal_plane(features)[0]])
    for number, name in enumerate(("x", "y", "class_x", "class_y")):
        table = table.append_column(name, pa.array(points[:, number], pa.float32()))
    flat = pa.array(np.ascontiguousarray(features).reshape(-1), pa.float32())
    vectors = pa.FixedSizeListArray.from_arrays(flat, features.shape[1])
    return table.append_column("vector", vectors)


def _parts(choices: ChoicesExport, found: ClassChoices, table: pa.Table) -> Iterator[pa.Table]:
    """Yield parts of bounded size of the table of a class, with the images if they are wanted."""
    if choices.images is False or not choices.source.has_images:
        for start in range(0, len(table), BATCH_ROWS):
            yield table.slice(start, BATCH_ROWS)
        return
    images = found.as_export(choices).images
    contents = read_all(images) if choices.images else thumbnails(images, choices.source)
    start = 0
    for column in image_columns(images, contents):
        part = table.slice(start, len(column))
        yield part.add_column(IMAGE_PLACE, "image", column)
        start += len(column)


def _features(choices: ChoicesExport, found: ClassChoices) -> Float[np.ndarray, "n d"]:
    """Return the features of a class.

    Raises: InputError if they are of other images than the selection.
    """
    name = found.first.class_name
    features = choices.features.read(choices.store, name)
    if features.image_ids != found.first.image_ids:
        raise InputError(
            f"the features of class {name} are of other images than its selection; "
            "run `otcondense select_subset` again"
        )
    return features.features


def _plane_of_classes(choices: ChoicesExport) -> Plane:
    """Return the plane of the page's map: that in which the means of the classes differ most.

    With fewer than three classes, it is that of the largest variance of all features.
    """
    rows = [
        choices.features.read(choices.store, name).features
        if len(choices.classes) < 3
        else _mean(choices, name)
        for name in choices.classes
    ]
    stacked = np.concatenate(rows).astype(np.float64)
    centre = stacked.mean(axis=0)
    return Plane(centre, principal_directions(stacked - centre))


def _mean(choices: ChoicesExport, name: str) -> Float[np.ndarray, "1 d"]:
    features = choices.features.read(choices.store, name).features
    mean: Float[np.ndarray, "1 d"] = features.mean(axis=0, keepdims=True, dtype=np.float64)
    return mean
