"""The subset of a stream as a file, and what is said about it."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.command.progress import note
from otcondense.counts import counted
from otcondense.shares import gap_text, percent
from otcondense.store import Store, canonical_json
from otcondense.streaming import StreamChoice, StreamSelector

SUFFIXES = (".json", ".npy", ".parquet")
SHOWN = 10
"""Classes whose bounds are printed."""
SAMPLE_AND_STREAM = (
    "a bound on all rows can be below the objective on the sample: the sample is some of the rows, "
    "and these can be harder to represent than all of them"
)


def write_subset(target: Path, selector: StreamSelector) -> None:
    """Write the subset in the format of the suffix; an earlier one is replaced."""
    output = io.BytesIO()
    if target.suffix == ".parquet":
        pq.write_table(subset_table(selector), output)
    elif target.suffix == ".npy":
        np.save(output, selector.indices_)
    else:
        chosen = selector.ids_ if selector.has_ids else selector.indices_.tolist()
        output.write(f"{canonical_json(chosen)}\n".encode())
    Store(str(target.parent)).write_bytes(target.name, output.getvalue())


def subset_table(selector: StreamSelector) -> pa.Table:
    """Return a row for each kept image.

    `weight` is `represented_mass` times the number of images kept of the class.
    """
    parts = [_rows(name, choice) for name, choice in selector.choices_.items()]
    return pa.concat_tables(parts)


def _rows(name: str, choice: StreamChoice) -> pa.Table:
    count = len(choice.ids)
    return pa.table(
        {
            "image_id": pa.array(choice.ids, pa.string()),
            "class_name": pa.array([name] * count, pa.string()),
            "choice": np.arange(count),
            "arrival": choice.indices,
            "represented_mass": choice.represented_mass,
            "weight": choice.represented_mass * count,
        }
    )


def report(output: str, selector: StreamSelector) -> None:
    """Print what was kept, and what is proven about it."""
    choices = selector.choices_
    kept = sum(len(each.ids) for each in choices.values())
    classes = counted(len(choices), "class")
    note("stream", f"{kept:,} of {counted(selector.seen_, 'row')} in {classes}: {output}")
    for name, choice in list(choices.items())[:SHOWN]:
        note("stream", f"{name}: {_bounds(choice, selector.config.confidence)}")
    if len(choices) > SHOWN:
        note("stream", f"and {counted(len(choices) - SHOWN, 'other class')}")
    if any(each.upper_bound < each.objective for each in choices.values()):
        note("stream", SAMPLE_AND_STREAM)


def _bounds(choice: StreamChoice, confidence: float) -> str:
    """Return the bounds of a class in words."""
    said = [f"objective {choice.objective:.4g} on the sample"]
    if np.isfinite(choice.gap):
        said.append(f"gap {gap_text(choice.gap)} to the best choice from it")
    if np.isfinite(choice.upper_bound):
        where = f"on all {choice.seen:,} rows ({percent(confidence, 0)})"
        said.append(f"at most {choice.upper_bound:.4g} {where}")
    return ", ".join(said)
