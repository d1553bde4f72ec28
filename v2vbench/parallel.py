"""Many things side by side, each on one thread: no result depends on what else there is, or on the number of cores."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import torch
from threadpoolctl import ThreadpoolController


def side_by_side(function: Callable, items: Iterable, at_most: int | None = None) -> Iterator:
    """`function` of each item, in their order, as many at once as torch has threads, or `at_most`; each on one thread.

    No sum is split between threads: its rounding would depend on their number. It takes less of the processor than
    items one after the other that share all threads, too. Within one that is running already it takes them one by one.

    BLAS has one number of threads for the whole process, so it is set to one here, around the pool: were each thread to
    set it and to restore it, the first to finish would restore it under the others.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _blas().limit(limits=1, user_api="blas"):
            pool = ThreadPoolExecutor(
                min(n_threads, at_most or n_threads), initializer=torch.set_num_threads, initargs=(1,)
            )
            try:
                yield from pool.map(function, items)
            finally:
                pool.shutdown(cancel_futures=True)  # where one raised, the others that wait are not begun
    finally:
        torch.set_num_threads(n_threads)  # last: an OpenBLAS that runs on OpenMP sets torch's threads with its own


@cache
def _blas() -> ThreadpoolController:
    """What sets the threads of the BLAS libraries of NumPy and SciPy; to find them takes milliseconds."""
    import scipy.linalg  # noqa: F401  it loads SciPy's

    return ThreadpoolController()


@contextmanager
def fixed_threads():
    """Networks train and roll out on one thread, or as many as V2VBENCH_THREADS says, whatever the number of cores.

    A sum split between threads rounds in another way, and a training magnifies that: so the number of threads, and not
    that of the cores or the load, is what the bytes depend on. Also a decorator.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get("V2VBENCH_THREADS", 1)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def passes(function: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor, batch: int) -> torch.Tensor:
    """`function` on `batch` inputs at a time, the last pass padded with zeros; (n, ...) to (n, D)."""

    def one(start: int) -> torch.Tensor:
        part = inputs[start : start + batch]
        n = len(part)
        if n < batch:
            part = torch.cat([part, part.new_zeros((batch - n, *part.shape[1:]))])
        with torch.inference_mode():
            return function(part)[:n]

    return torch.cat(list(side_by_side(one, range(0, len(inputs), batch))))
