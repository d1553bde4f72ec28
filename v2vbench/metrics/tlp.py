"""How much each frame differs from the one before, to the eye, where the real video differs more or less: tLP.

100 |LPIPS(generated t-1, t) - LPIPS(real t-1, t)|. Nothing is cropped, and no frames are skipped but the protocol's,
unlike in the authors' code.

*Needs*: weights, alexnet; frames from 31 px.

*Tolerance*: that of `lpips`.

*Source*: Chu et al. 2020 (TecoGAN), eq. 7.

*Cannot see*: a change of the right size in the wrong place.
"""

import torch

from v2vbench.metrics._lpips import distance

TITLE, UNIT, BETTER, HEADING = "tLP", "×10⁻²", "lower", "realism"
PROTOCOL = "tlp/1:lpips-v0.1-alex:range-1to1:no-resize:abs-difference:mean-of-pairs"

LADDERS = ("freeze", "noise")  # of damage, in whose levels its scores are told first


def weights() -> tuple[str, ...]:
    """Names in v2vbench.download.weights.TABLE."""
    return ("alexnet",)


def compute(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """100 |LPIPS of neighbouring generated frames - LPIPS of the same real ones|.

    fake, real    (T, 3, H, W) in [-1, 1]
    returns       (T-1,)
    raises        ValueError for a single frame, or frames smaller than 31 px; Fault where the weights are missing
    source        Chu et al. 2020 (TecoGAN), eq. 7; nothing is cropped and no frame skipped here, unlike in its code
    """
    if len(fake) < 2:
        raise ValueError(f"{len(fake)} frame, and it takes 2")
    own, wanted = (distance(frames[:-1], frames[1:], "alex").double() for frames in (fake, real))
    return 100 * (own - wanted).abs()
