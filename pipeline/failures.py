"""Errors of workers, brought to the driver as they are.

Ray Data wraps an exception of a worker and loses its cause, so that no sentence could be made of a
full disk. So a worker returns it.
"""

import pickle
import traceback


def packed(error: Exception) -> bytes:
    """Return an error as bytes for `raise_packed`; its note says where it came from."""
    error.add_note(traceback.format_exc())
    try:
        data = pickle.dumps(error)
        pickle.loads(data)  # noqa: S301 - made in the line before
    except Exception:  # noqa: BLE001 - errors of some libraries cannot be pickled
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return data


def raise_packed(data: bytes) -> None:
    """Raise an error that `packed` returned, in a worker of this run.

    Raises: the error; nothing if there is none.
    """
    if data:
        error: Exception = pickle.loads(data)  # noqa: S301 - as Ray itself brings all results
        raise error
