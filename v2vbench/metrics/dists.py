"""Distance of each frame to the real one in structure and texture: grass that is other grass costs little.

Over the channels of the frame and of VGG16's five stages (with L2 pooling under a Hann window in place of its maxima),
the weighted mean of 1 - (2 ab + c)/(a² + b² + c) of the means and 1 - (2 cov + c)/(var + var + c), c = 1e-6. The
published weights, which sum to 1, come in the package torchmetrics. Frames are taken as they are: the authors' script
shrinks those above 256 px to 256.

*Needs*: weights, vgg16; frames from 16 px.

*Tolerance*: 1e-6 to torchmetrics 1.9 with the same random VGG16 (measured 1.2e-7); 0 for equal frames.

*Source*: Ding et al. 2020, eq. 5 to 7.

*Cannot see*: time; where a texture stands, which is its purpose.
"""

import torch

from v2vbench.metrics import _dists
from v2vbench.metrics._dists import channel_weights, similarity, stages
from v2vbench.metrics._networks import large_enough
from v2vbench.parallel import passes

TITLE, UNIT, BETTER, HEADING = "DISTS", "", "lower", "fidelity"
PROTOCOL = "dists/1:vgg16:rgb:range0to1:no-resize:mean-of-frames"
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of the input


def weights() -> tuple[str, ...]:
    """Names in v2vbench.download.weights.TABLE."""
    return ("vgg16",)


def compute(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Weighted mean of 1 - similarity of means and patterns over channels of the frame and of five VGG16 stages.

    fake, real    (T, 3, H, W) in [-1, 1]
    returns       (T,); frames are taken as they are: the authors shrink those above 256 px to 256
    raises        ValueError where frames are smaller than 16 px; Fault where the weights are missing
    source        Ding et al. 2020, eq. 5 to 7
    """
    large_enough(fake, "vgg")
    parts, (texture, structure) = stages(), channel_weights()
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (MEAN, DEVIATION))

    def one(at: torch.Tensor) -> torch.Tensor:
        x = (torch.cat([fake[at], real[at]]).float() + 1) / 2  # (2, 3, H, W)
        similarities = [similarity(x)]
        x = (x - mean) / deviation
        for number, part in enumerate(parts):
            x = part[1:](_dists.pool(x)) if number else part(x)  # pool for VGG's maximum
            similarities.append(similarity(x))
        same_mean, same_shape = torch.cat(similarities, 1)
        return (texture * (1 - same_mean) + structure * (1 - same_shape)).sum()[None]

    return passes(one, torch.arange(len(fake)), 1)
