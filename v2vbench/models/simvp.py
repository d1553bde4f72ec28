"""SimVP (Gao et al., CVPR 2022): future frames from past ones in one pass of convolutions, trained with MSE alone."""

from itertools import cycle, islice

import torch
from torch import nn
from torch.nn import functional as F

from v2vbench.clips.store import Facts
from v2vbench.models import Predictor
from v2vbench.models._blocks import must_divide
from v2vbench.params import Count, Fault

KERNELS = 3, 5, 7, 11  # of the branches of an Inception module


def spatial(n_in: int, n_out: int, stride: int, up: bool = False) -> nn.Sequential:
    """Convolution, GroupNorm, LeakyReLU (eq. 2 and 4); stride 2 halves the size, or doubles it if `up` is set."""
    if up and stride == 2:
        layer: nn.Module = nn.ConvTranspose2d(n_in, n_out, 3, 2, 1, output_padding=1)
    else:
        layer = nn.Conv2d(n_in, n_out, 3, stride, 1)
    return nn.Sequential(layer, nn.GroupNorm(2, n_out), nn.LeakyReLU(0.2))


class Inception(nn.Module):
    """A 1 x 1 convolution to n_hidden channels, then the sum of group convolutions of several kernel sizes (eq. 3).

    (B, n_in, H, W) to (B, n_out, H, W).
    """

    def __init__(self, n_in: int, n_hidden: int, n_out: int, groups: int):
        super().__init__()
        self.squeeze = nn.Conv2d(n_in, n_hidden, 1)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(n_hidden, n_out, kernel, padding=kernel // 2, groups=groups),
                nn.GroupNorm(groups, n_out),
                nn.LeakyReLU(0.2),
            )
            for kernel in KERNELS
        )

    def forward(self, x):
        x = self.squeeze(x)
        total = self.branches[0](x)
        for branch in self.branches[1:]:
            total = total + branch(x)
        return total


