"""What trackers wrote, read back by their own libraries."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = 2**15
"""Bytes of a block in W&B's file, which is a LevelDB log."""
BEGINNING, HEADER = 7, 7
WHOLE, LAST = 1, 4
"""Kinds of records that end one."""


@dataclass
class Shown:
    """What one tracker has of a run."""

    identity: str = ""
    values: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """(step, value) by the full name."""
    config: dict[str, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    pictures: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)

    def add(self, name: str, step: int, value: float) -> None:
        self.values.setdefault(name, []).append((step, value))


def read_wandb(folder: Path) -> list[Shown]:
    """Return what each start wrote in a folder `wandb`, in the order of starts."""
    return [_wandb_run(path) for path in sorted(folder.glob("offline-run-*/*.wandb"))]


def _wandb_run(path: Path) -> Shown:
    from wandb.proto import wandb_internal_pb2

    shown = Shown()
    summary: dict[str, float] = {}
    for data in _records(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            shown.identity = record.run.run_id
            shown.config |= {each.key: each.value_json for each in record.run.config.update}
        elif kind == "artifact":
            shown.files |= {entry.path for entry in record.artifact.manifest.contents}
        elif kind == "history":
            _add_line(shown, _items(record.history.item))
        elif kind == "summary":
            for name, value in _items(record.summary.update).items():
                if isinstance(value, float | int) and len(name) == 1:
                    summary[name[0]] = float(value)
    for name, value in summary.items():
        shown.values.setdefault(name, [(0, value)])
    return shown


def _add_line(shown: Shown, line: dict[tuple[str, ...], object]) -> None:
    steps = [int(value) for (name, *_), value in line.items() if name.endswith("/step")]
    for (name, *below), value in line.items():
        if below == ["_type"]:
            (shown.tables if value == "table-file" else shown.pictures).add(name)
        elif steps and not below and not name.startswith("_") and not name.endswith("/step"):
            shown.add(name, steps[0], float(value))


def _items(items: object) -> dict[tuple[str, ...], object]:
    return {tuple(item.nested_key) or (item.key,): json.loads(item.value_json) for item in items}


def _records(data: bytes) -> Iterator[bytes]:
    position, parts = BEGINNING, b""
    while position + HEADER <= len(data):
        rest = BLOCK - position % BLOCK
        if rest < HEADER:
            position += rest
            continue
        length = int.from_bytes(data[position + 4 : position + 6], "little")
        kind = data[position + 6]
        position += HEADER
        parts += data[position : position + length]
        position += length
        if kind in (WHOLE, LAST):
            yield parts
            parts = b""


def read_mlflow(uri: str) -> list[Shown]:
    """Return what each run of a store has, in the order of their starts."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiments = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(experiments, order_by=["attributes.start_time ASC"])
    found = []
    for run in runs:
        shown = Shown(run.info.run_id, config=dict(run.data.params))
        for name in run.data.metrics:
            for metric in client.get_metric_history(run.info.run_id, name):
                shown.add(name, metric.step, metric.value)
        for path in _artifacts(client, run.info.run_id, None):
            _sort_in(shown, path)
        found.append(shown)
    return found


def _sort_in(shown: Shown, path: str) -> None:
    if path.endswith(".png"):
        shown.pictures.add(path.rpartition("/")[0])
    elif path.endswith(".csv"):
        shown.tables.add(path.removesuffix(".csv"))
    else:
        shown.files.add(path)


def _artifacts(client: object, run: str, folder: str | None) -> Iterator[str]:
    for each in client.list_artifacts(run, folder):
        if each.is_dir:
            yield from _artifacts(client, run, each.path)
        else:
            yield each.path


def read_tensorboard(folder: Path) -> Shown:
    """Return what TensorBoard reads from a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    tags = events.Tags()
    shown = Shown(pictures=set(tags["images"]))
    shown.tables = {name.removesuffix("/text_summary") for name in tags["tensors"]}
    for name in tags["scalars"]:
        shown.values[name] = [(each.step, each.value) for each in events.Scalars(name)]
    return shown
