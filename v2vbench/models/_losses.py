"""Loss functions of generators and discriminators."""

from functools import reduce

import torch
from torch.nn import functional as F

from v2vbench.clips.flow import warp
from v2vbench.download import weights
from v2vbench.params import Fault, root

LAYERS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}  # relu1_1 .. relu5_1: weight of each


def lsgan(predictions: list[list[torch.Tensor]], target: float) -> torch.Tensor:
    """Least-squares adversarial loss, summed over the discriminator's scales (Mao et al. 2017, eq. 9).

    predictions    for each scale the outputs of its layers, the last (B, 1, H, W) unbounded
    target         of every prediction: 1 = real, 0 = fake
    """
    scales = [
        F.mse_loss(scale[-1].float(), torch.full_like(scale[-1], target, dtype=torch.float32)) for scale in predictions
    ]
    return reduce(torch.add, scales)


def feature_matching(fake: list[list[torch.Tensor]], real: list[list[torch.Tensor]]) -> torch.Tensor:
    """L1 between the discriminator's hidden features of fake and real video (Wang et al. 2018, pix2pixHD, eq. 4).

    As in the reference code, each layer except the last has weight 4 / (number of layers - 1), and each scale
    1 / (number of scales).
    """
    layers = []
    for fakes, reals in zip(fake, real, strict=True):
        for a, b in zip(fakes[:-1], reals[:-1], strict=True):
            layers.append(4 / (len(fakes) - 1) * F.l1_loss(a.float(), b.detach().float()))
    return reduce(torch.add, layers) / len(fake)


def masked_l1(a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean over all elements of |a - b| times `weight` (B, 1, H, W); no gradient flows through b."""
    return F.l1_loss(a.float() * weight, b.detach().float() * weight)


def flow_endpoint(flow, flow_real, visible) -> torch.Tensor:
    """First term of L_W (Wang et al. 2018, eq. 9): L1 between predicted and true flow, px, where `visible`."""
    return masked_l1(flow, flow_real, visible)


def flow_warp(flow, real_past, real, visible) -> torch.Tensor:
    """Second term of L_W (eq. 9): L1 between real frame t and real frame t-1 warped by the predicted flow."""
    return masked_l1(warp(real_past, flow), real, visible)


def temporal_warp(fake, fake_past, flow_real, visible) -> torch.Tensor:
    """L1 between fake frame t and fake frame t-1 warped by the true flow; in the reference code, not in the paper."""
    return masked_l1(fake, warp(fake_past, flow_real), visible)


class Perceptual:
    """L1 between VGG19 features of fake and real frames (Wang et al. 2018, pix2pixHD, section 3.3).

    The layers are relu1_1 to relu5_1, with weights from 1/32 to 1. As in the reference code, the input is in [-1, 1]
    without further normalisation, and halved until it is at most 1024 px wide.

    This is no torch module, so a model that has one neither saves nor trains VGG19. The network is loaded at the first
    call, since only training needs it.
    """

    def __init__(self, weight: float, net: torch.nn.Sequential | None = None):
        self.weight, self.net = weight, net

    def __call__(self, fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Fake and real (B, 3, H, W) to a scalar; no gradient flows through real."""
        if self.net is None:
            self.net = vgg19_features()
        self.net.to(fake.device)
        while fake.shape[-1] > 1024:
            fake, real = (F.avg_pool2d(x, 2, 2, count_include_pad=False) for x in (fake, real))
        terms, real = [], real.detach()
        for number, layer in enumerate(self.net[: max(LAYERS) + 1]):
            fake, real = layer(fake), layer(real)
            if number in LAYERS:
                terms.append(LAYERS[number] * F.l1_loss(fake.float(), real.float()))
        return self.weight * reduce(torch.add, terms)


def perceptual_loss(name: str, weight: float) -> Perceptual | None:
    """The loss that the setting `perceptual` of a model names; None for "none"."""
    return None if name == "none" else Perceptual(weight)


def vgg19_features() -> torch.nn.Sequential:
    """The convolutions of torchvision's VGG19, trained on ImageNet.

    raises    Fault if the weights are missing, are another file, or are not listed in the project's weights.json
    """
    from torchvision.models import vgg19

    try:
        if reason := weights.why_unusable(("vgg19",), root()):
            raise Fault(reason)
        content = weights.load("vgg19")
    except Fault as error:
        raise Fault(f"perceptual: {error}, or set perceptual: none") from None
    with torch.device("meta"):  # no random initial weights
        net = vgg19()
    net.load_state_dict(content, assign=True)
    layers = list(net.features.children())
    for layer in layers:
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False
    return torch.nn.Sequential(*layers).eval().requires_grad_(False)
