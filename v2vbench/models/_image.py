"""The networks of pix2pixHD: one frame from its source."""

import torch
from torch import nn
from torch.nn import functional as F

from v2vbench.models._blocks import decoder, encoder, half, head, residuals
from v2vbench.params import Fault

MOST = 1024  # channels at most, at any depth


class Global(nn.Module):
    """The global generator G1 (section 3.2), in two halves: `deep` computes deep features, `paint` a frame from them.

    n_z    channels of the styles if they enter at four places: at the input, before and after the residual blocks, and
           before the last layer, as in the network of vid2vid's reference code that makes the first frame of a face;
           0: styles, if any, enter at the input alone
    """

    def __init__(
        self,
        n_in: int,
        *,
        n_filters: int,
        n_down: int,
        n_blocks: int,
        norm: str,
        upsample: str,
        n_z: int = 0,
        with_head: bool = True,
    ):
        super().__init__()
        wide = min(n_filters * 2**n_down, MOST)
        self.n_down, self.n_z = n_down, n_z
        self.down, self.blocks = (
            encoder(n_in + n_z, n_filters, n_down, 0, norm, MOST),
            residuals(wide + n_z, n_blocks, norm),
        )
        self.up = decoder(n_filters, n_down, norm, MOST, 2 * n_z, upsample)
        if with_head:
            self.head = head(n_filters + n_z, 3, nn.Tanh())

    def deep(self, x: torch.Tensor, z: torch.Tensor | None = None) -> torch.Tensor:
        """(B, n_in, H, W) to deep features (B, n_filters * 2**n_down, H / 2**n_down, W / 2**n_down)."""
        if z is None:
            return self.blocks(self.down(x))
        small = F.adaptive_avg_pool2d(z, (z.shape[-2] >> self.n_down, z.shape[-1] >> self.n_down))
        return torch.cat([self.blocks(torch.cat([self.down(torch.cat([x, z], 1)), small], 1)), small], 1)

    def paint(self, deep: torch.Tensor, x: torch.Tensor, z: torch.Tensor | None = None) -> torch.Tensor:
        """Deep features to (B, 3, H, W) in [-1, 1]."""
        features = self.up(deep)
        return self.head(features if z is None else torch.cat([features, z], 1)).float()

    def forward(self, x, z=None):
        return self.paint(self.deep(x, z), x, z)


class Local(nn.Module):
    """The local enhancers G2, ... around a global generator at 2**-n_local of the size (section 3.2)."""

    def __init__(
        self,
        n_in: int,
        *,
        n_local: int,
        n_blocks_local: int,
        n_filters: int,
        n_down: int,
        n_blocks: int,
        norm: str,
        upsample: str,
    ):
        super().__init__()
        self.n_down = n_down + n_local
        self.coarse = Global(
            n_in,
            n_filters=n_filters * 2**n_local,
            n_down=n_down,
            n_blocks=n_blocks,
            norm=norm,
            upsample=upsample,
            with_head=False,
        )
        widths = [n_filters * 2**i for i in reversed(range(n_local))]
        self.downs = nn.ModuleList(encoder(n_in, width, 1, 0, norm) for width in widths)
        self.ups = nn.ModuleList(
            nn.Sequential(residuals(2 * width, n_blocks_local, norm), decoder(width, 1, norm, upsample=upsample))
            for width in widths
        )
        self.head = head(n_filters, 3, nn.Tanh())

    def sizes(self, x: torch.Tensor) -> list[torch.Tensor]:
        """x at every size, the coarsest first."""
        scales = [x]
        for _ in self.downs:
            scales.insert(0, half(scales[0]))
        return scales

    def deep(self, x: torch.Tensor, z: None = None) -> torch.Tensor:
        """(B, n_in, H, W) to the global generator's deep features."""
        return self.coarse.deep(self.sizes(x)[0])

    def paint(self, deep: torch.Tensor, x: torch.Tensor, z: None = None) -> torch.Tensor:
        """Deep features to (B, 3, H, W) in [-1, 1]; the enhancers take x as input too."""
        features = self.coarse.up(deep)
        for source, down, up in zip(self.sizes(x)[1:], self.downs, self.ups):
            features = up(down(source) + features)
        return self.head(features).float()

    def forward(self, x, z=None):
        return self.paint(self.deep(x), x)


def generator(n_in: int, n_z: int, *, n_local: int, n_blocks_local: int, **shape) -> Global | Local:
    """Local if there are local enhancers (n_local > 0), else Global."""
    if not n_local:
        return Global(n_in, n_z=n_z, **shape)
    if n_z:
        raise Fault("styles_at: styles at the bottleneck need n_local: 0; set styles_at: input")
    return Local(n_in, n_local=n_local, n_blocks_local=n_blocks_local, **shape)
