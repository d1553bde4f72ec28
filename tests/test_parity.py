"""Every per-clip metric without pretrained weights against an independent implementation on raw uint8 frames.

The reference values use no code of v2vbench: NumPy, SciPy, scikit-image and OpenCV read frames and arrays as stored. A
metric that takes frames of the wrong range, a flow of the wrong direction or colours in the wrong order differs here.
"""

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.measure import block_reduce
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from v2vbench.clips import tensors
from v2vbench.metrics import (
    flicker,
    flow_error,
    inputs,
    motion_ratio,
    ms_ssim,
    psnr,
    sharpness_ratio,
    ssim,
    tof,
    track_drift,
    track_error,
    warp_error,
)

BETAS = [0.0448, 0.2856, 0.3001]
LIKE_THE_PAPER = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255)
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@pytest.fixture(scope="module")
def raw():
    """Five frames of 48 x 80, as in a store: a smooth bright wall under a drifting camera, and a worse video of it."""
    rng, (n, H, W) = np.random.default_rng(0), (5, 48, 80)
    wall = gaussian_filter(rng.normal(0, 300, (H + 20, W + 40, 3)), (2, 2, 0)) + (150, 130, 90)
    real = np.stack([wall[2 * t : 2 * t + H, 3 * t : 3 * t + W] for t in range(n)]).clip(0, 255)
    fake = (0.8 * real + 25 + rng.normal(0, 8, real.shape) + 6 * rng.normal(size=(n, 1, 1, 3))).clip(0, 255)
    flow = gaussian_filter(rng.normal(0, 20, (n - 1, H, W, 2)), (0, 4, 4, 0)) + (3, 2)  # some point outside
    return {
        "real": real.astype(np.uint8),
        "fake": fake.astype(np.uint8),
        "flow": flow.astype(np.float16),
        "occluded": (rng.random((n - 1, H, W)) < 0.3).astype(np.uint8),
    }


def contrast(x, y):
    """scikit-image's SSIM without its first fraction, which is 1 where K1 is huge."""
    return structural_similarity(x, y, K1=1e7, **LIKE_THE_PAPER)


def multi_scale(x, y):
    products = []
    for a, b in zip(np.moveaxis(x, -1, 0).astype(float), np.moveaxis(y, -1, 0).astype(float)):
        product = 1.0
        for scale, beta in enumerate(BETAS):
            a, b = (block_reduce(p, (2, 2), np.mean) if scale else p for p in (a, b))
            part = structural_similarity(a, b, **LIKE_THE_PAPER) if scale == 2 else contrast(a, b)
            product *= max(part, 0) ** (beta / sum(BETAS))
        products.append(product)
    return np.mean(products)


def moved(frame, flow):
    y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
    at = y + flow[..., 1].astype(float), x + flow[..., 0].astype(float)
    return np.stack([map_coordinates(frame[..., c] / 255, at, order=1, mode="nearest") for c in range(3)], -1)


def blocks(frames):
    return block_reduce(frames.astype(float), (1, 8, 8, 1), np.mean)


def farneback(frames):
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    return [
        cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 3, 15, 3, 5, 1.2, 0).astype(float) for a, b in zip(grey, grey[1:])
    ]


def dis(frames):
    """OpenCV's DIS flow back in time at twice the size."""
    H, W, _ = frames[0].shape
    grey = [
        cv2.cvtColor(cv2.resize(frame, (2 * W, 2 * H), interpolation=cv2.INTER_CUBIC), cv2.COLOR_RGB2GRAY)
        for frame in frames
    ]
    estimator = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return [
        cv2.resize(estimator.calc(b, a, None), (W, H), interpolation=cv2.INTER_AREA).astype(float) / 2
        for a, b in zip(grey, grey[1:])
    ]


def by_frame(function):
    return lambda raw: [function(x, y) for x, y in zip(raw["fake"], raw["real"])]


def warp_errors(raw):
    errors = [
        ((b / 255 - moved(a, flow)) ** 2).mean(-1) for a, b, flow in zip(raw["fake"], raw["fake"][1:], raw["flow"])
    ]
    return [error[hidden == 0].mean() for error, hidden in zip(errors, raw["occluded"])]


