"""R(2+1)D-18 of Kinetics-400, torchvision's: convolutions in space and time in turn; a second opinion on FVD."""

import functools
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from v2vbench import extractors
from v2vbench.download import weights
from v2vbench.extractors._networks import load_into
from v2vbench.extractors.s3d import middle, normalised
from v2vbench.parallel import passes
from v2vbench.params import Count, Range

CROPPED = 112 / 128  # of the resized frame's side, the middle


@functools.cache
def network(sha256: str) -> nn.Module:
    """torchvision's R(2+1)D-18 without its last layer, made once for each content of its file.

    raises    Fault where the file holds others
    """
    from torchvision.models.video import r2plus1d_18

    with torch.device("meta"):  # nothing drawn at random
        net = r2plus1d_18(weights=None)
    load_into(net, "r2plus1d", "R(2+1)D-18").fc = nn.Identity()
    return net


class Extractor(extractors.Extractor):
    """The last maps of R(2+1)D-18, averaged over time and space: a row of 512 a snippet.

    n_frames    a snippet; the network was trained with 16
    stride      frames between the starts of snippets
    resize      short-side-crop keeps proportions and, of frames of 4:3, takes the part that torchvision takes, to a
                pixel, which squashes all frames to 4:3 first; torch-bilinear squashes to a square
    px          side of the resized frame, of whose middle the network sees 7/8; torchvision: 128, then 112
    source      Tran et al. 2018 (R(2+1)D); torchvision's R2Plus1D_18_Weights.KINETICS400_V1
    """

    VERSION = 1

    def __init__(
        self,
        *,
        n_frames: Annotated[int, Range(2)],
        stride: Count,
        px: Annotated[int, Range(32)],
        resize: Literal["torch-bilinear", "short-side-crop"],
    ):
        self.titles = {"frechet": "FVD (R(2+1)D)", "kernel": "KVD (R(2+1)D)"}
        self.ids = {"frechet": "fvd-r2plus1d", "kernel": "kvd-r2plus1d"}
        self.rows = f"{px}-{resize}-crop{round(px * CROPPED)}:{n_frames}f-stride{stride}:pool512"
        self.weights, self.resize, self.snippet = ("r2plus1d",), (resize, px), (n_frames, stride)

    def extract(self, images: Tensor) -> Tensor:
        """images (n, n_frames, 3, px, px) on 0..255; returns (n, 512); raises Fault where there are no weights."""
        net = network(weights.sha256("r2plus1d"))
        return passes(lambda part: net(normalised(middle(part, CROPPED))), images, 1)
