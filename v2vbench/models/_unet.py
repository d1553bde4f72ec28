"""Shared by the judges: a U-Net, and the data augmentation that makes it robust to generated frames."""

import torch
from torch import nn
from torch.nn import functional as F

from v2vbench.models._blocks import conv


def pair(n_in: int, n_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        conv(n_in, n_out, kernel=3, stride=stride, reflect=False, norm="instance_affine"),
        conv(n_out, n_out, kernel=3, reflect=False, norm="instance_affine"),
    )


class UNet(nn.Module):
    """(B, 3, H, W) to (B, n_out, H / 2, W / 2), with skip connections (Ronneberger et al. 2015).

    The size is halved n_down times and doubled n_down - 1 times; widths double with each halving, from n_filters on.
    An output of half the frame's size costs a quarter of the time.
    """

    def __init__(self, n_out: int, n_filters: int, n_down: int):
        super().__init__()
        widths = [n_filters * 2**i for i in range(n_down)]
        self.down = nn.ModuleList(pair(a, b, stride=2) for a, b in zip([3, *widths], widths))
        self.up = nn.ModuleList(pair(a + b, b) for a, b in zip(widths[:0:-1], widths[-2::-1]))
        self.out = nn.Conv2d(n_filters, n_out, 1)

    def forward(self, x):
        skips = []
        for block in self.down:
            skips.append(x := block(x))
        for block, skip in zip(self.up, skips[-2::-1]):
            x = block(torch.cat([F.interpolate(x, scale_factor=2), skip], 1))
        return self.out(x)


def disturb(frames: torch.Tensor, step: int, *, blur: float, noise: float, brightness: float) -> torch.Tensor:
    """Data augmentation: each frame with random blur, noise, brightness and contrast.

    frames        (B, 3, H, W) in [-1, 1]
    step          of training; seeds the draws
    blur          largest sigma of the Gaussian filter, px
    noise         largest standard deviation of Gaussian noise, grey levels of 255
    brightness    largest change of brightness, up or down, in units of [-1, 1]; and of contrast, as a share
    """
    rng, n = torch.Generator().manual_seed(step), len(frames)

    def draw(low: float, high: float) -> torch.Tensor:
        return (low + (high - low) * torch.rand(n, 1, 1, 1, generator=rng)).to(frames.device)

    reach = torch.arange(-int(3 * blur), int(3 * blur) + 1, device=frames.device)
    kernel = (-(reach**2) / (2 * draw(0, blur).clamp_min(1e-3) ** 2)).exp()  # (B, 1, 1, taps)
    kernel = (kernel / kernel.sum(-1, keepdim=True)).repeat_interleave(3, 0)
    x = F.pad(frames, 4 * [int(3 * blur)], mode="replicate").flatten(0, 1)[None]  # (1, 3 B, H, W)
    x = F.conv2d(F.conv2d(x, kernel, groups=3 * n), kernel.transpose(2, 3), groups=3 * n)[0].unflatten(0, (n, 3))
    x = x * (1 + draw(-brightness, brightness)) + draw(-brightness, brightness)
    return (x + draw(0, noise / 127.5) * torch.randn(x.shape, generator=rng).to(x)).clamp(-1, 1)