def flow_errors(raw):
    apart = [np.linalg.norm(a - b, axis=-1) for a, b in zip(dis(raw["fake"]), raw["flow"].astype(float))]
    return [lengths[hidden == 0].mean() for lengths, hidden in zip(apart, raw["occluded"])]


def gradient_energies(frames):
    return [(np.diff(f, axis=0) ** 2).mean() + (np.diff(f, axis=1) ** 2).mean() for f in frames.astype(float)]


def flickers(raw):
    fake, real = (np.diff(blocks(raw[name]) @ LUMA, axis=0) for name in ("fake", "real"))
    return np.abs(fake - real).mean((1, 2))


def motions(raw):
    fake, real = (np.abs(np.diff(blocks(raw[name]), axis=0)).mean((1, 2, 3)) for name in ("fake", "real"))
    return fake / real.mean()


def tracks(flow, occluded, t, x, y, n_frames):
    """The places of one point of frame t in frames t - 1, t - 2, ... until it is lost: one pixel at a time."""
    for k in range(1, min(n_frames, t + 1)):
        at = lambda image: map_coordinates(image.astype(float), [[y], [x]], order=1, mode="nearest")[0]  # noqa: B023, E731
        if occluded is not None and at(occluded[t - k]) > 0:
            return
        x, y = x + at(flow[t - k, ..., 0]), y + at(flow[t - k, ..., 1])
        if occluded is not None and not (0 <= x <= flow.shape[2] - 1 and 0 <= y <= flow.shape[1] - 1):
            return
        yield k, x, y


def colour(frame, x, y):
    return np.array(
        [map_coordinates(frame[..., c].astype(float), [[y], [x]], order=1, mode="nearest")[0] for c in range(3)]
    )


POINTS = [(x, y) for y in range(8, 48, 16) for x in range(8, 80, 16)]


def track_errors(raw):
    values = []
    for t in range(1, 5):
        shares = []
        for x0, y0 in POINTS:
            own, near = [], []
            for k, x, y in tracks(raw["flow"], raw["occluded"], t, x0, y0, 4):
                own.append(np.mean((colour(raw["fake"][t - k], x, y) - raw["fake"][t, y0, x0]) ** 2))
                near += [
                    np.mean((colour(raw["fake"][t - k], x + dx, y + dy) - raw["fake"][t, y0, x0]) ** 2)
                    for dx, dy in ((2, 0), (-2, 0), (0, 2), (0, -2))
                ]
            shares += [np.sqrt((np.mean(own) + 9) / (np.mean(near) + 9))] if own else []
        values.append(np.mean(shares))
    return values


def track_drifts(raw):
    own, values = np.array(dis(raw["fake"])), []
    for t in range(1, 5):
        means = []
        for x0, y0 in POINTS:
            true, seen = list(tracks(raw["flow"], raw["occluded"], t, x0, y0, 4)), list(tracks(own, None, t, x0, y0, 4))
            means += [np.mean([np.hypot(x - u, y - v) for (_, x, y), (_, u, v) in zip(true, seen)])] if true else []
        values.append(np.mean(means))
    return values


ORACLES = {  # metric: its settings, its values by others, tolerance: relative
    psnr: (
        {"data_range": 2, "cap_db": 100},
        by_frame(lambda x, y: peak_signal_noise_ratio(y, x, data_range=255)),
        1e-6,
    ),
    ssim: ({"sigma": 1.5}, by_frame(lambda x, y: structural_similarity(x, y, channel_axis=-1, **LIKE_THE_PAPER)), 1e-6),
    ms_ssim: ({"sigma": 1.5, "betas": BETAS}, by_frame(multi_scale), 1e-6),
    warp_error: ({}, warp_errors, 1e-5),
    flow_error: ({}, flow_errors, 1e-9),
    tof: (
        {},
        lambda raw: [
            np.linalg.norm(a - b, axis=-1).mean() for a, b in zip(farneback(raw["fake"]), farneback(raw["real"]))
        ],
        1e-9,
    ),
    flicker: ({"block_px": 8}, flickers, 1e-5),
    sharpness_ratio: (
        {},
        lambda raw: np.array(gradient_energies(raw["fake"])) / np.mean(gradient_energies(raw["real"])),
        1e-6,
    ),
    motion_ratio: ({"block_px": 8}, motions, 1e-5),
    track_error: ({"n_frames": 4, "stride_px": 16, "apart_px": 2, "noise": 3.0}, track_errors, 1e-6),
    track_drift: ({"n_frames": 4, "stride_px": 16}, track_drifts, 1e-5),
}
IDS = [module.__name__.rsplit(".")[-1] for module in ORACLES]


