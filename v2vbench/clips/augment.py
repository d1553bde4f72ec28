"""Data augmentation: random damage to frames, so that a network also copes with frames that are not perfect."""

import torch
from torch.nn import functional as F


def disturb(frames: torch.Tensor, step: int, *, blur: float, noise: float, brightness: float) -> torch.Tensor:
    """Each item of a batch with random blur, noise, brightness and contrast.

    frames        (B, C, H, W) in [-1, 1]; the channels of an item, of one frame or of several, get the same draws
    step          of training; seeds the draws
    blur          largest sigma of the Gaussian filter, px
    noise         largest standard deviation of Gaussian noise, grey levels of 255
    brightness    largest change of brightness, up or down, in units of [-1, 1]; and of contrast, as a share
    """
    rng, (n, n_channels) = torch.Generator().manual_seed(step), frames.shape[:2]

    def draw(low: float, high: float) -> torch.Tensor:
        return (low + (high - low) * torch.rand(n, 1, 1, 1, generator=rng)).to(frames.device, non_blocking=True)

    reach, groups = torch.arange(-int(3 * blur), int(3 * blur) + 1, device=frames.device), n_channels * n
    kernel = (-(reach**2) / (2 * draw(0, blur).clamp_min(1e-3) ** 2)).exp()  # (B, 1, 1, taps)
    kernel = (kernel / kernel.sum(-1, keepdim=True)).repeat_interleave(n_channels, 0)
    x = F.pad(frames, 4 * [int(3 * blur)], mode="replicate").flatten(0, 1)[None]  # (1, B C, H, W)
    x = F.conv2d(F.conv2d(x, kernel, groups=groups), kernel.transpose(2, 3), groups=groups)[0]
    x = x.unflatten(0, (n, n_channels))
    x = x * (1 + draw(-brightness, brightness)) + draw(-brightness, brightness)
    return (x + draw(0, noise / 127.5) * torch.randn(x.shape, generator=rng).to(x, non_blocking=True)).clamp(-1, 1)
