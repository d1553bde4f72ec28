"""Structural similarity of two frames in its two factors, which SSIM and MS-SSIM put together differently."""

import cv2
import numpy as np
import torch

C1, C2 = 0.01**2, 0.03**2  # (K1 L)^2 and (K2 L)^2 of intensities from 0 to L = 1


def radius(sigma: float) -> int:
    """Of the Gaussian window of `sigma` px: it has 2 radius + 1 taps, 11 for 1.5."""
    return int(3.5 * sigma + 0.5)


def intensities(frame: torch.Tensor) -> torch.Tensor:
    """[-1, 1] to [0, 1], float64: the luminance term compares means with 0, so it must be black that is 0."""
    return (frame.double() + 1) / 2


def similarity(x: torch.Tensor, y: torch.Tensor, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """SSIM and its contrast-and-structure factor, each the mean over the pixels whose window lies inside the frame.

    x, y       (3, H, W) float64 in [0, 1]; H and W at least 2 radius + 1
    returns    similarity (3,), contrast (3,), of each channel
    source     Wang et al. 2004, eq. 13, whose second fraction the contrast is; K1 0.01, K2 0.03, L 1
    """
    r = radius(sigma)
    window = cv2.getGaussianKernel(2 * r + 1, sigma, cv2.CV_64F)

    def smooth(image):
        return np.stack([cv2.sepFilter2D(plane, cv2.CV_64F, window, window)[r:-r, r:-r] for plane in image])

    x, y = x.numpy(), y.numpy()  # pyright: ignore[reportAssignmentType]
    mean_x, mean_y = smooth(x), smooth(y)
    var_x, var_y, cov = smooth(x * x) - mean_x**2, smooth(y * y) - mean_y**2, smooth(x * y) - mean_x * mean_y
    contrast = (2 * cov + C2) / (var_x + var_y + C2)
    return ((2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1) * contrast).mean((1, 2)), contrast.mean((1, 2))
