"""Inception-I3D, the network of FVD and of the video FID of vid2vid's heirs."""

import functools
import warnings
from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from v2vbench import extractors
from v2vbench.download import weights as files
from v2vbench.extractors._networks import not_the_weights
from v2vbench.parallel import passes
from v2vbench.params import Count, Fault, Range

N_CLASSES = 400  # of Kinetics-400
MIXED = {  # channels of the branches: 1x1; 1x1, 3x3; 1x1, 3x3; 1x1 after the pool
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}
EPS = {"videogpt": 1e-5, "piergiaj": 1e-3}  # of batch norm, as each port's own code has it


def same(x: Tensor, kernel: tuple, stride: tuple) -> Tensor:
    """Pad (n, C, T, H, W) with zeros as TensorFlow's 'same': ceil(size / stride) results, an odd pixel at the end."""
    pads = []
    for size, k, s in zip(x.shape[:1:-1], kernel[::-1], stride[::-1]):  # F.pad counts from the last axis
        total = max((-(-size // s) - 1) * s + k - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class Unit(nn.Module):
    """Convolution, batch norm and ReLU; the last one of the network has a bias in place of both."""

    def __init__(self, n_in: int, n_out: int, size: int, stride: int = 1, eps: float | None = 1e-3):
        super().__init__()
        self.conv3d = nn.Conv3d(n_in, n_out, size, stride, bias=eps is None)
        self.bn = nn.BatchNorm3d(n_out, eps) if eps is not None else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv3d(same(x, self.conv3d.kernel_size, self.conv3d.stride))
        return x if self.bn is None else F.relu_(self.bn(x))


class Pool(nn.Module):
    """Maximum; the padding's zeros are no larger than what a ReLU gives."""

    def __init__(self, size: tuple, stride: tuple):
        super().__init__()
        self.size, self.stride = size, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool3d(same(x, self.size, self.stride), self.size, self.stride)


class Mixed(nn.Module):
    """Four branches side by side, as in GoogLeNet."""

    def __init__(self, n_in: int, channels: tuple, eps: float):
        super().__init__()
        one, squeeze, three, squeeze_2, three_2, pooled = channels
        self.b0, self.b1a, self.b2a = (Unit(n_in, n, 1, eps=eps) for n in (one, squeeze, squeeze_2))
        self.b1b, self.b2b = Unit(squeeze, three, 3, eps=eps), Unit(squeeze_2, three_2, 3, eps=eps)
        self.b3a, self.b3b = Pool((3, 3, 3), (1, 1, 1)), Unit(n_in, pooled, 1, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))], 1)


