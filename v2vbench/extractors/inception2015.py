"""The network of FID: Inception as Google gave it away on 5 December 2015, not torchvision's."""

import functools
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from v2vbench import extractors
from v2vbench.download import weights
from v2vbench.parallel import passes

PX, BATCH = 299, 4

PROTOCOLS = {  # by resize: who measures so, rows, and what 0..255 becomes: (x - middle) / half
    "tf": ("", "299-tf-bilinear:pool2048", 128, 128),
    "torch-bilinear": ("pytorch-fid", "299-torch-bilinear:pool2048", 127.5, 127.5),
    "pil-bicubic": ("clean-fid", "299-pil-bicubic:pool2048", 128, 128),
    "torch-antialias": ("torchmetrics1.8", "299-torch-bilinear-antialias:pool2048", 128, 128),
}


class Network:
    """Frames to the 2048 numbers of pool3.

    Unlike torchvision's, average pools do not count the border, and the last block's pool is a maximum.

    Batch norms are folded into the convolutions in float64, and the 1x1 convolution that follows an average pool goes
    before it, where it leaves fewer channels to pool: both change the last digits alone.

    state     weights by name, as torch-fidelity's and pytorch-fid's file has them
    dtype     of the arithmetic; float64 is for comparisons
    raises    RuntimeError where names or shapes are others
    """

    def __init__(self, state: dict[str, Tensor], dtype: torch.dtype):
        from torchvision.models import inception_v3

        with torch.device("meta"):  # names and shapes, nothing drawn at random
            plan = inception_v3(num_classes=1008, aux_logits=False, init_weights=False, transform_input=False)
        plan.load_state_dict(state, assign=True)
        self.layers, self.dtype = {}, dtype
        for name, layer in plan.named_modules():
            if hasattr(layer, "bn"):
                scale = layer.bn.weight.double() / (layer.bn.running_var.double() + layer.bn.eps).sqrt()
                weight = layer.conv.weight.double() * scale[:, None, None, None]
                bias = layer.bn.bias.double() - layer.bn.running_mean.double() * scale
                self.layers[name] = (
                    weight.to(dtype, memory_format=torch.channels_last),
                    bias.to(dtype),
                    layer.conv.padding,
                    layer.conv.stride,
                    (1, 1),
                    1,
                )
        # oneDNN where there is one: on one thread conv2d takes a matrix product for 1x1 convolutions, at half the speed
        onednn = torch.backends.mkldnn.is_available() and dtype == torch.float32
        self.convolution = (
            torch.mkldnn_convolution
            if onednn
            else lambda x, weight, bias, padding, stride, *rest: F.conv2d(x, weight, bias, stride, padding, *rest)
        )

    def __call__(self, x: Tensor) -> Tensor:
        """(n, 3, 299, 299) to (n, 2048)."""
        x = x.to(self.dtype, memory_format=torch.channels_last)
        x = F.max_pool2d(self._chain(x, "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"), 3, 2)  # (n, 64, 73, 73)
        x = F.max_pool2d(self._chain(x, "Conv2d_3b_1x1", "Conv2d_4a_3x3"), 3, 2)  # (n, 192, 35, 35)
        for block in ("Mixed_5b.", "Mixed_5c.", "Mixed_5d."):
            x = torch.cat(
                [
                    self._chain(x, block + "branch1x1"),
                    self._branch(x, block + "branch5x5_", 2),
                    self._branch(x, block + "branch3x3dbl_", 3),
                    self._pooled(x, block),
                ],
                1,
            )  # 256, 288, 288 channels
        x = torch.cat(
            [self._chain(x, "Mixed_6a.branch3x3"), self._branch(x, "Mixed_6a.branch3x3dbl_", 3), F.max_pool2d(x, 3, 2)],
            1,
        )  # (n, 768, 17, 17)
        for block in ("Mixed_6b.", "Mixed_6c.", "Mixed_6d.", "Mixed_6e."):
            x = torch.cat(
                [
                    self._chain(x, block + "branch1x1"),
                    self._branch(x, block + "branch7x7_", 3),
                    self._branch(x, block + "branch7x7dbl_", 5),
                    self._pooled(x, block),
                ],
                1,
            )
        x = torch.cat(
            [
                self._branch(x, "Mixed_7a.branch3x3_", 2),
                self._branch(x, "Mixed_7a.branch7x7x3_", 4),
                F.max_pool2d(x, 3, 2),
            ],
            1,
        )  # (n, 1280, 8, 8)
        for block in ("Mixed_7b.", "Mixed_7c."):
            one, two = self._branch(x, block + "branch3x3_", 1), self._branch(x, block + "branch3x3dbl_", 2)
            pooled = (
                self._pooled(x, block)
                if block == "Mixed_7b."
                else self._chain(F.max_pool2d(x, 3, 1, 1), block + "branch_pool")
            )
            x = torch.cat(
                [
                    self._chain(x, block + "branch1x1"),
                    self._chain(one, block + "branch3x3_2a"),
                    self._chain(one, block + "branch3x3_2b"),
                    self._chain(two, block + "branch3x3dbl_3a"),
                    self._chain(two, block + "branch3x3dbl_3b"),
                    pooled,
                ],
                1,
            )
        return x.mean((2, 3))

    def _chain(self, x: Tensor, *names: str) -> Tensor:
        for name in names:
            x = self.convolution(x, *self.layers[name]).relu_()
        return x

    def _branch(self, x: Tensor, prefix: str, n: int) -> Tensor:
        return self._chain(x, *(f"{prefix}{i + 1}" for i in range(n)))

    def _pooled(self, x: Tensor, block: str) -> Tensor:
        x = self.convolution(x, *self.layers[block + "branch_pool"])
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False).relu_()


@functools.cache
def network(path: Path) -> Network:
    """The network with the weights of that file."""
    return Network(torch.load(path, map_location="cpu", weights_only=True), torch.float32)


class Extractor(extractors.Extractor):
    """pool3 of FID's Inception, a row of 2048 a frame: FID and KID as TensorFlow has them, or as another library does.

    resize    tf is FID as published, to the bit of TensorFlow's resize; the others translate tables: torch-bilinear is
              pytorch-fid's, pil-bicubic clean-fid's, torch-antialias torchmetrics' since 1.8
    source    Heusel et al. 2017; the graph inception-2015-12-05, its weights ported by pytorch-fid and torch-fidelity
    """

    VERSION = 1

    def __init__(self, *, resize: Literal["tf", "torch-bilinear", "pil-bicubic", "torch-antialias"]):
        whose, self.rows, self.middle, self.half = PROTOCOLS[resize]
        self.titles = {"frechet": f"FID ({whose})" if whose else "FID", "kernel": f"KID ({whose})" if whose else "KID"}
        self.ids = {"frechet": f"fid-{whose or 'inception2015'}", "kernel": f"kid-{whose or 'inception2015'}"}
        self.weights = ("inception2015",)
        self.resize = (resize, PX)

    def extract(self, images: Tensor) -> Tensor:
        """images (n, 3, 299, 299) on 0..255; returns (n, 2048); raises Fault where its weights are not here."""
        net = network(weights.path("inception2015"))
        return passes(lambda part: net((part - self.middle) / self.half), images, BATCH)
