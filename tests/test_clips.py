"""The store gives back what was written, whole or not at all, and says what is wrong with a bad one."""

import hashlib
import os
import tracemalloc
import zipfile
from itertools import repeat

import numpy as np
import pytest
import torch
from conftest import facts, sliding_clip

from v2vbench.clips.store import BATCH, KINDS, Frames, Store, digest, write_store
from v2vbench.clips.tensors import to_image, to_pixels
from v2vbench.clips.windows import Windows
from v2vbench.params import Fault


def write(path, n=2, **changes):
    write_store(path, facts(), ((dict(id=f"c{i}", split="train"), sliding_clip(i, 9) | changes) for i in range(n)))
    return path


def test_round_trip_of_any_window(tmp_path):
    store, whole = Store(write(tmp_path / "x.zip")), sliding_clip(1, 9)
    assert store.facts == facts() and store.split("train") == ["c0", "c1"] and store.clips["c1"]["n_frames"] == 9
    for start, stop in [(0, 9), (3, 5), (7, 9), (8, 9)]:
        window = store.read("c1", start, stop)
        assert all(
            np.array_equal(
                window[name], whole[name][start : stop if name in ("real", "label", "instance") else stop - 1]
            )
            for name in whole
        )
    store.verify()


def test_equal_content_is_equal_bytes(tmp_path):
    first, second = (hashlib.sha256(write(tmp_path / name).read_bytes()).hexdigest() for name in ("a.zip", "b.zip"))
    assert first == second


def test_a_crash_while_writing_leaves_the_old_store(tmp_path):
    path = write(tmp_path / "x.zip")
    before = path.read_bytes()

    def crash():
        yield dict(id="c0", split="train"), sliding_clip(0, 9)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_store(path, facts(), crash())
    assert path.read_bytes() == before


def pieces(array, sizes):
    """The array in pieces of sizes[0], sizes[1], ... frames, in a cycle, all in one buffer that is overwritten."""
    start, held = 0, np.empty((max(sizes), *array.shape[1:]), array.dtype)
    while start < len(array):
        for size in sizes:
            part = array[start : start + size]
            held[: len(part)] = part
            if len(part):
                yield held[: len(part)]
            start += size


def lazily(arrays, sizes):
    return {name: Frames(len(array), pieces(array, sizes)) for name, array in arrays.items()}


def long_clip(n):
    """Every array of KINDS that a data set may have, with n frames; some chunks are all zero, which zarr leaves out."""
    rng = np.random.default_rng(n)
    shape = {"T": n, "t": n - 1, "H": 32, "W": 64, "2": 2, "3": 3, "C": 5, "P": 7, "D": 2}
    arrays = {
        name: rng.integers(0, 200, [shape[a] for a in axes]).astype(dtype) for name, (dtype, axes) in KINDS.items()
    }
    return arrays | {"maps": arrays["maps"] * 0, "occluded": arrays["occluded"] // 199}


@pytest.mark.parametrize("n", [1, 7, 8, 9, 20, 90])
@pytest.mark.parametrize("sizes", [(1,), (3, 1, 5), (8,), (100,)])
def test_pieces_give_the_bytes_of_whole_arrays(tmp_path, n, sizes):
    whole = long_clip(n)
    for name, arrays in [
        ("whole", whole),
        ("lazy", lazily(whole, sizes)),
        ("mixed", whole | lazily({"real": whole["real"]}, sizes)),
    ]:
        write_store(
            tmp_path / name,
            facts(),
            [(dict(id="c0", split="train"), arrays), (dict(id="c1", split="seen"), sliding_clip(0, 9))],
        )
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "lazy").read_bytes() == (tmp_path / "mixed").read_bytes()
    store = Store(tmp_path / "lazy")
    assert store.clips["c0"]["sha256"] == digest(whole)
    assert all(np.array_equal(value, whole[name]) for name, value in store.read("c0").items())
    store.verify()


def test_chunks_lie_in_order_of_time(tmp_path):
    write_store(tmp_path / "x.zip", facts(), [(dict(id="c0", split="train"), dict(real=long_clip(90)["real"]))])
    with zipfile.ZipFile(tmp_path / "x.zip") as file:
        assert file.namelist() == [
            "zarr.json",
            *(f"00000/real/c/{i}/0/0/0" for i in range(12)),
            "00000/real/zarr.json",
            "00000/zarr.json",
            "index.json",
        ]


@pytest.mark.parametrize("n", [3, 8, 100])
@pytest.mark.parametrize("n_frames", [1, 8, 9, 20])
def test_a_stream_laid_end_to_end_is_the_clip(tmp_path, n_frames, n):
    whole = long_clip(n_frames)
    write_store(tmp_path / "x.zip", facts(), [(dict(id="c0", split="train"), whole)])
    store = Store(tmp_path / "x.zip")
    starts, parts = zip(*store.stream("c0", n=n))
    assert list(starts) == list(range(0, n_frames, n))
    assert all(np.array_equal(np.concatenate([part[name] for part in parts]), whole[name]) for name in whole)
    assert {name for _, part in store.stream("c0", ["real"]) for name in part} == {"real"}


def fails():
    yield np.zeros((10, 32, 64, 3), np.uint8)
    raise ArithmeticError("frame 10 cannot be made")


