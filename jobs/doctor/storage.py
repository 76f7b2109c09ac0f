"""Check the storage of runs: reachable, writable, shared by all nodes, with free space."""

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
"""Less free space than this is worth a note."""
RAY_LIMIT = 0.95
"""Ray starts no more work on a node whose disk is fuller."""
LOW_SHARED_BYTES = 2**30
"""Less of /dev/shm, which holds the object store, is worth a note."""
SHARED_TYPES = (
    "nfs",
    "lustre",
    "ceph",
    "glusterfs",
    "beegfs",
    "gpfs",
    "cifs",
    "9p",
    "fuse",
)
"""How the types of file systems that several machines can share begin."""


def check_storage(root: str) -> Iterator[Finding]:
    """Yield findings on a place for runs, a directory or an fsspec URI, and on the free space."""
    yield probe(root)
    if "://" not in root:
        yield _shared(Path(root))
        yield free_space(f"disk of {root}", _existing(Path(root)))
    session = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir()))
    yield free_space("disk of Ray's session", session)
    yield _shared_memory()


def probe(root: str) -> Finding:
    """Write, read and delete one file below `root`."""
    remedy = (
        "give existing storage with --storage, and check that this account may write there "
        "(credentials, mode, mount)"
    )
    before = _existing(Path(root)) if "://" not in root else None
    started = time.perf_counter()
    try:
        is_same = _comes_back(Store(root))
    # The user must see whatever an object store's client raises.
    except Exception as error:  # noqa: BLE001
        first_line = str(error).splitlines()[0] if str(error) else ""
        seen = f"{root}: {type(error).__name__}: {first_line}"
        return Finding("storage", "wrong", seen, remedy)
    finally:
        if before is not None:
            _remove_empty(Path(root), before)
    if not is_same:
        return Finding("storage", "wrong", f"{root} returned other data than was written", remedy)
    seconds = time.perf_counter() - started
    seen = f"{root}: 1 MiB written, read and deleted in {seconds:.2f} s"
    return Finding("storage", "ok", seen)


def _comes_back(store: Store) -> bool:
    """Tell whether a store returns the data that was written."""
    name = f".doctor-{uuid.uuid4().hex}"
    data = os.urandom(PROBE_BYTES)
    store.write_bytes(name, data)
    is_same = store.read_bytes(name) == data
    store.remove(name)
    return is_same


def _remove_empty(root: Path, before: Path) -> None:
    """Delete the directories that the probe created."""
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
    if kind.startswith(SHARED_TYPES):
        return Finding("storage is shared", "ok", f"{root} is on {kind}")
    return Finding(
        "storage is shared",
        "note",
        f"{root} is on {kind}: only this machine sees it",
        "on more than one node give --run a shared folder or a URI such as s3://bucket/run",
    )


def file_system(path: Path) -> str:
    """Return the type of the file system of a path."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    resolved = path.resolve()
    inside = [(where, kind) for where, kind in mounts if resolved.is_relative_to(where)]
    return max(inside, key=lambda mount: len(mount[0]), default=("/", "unknown"))[1]


def free_space(name: str, path: Path) -> Finding:
    """Check the free space on the disk of a path."""
    usage = shutil.disk_usage(path)
    used = 1 - usage.free / usage.total
    seen = f"{usage.free / 2**30:.0f} of {usage.total / 2**30:.0f} GiB free ({path})"
    if used > RAY_LIMIT:
        return Finding(
            name,
            "wrong",
            seen,
            "free some space: "
            f"Ray stops scheduling on a disk that is more than {RAY_LIMIT:.0%} full",
        )
    if usage.free < LOW_BYTES:
        remedy = "free some space; `--dry-run` shows how much a run will write"
        return Finding(name, "note", seen, remedy)
    return Finding(name, "ok", seen)


def _shared_memory() -> Finding:
    usage = shutil.disk_usage("/dev/shm")  # noqa: S108 - where Ray keeps its object store
    seen = f"{usage.free / 2**30:.1f} GiB of /dev/shm free"
    if usage.free < LOW_SHARED_BYTES:
        return Finding(
            "shared memory",
            "note",
            seen,
            "give the container more (--shm-size, or an emptyDir of medium Memory on /dev/shm)",
        )
    return Finding("shared memory", "ok", seen)
