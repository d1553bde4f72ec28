"""How sharp each frame is, as a share of the real video: blur is below 1, noise above.

The mean squared difference of horizontal and of vertical neighbours, of each generated frame, over the mean of the
same for the real clip. The denominator is the clip's, because one blank real frame would decide a mean of ratios. 0 is
flat, below 1 blurred, above 1 noisy.

*Tolerance*: 1e-12 for equal clips.

*Cannot see*: whether the detail is right: noise counts as detail. Noise and blur together can make 1.
"""

import torch

from v2vbench.metrics._real import of_real

TITLE, UNIT, BETTER, HEADING = "sharpness ratio", "", "one", "realism"
PROTOCOL = "sharpness-ratio/1:rgb:gradient-energy:forward-difference:over-clip-mean:mean-of-frames"


def energy(frames: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of neighbouring pixels, (T,)."""
    frames = frames.double()
    return frames.diff(dim=2).square().mean((1, 2, 3)) + frames.diff(dim=3).square().mean((1, 2, 3))


def compute(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Gradient energy of each generated frame over the mean gradient energy of the real clip.

    The denominator is the clip's, not the frame's: one blank real frame would decide a mean of ratios.

    fake, real    (T, 3, H, W)
    returns       (T,), whose mean is the ratio of the clips; infinite or NaN where the real clip has no texture at all
    """
    return energy(fake) / of_real(energy, real).mean()
