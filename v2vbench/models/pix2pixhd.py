"""pix2pixHD's global generator (Wang et al., CVPR 2018) on each frame alone: what a video model must beat."""
from typing import Literal

import torch
from torch import nn

from v2vbench.clips import Facts
from v2vbench.losses import feature_matching, lsgan, masked_l1
from v2vbench.models._blocks import Discriminator, decoder, encode, encoder, head, initialise, n_source
from v2vbench.params import Count, Natural, Weight


class Model(nn.Module):
    """Global generator and multi-scale image discriminator; sees no other frame.

    w_pixel    of an L1 to the real frame, which stands where the VGG term would without its weights; 0 is the paper's
    """

    def __init__(self, facts: Facts, *, n_filters: Count, n_down: Natural, n_blocks: Count, instance_edges: bool,
                 norm: Literal["batch", "instance"], n_scales: Count, n_filters_d: Count, n_layers_d: Count, w_feature: Weight,
                 w_pixel: Weight, perceptual: Literal["none"]):
        super().__init__()
        self.facts, self.n_past, self.instance_edges = facts, 0, instance_edges
        self.w_feature, self.w_pixel = w_feature, w_pixel
        channels = n_source(facts, instance_edges)
        self.G = nn.Sequential(encoder(channels, n_filters, n_down, n_blocks, norm), decoder(n_filters, n_down, norm),
                               head(n_filters, 3, nn.Tanh()))
        self.D_image = Discriminator(channels + 3, n_scales=n_scales, n_filters=n_filters_d, n_layers=n_layers_d, norm=norm)
        self.apply(initialise)

    def parts(self) -> dict:
        """{part: its parameters}; each has an optimiser of its own."""
        return {"G": list(self.G.parameters()), "D_image": list(self.D_image.parameters())}

    def generate(self, clip: dict, past: torch.Tensor) -> torch.Tensor:
        """source of one frame (1, 1, ...) to that frame, (1, 3, H, W) in [-1, 1]; `past` is empty."""
        return self.G(encode(clip, self.facts, self.instance_edges)[:, -1]).float()

    def losses(self, clip: dict) -> dict:
        """Every part's loss on one batch of windows (eq. 5), frames as a batch, and its terms detached."""
        n = clip["n_warmup"]                                                # means nothing to a model without a past
        source, real = encode(clip, self.facts, self.instance_edges)[:, n:].flatten(0, 1), clip["real"][:, n:].flatten(0, 1)
        fake = self.G(source).float()
        judged = self.D_image(torch.cat([source, real], 1))
        called = self.D_image(torch.cat([source, fake], 1))
        terms = {"image_gan": lsgan(called, 1), "image_feature": self.w_feature * feature_matching(called, judged)}
        if self.w_pixel:
            terms["pixel"] = self.w_pixel * masked_l1(fake, real, torch.ones_like(real[:, :1]))
        return {"G": sum(terms.values()), "D_image": (lsgan(called, 0) + lsgan(judged, 1)) / 2} | {
            f"G_{name}": term.detach() for name, term in terms.items()}
