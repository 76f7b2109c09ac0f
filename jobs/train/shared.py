"""What the first worker finds out for all workers: a file is read once, not once a worker."""

import json
from collections.abc import Callable, Sequence

from otcondense.diffusion.exchange import error_of, error_text, gather_texts
from otcondense.diffusion.workers import Workers


def from_first(workers: Workers, find: Callable[[], Sequence[int]]) -> list[int]:
    """Return what `find` returns in the first worker; every worker must call it.

    Raises: what `find` raises in the first worker; in the others an error of the same kind, so that
        none of them waits for the first.
    """
    if workers.world_size == 1:
        return list(find())
    error: Exception | None = None
    found: dict[str, list[int] | str] = {}
    if workers.rank == 0:
        try:
            found = {"found": list(find())}
        except Exception as caught:  # noqa: BLE001 - raised again below
            error, found = caught, {"error": error_text(caught)}
    first = json.loads(gather_texts(json.dumps(found), workers.device)[0])
    if error is not None:
        raise error
    if "error" in first:
        raise error_of(first["error"])
    return list(first["found"])
