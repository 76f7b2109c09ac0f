"""Work in fixed blocks of rows, so that results do not depend on the number of threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch

BLOCK_ROWS = 512
"""Largest number of rows in a block."""


def _even_rows(size: int) -> int:
    """Return the number of rows in a block, at most `BLOCK_ROWS`.

    The number of blocks is even and their sizes are nearly equal, so that two threads finish
    together.
    """
    if size <= 1:
        return 1
    pairs_of_blocks = -(-size // (2 * BLOCK_ROWS))
    return -(-size // (2 * pairs_of_blocks))


@lru_cache(maxsize=4)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(
        workers, thread_name_prefix="otcondense", initializer=torch.set_num_threads, initargs=(1,)
    )


def row_blocks(
    work: Callable[[slice], None], size: int, *, workers: int = 1, rows: int | None = None
) -> None:
    """Call `work` on consecutive slices of `size` rows.

    The slices are the same for any number of threads, and so is every byte of the result.

    Args:
        work: computes one slice.
        size: total number of rows.
        workers: threads.
        rows: rows in a slice; None chooses nearly equal slices.
    """
    rows = rows or _even_rows(size)
    slices = [slice(start, min(start + rows, size)) for start in range(0, size, rows)]
    if workers <= 1 or len(slices) < 2:
        for part in slices:
            work(part)
    else:
        list(_pool(workers).map(work, slices))
