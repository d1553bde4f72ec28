"""The store gives back what was written, whole or not at all, and says what is wrong with a bad one."""
import hashlib
import os
import zipfile

import numpy as np
import pytest
import torch
from conftest import facts, sliding_clip

from v2vbench import clips
from v2vbench.params import Fault


def write(path, n=2, **changes):
    clips.write(path, facts(), ((dict(id=f"c{i}", split="train"), sliding_clip(i, 9) | changes) for i in range(n)))
    return path


def test_round_trip_of_any_window(tmp_path):
    store, whole = clips.Store(write(tmp_path / "x.zip")), sliding_clip(1, 9)
    assert store.facts == facts() and store.split("train") == ["c0", "c1"] and store.clips["c1"]["n_frames"] == 9
    for start, stop in [(0, 9), (3, 5), (7, 9), (8, 9)]:
        window = store.read("c1", start, stop)
        assert all(np.array_equal(window[name], whole[name][start:stop if name in ("real", "label", "instance") else stop - 1])
                   for name in whole)
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
        clips.write(path, facts(), crash())
    assert path.read_bytes() == before


@pytest.mark.parametrize("changes, says", [
    (dict(real=np.zeros((9, 32, 64, 3), np.float32)), "clip c0: real is float32"), (dict(flow=np.zeros((9, 32, 64, 2), np.float16)), "flow is"),
    (dict(label=np.zeros((9, 32, 32), np.uint8)), r"label is uint8 \(9, 32, 32\)"), (dict(colour=np.zeros(9)), "unknown array 'colour'")])
def test_wrong_arrays_are_named(tmp_path, changes, says):
    with pytest.raises(Fault, match=says):
        write(tmp_path / "x.zip", **changes)
    assert not (tmp_path / "x.zip").exists()


def test_wrong_split_and_no_clips(tmp_path):
    with pytest.raises(Fault, match="split 'test' is not train or one of seen, unseen"):
        clips.write(tmp_path / "x.zip", facts(), [(dict(id="c0", split="test"), sliding_clip(0, 9))])
    with pytest.raises(Fault, match="no clips to write"):
        clips.write(tmp_path / "x.zip", facts(), [])


def test_missing_truncated_and_altered_stores(tmp_path):
    with pytest.raises(Fault, match="no such clip store"):
        clips.Store(tmp_path / "none.zip")
    path = write(tmp_path / "x.zip")
    whole = path.read_bytes()
    path.write_bytes(whole[:len(whole) // 2])
    with pytest.raises(Fault, match="not a whole clip store"):
        clips.Store(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme", "no store")
    with pytest.raises(Fault, match="not a whole clip store"):
        clips.Store(path)
    position = whole.index(b"00001/real/c/0") + 200        # inside the first chunk of clip c1
    path.write_bytes(whole[:position] + bytes([whole[position] ^ 255]) + whole[position + 1:])
    with pytest.raises(Fault, match="c1"):
        clips.Store(path).verify()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        write(tmp_path / "x.zip")


def test_images_to_tensors_and_back():
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    tensor = clips.image(every)
    assert tensor.min() == -1 and tensor.max() == 1 and np.array_equal(clips.pixels(tensor), every)


def test_windows_depend_on_the_step_alone(store):
    shape = dict(n_frames=5, n_warmup=3, batch_size=3, seed=7)
    first, again = clips.Windows(store, **shape), clips.Windows(store, **shape)
    later = first.batch(11)
    assert all(torch.equal(later[name], again.batch(11)[name]) for name in later if name != "n_warmup")
    assert not torch.equal(later["real"][:, -5:], first.batch(12)["real"][:, -5:])
    assert {key for key, _ in first.ends} == set(store.split("train"))
    warmups = [first.batch(step)["n_warmup"] for step in range(30)]
    assert set(warmups) == {0, 1, 2, 3}
    n = 5 + later["n_warmup"]
    assert later["real"].shape == (3, n, 3, 32, 64) and later["flow"].shape == (3, n - 1, 2, 32, 64)
    assert clips.Windows(store, n_frames=10, n_warmup=20, batch_size=1, seed=0).n_warmup == 2       # the clips have 12 frames
    with pytest.raises(Fault, match="no training clip has 13 frames"):
        clips.Windows(store, n_frames=13, n_warmup=0, batch_size=1, seed=0)
