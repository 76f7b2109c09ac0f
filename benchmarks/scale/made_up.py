"""Made-up features: a mixture with heavy tails, in Parquet files of bounded size.

`python -m benchmarks.scale.made_up FOLDER ROWS`
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

WIDTH = 256
ROWS_IN_FILE = 100_000
ROWS_IN_ROW_GROUP = 10_000
"""Rows that a reader holds at once: 10 MB."""
COMPONENTS = 1000
"""Centres of the mixture; their weights fall as 1 / rank, as the sizes of real classes do."""
DEGREES_OF_FREEDOM = 4.0
"""Of Student's t around a centre: a few rows in a hundred lie far out."""
CENTRE_SPREAD = 2.0
"""Standard deviation of the centres; that of the rows around them is about 1.4."""
LABEL = "all"
"""The only label: features without labels still need a column of them."""


def centres() -> Float[np.ndarray, "k d"]:
    """Return the centres of the mixture, the same for every number of rows."""
    generator = np.random.default_rng(0)
    return CENTRE_SPREAD * generator.standard_normal((COMPONENTS, WIDTH), dtype=np.float32)


def rows_of_file(
    number: int, count: int, middle: Float[np.ndarray, "k d"]
) -> Float[np.ndarray, "n d"]:
    """Draw the rows of one file; its number is the seed."""
    generator = np.random.default_rng([1, number])
    weights = 1 / np.arange(1, COMPONENTS + 1)
    own = generator.choice(COMPONENTS, count, p=weights / weights.sum())
    noise = generator.standard_normal((count, WIDTH), dtype=np.float32)
    squares = generator.chisquare(DEGREES_OF_FREEDOM, count) / DEGREES_OF_FREEDOM
    noise /= np.sqrt(squares).astype(np.float32)[:, None]
    noise += middle[own]
    return noise


def write_rows(folder: Path, rows: int) -> None:
    """Write `rows` rows; a file that is there already is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    middle = centres()
    for number, start in enumerate(range(0, rows, ROWS_IN_FILE)):
        final = folder / f"{number:05d}.parquet"
        if final.exists():
            continue
        drawn = rows_of_file(number, min(ROWS_IN_FILE, rows - start), middle)
        values = pa.FixedSizeListArray.from_arrays(pa.array(drawn.reshape(-1)), WIDTH)
        labels = pa.DictionaryArray.from_arrays(np.zeros(len(drawn), np.int32), pa.array([LABEL]))
        partial = final.with_suffix(".partial")
        pq.write_table(
            pa.table({"features": values, "label": labels}),
            partial,
            row_group_size=ROWS_IN_ROW_GROUP,
            compression="none",
            use_dictionary=["label"],
        )
        partial.rename(final)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=int)
    arguments = parser.parse_args()
    write_rows(arguments.folder, arguments.rows)


if __name__ == "__main__":
    main()