class Network(nn.Module):
    """Video (n, 3, T, H, W) in [-1, 1] to logits (n, 400) or to the 1024 averages before them; T >= 9.

    Maps are averaged over each two neighbours in time and all of space, then over time. The paper's network takes 224 x
    224, of which maps of 7 x 7 remain; at another size all of them is averaged too.
    source    Carreira and Zisserman 2017, figure 3; modules are named as in the published files
    """

    def __init__(self, eps: float):
        super().__init__()
        self.Conv3d_1a_7x7, self.MaxPool3d_2a_3x3 = Unit(3, 64, 7, 2, eps), Pool((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1, self.Conv3d_2c_3x3 = Unit(64, 64, 1, eps=eps), Unit(64, 192, 3, eps=eps)
        self.MaxPool3d_3a_3x3, n = Pool((1, 3, 3), (1, 2, 2)), 192
        for name, channels in MIXED.items():
            if name == "4b":
                self.MaxPool3d_4a_3x3 = Pool((3, 3, 3), (2, 2, 2))
            if name == "5b":
                self.MaxPool3d_5a_2x2 = Pool((2, 2, 2), (2, 2, 2))
            self.add_module(f"Mixed_{name}", Mixed(n, channels, eps))
            n = channels[0] + channels[2] + channels[4] + channels[5]
        self.logits = Unit(n, N_CLASSES, 1, eps=None)

    def forward(self, x: Tensor, output: Literal["logits", "pool"]) -> Tensor:
        *trunk, logits = self.children()  # in the order above
        for layer in trunk:
            x = layer(x)
        x = F.avg_pool3d(x, (2, *x.shape[3:]), stride=1)  # (n, 1024, T / 8 - 1, 1, 1)
        return (logits(x) if output == "logits" else x).mean((2, 3, 4))


def from_state(state: dict[str, Tensor], eps: float) -> Network:
    """The network with published weights; raises RuntimeError where a name or a shape is another one.

    The older file was written before PyTorch counted the batches that a batch norm has seen; nothing here reads that
    number.
    """
    with torch.device("meta"):  # nothing drawn at random
        net = Network(eps)
    counters = {name: torch.tensor(0) for name in net.state_dict() if name.endswith("num_batches_tracked")}
    net.load_state_dict(counters | dict(state), assign=True)
    return net.eval().requires_grad_(False)


@functools.cache
def network(name: str, sha256: str) -> nn.Module:
    """The network of `name`, made once for each content of its file; raises Fault where the file holds others."""
    file = f"i3d_{name}"
    try:
        if name != "tfhub":
            return from_state(files.load(file), EPS[name])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PyTorch would have another format by now
            return torch.jit.load(str(files.path(file)), map_location="cpu").eval()
    except RuntimeError as error:
        raise not_the_weights(file, "I3D", error) from None


class Extractor(extractors.Extractor):
    """I3D's features of a snippet: 400 logits for FVD, or the 1024 averages before them for video FID.

    weights     tfhub: FVD's own, in the port that StyleGAN-V ships and whose FVD differs from TensorFlow's by 6e-7 (the
                authors' figure); stylegan-v: the same rows under the id of that protocol, to translate its tables;
                videogpt: the same weights in VideoGPT's port, whose batch norm has another eps; piergiaj: those
                DeepMind gave away with the paper, as vid2vid's heirs use them
    n_frames    a snippet, at least 10; FVD has 16
    stride      frames between the starts of snippets
    resize      torch-bilinear squashes and has no antialias, as FVD's authors and StyleGAN-V do; short-side-crop keeps
                proportions and loses the ends of the long side, as VideoGPT does
    px          side; the network was trained at 224, and tfhub takes no other
    source      Unterthiner et al. 2018 (FVD); Carreira and Zisserman 2017 (I3D)
    raises      Fault for settings that do not go together
    """

    VERSION = 1

    def __init__(
        self,
        *,
        weights: Literal["tfhub", "stylegan-v", "videogpt", "piergiaj"],
        output: Literal["logits", "pool"],
        n_frames: Annotated[int, Range(10)],
        stride: Count,
        resize: Literal["torch-bilinear", "short-side-crop"],
        px: Annotated[int, Range(32)],
    ):
        whole = weights in ("tfhub", "stylegan-v")
        if whole and (output, px) != ("logits", 224):
            raise Fault(
                f"i3d: weights {weights} give logits of 224 px only; write output: logits and px: 224, or take videogpt"
            )
        if weights == "stylegan-v" and (n_frames, resize) != (16, "torch-bilinear"):
            raise Fault(
                "i3d: weights stylegan-v are its protocol; write n_frames: 16 and resize: torch-bilinear, or take tfhub"
            )
        video_fid = (
            {"frechet": "video FID (I3D)", "kernel": "video KID (I3D)"},
            {"frechet": "vfid-i3d", "kernel": "vkid-i3d"},
        )
        whose, slug = {
            "tfhub": ("", "i3d"),
            "stylegan-v": (" (StyleGAN-V)", "stylegan-v"),
            "videogpt": (" (VideoGPT)", "videogpt"),
            "piergiaj": (" (I3D, DeepMind's weights)", "i3d-piergiaj"),
        }[weights]
        fvd = {"frechet": f"FVD{whose}", "kernel": f"KVD{whose}"}, {"frechet": f"fvd-{slug}", "kernel": f"kvd-{slug}"}
        self.titles, self.ids = fvd if output == "logits" else video_fid
        self.name = "tfhub" if whole else weights
        self.rows = (
            f"{self.name}:{px}-{resize}:{n_frames}f-stride{stride}:{output}{400 if output == 'logits' else 1024}"
        )
        self.weights, self.resize, self.snippet = (f"i3d_{self.name}",), (resize, px), (n_frames, stride)
        self.output = output

    def extract(self, images: Tensor) -> Tensor:
        """(n, n_frames, 3, px, px) on 0..255 to (n, 400) or (n, 1024); raises Fault without weights."""
        net = network(self.name, files.sha256(self.weights[0]))
        return passes(
            self._torchscript(net)
            if self.name == "tfhub"
            else lambda part: net(part.transpose(1, 2) / 127.5 - 1, self.output),
            images,
            1,
        )

    @staticmethod
    def _torchscript(net: Callable) -> Callable:
        """The file includes its preprocessing: 0..255 to [-1, 1], and a resize that leaves 224 px as they are."""

        def rows(part: Tensor) -> Tensor:
            with torch.jit.optimized_execution(False):  # else the second call is compiled to other last digits
                return net(part.transpose(1, 2).contiguous(), rescale=True, resize=True, return_features=True)

        return rows
