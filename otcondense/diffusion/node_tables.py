"""Tables of training data in temporary files: one file for all workers of a training on a machine.

The first worker on a machine writes an unnamed file. The others open it through `/proc`, by process
and descriptor, while all wait for each other. So the data are on the disk and in the cache of the
machine once. Nothing is named, so no file is left when the processes end, however they end, and two
trainings on one machine do not meet.
"""

import json
import logging
import os
import tempfile
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from otcondense.diffusion.exchange import error_of, error_text, gather_texts, number_of_workers

LOG = logging.getLogger(__name__)
Fill = Callable[[dict[str, Tensor]], None]
"""Writes the values of all tables."""
Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of the tables by name."""
BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Identity of this start of this machine."""
PROCESSES = Path("/proc/self/ns/pid")
"""Identity of the processes that this one can see."""


def any_worker(value: bool, device: str) -> bool:  # noqa: FBT001 - the value itself
    """Tell whether `value` is true in any worker; every worker must call it."""
    if number_of_workers() == 1:
        return value
    return any(json.loads(text) for text in gather_texts(json.dumps(value), device))


def tables_on(device: str, shapes: Shapes, fill: Fill, *, streamed: bool) -> dict[str, Tensor]:
    """Return filled tables of float16: on the device, or in files that batches are streamed from.

    Args:
        device: of this worker.
        shapes: of the tables.
        fill: writes them.
        streamed: whether they are in files, in all workers the same.

    Raises: what `fill` raises; for files, in any worker.
    """
    if streamed:
        return node_tables(shapes, fill, device)
    tables = {
        name: torch.empty(shape, dtype=torch.float16, device=device)
        for name, shape in shapes.items()
    }
    fill(tables)
    return tables


def node_tables(shapes: Shapes, fill: Fill, device: str) -> dict[str, Tensor]:
    """Return filled tables of float16; every worker must call it.

    Args:
        shapes: of the tables.
        fill: writes them; called in one worker of each machine.
        device: of this worker, for the exchange.

    Raises: what `fill` raises in any worker.
    """
    if number_of_workers() == 1:
        with ExitStack() as files:
            return _written(_new_files(shapes, files), shapes, fill)
    machines = gather_texts(_machine(), device)
    rank = torch.distributed.get_rank()
    first = machines.index(machines[rank])
    with ExitStack() as files:
        if rank == first:
            return _shared(_new_files(shapes, files), shapes, fill, device)
        place = json.loads(_outcomes("", device)[first])
        tables = _opened(place, shapes, fill)
        gather_texts("", device)
        return tables


def _new_files(shapes: Shapes, files: ExitStack) -> dict[str, IO[bytes]]:
    # A mapping keeps its unnamed file alive.
    return {name: files.enter_context(tempfile.TemporaryFile()) for name in shapes}


def _written(files: Mapping[str, IO[bytes]], shapes: Shapes, fill: Fill) -> dict[str, Tensor]:
    tables = {name: _mapped(files[name], shape, "w+") for name, shape in shapes.items()}
    fill(tables)
    return tables


def _mapped(file: IO[bytes], shape: tuple[int, ...], mode: str) -> Tensor:
    values = np.memmap(file, np.float16, mode, shape=shape)  # type: ignore[call-overload]
    return torch.from_numpy(values)


def _shared(
    files: Mapping[str, IO[bytes]], shapes: Shapes, fill: Fill, device: str
) -> dict[str, Tensor]:
    """Write the tables and wait until the other workers of this machine have opened them."""
    tables: dict[str, Tensor] = {}
    descriptors = {name: file.fileno() for name, file in files.items()}
    outcome = json.dumps({"process": os.getpid(), "descriptors": descriptors})
    error = None
    try:
        tables = _written(files, shapes, fill)
    except Exception as caught:  # noqa: BLE001 - raised again below
        error, outcome = caught, json.dumps({"error": error_text(caught)})
    try:
        _outcomes(outcome, device)
    finally:
        if error is not None:
            raise error
    gather_texts("", device)
    return tables


def _outcomes(own: str, device: str) -> list[str]:
    """Return what the workers that wrote say, by rank.

    Raises: the error of a worker that failed.
    """
    outcomes = gather_texts(own, device)
    for text in outcomes:
        if text and "error" in json.loads(text):
            raise error_of(json.loads(text)["error"])
    return outcomes


def _opened(
    place: Mapping[str, int | Mapping[str, int]], shapes: Shapes, fill: Fill
) -> dict[str, Tensor]:
    """Return the tables that another process has written; if it cannot be seen, write own ones."""
    descriptors = place["descriptors"]
    assert not isinstance(descriptors, int)
    folder = Path(f"/proc/{place['process']}/fd")
    with ExitStack() as files:
        try:
            opened = {
                name: files.enter_context((folder / str(number)).open("rb"))
                for name, number in descriptors.items()
            }
        except OSError as error:
            LOG.warning("training data are copied once more: %s", error)
            return _written(_new_files(shapes, files), shapes, fill)
        # Private pages: nothing that one worker might write reaches another.
        return {name: _mapped(opened[name], shape, "c") for name, shape in shapes.items()}


def _machine() -> str:
    """Return the identity of this machine, and of the processes that can be seen here."""
    try:
        return f"{BOOT.read_text().strip()} {PROCESSES.readlink()} {os.getuid()}"
    except OSError:  # no Linux: each worker is on a machine of its own
        return uuid.uuid4().hex
