"""S3D of Kinetics-400 as torchvision trained it: a small network of actions, for a second opinion on FVD."""

import functools
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from v2vbench import extractors
from v2vbench.download import weights
from v2vbench.extractors._networks import load_into, standardise
from v2vbench.parallel import passes
from v2vbench.params import Count, Range

MEAN, STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)  # torchvision's, of Kinetics on 0..1, R, G, B
CROPPED = 224 / 256  # of the resized frame's side, the middle


def middle(images: Tensor, share: float) -> Tensor:
    """The middle of (..., H, W), `share` of each side."""
    height, width = (round(size * share) for size in images.shape[-2:])
    top, left = (round((size - part) / 2) for size, part in zip(images.shape[-2:], (height, width)))
    return images[..., top : top + height, left : left + width]


def normalised(images: Tensor) -> Tensor:
    """(n, T, 3, H, W) on 0..255 to (n, 3, T, H, W) less MEAN, by STD."""
    return standardise(images, MEAN, STD).transpose(1, 2).contiguous()


def pooled(maps: Tensor) -> Tensor:
    """(n, C, T, H, W) averaged over each two neighbours in time and all of space, then over time: (n, C)."""
    return F.avg_pool3d(maps, (2, *maps.shape[3:]), stride=1).mean((2, 3, 4))


@functools.cache
def network(sha256: str) -> nn.Module:
    """torchvision's S3D, made once for each content of its file; raises Fault where the file holds others."""
    from torchvision.models.video import s3d

    with torch.device("meta"):  # nothing drawn at random
        net = s3d(weights=None)
    return load_into(net, "s3d", "S3D")


class Extractor(extractors.Extractor):
    """The last maps of S3D, averaged over time and space: a row of 1024 a snippet.

    n_frames    a snippet, at least 14, below which torchvision's network has no row
    stride      frames between the starts of snippets
    resize      torch-bilinear squashes, which is torchvision's own; short-side-crop keeps proportions
    px          side of the resized frame, of whose middle the network sees 7/8; torchvision: 256, then 224
    source      Xie et al. 2018 (S3D); torchvision's S3D_Weights.KINETICS400_V1, whose resize also rounds to whole grey
                levels
    """

    VERSION = 1

    def __init__(
        self,
        *,
        n_frames: Annotated[int, Range(14)],
        stride: Count,
        px: Annotated[int, Range(64)],
        resize: Literal["torch-bilinear", "short-side-crop"],
    ):
        self.titles = {"frechet": "FVD (S3D)", "kernel": "KVD (S3D)"}
        self.ids = {"frechet": "fvd-s3d", "kernel": "kvd-s3d"}
        self.rows = f"{px}-{resize}-crop{round(px * CROPPED)}:{n_frames}f-stride{stride}:pool1024"
        self.weights, self.resize, self.snippet = ("s3d",), (resize, px), (n_frames, stride)

    def extract(self, images: Tensor) -> Tensor:
        """images (n, n_frames, 3, px, px) on 0..255; returns (n, 1024); raises Fault where there are no weights."""
        net = network(weights.sha256("s3d"))
        return passes(lambda part: pooled(net.features(normalised(middle(part, CROPPED)))), images, 1)
