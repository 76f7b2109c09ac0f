"""Two workers of one training on this machine, with gloo: `python -m tests.two_workers ROOT`.

They are forked from a process that has imported everything. Each writes what it saw, as JSON, to
ROOT/RANK.json.
"""

import json
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from jobs.train.loop import Workers, run_loop
from jobs.train.shared import from_first
from otcondense.diffusion.checkpoint_state import checkpoint_directory
from otcondense.diffusion.node_tables import node_tables
from otcondense.diffusion.train_job import TrainJob
from otcondense.errors import InputError
from otcondense.store import Representation, Store
from tests.generators.trainings import RUN, latent_job

CHECKPOINTS = {
    "text": "captions",
    "checkpoint_steps": (2,),
    "checkpoint_every": 2,
    "num_workers": 2,
}


class CountedFile:
    """A file of tensors that counts the bytes that are read from it."""

    def __init__(self, file: Any, name: str, counts: Counter[str]) -> None:
        self._file, self._name, self._counts = file, name, counts

    def __enter__(self) -> "CountedFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def readinto(self, buffer: memoryview) -> int:
        count = int(self._file.readinto(buffer))
        self._counts[self._name] += count
        return count

    def read(self, size: int = -1) -> bytes:
        data = bytes(self._file.read(size))
        self._counts[self._name] += len(data)
        return data


def count_reads(patch: Callable[[type, str, Any], None]) -> Counter[str]:
    """Count the bytes that are read from files of tensors from now on, by name.

    Args:
        patch: sets an attribute of a class.
    """
    counts: Counter[str] = Counter()
    opened, read = Store.open, Store.read_bytes

    def counted_open(store: Store, name: str) -> Any:
        file = opened(store, name)
        return CountedFile(file, name, counts) if name.endswith(".safetensors") else file

    def counted_read(store: Store, name: str) -> bytes:
        data = read(store, name)
        if name.endswith(".safetensors"):
            counts[name] += len(data)
        return data

    patch(Store, "open", counted_open)
    patch(Store, "read_bytes", counted_read)
    return counts


def rot(store: Store, name: str) -> None:
    """Flip a bit of a file; size and time of change stay, as when a disk forgets."""
    path = Path(store.path(name))
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _train(job: TrainJob, workers: Workers, counts: Counter[str]) -> dict[str, Any]:
    counts.clear()
    outcome = run_loop(job, workers)
    return {"resumed_from": outcome.resumed_from, "read": dict(counts)}


def _scenes(root: Path, workers: Workers) -> dict[str, Any]:
    """Train, go on, find nothing to do, go on behind a damaged checkpoint; and all at once."""
    counts, reads = count_reads(setattr), Counter[str]()
    read = Representation.read

    def counted(*given: Any, **named: Any) -> Any:
        reads["classes"] += 1
        return read(*given, **named)

    Representation.read = counted  # type: ignore[method-assign]
    calm = latent_job(root / "calm", num_steps=8, resident_gb=0, **CHECKPOINTS)
    job = latent_job(root / "stopped", num_steps=4, resident_gb=0, **CHECKPOINTS)
    found = {"calm": _train(calm, workers, counts), "classes": dict(reads)}
    longer = {steps: replace(job, config=_lengthened(job, steps)) for steps in (6, 8)}
    found["fresh"] = _train(job, workers, counts)
    found["lengthened"] = _train(longer[6], workers, counts)
    found["finished"] = _train(longer[6], workers, counts)
    if workers.rank == 0:
        rot(job.store, f"{checkpoint_directory(RUN, 6)}/optimizer.safetensors")
    found["damaged"] = _train(longer[8], workers, counts)
    return found


def _lengthened(job: TrainJob, steps: int) -> Any:
    return job.config.model_copy(update={"num_steps": steps})


def _errors(workers: Workers) -> list[str]:
    """Return the errors of the first worker as this one sees them."""
    seen = []
    for error in (InputError("a mistake"), OSError(28, "full"), KeyError("bug")):

        def fail(error: Exception = error) -> Any:
            raise error

        for call in (
            lambda fail=fail: from_first(workers, fail),
            lambda fail=fail: node_tables({"a": (1,)}, lambda _: fail(), "cpu"),
        ):
            try:
                call()
            except Exception as caught:  # noqa: BLE001 - all of them are seen
                seen.append(f"{type(caught).__name__} {getattr(caught, 'errno', '')} {caught}")
    return seen


def work(root: Path, rank: int) -> None:
    """Be one of the two workers."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{root}/group", rank=rank, world_size=2
    )
    reports: list[Any] = []
    workers = Workers(rank, 2, report=reports.append)
    found = {**_scenes(root, workers), "errors": _errors(workers), "reports": reports}
    (root / f"{rank}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


def main() -> None:
    root = Path(sys.argv[1])
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=work, args=(root, rank)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(max(abs(process.exitcode or 0) for process in processes))


if __name__ == "__main__":
    main()
