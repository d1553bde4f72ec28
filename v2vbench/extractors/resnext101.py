"""3-D ResNeXt-101 of Kinetics-400: the other network of the video FID of vid2vid's heirs."""

import functools
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from v2vbench import extractors
from v2vbench.download import weights
from v2vbench.extractors._networks import not_the_weights
from v2vbench.parallel import passes
from v2vbench.params import Count, Range

CARDINALITY, N_CLASSES = 32, 400
STAGES = ((128, 3), (256, 4), (512, 23), (1024, 3))  # channels inside the blocks, blocks; twice the channels come out
MEAN = (114.7748, 107.7354, 99.4750)  # R, G, B of ActivityNet on 0..255, which the network was trained with


class Block(nn.Module):
    """1x1x1, 3x3x3 in 32 groups, 1x1x1, each with batch norm; the shortcut is convolved where sizes differ (type B)."""

    def __init__(self, n_in: int, n: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(n_in, n, 1, bias=False), nn.BatchNorm3d(n)
        self.conv2, self.bn2 = nn.Conv3d(n, n, 3, stride, 1, groups=CARDINALITY, bias=False), nn.BatchNorm3d(n)
        self.conv3, self.bn3 = nn.Conv3d(n, 2 * n, 1, bias=False), nn.BatchNorm3d(2 * n)
        same = stride == 1 and n_in == 2 * n
        self.downsample = (
            None if same else nn.Sequential(nn.Conv3d(n_in, 2 * n, 1, stride, bias=False), nn.BatchNorm3d(2 * n))
        )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu_(self.bn1(self.conv1(x)))
        y = F.relu_(self.bn2(self.conv2(y)))
        return F.relu_(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


class Network(nn.Module):
    """Video (n, 3, T, H, W) to the average of the last maps, (n, 2048).

    At 16 frames of 112 px one map of 4 x 4 remains, all of which the published network averages; so does this one at
    any size.
    source    Hara et al. 2018, table 1 (ResNeXt-101); Xie et al. 2017; modules are named as in the published file
    """

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(3, 64, 7, (1, 2, 2), 3, bias=False), nn.BatchNorm3d(64)
        n_in = 64
        for number, (n, n_blocks) in enumerate(STAGES, 1):
            blocks = [Block(n_in if i == 0 else 2 * n, n, 2 if i == 0 and number > 1 else 1) for i in range(n_blocks)]
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            n_in = 2 * n
        self.fc = nn.Linear(n_in, N_CLASSES)  # in the file, and after the rows

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool3d(F.relu_(self.bn1(self.conv1(x))), 3, 2, 1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)  # pyright: ignore[reportCallIssue]
        return x.mean((2, 3, 4))


def from_state(content: dict) -> Network:
    """The network with the weights of a published checkpoint, without its DataParallel prefix and optimiser state.

    raises    RuntimeError where a name or a shape is another one
    """
    state = {name.removeprefix("module."): value for name, value in content.get("state_dict", content).items()}
    with torch.device("meta"):  # nothing drawn at random
        net = Network()
    counters = {
        name: torch.tensor(0) for name in net.state_dict() if name.endswith("num_batches_tracked")
    }  # older than these
    net.load_state_dict(counters | state, assign=True)
    return net.eval().requires_grad_(False)


@functools.cache
def network(sha256: str) -> Network:
    """The network, made once for each content of its file; raises Fault where the file holds others."""
    try:
        return from_state(weights.load("resnext101"))
    except RuntimeError as error:
        raise not_the_weights("resnext101", "ResNeXt-101", error) from None


class Extractor(extractors.Extractor):
    """The last maps of a 3-D ResNeXt-101, averaged: a row of 2048 a snippet.

    n_frames    a snippet; the network was trained with 16, vfid-metrics takes 10
    stride      frames between the starts of snippets
    px          side of the square that frames are squashed to; the network was trained at 112, vfid-metrics takes 224
    resize      torch-bilinear squashes, as vfid-metrics does; short-side-crop is what the network was trained with
    input       hara: 0..255 less the mean of its training; vfid-metrics: -1..1, which the network never saw and whose
                tables it translates
    source      Hara et al. 2018; the metric: vid2vid (Wang et al. 2018), as github.com/ZaiqiangWu/vfid-metrics has it
    """

    VERSION = 1

    def __init__(
        self,
        *,
        n_frames: Annotated[int, Range(2)],
        stride: Count,
        px: Annotated[int, Range(32)],
        resize: Literal["torch-bilinear", "short-side-crop"],
        input: Literal["hara", "vfid-metrics"],
    ):
        whose, slug = ("", "") if input == "hara" else (", vfid-metrics", "-vfid-metrics")
        self.titles = {"frechet": f"video FID (ResNeXt-101{whose})", "kernel": f"video KID (ResNeXt-101{whose})"}
        self.ids = {"frechet": f"vfid-resnext101{slug}", "kernel": f"vkid-resnext101{slug}"}
        self.rows = f"{input}:{px}-{resize}:{n_frames}f-stride{stride}:pool2048"
        self.weights, self.resize, self.snippet, self.input = ("resnext101",), (resize, px), (n_frames, stride), input

    def extract(self, images: Tensor) -> Tensor:
        """images (n, n_frames, 3, px, px) on 0..255; returns (n, 2048); raises Fault where there are no weights."""
        net, mean = network(weights.sha256("resnext101")), torch.tensor(MEAN, device=images.device)[:, None, None]
        return passes(
            lambda part: net((part - mean if self.input == "hara" else part / 127.5 - 1).transpose(1, 2)), images, 1
        )
