"""The record of each trial, one file each, and the tables of all records."""

import csv
import io
import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa
import yaml
from pydantic import ValidationError

from jobs.trackers.trials import ShownTrial
from jobs.trials.trial import Sweep, describe
from otcondense.config import Config
from otcondense.errors import InputError
from otcondense.evaluation.registry import Direction, sign
from otcondense.store import Store, canonical_json, fingerprint, write_table

State = Literal["running", "finished", "stopped", "failed"]


class Rung(Config):
    """The metrics at one checkpoint; subset trials have one rung, of step 0."""

    step: int
    metrics: dict[str, float]


class Record(Config):
    """One trial."""

    key: str
    fingerprint: str
    """Of its inputs: a record with another fingerprint is not used."""
    values: dict[str, Any]
    state: State = "running"
    rungs: tuple[Rung, ...] = ()
    message: str = ""
    """Why it failed."""

    @property
    def is_settled(self) -> bool:
        """Whether it needs no more work: finished, or stopped because others were better."""
        return self.state in ("finished", "stopped")

    def metric(self, name: str) -> float | None:
        """Return a metric at the last measured checkpoint."""
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
        """Return the record of a trial; None if it is missing, damaged or has other inputs."""
        record = self._load(self._name(key))
        if record is None or record.fingerprint != expected:
            return None
        return record

    def write(self, record: Record) -> None:
        """Write a record atomically."""
        self.store.write_json(self._name(record.key), record)

    def all(self) -> list[Record]:
        """Return every undamaged record, sorted by the values of its trial."""
        names = self.store.list(f"{self.directory}/trials")
        loaded = [self._load(name) for name in names if name.endswith(".json")]
        records = [record for record in loaded if record is not None]
        return sorted(records, key=lambda record: canonical_json(record.values))

    def _load(self, name: str) -> Record | None:
        """Return a record; None if it is missing or damaged, so that its trial is run again."""
        try:
            return Record.model_validate(self.store.read_json(name))
        except (InputError, ValidationError, FileNotFoundError):
            return None

    def _name(self, key: str) -> str:
        return f"{self.directory}/trials/{key}.json"


def shown_trial(record: Record) -> ShownTrial:
    """Return a trial as trackers show it."""
    metrics = {rung.step: rung.metrics for rung in record.rungs}
    title = describe(record.values) or record.key
    return ShownTrial(record.key, title, record.values, record.state, metrics)


def best_record(records: Sequence[Record], metric: str, direction: Direction) -> Record | None:
    """Return the best finished trial; the first one of equals."""
    factor = sign(direction)
    best: Record | None = None
    least = math.inf
    for record in records:
        value = record.metric(metric)
        if record.state == "finished" and value is not None and factor * value < least:
            best = record
            least = factor * value
    return best


def write_results(sweep: Sweep, records: Sequence[Record]) -> Record | None:
    """Write results.parquet and results.csv, and the configuration of the best trial as best.yaml.

    Returns: the record of the best trial, None if no trial finished.
    """
    store = sweep.run.store
    directory = sweep.directory
    rows = [result_row(record) for record in records]
    names = list(dict.fromkeys(itertools.chain.from_iterable(rows)))

    columns = {}
    for name in names:
        columns[name] = _column([row.get(name) for row in rows])
    key = fingerprint([record.fingerprint for record in records])
    write_table(store, f"{directory}/results.parquet", pa.table(columns), fingerprint=key)

    sink = io.StringIO()
    writer = csv.DictWriter(sink, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    store.write_bytes(f"{directory}/results.csv", sink.getvalue().encode())

    best = best_record(records, sweep.config.metric, sweep.config.direction)
    if best is not None:
        config = sweep.base_with(best.values).model_dump(mode="json", exclude_unset=True)
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        store.write_bytes(f"{directory}/best.yaml", text.encode())
    return best


def _column(values: list[Any]) -> pa.Array:
    """Return one column; all values become text if any value is text."""
    if any(isinstance(value, str) for value in values):
        values = [None if value is None else str(value) for value in values]
    return pa.array(values)


def result_row(record: Record) -> dict[str, Any]:
    """Return a trial as a row: its values, then its metrics at the last measured checkpoint."""
    rung = record.rungs[-1] if record.rungs else Rung(step=0, metrics={})
    return {
        "trial": record.key,
        "state": record.state,
        **{name: _cell(value) for name, value in record.values.items()},
        "step": rung.step,
        **rung.metrics,
        "message": record.message,
    }


def _cell(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else canonical_json(value)
