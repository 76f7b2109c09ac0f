"""Check the storage of runs: reachable, writable, shared by all nodes, with free space."""

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from jobs.doctor.finding import Finding
from otcondense.machine import total_memory
from otcondense.shares import percent
from otcondense.store import Store

PROBE_BYTES = 1 << 20
LOW_BYTES = 10 * 2**30
"""Less free space than this is worth a note."""
RAY_LIMIT = 0.95
"""Ray starts no more work on a node whose disk is fuller."""
LOW_SHARED_BYTES = 2**30
"""Less of /dev/shm, which holds the object store, is worth a note, and is wrong beside GPUs: NCCL
keeps its buffers there too, some 10 MB for each pair of GPUs, and containers start with 64 MiB."""
STORE_SHARE = 0.3
"""Share of the memory that Ray gives its object store by default."""
LARGEST_STORE_BYTES = 200 * 10**9
"""Ray gives the object store no more by default."""
STORE_OF_SHARED = 0.95
"""Ray uses at most this share of /dev/shm."""
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Ray keeps its object store
"""Linux's file system in memory."""
MOUNTS = Path("/proc/mounts")
"""Linux's list of file systems."""
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Memory limit of a container."""
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
    "virtiofs",
    "wekafs",
)
"""How the types of file systems that several machines can share begin."""


def check_storage(root: str, *, on_cluster: bool) -> Iterator[Finding]:
    """Yield findings on a place for runs, a directory or an fsspec URI, and on the free space.

    Args:
        root: the place.
        on_cluster: whether the work is done by a cluster; one machine needs no shared storage.
    """
    yield probe(root)
    if "://" not in root:
        if on_cluster:
            yield _shared(Path(root))
        yield free_space(f"disk of {root}", existing(Path(root)))
    session = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir()))
    yield free_space("disk of Ray's session", session)
    yield _shared_memory()


def probe(root: str) -> Finding:
    """Write, read and delete one file below `root`."""
    remedy = (
        "give existing storage with --storage, and check that this account may write there "
        "(credentials, mode, mount)"
    )
    before = existing(Path(root)) if "://" not in root else None
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


def existing(path: Path) -> Path:
    """Return the path itself or the nearest directory above it that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _shared(root: Path) -> Finding:
    kind = file_system(existing(root))
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
    if not MOUNTS.exists():  # no Linux
        return "unknown"
    mounts = [line.split()[1:3] for line in MOUNTS.read_text().splitlines()]
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
            f"Ray stops scheduling on a disk that is more than {percent(RAY_LIMIT, 0)} full",
        )
    if usage.free < LOW_BYTES:
        remedy = "free some space; `--dry-run` shows how much a run will write"
        return Finding(name, "note", seen, remedy)
    return Finding(name, "ok", seen)


def machine_memory() -> int:
    """Return the bytes of memory of this machine, or of this container if it has a limit."""
    memory = total_memory()
    limit = CGROUP_LIMIT.read_text().strip() if CGROUP_LIMIT.exists() else "max"
    return min(memory, int(limit)) if limit.isdigit() else memory


def check_shared_memory(total: int, free: int, memory: int, *, has_gpus: bool) -> Finding:
    """Check whether /dev/shm has room for Ray's object store, and for NCCL beside GPUs.

    Args:
        total: its size in bytes.
        free: its free bytes.
        memory: bytes of memory of the machine.
        has_gpus: whether the machine has GPUs.
    """
    store = min(STORE_SHARE * memory, LARGEST_STORE_BYTES)
    seen = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB of /dev/shm free"
    remedy = "give the container more (--shm-size, or an emptyDir of medium Memory on /dev/shm)"
    if free < LOW_SHARED_BYTES:
        return Finding("shared memory", "wrong" if has_gpus else "note", seen, remedy)
    if total * STORE_OF_SHARED < store:
        smaller = (
            f"{seen}: Ray's object store gets {total * STORE_OF_SHARED / 2**30:.0f} GiB in place "
            f"of {store / 2**30:.0f}, so fewer images are decoded at a time"
        )
        return Finding("shared memory", "note", smaller, remedy)
    return Finding("shared memory", "ok", seen)


def _shared_memory() -> Finding:
    if not SHARED_MEMORY.exists():  # no Linux
        return Finding("shared memory", "ok", "this system has no size of its own for it")
    usage = shutil.disk_usage(SHARED_MEMORY)
    has_gpus = bool(list(Path("/dev").glob("nvidia[0-9]*")))
    return check_shared_memory(usage.total, usage.free, machine_memory(), has_gpus=has_gpus)
