"""Work in fixed blocks of rows, so that results do not depend on the number of threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch

BLOCK_ROWS = 512


def _even_rows(size: int) -> int:
    """Return the rows of a block, at most `BLOCK_ROWS`, that cut `size` rows into an even number of even blocks: two threads then end together."""
    return -(-size // (2 * -(-size // (2 * BLOCK_ROWS)))) if size > 1 else 1


@lru_cache(maxsize=4)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(
        workers, thread_name_prefix="otcondense", initializer=torch.set_num_threads, initargs=(1,)
    )


def row_blocks(
    work: Callable[[slice], None], size: int, *, workers: int = 1, rows: int | None = None
) -> None:
    """Call `work` on consecutive slices of `rows` rows (None: even ones); on several threads the slices, and so the bytes, are the same."""
    rows = rows or _even_rows(size)
    slices = [slice(start, min(start + rows, size)) for start in range(0, size, rows)]
    if workers <= 1 or len(slices) < 2:
        for part in slices:
            work(part)
    else:
        list(_pool(workers).map(work, slices))
