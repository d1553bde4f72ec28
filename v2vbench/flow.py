"""Motion between frames: where each pixel of frame t stood in frame t-1."""

import numpy as np
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


def estimate(previous: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Dense flow between two frames of a camera, where no exact one is known: OpenCV's DIS (Kroeger et al. 2016).

    previous, current    (H, W, 3) uint8
    returns              (H, W, 2) float32, px, from `current` back to `previous`
    """
    import cv2

    H, W, _ = current.shape
    large = 2 * W, 2 * H  # DIS stops at half the size it is given
    first, second = (
        cv2.cvtColor(cv2.resize(frame, large, interpolation=cv2.INTER_CUBIC), cv2.COLOR_RGB2GRAY)
        for frame in (previous, current)
    )
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # the same on any number of threads
    return cv2.resize(dis.calc(second, first, None), (W, H), interpolation=cv2.INTER_AREA) / 2


def estimate_checked(previous: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flow as `estimate` has it, and occluded (H, W) uint8: 1 where the ways back and forth disagree or leave the frame.

    They disagree where |b + f|^2 > 0.01 (|b|^2 + |f|^2) + 0.5, in px (Sundaram et al. 2010, eq. 5).
    """
    import cv2

    H, W, _ = current.shape
    back, forth = estimate(previous, current), estimate(current, previous)
    y, x = np.mgrid[:H, :W].astype(np.float32)
    x, y = x + back[..., 0], y + back[..., 1]
    forth = cv2.remap(forth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    apart, length = ((back + forth) ** 2).sum(-1), (back**2 + forth**2).sum(-1)
    outside = (x < 0) | (x > W - 1) | (y < 0) | (y > H - 1)
    return back, (outside | (apart > 0.01 * length + 0.5)).astype(np.uint8)
