"""Many things side by side, each on one thread: no result depends on what else there is, or on the number of cores."""
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch


def side_by_side(function: Callable, items: Iterable, at_most: int | None = None) -> Iterator:
    """`function` of each item, in their order, as many at once as torch has threads, or `at_most`, and each on one of them.

    No sum is split between threads: its rounding would depend on their number. It takes less of the processor than items
    one after the other that share all threads, too. Within one that is running already it takes them one by one.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(min(n_threads, at_most or n_threads), initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)          # where one raised, the others that wait are not begun
        torch.set_num_threads(n_threads)


def passes(function: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor, batch: int) -> torch.Tensor:
    """`function` on `batch` inputs at a time, the last pass padded with zeros; (n, ...) to (n, D)."""
    def one(start: int) -> torch.Tensor:
        part = inputs[start:start + batch]
        n = len(part)
        if n < batch:
            part = torch.cat([part, part.new_zeros((batch - n, *part.shape[1:]))])
        with torch.inference_mode():
            return function(part)[:n]

    return torch.cat(list(side_by_side(one, range(0, len(inputs), batch))))
