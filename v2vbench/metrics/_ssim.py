"""Structural similarity of two frames in its two factors, which SSIM and MS-SSIM put together differently."""
import cv2
import numpy as np
import torch


def radius(sigma: float) -> int:
    """Of the Gaussian window of `sigma` px: it has 2 radius + 1 taps, 11 for 1.5."""
    return int(3.5 * sigma + 0.5)


def similarity(x: torch.Tensor, y: torch.Tensor, data_range: float, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """SSIM and its contrast-and-structure factor, each the mean over the pixels whose window lies inside the frame.

    x, y       (3, H, W) float64, of values `data_range` wide; H and W at least 2 radius + 1
    returns    similarity (3,), contrast (3,), of each channel
    source     Wang et al. 2004, eq. 13, whose second fraction the contrast is; K1 0.01, K2 0.03
    """
    r = radius(sigma)
    window = cv2.getGaussianKernel(2 * r + 1, sigma, cv2.CV_64F)

    def smooth(image):
        return np.stack([cv2.sepFilter2D(plane, cv2.CV_64F, window, window)[r:-r, r:-r] for plane in image])

    x, y = x.numpy(), y.numpy()
    mean_x, mean_y = smooth(x), smooth(y)
    var_x, var_y, cov = smooth(x * x) - mean_x ** 2, smooth(y * y) - mean_y ** 2, smooth(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    contrast = (2 * cov + c2) / (var_x + var_y + c2)
    return ((2 * mean_x * mean_y + c1) / (mean_x ** 2 + mean_y ** 2 + c1) * contrast).mean((1, 2)), contrast.mean((1, 2))
