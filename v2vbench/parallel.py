"""Parallel work with one thread for each item, so that no result depends on other items or on the number of cores."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import torch
from threadpoolctl import ThreadpoolController


def side_by_side(function: Callable, items: Iterable, at_most: int | None = None) -> Iterator:
    """`function` of each item, in order; as many at once as torch has threads, or `at_most`, each on one thread.

    No sum is split between threads, since its rounding would depend on their number. This is also faster than items one
    after the other that share all threads. A nested call takes its items one by one.

    The number of BLAS threads is a setting of the whole process, so it is set to one around the pool: if each thread
    set and restored it, the first to finish would restore it while others still run.
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
                pool.shutdown(cancel_futures=True)  # after an error, waiting items are not started
    finally:
        torch.set_num_threads(n_threads)  # last: OpenBLAS built with OpenMP changes torch's threads too


@cache
def _blas() -> ThreadpoolController:
    """The controller of the BLAS threads of NumPy and SciPy; takes milliseconds to create."""
    import scipy.linalg  # noqa: F401  loads SciPy's BLAS

    return ThreadpoolController()


@contextmanager
def fixed_threads():
    """Context manager or decorator: one torch thread, or V2VBENCH_THREADS, whatever the number of cores.

    For training and roll-outs. A sum that is split between threads rounds differently, and training magnifies that, so
    results depend on the number of threads; it must not depend on the cores or the load of the machine.
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
