"""Layers that models share: convolutions, residual blocks, encoders, decoders, patch discriminators."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from v2vbench.clips.store import Facts
from v2vbench.params import Fault


def norm_layer(norm: str, n_channels: int) -> nn.Module:
    """A normalisation layer that uses the statistics of the current batch in training and in synthesis.

    The reference code does so too.
    """
    if norm == "batch":
        return nn.BatchNorm2d(n_channels, track_running_stats=False)
    return nn.InstanceNorm2d(n_channels, affine=norm == "instance_affine")


def conv(n_in: int, n_out: int, *, kernel: int, norm: str, stride: int = 1, reflect: bool = True) -> nn.Sequential:
    """Convolution, norm, ReLU; stride 1 keeps the size."""
    mode = "reflect" if reflect else "zeros"
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, padding_mode=mode), norm_layer(norm, n_out), nn.ReLU()
    )


class Residual(nn.Module):
    """x + conv(ReLU(conv(x))), reflected borders (Johnson et al. 2016)."""

    def __init__(self, n_channels: int, norm: str):
        super().__init__()
        self.body = nn.Sequential(
            *conv(n_channels, n_channels, kernel=3, norm=norm),
            nn.Conv2d(n_channels, n_channels, 3, padding=1, padding_mode="reflect"),
            norm_layer(norm, n_channels),
        )

    def forward(self, x):
        return x + self.body(x)


def encoder(n_in: int, n_filters: int, n_down: int, n_blocks: int, norm: str, most: int | None = None) -> nn.Sequential:
    """(B, n_in, H, W) to (B, n_filters * 2**n_down, H / 2**n_down, W / 2**n_down); never more than `most` channels."""
    widths = [min(n_filters * 2**i, most or n_filters * 2**i) for i in range(n_down + 1)]
    layers = [conv(n_in, n_filters, kernel=7, norm=norm)]
    layers += [conv(a, b, kernel=3, stride=2, reflect=False, norm=norm) for a, b in pairwise(widths)]
    return nn.Sequential(*layers, *residuals(widths[-1], n_blocks, norm))


def residuals(n_channels: int, n_blocks: int, norm: str) -> nn.Sequential:
    return nn.Sequential(*(Residual(n_channels, norm) for _ in range(n_blocks)))


def decoder(
    n_filters: int, n_down: int, norm: str, most: int | None = None, n_more: int = 0, upsample: str = "transposed"
) -> nn.Sequential:
    """(B, n_filters * 2**n_down + n_more, H / 2**n_down, W / 2**n_down) to (B, n_filters, H, W).

    upsample    "transposed": convolutions of stride 1/2, as in the reference code, whose 3 x 3 kernels overlap unevenly
                and leave a checkerboard in a short training; "transposed_even": the same with 4 x 4 kernels, which
                overlap evenly; "resize": each pixel repeated, then a 3 x 3 convolution (Odena et al. 2016), at four
                times the cost of "transposed"
    """
    widths = [min(n_filters * 2**i, most or n_filters * 2**i) for i in range(n_down + 1)][::-1]
    layers = []
    for i, (a, b) in enumerate(pairwise(widths)):
        n_in = a + n_more * (i == 0)
        if upsample == "resize":
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(n_in, b, 3, padding=1, padding_mode="reflect")]
        elif upsample == "transposed_even":
            layers += [nn.ConvTranspose2d(n_in, b, 4, 2, 1)]
        else:
            layers += [nn.ConvTranspose2d(n_in, b, 3, 2, 1, output_padding=1)]
        layers += [norm_layer(norm, b), nn.ReLU()]
    return nn.Sequential(*layers)


def head(n_filters: int, n_out: int, *activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_filters, n_out, 7, padding=3, padding_mode="reflect"), *activation)


def half(x: torch.Tensor) -> torch.Tensor:
    """Halve the size of (B, C, H, W) by averaging 3 x 3 pixels, without padding; one-hot labels become soft."""
    return F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)


def pyramid(x: torch.Tensor, n_scales: int) -> list[torch.Tensor]:
    """(B, T, C, H, W) at n_scales sizes, each half of the next, the coarsest first."""
    scales = [x]
    for _ in range(n_scales - 1):
        scales.insert(0, half(scales[0].flatten(0, 1)).unflatten(0, x.shape[:2]))
    return scales


class PatchDiscriminator(nn.Module):
    """One prediction per patch (Isola et al. 2017); returns the outputs of every layer, the predictions last."""

    def __init__(self, n_in: int, n_filters: int, n_layers: int, norm: str):
        super().__init__()
        widths = [min(n_filters * 2**i, 512) for i in range(n_layers + 1)]
        layers = [nn.Sequential(nn.Conv2d(n_in, widths[0], 4, 2, 2), nn.LeakyReLU(0.2))]
        for i in range(1, n_layers + 1):
            layers.append(
                nn.Sequential(
                    nn.Conv2d(widths[i - 1], widths[i], 4, 2 if i < n_layers else 1, 2),
                    norm_layer(norm, widths[i]),
                    nn.LeakyReLU(0.2),
                )
            )
        self.layers = nn.ModuleList([*layers, nn.Conv2d(widths[-1], 1, 4, 1, 2)])

    def forward(self, x) -> list[torch.Tensor]:
        outputs = []
        for layer in self.layers:
            outputs.append(x := layer(x))
        return outputs


class Discriminator(nn.Module):
    """Patch discriminators on an image pyramid (pix2pixHD, section 3.2), the full size first.

    n_filters    of the first layer at full size; doubled at each coarser scale, up to 64
    """

    def __init__(self, n_in: int, *, n_scales: int, n_filters: int, n_layers: int, norm: str):
        super().__init__()
        self.scales = nn.ModuleList(
            PatchDiscriminator(n_in, min(64, n_filters * 2**i), n_layers, norm) for i in range(n_scales)
        )

    def forward(self, x) -> list[list[torch.Tensor]]:
        outputs = []
        for i, scale in enumerate(self.scales):
            x = half(x) if i else x
            outputs.append(scale(x))
        return outputs


def initialise(module: nn.Module) -> None:
    """Weights N(0, 0.02), biases 0, norm scales N(1, 0.02), as in pix2pix."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1, 0.02)


