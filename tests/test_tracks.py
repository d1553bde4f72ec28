"""Point tracks along exact flow, and metrics on them: closed forms on a wall that slides by whole pixels."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from v2vbench.clips.motion import estimate
from v2vbench.clips.tensors import to_tensors
from v2vbench.metrics import _flow, _tracks, flow_error, track_drift, track_error

DRIFT = dict(n_frames=8, stride_px=8)
ERROR = DRIFT | dict(apart_px=2, noise=0.01)
T, H, W, BACK, EDGE = 10, 48, 96, (2, 1), 4  # a point of frame t stood at BACK px from there in frame t - 1
RNG = np.random.default_rng
POINTS = [(x, y) for y in range(4, H, 8) for x in range(4, W, 8)]


def slide(wall):
    """A camera that moves over `wall` (H + T, W + 2 T, 3) uint8: frames, flow and occlusion, as in a store."""
    y, x = np.mgrid[:H, :W]
    hidden = (x >= W - EDGE) | (y >= H - EDGE)
    return {
        "real": np.stack([wall[BACK[1] * t :, BACK[0] * t :][:H, :W] for t in range(T)]),
        "flow": np.full((T - 1, H, W, 2), BACK, np.float16),
        "occluded": np.stack([hidden] * (T - 1)).astype(np.uint8),
    }


def seen_for(x, y, t):
    """For how many frames back the point can be followed."""
    return sum(x + BACK[0] * (k - 1) < W - EDGE and y + BACK[1] * (k - 1) < H - EDGE for k in range(1, min(8, t + 1)))


def rough():
    return RNG(0).integers(60, 196, (H + T, W + 2 * T, 3)).astype(np.uint8)


def smooth():
    return (
        (gaussian_filter(RNG(0).normal(0, 300, (H + T, W + 2 * T, 3)), (2, 2, 0)) + 128).clip(0, 255).astype(np.uint8)
    )


def squares(contrast):
    """Squares of 2 x 2 px: whatever stands 2 px away in x or in y is darker or brighter by twice the contrast."""
    y, x = np.mgrid[: H + T, : W + 2 * T]
    return np.repeat((128 + contrast * (-1) ** (x // 2 + y // 2))[..., None], 3, 2).astype(np.uint8)


def score(module, raw, fake, **settings):
    clip = to_tensors(raw | {"fake": fake})
    return module.compute(clip["fake"], clip["flow"], clip["occluded"], **settings).numpy()


def test_tracks_are_exact():
    clip = to_tensors(slide(rough()))
    for k, (points, visible) in enumerate(_tracks.follow(clip["flow"], clip["occluded"], **DRIFT), 1):
        want = np.array(POINTS) + np.array(BACK) * k
        assert np.array_equal(points.numpy(), np.broadcast_to(want, (T - k, *want.shape)))
        assert visible.tolist() == [[seen_for(x, y, t) >= k for x, y in POINTS] for t in range(k, T)]
    assert k == 7 and 0.3 < visible.double().mean() < 0.9


def test_a_true_video_keeps_its_colours():
    raw = slide(rough())
    assert score(track_error, raw, raw["real"], **ERROR).max() < 1e-3  # the allowed noise over the contrast
    assert score(track_error, raw, 255 - raw["real"], **ERROR).max() < 1e-3  # and so does one of other colours


def test_alternating_brightness_in_closed_form():
    contrast, step = 50, 5
    raw = slide(squares(contrast))
    alternating = (raw["real"] + step * (-1) ** np.arange(T)[:, None, None, None]).astype(np.uint8)
    want = []
    for t in range(1, T):
        shares = []
        for x, y in POINTS:
            odd = [k % 2 == 1 for k in range(1, seen_for(x, y, t) + 1)]
            sign = (-1) ** ((x + BACK[0] * t) // 2 + (y + BACK[1] * t) // 2 + t)
            if odd:
                own = np.mean([(2 * step * other) ** 2 for other in odd])
                near = np.mean([(2 * contrast + 2 * step * sign * other) ** 2 for other in odd])
                shares.append(np.sqrt((own + 1e-4) / (near + 1e-4)))
        want.append(np.mean(shares))
    assert score(track_error, raw, alternating, **ERROR) == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("sigma", [4, 12])
def test_noise_counts_by_the_root_of_two(sigma):
    """Both ends of a difference have it: sqrt(2) sigma along the track, over the contrast with its own noise."""
    raw = slide(squares(40))
    noisy = (raw["real"] + RNG(1).normal(0, sigma, raw["real"].shape)).round().astype(np.uint8)
    spread = 2 * (sigma**2 + 1 / 12)  # of 8-bit values
    assert score(track_error, raw, noisy, **ERROR).mean() == pytest.approx(np.sqrt(spread / (80**2 + spread)), rel=0.1)


@pytest.mark.parametrize("wall", [rough, smooth])
def test_neither_freezing_nor_blurring_nor_a_flat_colour_gains(wall):
    raw, settings = slide(wall()), ERROR | {"noise": 2}
    real, frozen = raw["real"], raw["real"][:1].repeat(T, 0)
    noisy = (real + RNG(1).normal(0, 16, real.shape)).clip(0, 255).astype(np.uint8)
    mild, strong = (
        gaussian_filter(noisy.astype(float), (0, s, s, 0)).astype(np.uint8) for s in (1, 6)
    )  # of a video with an error
    order = {"real": real, "mild": mild, "strong": strong, "frozen": frozen}
    values = [score(track_error, raw, fake, **settings).mean() for fake in order.values()]
    assert (np.diff(values) > 0).all(), dict(zip(order, values))
    assert score(track_error, raw, 0 * real + 90, **settings) == pytest.approx(1) and values[-1] > 0.8
    assert score(track_error, raw, noisy, **settings).mean() < values[-1]


def test_a_frozen_video_drifts_by_the_true_displacement():
    raw = slide(rough())
    want = [
        np.mean([np.mean(np.arange(1, n + 1)) * np.hypot(*BACK) for x, y in POINTS if (n := seen_for(x, y, t))])
        for t in range(1, T)
    ]
    assert score(track_drift, raw, raw["real"][:1].repeat(T, 0), **DRIFT) == pytest.approx(want, abs=1e-6)


def test_steps_that_are_wrong_alike_add_up():
    raw = slide(smooth())
    wall = smooth()
    slow = np.stack([wall[BACK[1] * t :, t:][:H, :W] for t in range(T)])  # 1 px a frame in x, not 2
    drift, real = (score(track_drift, raw, fake, **DRIFT) for fake in (slow, raw["real"]))
    error = score(flow_error, raw, slow)
    assert real.max() < 0.3 and error.mean() == pytest.approx(1, abs=0.2)
    lost = [np.mean([np.mean(np.arange(1, n + 1)) for x, y in POINTS if (n := seen_for(x, y, t))]) for t in range(1, T)]
    assert drift == pytest.approx(lost, abs=0.5) and drift[-1] > 3


def test_what_cannot_be_followed_is_refused():
    raw = slide(rough())
    for module, settings in ((track_error, ERROR), (track_drift, DRIFT)):
        lost = raw["occluded"].copy()
        lost[4] = 1
        with pytest.raises(ValueError, match="no point of frame 5 can be followed to the frame before"):
            score(module, raw | {"occluded": lost}, raw["real"], **settings)
        one = {"real": raw["real"][:1], "flow": raw["flow"][:0], "occluded": raw["occluded"][:0]}
        with pytest.raises(ValueError, match="1 frame, and it takes 2"):
            score(module, one, one["real"], **settings)


def test_the_motion_of_a_video_is_estimated_once(monkeypatch):
    raw, calls = slide(smooth()), []
    monkeypatch.setattr(_flow, "estimate", lambda *pair: calls.append(1) or estimate(*pair))
    dark = raw["real"] // 2

    def both():
        return [
            score(module, raw, fake, **settings)
            for module, settings in ((flow_error, {}), (track_drift, DRIFT))
            for fake in (raw["real"], dark)
        ]

    with ThreadPoolExecutor(1) as pool:
        alone = pool.submit(both).result()
        assert len(calls) == 2 * (T - 1)
        assert np.array_equal(
            pool.submit(_flow.estimated, raw["real"]).result()[3], estimate(raw["real"][3], raw["real"][4])
        )
        assert len(calls) == 2 * (T - 1)
    with ThreadPoolExecutor(4) as pool:  # of several threads none waits for, or spoils, another's
        for found in pool.map(lambda _: both(), range(8)):
            assert all(map(np.array_equal, found, alone))
