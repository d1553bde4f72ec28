"""The U-Net of the judges."""

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
