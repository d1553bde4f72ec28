"""Work side by side: BLAS and torch have one thread each until all of it is done, and what is shared may be shared."""

import threading

import numpy as np
import pytest
import scipy.linalg  # noqa: F401  it loads a BLAS of its own
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from v2vbench.clips.store import Store
from v2vbench.metrics._sets import one_thread
from v2vbench.parallel import side_by_side


@pytest.fixture
def two_threads():
    """torch and BLAS on two threads."""
    n_threads = torch.get_num_threads()
    with threadpool_limits(2, "blas"):
        torch.set_num_threads(2)
        try:
            yield
        finally:
            torch.set_num_threads(n_threads)


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_the_first_to_leave_restores_no_threads_under_the_others(two_threads):
    assert blas_threads() == {2}
    first_is_done = threading.Event()

    def work(number):
        if number == 0:
            one_thread(np.ones)(1)
            first_is_done.set()
        assert first_is_done.wait(60)
        return blas_threads()

    assert list(side_by_side(work, range(2))) == [{1}, {1}]
    assert blas_threads() == {2}


def test_torch_has_its_threads_again(two_threads):
    assert list(side_by_side(lambda _: torch.get_num_threads(), range(3))) == [1, 1, 1]
    assert torch.get_num_threads() == 2


def test_threads_are_restored_where_an_item_raises(two_threads):
    with pytest.raises(ZeroDivisionError):
        list(side_by_side(lambda number: 1 / number, [1, 0, 1]))
    assert torch.get_num_threads() == 2
    assert blas_threads() == {2}


def test_within_one_that_runs_it_is_one_by_one(two_threads):
    names = list(side_by_side(lambda _: list(side_by_side(lambda _: threading.get_ident(), range(4))), range(2)))
    assert [len(set(inner)) for inner in names] == [1, 1]


def test_a_store_is_read_from_several_threads(store_path):
    store = Store(store_path)
    alone = {clip: store.read(clip) for clip in store.clips}
    n_threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        together = list(side_by_side(Store(store_path).read, [clip for clip in store.clips for _ in range(3)]))
    finally:
        torch.set_num_threads(n_threads)
    for clip, arrays in zip([clip for clip in store.clips for _ in range(3)], together):
        assert arrays.keys() == alone[clip].keys()
        assert all(np.array_equal(arrays[name], alone[clip][name]) for name in arrays)
