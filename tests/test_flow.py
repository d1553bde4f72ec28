"""warp moves pixels as its docstring says; losses are what their formulas say."""

import pytest
import torch

from v2vbench.clips.flow import warp
from v2vbench.clips.tensors import to_tensors
from v2vbench.models import _losses as losses


def test_zero_flow_is_the_identity():
    image = torch.rand(2, 3, 13, 21)
    assert torch.allclose(warp(image, torch.zeros(2, 2, 13, 21)), image, atol=1e-5)


@pytest.mark.parametrize("dx, dy", [(3, 0), (0, -2), (-4, 1)])
def test_whole_flow_is_a_shift_with_edges_repeated(dx, dy):
    image = torch.rand(1, 3, 12, 20)
    flow = torch.tensor([dx, dy], dtype=torch.float32).view(1, 2, 1, 1).expand(1, 2, 12, 20)
    y, x = (torch.arange(12) + dy).clamp(0, 11), (torch.arange(20) + dx).clamp(0, 19)
    assert torch.allclose(warp(image, flow), image[:, :, y][..., x], atol=1e-4)


def test_half_a_pixel_is_the_mean_of_two():
    image = torch.rand(1, 1, 4, 8)
    flow = torch.tensor([0.5, 0]).view(1, 2, 1, 1).expand(1, 2, 4, 8)
    assert torch.allclose(warp(image, flow)[..., :-1], (image[..., :-1] + image[..., 1:]) / 2, atol=1e-5)


def test_bicubic_blurs_less_over_many_steps():
    """Half a pixel left and right again, five times: the identity, but for what resampling loses."""
    image = torch.nn.functional.interpolate(torch.rand(1, 1, 8, 16), scale_factor=3, mode="bilinear")
    half = torch.tensor([0.5, 0]).view(1, 2, 1, 1).expand(1, 2, 24, 48)
    lost = {}
    for mode in ("bilinear", "bicubic"):
        moved = image
        for _ in range(5):
            moved = warp(warp(moved, half, mode), -half, mode)
        lost[mode] = (moved - image)[..., 8:-8].square().mean()
    assert lost["bicubic"] < lost["bilinear"] / 3


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_flow_that_is_no_number_gives_none(mode):
    flow = torch.zeros(1, 2, 8, 8)
    flow[0, 0, 3, 4] = torch.nan
    moved = warp(torch.rand(1, 3, 8, 8), flow.requires_grad_(), mode)
    assert moved.isnan().nonzero()[:, 2:].unique(dim=0).tolist() == [[3, 4]]
    moved.nan_to_num().sum().backward()


def test_positions_stay_exact_under_autocast():
    image = torch.rand(1, 3, 8, 256)
    flow = torch.ones(1, 2, 8, 256) * torch.tensor([1.0, 0]).view(1, 2, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(warp(image, flow)[..., :-1], image[..., 1:], atol=1e-4)


def test_the_stores_flow_carries_frame_t_minus_1_to_t(store):
    clip = to_tensors(store.read(store.split("seen")[0]))
    error = (warp(clip["real"][:-1], clip["flow"]) - clip["real"][1:]).abs() * (1 - clip["occluded"])
    assert error.max() < 1e-3
    assert (
        warp(clip["real"][:-1], -clip["flow"]) - clip["real"][1:]
    ).abs().mean() > 0.1  # the other direction does not


def test_losses_in_closed_form():
    layers = [[torch.full((1, 1, 2, 2), 0.25), torch.full((1, 1, 3, 3), 0.5)]] * 2
    assert losses.lsgan(layers, 1).item() == pytest.approx(2 * 0.25) and losses.lsgan(
        layers, 0
    ).item() == pytest.approx(2 * 0.25)
    moved = [[layer + 0.1 for layer in scale] for scale in layers]
    assert losses.feature_matching(moved, layers).item() == pytest.approx(4 * 0.1)  # one inner layer: 4 / 1
    ones = torch.ones(1, 2, 4, 4)
    half = torch.cat([torch.ones(1, 1, 4, 2), torch.zeros(1, 1, 4, 2)], -1)
    assert losses.flow_endpoint(ones * 3, ones, half).item() == pytest.approx(1.0)
    assert not losses.masked_l1(ones, ones.clone().requires_grad_(), half).requires_grad


def test_warp_losses_vanish_on_the_true_motion(store):
    clip = to_tensors(store.read(store.split("seen")[0]))
    visible = 1 - clip["occluded"]
    real, flow = clip["real"], clip["flow"]
    assert losses.flow_warp(flow, real[:-1], real[1:], visible) < 1e-4
    assert losses.temporal_warp(real[1:], real[:-1], flow, visible) < 1e-4
    assert losses.flow_warp(flow + 1, real[:-1], real[1:], visible) > 0.1
