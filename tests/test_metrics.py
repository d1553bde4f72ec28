"""Every metric: the contract, closed forms, reference libraries, and order (more damage, more distance)."""

import numpy as np
import pytest
import torch
from conftest import sliding_clip
from test_contracts import metrics_of_suites

from v2vbench.clips.tensors import to_tensors

SIMPLE = {"fake", "real", "source", "flow", "occluded"}
BY_CLIP = {
    metric.label: metric for metric in metrics_of_suites() if set(metric.inputs) <= SIMPLE and not metric.weights
}


def world(seed=0, n_frames=9, size=(64, 64)):
    clip = to_tensors(sliding_clip(seed, n_frames, size))
    return clip | {"fake": clip["real"].clone()}


def score(label, clip):
    metric = BY_CLIP[label]
    return metric.module.compute(**{name: clip[name] for name in metric.inputs}, **metric.settings)


def blurred(frames, sigma):
    from scipy.ndimage import gaussian_filter

    return torch.from_numpy(gaussian_filter(frames.numpy(), (0, 0, sigma, sigma)))


@pytest.mark.parametrize("label", BY_CLIP)
def test_shapes_and_untouched_inputs(label):
    clip = world()
    clip["fake"] = -clip["real"]
    before = {name: value.clone() for name, value in clip.items()}
    assert score(label, clip).shape in ((9,), (8,))
    assert all(torch.equal(value, clip[name]) for name, value in before.items())


def test_a_perfect_video():
    values = {label: score(label, world()) for label in BY_CLIP}
    assert (values["psnr"] == BY_CLIP["psnr"].settings["cap_db"]).all()
    assert values["warp_error"].max() < 1e-11  # the sliding world's flow is exact, warp is float32
    for label in ("ssim", "motion_ratio", "sharpness_ratio"):
        assert float(values[label].mean()) == pytest.approx(1, abs=1e-12)


def test_psnr_closed_form():
    clip = {"real": torch.zeros(2, 3, 16, 16), "fake": torch.full((2, 3, 16, 16), 0.2)}
    assert torch.allclose(score("psnr", clip), torch.tensor(20.0).double(), atol=1e-5)  # 10 log10(4 / 0.04)


def test_ssim_needs_a_window():
    frames = torch.zeros(1, 3, 24, 10)
    with pytest.raises(ValueError, match="smaller than a window of 11"):
        score("ssim", {"fake": frames, "real": frames})


def test_warp_error_closed_form():
    clip = world()
    clip["fake"][1::2] += 0.2  # flicker: 0.1 on a [0, 1] scale
    assert torch.allclose(score("warp_error", clip), torch.tensor(0.01).double(), atol=1e-6)
    hidden = clip["occluded"][:1].bool()
    assert hidden.any() and torch.equal(
        score("warp_error", clip),
        score("warp_error", clip | {"fake": torch.cat([clip["fake"][:-1], clip["fake"][-1:].masked_fill(hidden, 9)])}),
    )  # occluded: no weight
    assert score("warp_error", clip | {"occluded": torch.ones_like(clip["occluded"])}).isnan().all()


def test_more_damage_more_distance():
    clip, rng = world(size=(64, 96)), torch.Generator().manual_seed(0)
    noise = torch.randn(clip["real"].shape, generator=rng)

    def ladder(label, fakes):
        return [float(score(label, clip | {"fake": fake}).mean()) for fake in (clip["real"], *fakes)]

    noisy = [clip["real"] + s * noise for s in (0.02, 0.1, 0.4)]
    blurry = [blurred(clip["real"], s) for s in (0.5, 1, 2)]
    for label, fakes, sign in (
        ("psnr", noisy, -1),
        ("psnr", blurry, -1),
        ("ssim", noisy, -1),
        ("ssim", blurry, -1),
        ("warp_error", noisy, 1),
        ("sharpness_ratio", noisy, 1),
        ("sharpness_ratio", blurry, -1),
    ):
        assert (np.diff(ladder(label, fakes)) * sign > 0).all(), label
    assert ladder("sharpness_ratio", blurry)[2] < 0.3


def test_freezing_and_flicker_are_seen():
    clip = world(size=(64, 96))
    frozen, slow = clip["real"][:1].expand_as(clip["real"]), clip["real"][torch.arange(9) // 2]
    flicker = clip["real"] + 0.5 * (-1.0) ** torch.arange(9)[:, None, None, None]
    motion = [float(score("motion_ratio", clip | {"fake": fake}).mean()) for fake in (frozen, slow, flicker)]
    assert motion[0] == 0 and 0.4 < motion[1] < 0.6 and motion[2] > 1.5
    assert score("motion_ratio", clip | {"fake": frozen, "real": frozen}).isnan().all()