def ours(module, raw, **settings):
    clip = tensors.to_tensors(raw)
    return module.compute(**{name: clip[name] for name in inputs(module.compute)}, **settings).numpy()


@pytest.mark.parametrize("module", ORACLES, ids=IDS)
def test_values_are_those_of_other_code_on_the_raw_frames(module, raw):
    settings, oracle, tolerance = ORACLES[module]
    want = np.array(oracle(raw))
    assert (
        np.allclose(ours(module, raw, **settings), want, rtol=tolerance, atol=0)
        and np.ptp(want) > 1e-3 * abs(want).max()
    )


@pytest.mark.parametrize("module", ORACLES, ids=IDS)
def test_frames_of_another_range_would_be_noticed(module, raw, monkeypatch):
    """Frames of a shifted or doubled range, which a parity test between tensors of v2vbench would not detect."""
    settings, oracle, tolerance = ORACLES[module]
    want, image = np.array(oracle(raw)), tensors.to_image
    if module in (motion_ratio, sharpness_ratio):  # ratios: the width of the range cancels, and so it should
        monkeypatch.setattr(tensors, "to_image", lambda array: image(array) ** 2)
    else:
        monkeypatch.setattr(tensors, "to_image", lambda array: image(array) / 2 - 0.5)
    assert not np.allclose(ours(module, raw, **settings), want, rtol=10 * tolerance, atol=0)


@pytest.mark.parametrize("betas", [None, [1.0], BETAS, [0.0448, 0.2856]])
def test_ssim_of_flat_frames_in_closed_form(betas):
    """Where nothing varies the luminance term is left: (2 a b + c1) / (a^2 + b^2 + c1), c1 = (0.01 x 255)^2."""
    flat = {name: np.full((2, 48, 80, 3), level, np.uint8) for name, level in (("fake", 120), ("real", 135))}
    want = (2 * 120 * 135 + 2.55**2) / (120**2 + 135**2 + 2.55**2)
    assert want == pytest.approx(0.9931048, abs=1e-6)
    if betas is None:
        assert ours(ssim, flat, sigma=1.5) == pytest.approx(want, abs=1e-6)
    else:
        assert ours(ms_ssim, flat, sigma=1.5, betas=betas) == pytest.approx(want ** (betas[-1] / sum(betas)), abs=1e-6)


@pytest.mark.parametrize("level, noise", [(245, 1), (250, 0), (3, 2), (128, 40)])
def test_ssim_of_smooth_frames_near_black_and_white(level, noise):
    """Where float32 would lose the variances: torchmetrics is off by 2e-3 there."""
    rng = np.random.default_rng(0)
    real = (
        (level + gaussian_filter(rng.normal(0, 10 * noise, (2, 48, 80, 3)), (0, 5, 5, 0))).clip(0, 255).astype(np.uint8)
    )
    fake = (real + rng.integers(-1, 2, real.shape)).clip(0, 255).astype(np.uint8)
    want = [structural_similarity(x, y, channel_axis=-1, **LIKE_THE_PAPER) for x, y in zip(fake, real)]
    assert np.abs(ours(ssim, {"fake": fake, "real": real}, sigma=1.5) - want).max() < 1e-6
    want = [multi_scale(x, y) for x, y in zip(fake, real)]
    assert np.abs(ours(ms_ssim, {"fake": fake, "real": real}, sigma=1.5, betas=BETAS) - want).max() < 1e-6


def test_ssim_is_the_middle_of_torchmetrics_map(raw):
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure as theirs

    fake, real = (torch.from_numpy(raw[name]).permute(0, 3, 1, 2).double() / 255 for name in ("fake", "real"))
    _, whole = theirs(fake, real, sigma=1.5, data_range=1.0, reduction="none", return_full_image=True)
    assert np.abs(ours(ssim, raw, sigma=1.5) - whole[..., 5:-5, 5:-5].mean((1, 2, 3)).numpy()).max() < 1e-6