class Translator(nn.Module):
    """n_modules Inception modules, then as many that also read the outputs of the first ones, the last one's first.

    A U-Net of a single size: (B, n_in, H, W) to the same shape.
    """

    def __init__(self, n_in: int, n_filters: int, n_modules: int, groups: int):
        super().__init__()
        ins, outs = [n_in] + [n_filters] * (n_modules - 1), [n_filters] * (n_modules - 1) + [n_in]
        self.down = nn.ModuleList(Inception(n, n_filters // 2, n_filters, groups) for n in ins)
        self.up = nn.ModuleList(
            Inception(n_filters * (2 if i else 1), n_filters // 2, n, groups) for i, n in enumerate(outs)
        )

    def forward(self, x):
        skips = []
        for module in self.down:
            skips.append(x := module(x))
        x = self.up[0](skips.pop())
        for module in self.up[1:]:
            x = module(torch.cat([x, skips.pop()], 1))
        return x


class Encoder(nn.Module):
    """A frame (N, 3, H, W) to its features, smaller by each stride of 2, and those of the first layer (N, C, H, W)."""

    def __init__(self, n_filters: int, strides: list[int]):
        super().__init__()
        self.layers = nn.ModuleList(spatial(n_filters if i else 3, n_filters, s) for i, s in enumerate(strides))

    def forward(self, x) -> tuple:
        x = first = self.layers[0](x)
        for layer in self.layers[1:]:
            x = layer(x)
        return x, first


class Decoder(nn.Module):
    """The features of a frame and those of the encoder's first layer to a frame, (N, 3, H, W), unbounded."""

    def __init__(self, n_filters: int, strides: list[int]):
        super().__init__()
        self.layers = nn.Sequential(*(spatial(n_filters, n_filters, s, up=True) for s in strides[:0:-1]))
        self.last = spatial(2 * n_filters, n_filters, strides[0], up=True)
        self.out = nn.Conv2d(n_filters, 3, 1)

    def forward(self, x, first):
        return self.out(self.last(torch.cat([self.layers(x), first], 1)))


class Model(Predictor):
    """Encodes each frame, translates the features of all frames together, and decodes each future frame.

    The frame at t + n_seen is decoded with the skip from the frame at t. For Moving MNIST OpenSTL sets n_seen 10,
    n_filters 64, n_layers 4, n_filters_translator 512, n_modules 8, groups 8. This is 57.76 M parameters here; OpenSTL
    states 58.0 M for its variant, which tests/test_simvp.py reconciles.

    n_seen                   frames that a pass reads, and frames that it predicts; for a longer future the model reads
                             its own predictions, of a shorter one it drops the last
    n_filters                channels of a frame's features (hid_S)
    n_layers                 layers of the encoder and of the decoder; every second one halves or doubles the size (N_S)
    n_filters_translator     channels between the Inception modules (hid_T)
    n_modules                Inception modules in each half of the translator (N_T)
    groups                   of the translator's convolutions and of its norms
    """

    READS = ("real",)

    def __init__(
        self,
        facts: Facts,
        *,
        n_seen: Count,
        n_filters: Count,
        n_layers: Count,
        n_filters_translator: Count,
        n_modules: Count,
        groups: Count,
    ):
        super().__init__()
        must_divide(facts, 2 ** (n_layers // 2), "n_layers")
        if n_filters % 2:
            raise Fault(f"n_filters: {n_filters} channels do not make two groups of equal size")
        if n_filters_translator % (2 * groups) or n_seen * n_filters % groups:
            raise Fault(
                f"groups: {groups} must divide n_filters_translator / 2 = {n_filters_translator / 2:g} and "
                f"n_seen * n_filters = {n_seen * n_filters}"
            )
        self.n_seen = n_seen
        strides = list(islice(cycle((1, 2)), n_layers))
        self.encoder = Encoder(n_filters, strides)
        self.translator = Translator(n_seen * n_filters, n_filters_translator, n_modules, groups)
        self.decoder = Decoder(n_filters, strides)

    def parts(self) -> dict:
        """{part: its parameters}."""
        return {"G": list(self.parameters())}

    def future(self, seen: torch.Tensor, n_future: int) -> torch.Tensor:
        """(B, n_seen, 3, H, W) to the frames that follow, (B, n_future, 3, H, W), unbounded."""
        passes = []
        while len(passes) * self.n_seen < n_future:
            features, first = self.encoder(seen.flatten(0, 1))
            features = self.translator(features.unflatten(0, seen.shape[:2]).flatten(1, 2))  # (B, T C, h, w)
            frames = self.decoder(features.unflatten(1, (self.n_seen, -1)).flatten(0, 1), first)
            passes.append(frames.unflatten(0, seen.shape[:2]))
            seen = passes[-1].clamp(-1, 1)
        return torch.cat(passes, 1)[:, :n_future]

    def losses(self, clip: dict) -> dict:
        """Mean squared error (eq. 1), on a scale from 0 to 1 as in the paper, of the window's frames after n_seen."""
        if clip["n_warmup"]:
            raise Fault("n_warmup: simvp reads real frames, so its schedule must have 0")
        real = clip["real"]
        if real.shape[1] <= self.n_seen:
            raise Fault(f"n_frames: a window of {real.shape[1]} leaves nothing to predict after n_seen = {self.n_seen}")
        target = real[:, self.n_seen :]
        return {"G": F.mse_loss(self.future(real[:, : self.n_seen], target.shape[1]).float(), target) / 4}

    @torch.inference_mode()
    def predict(self, past: dict, n_future: int, noise: torch.Generator) -> torch.Tensor:
        """The last n_seen frames of `past` to (1, n_future, 3, H, W) in [-1, 1]; draws nothing from `noise`."""
        seen = past["real"][:, -self.n_seen :]
        if seen.shape[1] < self.n_seen:
            raise Fault(f"n_past: simvp reads n_seen = {self.n_seen} frames, and the past has {seen.shape[1]}")
        return self.future(seen, n_future).clamp(-1, 1)
