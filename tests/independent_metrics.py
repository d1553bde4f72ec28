"""Per-clip metrics written anew from their formulas on 8-bit frames; nothing of the package is used.

Each function takes fake and real, (T, H, W, 3) uint8, the other arrays of the clip as the store has them, and the
metric's line of params.yaml; it returns a value a frame (T,) or a pair of frames (T-1,), whose mean is the clip's.
"""

import numpy as np
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def psnr(fake, real, arrays, line):
    """10 log10(255^2 / mse) of each frame, at most cap_db."""

    def frame(x, y):
        return line["cap_db"] if (x == y).all() else min(line["cap_db"], peak_signal_noise_ratio(y, x, data_range=255))

    return np.array([frame(x, y) for x, y in zip(fake, real)])


def ssim(fake, real, arrays, line):
    """scikit-image's on the 8-bit frames: Wang et al. 2004, inner pixels, covariance over the window's weights."""
    return np.array(
        [
            structural_similarity(
                x,
                y,
                data_range=255,
                gaussian_weights=True,
                sigma=line["sigma"],
                use_sample_covariance=False,
                channel_axis=-1,
            )
            for x, y in zip(fake, real)
        ]
    )


def ms_ssim(fake, real, arrays, line):
    """Wang, Simoncelli & Bovik 2003, eq. 7, of each channel, on 0..255; exponents are scaled to a sum of 1."""
    x, y = (
        frames.astype(float).transpose(0, 3, 1, 2).reshape(-1, *frames.shape[1:3]) for frames in (fake, real)
    )  # (3 T, H, W)
    product = np.ones(len(x))
    for scale, beta in enumerate(line["betas"]):
        if scale:
            x, y = block_means(x, 2), block_means(y, 2)
        luminance, contrast = ssim_factors(x, y, line["sigma"])
        factor = (luminance * contrast if scale + 1 == len(line["betas"]) else contrast).mean((1, 2))
        product *= np.maximum(factor, 0) ** (beta / sum(line["betas"]))
    return product.reshape(-1, 3).mean(1)


def ssim_factors(x, y, sigma):
    """The two fractions of Wang et al. 2004, eq. 13, at pixels whose window lies inside the frame, (n, h, w) each."""
    edge = int(3.5 * sigma + 0.5)

    def mean(images):
        return ndimage.gaussian_filter(images, (0, sigma, sigma), truncate=3.5)[:, edge:-edge, edge:-edge]

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = mean(x), mean(y)
    covariance, variances = mean(x * y) - mx * my, mean(x * x) + mean(y * y) - mx**2 - my**2
    return (2 * mx * my + c1) / (mx**2 + my**2 + c1), (2 * covariance + c2) / (variances + c2)


def block_means(images, side):
    """Means over squares of `side` px of (n, H, W), those at the right and lower edges over the pixels they have."""
    height, width = images.shape[1:]
    n_columns = -(-width // side)
    block = (np.arange(height) // side)[:, None] * n_columns + np.arange(width) // side
    n_blocks = block.max() + 1
    return np.stack([ndimage.mean(image, block, np.arange(n_blocks)).reshape(-1, n_columns) for image in images])


def flicker(fake, real, arrays, line):
    """Mean over blocks of |change of the generated luma - change of the real one|, grey levels."""
    one, two = (np.diff(block_means(frames @ LUMA, line["block_px"]), axis=0) for frames in (fake, real))
    return np.abs(one - two).mean((1, 2))


def motion_ratio(fake, real, arrays, line):
    """Mean absolute change of block means of each pair over the real clip's mean of the same."""

    def change(frames):
        return np.mean(
            [
                np.abs(np.diff(block_means(frames[..., c].astype(float), line["block_px"]), axis=0)).mean((1, 2))
                for c in range(3)
            ],
            0,
        )

    return change(fake) / change(real).mean()


def sharpness_ratio(fake, real, arrays, line):
    """Mean squared difference of horizontal and of vertical neighbours over the real clip's mean of the same."""

    def energy(frames):
        return np.array(
            [sum((np.diff(frame.astype(float), axis=axis) ** 2).mean() for axis in (0, 1)) for frame in frames]
        )

    return energy(fake) / energy(real).mean()
