"""The hashes of the held-out images that a run has read."""

from jobs.run_directory.run import Run
from otcondense.store import read_columns


def read_held_out_hashes(run: Run) -> frozenset[str]:
    """Return the SHA-256 of the held-out images whose copies are not chosen; empty without any.

    Raises: InputError if their file is damaged.
    """
    name = run.held_out_hashes()
    if name is None or not run.store.exists(name):
        return frozenset()
    return frozenset(read_columns(run.store, name, ["sha256"]).column(0).to_pylist())
