"""Optical flow estimated from frames, for data sets without exact flow."""

# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable

import numpy as np

ESTIMATED = "dis-medium-at-2x"  # the flow that `estimate` makes, as stores and protocol ids name it


def estimate(previous: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Dense optical flow between two frames, by OpenCV's DIS (Kroeger et al. 2016).

    previous, current    (H, W, 3) uint8
    returns              (H, W, 2) float32, px, from `current` back to `previous`
    """
    import cv2

    H, W, _ = current.shape
    large = 2 * W, 2 * H  # DIS computes flow at half of its input size
    first, second = (
        cv2.cvtColor(cv2.resize(frame, large, interpolation=cv2.INTER_CUBIC), cv2.COLOR_RGB2GRAY)
        for frame in (previous, current)
    )
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # the same on any number of threads
    return cv2.resize(dis.calc(second, first, None), (W, H), interpolation=cv2.INTER_AREA) / 2


def estimate_checked(
    previous: np.ndarray, current: np.ndarray, estimate: Callable[[np.ndarray, np.ndarray], np.ndarray] = estimate
) -> tuple[np.ndarray, np.ndarray]:
    """Flow from `estimate`, and occluded (H, W) uint8: 1 where backward and forward flow disagree or leave the frame.

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
