"""Frames as the 8-bit pictures that OpenCV and dlib take."""

import numpy as np
import torch

from v2vbench.clips.tensors import to_pixels


def pictures(frames: torch.Tensor, *, at_least: int) -> np.ndarray:
    """(T, 3, H, W) in [-1, 1] to (T, H, W, 3) uint8.

    raises    ValueError for fewer frames than `at_least`, and for a value that is not finite, which 8 bits would hide
    """
    if len(frames) < at_least:
        raise ValueError(f"{len(frames)} frame{'s' * (len(frames) != 1)}, and it takes {at_least}")
    if bad := [t for t, frame in enumerate(frames) if not frame.isfinite().all()]:
        raise ValueError(f"frame {bad[0]} has values that are not finite")
    return to_pixels(frames)
