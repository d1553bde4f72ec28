"""Warping along optical flow, which says where each pixel of frame t was in frame t-1."""

import torch
from torch.nn import functional as F


def warp(image: torch.Tensor, flow: torch.Tensor, mode: str = "bilinear") -> torch.Tensor:
    """Warp `image` along `flow`: out[y, x] = image[y + dy, x + dx], edges repeated.

    image      (B, C, H, W)
    flow       (B, 2, H, W)    px, from the output back to `image`; zero is the identity, integers are a shift
    mode       "bilinear", which every loss and metric uses; "bicubic" blurs less but may leave the range of `image`
    returns    (B, C, H, W)    float32, also under autocast: positions need more than the 8 bits of bfloat16
    """
    H, W = flow.shape[-2:]
    with torch.autocast(image.device.type, enabled=False):
        # Keep this order of operations, which is the reference code's: a roll-out magnifies a difference in rounding by
        # 100 within 4 frames.
        x = torch.linspace(-1, 1, W, device=flow.device) + flow[:, 0].float() / (max(W - 1, 1) / 2)  # (B, H, W)
        y = torch.linspace(-1, 1, H, device=flow.device)[:, None] + flow[:, 1].float() / (max(H - 1, 1) / 2)
        grid = torch.stack([x, y], -1)  # (B, H, W, 2)
        # torch reads outside the image if a position is nan: sample at another position and write nan into the result
        out = F.grid_sample(image.float(), grid.nan_to_num(0.0), mode=mode, padding_mode="border", align_corners=True)
        return out.masked_fill(grid.isnan().any(-1)[:, None], torch.nan)
