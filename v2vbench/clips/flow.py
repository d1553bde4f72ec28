"""Motion between frames: where each pixel of frame t stood in frame t-1."""

import torch
from torch.nn import functional as F


def warp(image: torch.Tensor, flow: torch.Tensor, mode: str = "bilinear") -> torch.Tensor:
    """Move `image` along `flow`: out[y, x] = image[y + dy, x + dx], edges repeated.

    image      (B, C, H, W)
    flow       (B, 2, H, W)    px, from the output back to `image`; zero is the identity, whole numbers are a shift
    mode       "bilinear", which every loss and metric uses; "bicubic" blurs less but may leave the range of `image`
    returns    (B, C, H, W)    float32 whatever the autocast: positions need more than 8 bits
    """
    H, W = flow.shape[-2:]
    with torch.autocast(image.device.type, enabled=False):
        # In this order of operations: a roll-out of the reference code's networks magnifies another rounding by 100 in 4 frames.
        x = torch.linspace(-1, 1, W, device=flow.device) + flow[:, 0].float() / (max(W - 1, 1) / 2)  # (B, H, W)
        y = torch.linspace(-1, 1, H, device=flow.device)[:, None] + flow[:, 1].float() / (max(H - 1, 1) / 2)
        grid = torch.stack([x, y], -1)  # (B, H, W, 2)
        # torch reads outside the image where a position is nan: sample elsewhere, and say nan ourselves
        out = F.grid_sample(image.float(), grid.nan_to_num(0.0), mode=mode, padding_mode="border", align_corners=True)
        return out.masked_fill(grid.isnan().any(-1)[:, None], torch.nan)
