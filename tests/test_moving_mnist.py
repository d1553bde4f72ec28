"""Moving digits: their paths against other formulas, what the store holds, and files laid out as the published ones."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
from sklearn.datasets import load_digits
from test_fetch import fault, serving

from v2vbench import params
from v2vbench.clips.store import Store
from v2vbench.datasets import moving_mnist

LINE = {
    "size": [64, 64],
    "digits": "sklearn",
    "test": "generated",
    "digit_size": 28,
    "n_digits": 2,
    "n_frames": 20,
    "n_train_clips": 6,
    "n_test_clips": 4,
    "held_out": 0.2,
    "speed": 3.6,
    "whole_pixels": False,
    "seed": 0,
}


@pytest.fixture(autouse=True)
def no_copy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("V2VBENCH_DATA", raising=False)


def prepare(folder, **changes):
    given = {"out": folder / "m.zip", "name": "m", "cache": folder / "cache"}
    params.bind(moving_mnist.prepare, LINE | changes, "datasets.m", **given)
    return Store(folder / "m.zip")


def centres(frames: np.ndarray) -> np.ndarray:
    """Centre of mass of each frame (T, 2): row and column."""
    weight = frames[..., 0].astype(float)
    rows, columns = np.mgrid[: weight.shape[1], : weight.shape[2]]
    return np.stack([(weight * axis).sum((1, 2)) / weight.sum((1, 2)) for axis in (rows, columns)], -1)


@pytest.mark.parametrize("speed", [0.0, 0.7, 3.6, 50.0, 200.0])
def test_reflection_is_a_triangle_wave(speed):
    """Against the arc cosine of a cosine, and against a ball that is thrown back crossing by crossing."""
    room = np.array([36.0, 20.0])
    places = speed * np.arange(-30, 60)[:, None] + np.array([1.3, 17.9])
    wave = room / np.pi * np.arccos(np.cos(np.pi * places / room))
    np.testing.assert_allclose(moving_mnist.reflect(places, room), wave, atol=1e-5)
    for axis in (0, 1):
        for place in places[:, axis]:
            while not 0 <= place <= room[axis]:
                place = -place if place < 0 else 2 * room[axis] - place
            assert place == pytest.approx(moving_mnist.reflect(np.array([place]), room[axis])[0])


def test_paths_move_at_constant_speed():
    room = np.array([36, 36])
    at = moving_mnist.paths(np.random.default_rng(0), n_digits=50, n_frames=40, room=room, speed=3.6)
    assert at.shape == (50, 40, 2) and (at >= 0).all() and (at <= 36).all()
    step = np.diff(at, axis=1)
    inside = ((at[:, :-1] > 3.6) & (at[:, :-1] < 32.4)).all(-1)  # no border can be reached
    np.testing.assert_allclose(np.linalg.norm(step[inside], axis=-1), 3.6, atol=1e-9)
    assert (np.linalg.norm(step, axis=-1) < 3.6 + 1e-9).all()
    angle = np.arctan2(step[:, 0, 0], step[:, 0, 1])
    assert all(((angle > low) & (angle < low + np.pi / 2)).any() for low in np.arange(-2, 2) * np.pi / 2)


def test_centre_of_mass_moves_by_the_velocity(tmp_path):
    """Of frames as stored: each step is that of the first, unless a border turned it back."""
    store = prepare(tmp_path, n_digits=1, speed=2.5, n_train_clips=8, n_frames=12)
    straight = 0
    for key in store.split("train"):
        place = centres(store.read(key)["real"])
        step = np.diff(place, axis=0)
        for before, after in zip(step, step[1:]):
            kept = np.abs(np.abs(after) - np.abs(before)) < 0.06  # per axis; rounding to grey levels moves it a little
            if kept.all() and (np.sign(after) == np.sign(before)).all():
                straight += 1
                assert np.linalg.norm(after) == pytest.approx(2.5, abs=0.06)
    assert straight > 40


def test_whole_pixels(tmp_path):
    """Every frame shows the same digit unblurred, shifted by whole pixels."""
    clip = prepare(tmp_path, n_digits=1, whole_pixels=True).read("train-00000")["real"][..., 0]
    shapes = set()
    for frame in clip:
        rows, columns = np.flatnonzero(frame.any(1)), np.flatnonzero(frame.any(0))
        shapes.add(frame[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].tobytes())
    assert len(shapes) == 1


def test_the_brightest_digit_is_seen():
    images = np.stack([np.full((4, 4), 100, np.uint8), np.full((4, 4), 200, np.uint8)])
    at = np.array([[[0.0, 0.0]], [[2.0, 1.5]]])
    frame = moving_mnist.draw(images, at, (8, 8))[0]
    assert frame[0, 0] == 100 and frame[3, 3] == 200 and frame[7].max() == 0
    assert frame[2].tolist() == [100, 100, 200, 200, 200, 100, 0, 0]  # columns 1 and 5 have half of 200
    edge = moving_mnist.draw(images[:1], np.array([[[4.0, 4.0]]]), (8, 8))[0]
    assert (edge[4:, 4:] == 100).all() and edge[:4].max() == 0


def test_store(tmp_path):
    store = prepare(tmp_path)
    store.verify()
    assert store.facts.source == "none" and store.facts.label_names == () and store.facts.standing == "sanity"
    assert (len(store.split("train")), len(store.split("test"))) == (6, 4)
    for key, about in store.clips.items():
        clip = store.read(key)
        assert list(clip) == ["real"] and clip["real"].shape == (20, 64, 64, 3)
        assert (clip["real"] == clip["real"][..., :1]).all() and clip["real"].max() > 200
        assert about["cluster"] == key and len(set(about["digits"])) == 2
    small = load_digits().images
    assert moving_mnist.scaled(small, 8).max() == 16  # the size they have: unchanged
    first = (tmp_path / "m.zip").read_bytes()
    prepare(tmp_path)
    assert (tmp_path / "m.zip").read_bytes() == first
    longer = prepare(tmp_path, n_train_clips=7)
    assert all(longer.clips[key]["sha256"] == store.clips[key]["sha256"] for key in store.clips)
    other = prepare(tmp_path, seed=1)
    assert {c["sha256"] for c in other.clips.values()}.isdisjoint(c["sha256"] for c in store.clips.values())


def test_train_and_test_digits_are_disjoint(tmp_path):
    store = prepare(tmp_path, n_frames=2, n_train_clips=150, n_test_clips=150)
    shown = {
        split: {d for key in store.split(split) for d in store.clips[key]["digits"]} for split in ("train", "test")
    }
    assert shown["train"].isdisjoint(shown["test"])
    assert len(shown["test"]) > 150 and len(shown["train"]) > 200
    pixels = load_digits().images
    assert {pixels[d].tobytes() for d in shown["train"]}.isdisjoint({pixels[d].tobytes() for d in shown["test"]})


def npy(array: np.ndarray, folder) -> bytes:
    np.save(folder / "a.npy", array)
    return (folder / "a.npy").read_bytes()


def test_published_files(tmp_path, monkeypatch, capsys):
    """The standard test and MNIST's digits, small, from a server; then from a copy."""
    rng = np.random.default_rng(0)
    monkeypatch.setattr(moving_mnist, "STANDARD", (4, 5, 64, 64))
    clips = rng.integers(0, 256, (4, 5, 64, 64)).astype(np.uint8)
    ones = np.full((6, 28, 28), 77, np.uint8)
    images = gzip.compress(struct.pack(">4I", 0x803, *ones.shape) + ones.tobytes())
    files = {"/mnist_test_seq.npy": npy(clips, tmp_path), "/train-images-idx3-ubyte.gz": images}
    monkeypatch.setitem(moving_mnist.MD5, "mnist_test_seq.npy", hashlib.md5(files["/mnist_test_seq.npy"]).hexdigest())
    with serving(files) as server:
        urls = [{"url": server.url + path, "sha256": None, "size": None} for path in files]
        line = {"test": urls[0], "digits": urls[1], "n_frames": 4, "n_test_clips": 3, "whole_pixels": True}
        store = prepare(tmp_path, **line)
    assert "mnist_test_seq.npy: sha256" in capsys.readouterr().err
    assert store.facts.standing == "benchmark" and store.facts.title == "Moving MNIST"
    for i, key in enumerate(store.split("test")):
        np.testing.assert_array_equal(store.read(key)["real"], np.repeat(clips[:, i, ..., None], 3, -1))
    train = store.read("train-00000")["real"]
    assert set(np.unique(train)) == {0, 77} and (train[..., 0] == 77).sum((1, 2)).max() <= 2 * 28 * 28
    own = tmp_path / "own/deeper"
    own.mkdir(parents=True)
    for path, content in files.items():
        (own / path[1:]).write_bytes(content)
    monkeypatch.setenv("V2VBENCH_DATA", str(own.parent))
    copied = prepare(tmp_path / "2", **line)  # nothing listens at its url
    assert [c["sha256"] for c in copied.clips.values()] == [c["sha256"] for c in store.clips.values()]
    assert copied.clips["test-00000"]["file_sha256"] == "own copy"
    assert "not as asked" in fault(prepare, tmp_path, **line | {"n_frames": 3})
    assert "not as asked" in fault(prepare, tmp_path, **line | {"n_test_clips": 6})
    (own / "train-images-idx3-ubyte.gz").write_bytes(images[:-30])
    assert "train-images-idx3-ubyte.gz: " in fault(prepare, tmp_path, **line)
    (own / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"\0" * 99))
    assert "not a whole file" in fault(prepare, tmp_path, **line)
    (own / "train-images-idx3-ubyte.gz").write_bytes(images)
    (own / "mnist_test_seq.npy").write_bytes(files["/mnist_test_seq.npy"][:-1])
    assert "md5 is" in fault(prepare, tmp_path, **line)
    monkeypatch.delitem(moving_mnist.MD5, "mnist_test_seq.npy")
    assert "mnist_test_seq.npy: " in fault(moving_mnist.standard, own / "mnist_test_seq.npy")
    (own / "mnist_test_seq.npy").write_bytes(npy(clips[:2], tmp_path))
    assert "expected uint8 (4, 5, 64, 64)" in fault(moving_mnist.standard, own / "mnist_test_seq.npy")
    (own / "mnist_test_seq.npy").unlink()
    assert "no file mnist_test_seq.npy" in fault(prepare, tmp_path, **line)


def test_faults(tmp_path):
    assert "larger than digit_size" in fault(prepare, tmp_path, size=[24, 64])
    assert "multiples of 8" in fault(prepare, tmp_path, size=[60, 64])
    assert "held_out" in fault(prepare, tmp_path, held_out=0)
    assert "held_out" in fault(prepare, tmp_path, held_out=1)
    assert "out of range" in fault(prepare, tmp_path, speed=-1)
    assert "datasets.m.digits" in fault(prepare, tmp_path, digits="mnist")
