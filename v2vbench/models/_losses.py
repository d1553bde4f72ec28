"""What generators and discriminators minimise: functions of tensors."""

from functools import reduce

import torch
from torch.nn import functional as F

from v2vbench.clips.flow import warp
from v2vbench.download import weights
from v2vbench.params import Fault, root

LAYERS = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}  # relu1_1 .. relu5_1 and what each counts


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
    """L1 between the discriminator's inner features of fake and real video (Wang et al. 2018, pix2pixHD, eq. 4).

    Each layer but the last counts 4 / (number of layers - 1), each scale 1 / (number of scales), as in the reference code.
    """
    layers = []
    for fakes, reals in zip(fake, real, strict=True):
        for a, b in zip(fakes[:-1], reals[:-1], strict=True):
            layers.append(4 / (len(fakes) - 1) * F.l1_loss(a.float(), b.detach().float()))
    return reduce(torch.add, layers) / len(fake)


def masked_l1(a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean over all elements of |a - b| where `weight` (B, 1, H, W) counts; b gives no gradient."""
    return F.l1_loss(a.float() * weight, b.detach().float() * weight)


def flow_endpoint(flow, flow_real, visible) -> torch.Tensor:
    """The first term of L_W (Wang et al. 2018, eq. 9): predicted against the data's flow, px, where it is `visible`."""
    return masked_l1(flow, flow_real, visible)


def flow_warp(flow, real_past, real, visible) -> torch.Tensor:
    """The second term of L_W (eq. 9): the predicted flow must carry real frame t-1 to real frame t."""
    return masked_l1(warp(real_past, flow), real, visible)


def temporal_warp(fake, fake_past, flow_real, visible) -> torch.Tensor:
    """Fake frame t against fake frame t-1 carried by the data's flow; in the reference code, not in the paper's objective."""
    return masked_l1(fake, warp(fake_past, flow_real), visible)


class Perceptual:
    """L1 between VGG19 features of fake and real frames, relu1_1 to relu5_1, 1/32 to 1 (Wang et al. 2018, pix2pixHD, section 3.3).

    As the reference code has it: frames go in as they are, in [-1, 1], and are halved until at most 1024 px wide.
    No torch module, so that a model that has one neither saves nor trains it. The network is loaded at the first call: only training
    needs it.
    """

    def __init__(self, weight: float, net: torch.nn.Sequential | None = None):
        self.weight, self.net = weight, net

    def __call__(self, fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) each; real gives no gradient."""
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
    """The term that a model's `perceptual` names: None for "none"."""
    return None if name == "none" else Perceptual(weight)


def vgg19_features() -> torch.nn.Sequential:
    """The convolutions of torchvision's VGG19, trained on ImageNet.

    raises    Fault where the weights are absent, others, or not listed in the project's weights.json
    """
    from torchvision.models import vgg19

    try:
        if reason := weights.why_unusable(("vgg19",), root()):
            raise Fault(reason)
        content = weights.load("vgg19")
    except Fault as error:
        raise Fault(f"perceptual: {error}, or set perceptual: none") from None
    with torch.device("meta"):  # nothing drawn at random
        net = vgg19()
    net.load_state_dict(content, assign=True)
    layers = list(net.features.children())
    for layer in layers:
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False
    return torch.nn.Sequential(*layers).eval().requires_grad_(False)
