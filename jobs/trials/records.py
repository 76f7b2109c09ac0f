"""What became of each trial, one file each, and the tables made from them."""

import csv
import io
from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa
import yaml
from pydantic import ValidationError

from jobs.trials.trial import Sweep
from otcondense.config import Config
from otcondense.errors import InputError
from otcondense.store import Store, canonical_json, fingerprint, write_table

State = Literal["running", "finished", "stopped", "failed"]


class Rung(Config):
    """What was measured at one checkpoint; subset trials have one, of step 0."""

    step: int
    metrics: dict[str, float]


class Record(Config):
    """One trial."""

    key: str
    fingerprint: str
    """Of what it was made from: a record of other features is not of this trial."""
    values: dict[str, Any]
    state: State = "running"
    rungs: tuple[Rung, ...] = ()
    message: str = ""
    """Why it failed."""

    @property
    def is_settled(self) -> bool:
        """Whether it needs no more work: measured to its end, or stopped because others were better."""
        return self.state in ("finished", "stopped")

    def metric(self, name: str) -> float | None:
        """Return a metric at the last checkpoint that was measured."""
        return self.rungs[-1].metrics.get(name) if self.rungs else None


class Records(Config):
    """The records of one sweep."""

    root: str
    """Root of the run."""
    directory: str
    """Directory of the sweep."""

    @property
    def store(self) -> Store:
        """The store of the run."""
        return Store(self.root)

    def read(self, key: str, expected: str) -> Record | None:
        """Return the record of a trial; None where there is none, or one that is damaged or was made from something else."""
        if not self.store.exists(self._name(key)):
            return None
        try:
            record = self._load(self._name(key))
        except (InputError, ValidationError):
            return None
        return record if record.fingerprint == expected else None

    def write(self, record: Record) -> None:
        """Write a record, whole or not at all."""
        self.store.write_json(self._name(record.key), record)

    def all(self) -> list[Record]:
        """Return every record, sorted by the values of its trial."""
        names = [
            name for name in self.store.list(f"{self.directory}/trials") if name.endswith(".json")
        ]
        return sorted(map(self._load, names), key=lambda record: canonical_json(record.values))

    def _load(self, name: str) -> Record:
        return Record.model_validate(self.store.read_json(name))

    def _name(self, key: str) -> str:
        return f"{self.directory}/trials/{key}.json"


def best_record(records: Sequence[Record], metric: str, mode: str) -> Record | None:
    """Return the best of the trials that were measured to the end; the first of equals."""
    sign = 1 if mode == "min" else -1
    measured = [
        record
        for record in records
        if record.state == "finished" and record.metric(metric) is not None
    ]
    return min(
        measured, key=lambda record: sign * float(record.metric(metric) or 0.0), default=None
    )


def write_results(sweep: Sweep, records: Sequence[Record]) -> Record | None:
    """Write results.parquet, results.csv and, if a trial was measured to the end, the configuration of the best as best.yaml.

    Returns: the record of the best trial.
    """
    store, directory = sweep.run.store, sweep.directory
    rows = [result_row(record) for record in records]
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.table({name: _column([row.get(name) for row in rows]) for name in names})
    write_table(
        store,
        f"{directory}/results.parquet",
        table,
        fingerprint=fingerprint([record.fingerprint for record in records]),
    )
    sink = io.StringIO()
    writer = csv.DictWriter(sink, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    store.write_bytes(f"{directory}/results.csv", sink.getvalue().encode())
    best = best_record(records, sweep.config.metric, sweep.config.mode)
    if best is not None:
        config = sweep.base_with(best.values).model_dump(mode="json", exclude_unset=True)
        store.write_bytes(
            f"{directory}/best.yaml",
            yaml.safe_dump(config, sort_keys=False, allow_unicode=True).encode(),
        )
    return best


def _column(values: list[Any]) -> pa.Array:
    """Return one column; text where any value is text."""
    texts = any(isinstance(value, str) for value in values)
    return pa.array(
        [None if value is None else str(value) for value in values] if texts else values
    )


def result_row(record: Record) -> dict[str, Any]:
    """Return a trial as a row of the tables: its values, then the figures at the last checkpoint that was measured."""
    values = {
        name: value if isinstance(value, str | int | float) else canonical_json(value)
        for name, value in record.values.items()
    }
    rung = record.rungs[-1] if record.rungs else Rung(step=0, metrics={})
    return {
        "trial": record.key,
        "state": record.state,
        **values,
        "step": rung.step,
        **rung.metrics,
        "message": record.message,
    }