@pytest.mark.parametrize(
    "changes, error, says",
    [
        (
            dict(real=Frames(9, [np.zeros((8, 32, 64, 3), np.uint8)])),
            Fault,
            "clip c1: real has 8 frames, not the 9 promised",
        ),
        (dict(real=Frames(9, [])), Fault, "clip c1: real has 0 frames, not the 9 promised"),
        (
            dict(real=Frames(9, repeat(np.zeros((2, 32, 64, 3), np.uint8)))),
            Fault,
            "clip c1: real has more frames than the 9 promised",
        ),
        (dict(label=Frames(8, [])), Fault, "clip c1: label has 8 frames, expected 9"),
        (dict(flow=Frames(9, [])), Fault, "clip c1: flow has 9 frames, expected 8"),
        (
            dict(real=Frames(9, [np.zeros((4, 32, 64, 3), np.uint8), np.zeros((5, 32, 64, 3), np.float32)])),
            Fault,
            r"clip c1: real, from frame 4, is float32 \(5, 32, 64, 3\), expected uint8 \(None, 32, 64, 3\)",
        ),
        (
            dict(real=Frames(9, [np.zeros((32, 64, 3), np.uint8)])),
            Fault,
            r"clip c1: real, from frame 0, is uint8 \(32, 64, 3\)",
        ),
        (
            dict(maps=Frames(9, [np.zeros((4, 32, 64, c), np.uint8) for c in (5, 6)])),
            Fault,
            r"clip c1: maps, from frame 4, .*64, 5\)",
        ),
        (dict(real=Frames(9, fails())), Fault, "clip c1: real, from frame 0|clip c1: real has more"),
        (dict(fake=Frames(9, (part[:4] for part in fails()))), ArithmeticError, "frame 10 cannot be made"),
    ],
)
def test_wrong_pieces_are_named_and_leave_the_old_store(tmp_path, changes, error, says):
    path = write(tmp_path / "x.zip")
    before = path.read_bytes()
    with pytest.raises(error, match=says):
        write_store(
            path,
            facts(),
            [
                (dict(id="c0", split="train"), sliding_clip(0, 9)),
                (dict(id="c1", split="train"), sliding_clip(1, 9) | changes),
            ],
        )
    assert path.read_bytes() == before
    with pytest.raises(Fault, match="not a whole clip store"):
        Store(tmp_path / "x.zip.partial")


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path):
    noise = np.random.default_rng(0).integers(
        0, 256, (256, 1024, 3), np.uint8
    )  # does not compress: a chunk kept would show

    def peak(n):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        write_store(
            tmp_path / "x.zip",
            facts(size=(256, 512)),
            [(dict(id="c0", split="train"), dict(real=Frames(n, (noise[None, :, i : i + 512] for i in range(n)))))],
        )
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    try:
        peak(8)  # what is imported once
        peaks = [peak(40), peak(400)]
    finally:
        tracemalloc.stop()
    frame = 256 * 512 * 3  # bytes: 16 MB for the 40, 157 MB for the 400
    assert peaks[1] < peaks[0] + 2 * frame and peaks[1] < 6 * BATCH * frame, peaks  # measured: 28.4 MB for both


@pytest.mark.parametrize(
    "changes, says",
    [
        (dict(real=np.zeros((9, 32, 64, 3), np.float32)), "clip c0: real is float32"),
        (dict(flow=np.zeros((9, 32, 64, 2), np.float16)), "flow is"),
        (dict(label=np.zeros((9, 32, 32), np.uint8)), r"label is uint8 \(9, 32, 32\)"),
        (dict(colour=np.zeros(9)), "unknown array 'colour'"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, changes, says):
    with pytest.raises(Fault, match=says):
        write(tmp_path / "x.zip", **changes)
    assert not (tmp_path / "x.zip").exists()


def test_wrong_split_and_no_clips(tmp_path):
    with pytest.raises(Fault, match="split 'test' is not train or one of seen, unseen"):
        write_store(tmp_path / "x.zip", facts(), [(dict(id="c0", split="test"), sliding_clip(0, 9))])
    with pytest.raises(Fault, match="no clips to write"):
        write_store(tmp_path / "x.zip", facts(), [])


def test_missing_truncated_and_altered_stores(tmp_path):
    with pytest.raises(Fault, match="no such clip store"):
        Store(tmp_path / "none.zip")
    path = write(tmp_path / "x.zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Fault, match="not a whole clip store"):
        Store(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme", "no store")
    with pytest.raises(Fault, match="not a whole clip store"):
        Store(path)
    position = whole.index(b"00001/real/c/0") + 200  # inside the first chunk of clip c1
    path.write_bytes(whole[:position] + bytes([whole[position] ^ 255]) + whole[position + 1 :])
    with pytest.raises(Fault, match="c1"):
        Store(path).verify()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        write(tmp_path / "x.zip")


def test_images_to_tensors_and_back():
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    tensor = to_image(every)
    assert tensor.min() == -1 and tensor.max() == 1 and np.array_equal(to_pixels(tensor), every)


def test_windows_depend_on_the_step_alone(store):
    off = dict(double_every=0, drop_parts=0.0)
    shape = dict(n_frames=5, n_warmup=3, batch_size=3, seed=7) | off
    first, again = Windows(store, **shape), Windows(store, **shape)
    later = first.batch(11)
    assert all(torch.equal(later[name], again.batch(11)[name]) for name in later if torch.is_tensor(later[name]))
    assert not torch.equal(later["real"][:, -5:], first.batch(12)["real"][:, -5:])
    assert {key for key, _ in first.ends} == set(store.split("train"))
    warmups = [first.batch(step)["n_warmup"] for step in range(30)]
    assert set(warmups) == {0, 1, 2, 3}
    n = 5 + later["n_warmup"]
    assert later["real"].shape == (3, n, 3, 32, 64) and later["flow"].shape == (3, n - 1, 2, 32, 64)
    assert (
        Windows(store, n_frames=10, n_warmup=20, batch_size=1, seed=0, **off).n_warmup == 2
    )  # the clips have 12 frames
    with pytest.raises(Fault, match="no training clip has 13 frames"):
        Windows(store, n_frames=13, n_warmup=0, batch_size=1, seed=0, **off)
