"""How far the motion between generated frames is from that between the real ones: tOF.

The mean over pixels of the length of (flow between generated frames t-1 and t - flow between the real ones),
Farneback's flow of OpenCV on 8-bit grey. The paper writes an l1 norm, its code takes the l2 of each pixel, and so does
this. That code also crops to multiples of 8 and skips two frames at either end; here all pixels count, and only
`protocol.skip_frames` are skipped.

*Tolerance*: 1e-9 to the formula with the same OpenCV on the 8-bit frames; a slide of 3 px against a still video scores
3 within 10 % (the estimator's). The same on one and two threads.

*Source*: Chu et al. 2020 (TecoGAN), eq. 6.

*Cannot see*: what does not change the estimated flow: blur, colour. Frozen scores the real motion, as it should.
"""

from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
import torch

from v2vbench.metrics._pictures import pictures
from v2vbench.metrics._real import of_real

TITLE, UNIT, BETTER, HEADING = "tOF", "px", "lower", "fidelity"
PROTOCOL = "tof/1:farneback0.5,3,15,3,5,1.2,0:grey8bit:L2-of-difference:no-crop:mean-of-pairs"

LADDERS = ("slow", "freeze", "late")  # of damage, in whose levels its scores are told first
FARNEBACK = dict(pyr_scale=0.5, levels=3, winsize=15, iterations=3, poly_n=5, poly_sigma=1.2, flags=0)  # TecoGAN's


def motion(frames: torch.Tensor) -> Iterator[np.ndarray]:
    """Farneback's flow from each frame to the next, (H, W, 2) px."""
    grey = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in pictures(frames, at_least=2))
    return (cv2.calcOpticalFlowFarneback(a, b, None, **FARNEBACK) for a, b in pairwise(grey))


def compute(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Mean over pixels of the length of the difference between the two flows.

    fake, real    (T, 3, H, W) in [-1, 1]
    returns       (T-1,) px
    raises        ValueError for a single frame, or a value that is not finite
    source        Chu et al. 2020 (TecoGAN), eq. 6, which writes an l1 norm; its code takes the l2, and so do we. That
                  code also crops to multiples of 8 and skips two frames at either end of a video; here nothing is
                  cropped
    """
    lengths = (
        np.linalg.norm(a.astype(np.float64) - b, axis=-1).mean() for a, b in zip(motion(fake), of_real(motion, real))
    )
    return torch.tensor(np.array(list(lengths)))