def must_divide(facts: Facts, by: int, why: str) -> None:
    """Raises Fault if `by` does not divide both sides of a frame; `why` names the kwargs that `by` comes from."""
    if any(side % by for side in facts.size):
        raise Fault(
            f"{why}: frames of {facts.name} are {facts.size[0]} x {facts.size[1]}, and {by} does not divide both sides"
        )


def n_source(facts: Facts, instance_edges: bool) -> int:
    """Channels of an encoded source frame."""
    return len(facts.label_names) + instance_edges


def encode(clip: dict, facts: Facts, instance_edges: bool) -> torch.Tensor:
    """The clip's source as input channels of a generator or a discriminator.

    labels     (B, T, H, W) to one-hot (B, T, K, H, W), all zero where ignored; maps (B, T, C, H, W) unchanged
    edges      one more channel, 1 where a 4-neighbour belongs to another instance
    raises     Fault if `instance_edges` is set for data without instances
    """
    source = clip["source"]
    if facts.source == "labels":
        classes = torch.arange(len(facts.label_names), device=source.device)
        source = (source[:, :, None] == classes[:, None, None]).float()  # (B, T, K, H, W)
    if instance_edges:
        if "instance" not in clip:
            raise Fault(f"{facts.name} has no instances: set instance_edges: false in the run's kwargs")
        source = torch.cat([source, edges(clip["instance"])[:, :, None]], 2)
    return source


def edges(instance: torch.Tensor) -> torch.Tensor:
    """1 where a 4-neighbour differs, (..., H, W) integers to float."""
    edge = torch.zeros(instance.shape, dtype=torch.bool, device=instance.device)
    across = instance[..., :, 1:] != instance[..., :, :-1]
    down = instance[..., 1:, :] != instance[..., :-1, :]
    edge[..., :, 1:] |= across
    edge[..., :, :-1] |= across
    edge[..., 1:, :] |= down
    edge[..., :-1, :] |= down
    return edge.float()
