"""Where a run is kept: reachable, writable, shared by all nodes, with space left."""

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from jobs.doctor.finding import Finding
from otcondense.store import Store

PROBE_BYTES = 1 << 20
LOW_BYTES = 10 * 2**30
RAY_LIMIT = 0.95
"""Ray starts nothing more on a node whose disk is fuller."""
SHARED_TYPES = {
    "nfs",
    "nfs4",
    "lustre",
    "ceph",
    "glusterfs",
    "beegfs",
    "gpfs",
    "cifs",
    "9p",
    "fuse",
}


def look_at_storage(root: str) -> Iterator[Finding]:
    """Yield whether a run could be kept below `root`, a directory or an fsspec URI, and what space is left."""
    yield probe(root)
    if "://" not in root:
        yield _shared(Path(root))
        yield free_space(f"disk of {root}", _existing(Path(root)))
    yield free_space(
        "disk of Ray's session", Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir()))
    )
    yield _shared_memory()


def probe(root: str) -> Finding:
    """Write, read and delete one file below `root`."""
    name, data, started = (
        f".doctor-{uuid.uuid4().hex}",
        os.urandom(PROBE_BYTES),
        time.perf_counter(),
    )
    mend = "name storage that exists with --storage, and see that this account may write there (credentials, mode, mount)"
    before = _existing(Path(root)) if "://" not in root else None
    try:
        store = Store(root)
        store.write_bytes(name, data)
        same = store.read_bytes(name) == data
        store.remove(name)
    # Whatever an object store's client raises is what the user has to see, not a fault of the doctor.
    except Exception as error:  # noqa: BLE001
        return Finding(
            "storage",
            "wrong",
            f"{root}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            mend,
        )
    finally:
        if before is not None:
            _remove_empty(Path(root), before)
    if not same:
        return Finding(
            "storage", "wrong", f"{root} gave back something else than was written", mend
        )
    return Finding(
        "storage",
        "ok",
        f"{root}: 1 MiB written, read and deleted in {time.perf_counter() - started:.2f} s",
    )


def _remove_empty(root: Path, before: Path) -> None:
    """Delete the directories that the probe made."""
    while root != before and root.is_dir() and not any(root.iterdir()):
        root.rmdir()
        root = root.parent


def _existing(path: Path) -> Path:
    """Return the path itself or the nearest directory above it that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _shared(root: Path) -> Finding:
    kind = file_system(_existing(root))
    if any(kind.startswith(shared) for shared in SHARED_TYPES):
        return Finding("storage is shared", "ok", f"{root} is on {kind}")
    mend = "on more than one node give --run a shared folder or a URI such as s3://bucket/run"
    return Finding(
        "storage is shared", "note", f"{root} is on {kind}: this machine alone sees it", mend
    )


def file_system(path: Path) -> str:
    """Return the type of the file system that `path` is on."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    inside = [(where, kind) for where, kind in mounts if path.resolve().is_relative_to(where)]
    return max(inside, key=lambda mount: len(mount[0]), default=("/", "unknown"))[1]


def free_space(name: str, path: Path) -> Finding:
    """Return how much is left on the disk of `path`."""
    usage = shutil.disk_usage(path)
    used = 1 - usage.free / usage.total
    seen = f"{usage.free / 2**30:.0f} of {usage.total / 2**30:.0f} GiB free ({path})"
    if used > RAY_LIMIT:
        mend = f"free some space: Ray stops scheduling on a disk that is more than {RAY_LIMIT:.0%} full"
        return Finding(name, "wrong", seen, mend)
    if usage.free < LOW_BYTES:
        return Finding(
            name, "note", seen, "free some space; `--dry-run` says what a run will write"
        )
    return Finding(name, "ok", seen)


def _shared_memory() -> Finding:
    usage = shutil.disk_usage("/dev/shm")  # noqa: S108 - where Ray keeps its object store
    seen = f"{usage.free / 2**30:.1f} GiB of /dev/shm free"
    if usage.free < 2**30:
        return Finding(
            "shared memory",
            "note",
            seen,
            "give the container more (--shm-size, or an emptyDir of medium Memory on /dev/shm)",
        )
    return Finding("shared memory", "ok", seen)
