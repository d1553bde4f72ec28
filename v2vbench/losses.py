"""What a generator and a discriminator are asked to minimise: functions of tensors."""
import torch
from torch.nn import functional as F

from v2vbench.flow import warp


def lsgan(predictions: list[list[torch.Tensor]], target: float) -> torch.Tensor:
    """Least-squares adversarial loss, summed over the discriminator's scales (Mao et al. 2017, eq. 9).

    predictions    for each scale the outputs of its layers, the last (B, 1, H, W) unbounded
    target         1 = called real, 0 = called fake
    """
    return sum(F.mse_loss(scale[-1].float(), torch.full_like(scale[-1], target, dtype=torch.float32)) for scale in predictions)


def feature_matching(fake: list[list[torch.Tensor]], real: list[list[torch.Tensor]]) -> torch.Tensor:
    """L1 between the discriminator's inner features of fake and real video (Wang et al. 2018, pix2pixHD, eq. 4).

    Each layer but the last counts 4 / (number of layers - 1), each scale 1 / (number of scales), as in the reference code.
    """
    total = 0.0
    for fakes, reals in zip(fake, real, strict=True):
        for a, b in zip(fakes[:-1], reals[:-1], strict=True):
            total = total + 4 / (len(fakes) - 1) * F.l1_loss(a.float(), b.detach().float())
    return total / len(fake)


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
