"""pix2pixHD (Wang et al., CVPR 2018) on each frame alone: the image-by-image baseline of a video model."""

from typing import Literal

import torch

from v2vbench.clips.store import Facts, Store
from v2vbench.models import VideoModel
from v2vbench.models._blocks import Discriminator, initialise, must_divide
from v2vbench.models._image import generator
from v2vbench.models._losses import feature_matching, lsgan, masked_l1, perceptual_loss
from v2vbench.models._source import Source, Styles
from v2vbench.params import Count, Natural, Weight


class Model(VideoModel):
    """Generator and multi-scale image discriminator, both on single frames.

    n_filters     channels of the last layers
    n_down        how often the global generator halves the size
    n_local       local enhancers, each of twice the size; 0: the global generator alone
    styles        of instances, or "none"
    styles_at     "input": beside the source, as in the paper; "bottleneck": see Global.n_z
    upsample      how the decoder doubles the size: transposed convolutions as in the paper, or resize and convolve
    w_pixel       weight of L1 to the real frame, a substitute for the VGG term without VGG weights; 0 in the paper
    perceptual    "vgg19", which needs its weights (w_perceptual is 10 in section 3.3), or "none"
    """

    def __init__(
        self,
        facts: Facts,
        *,
        n_filters: Count,
        n_down: Natural,
        n_blocks: Count,
        n_local: Natural,
        n_blocks_local: Count,
        instance_edges: bool,
        styles: Literal["none"] | Styles,
        styles_at: Literal["input", "bottleneck"],
        norm: Literal["batch", "instance"],
        upsample: Literal["transposed", "transposed_even", "resize"],
        n_scales: Count,
        n_filters_d: Count,
        n_layers_d: Count,
        w_feature: Weight,
        w_pixel: Weight,
        w_perceptual: Weight,
        perceptual: Literal["none", "vgg19"],
    ):
        super().__init__()
        must_divide(facts, 2 ** (n_down + n_local), "n_down + n_local")
        self.n_past, self.w_feature, self.w_pixel = 0, w_feature, w_pixel
        self.perceptual = perceptual_loss(perceptual, w_perceptual)
        self.source = Source(facts, instance_edges, styles)
        self.at_bottleneck = styles != "none" and styles_at == "bottleneck"
        n_z = self.source.n_channels - self.source.n_plain if self.at_bottleneck else 0
        self.G = generator(
            self.source.n_channels - n_z,
            n_z,
            n_local=n_local,
            n_blocks_local=n_blocks_local,
            n_filters=n_filters,
            n_down=n_down,
            n_blocks=n_blocks,
            norm=norm,
            upsample=upsample,
        )
        self.D_image = Discriminator(
            self.source.n_plain + 3, n_scales=n_scales, n_filters=n_filters_d, n_layers=n_layers_d, norm=norm
        )
        self.apply(initialise)

    def parts(self) -> dict:
        """{part: its parameters}; each part has a separate optimiser."""
        return {"G": [*self.G.parameters(), *self.source.parameters()], "D_image": list(self.D_image.parameters())}

    def finish(self, store: Store) -> None:
        """After training: fit the mixtures of styles."""
        self.source.fit(store)

    def inputs(self, clip: dict, memory: dict | None = None) -> tuple:
        """The generator's source and styles, and the discriminator's source; the frames of all clips are one batch."""
        plain, style = self.source(clip, memory)
        if style is None or self.at_bottleneck:
            source = plain
        else:
            source, style = torch.cat([plain, style], 2), None
        return source.flatten(0, 1), None if style is None else style.flatten(0, 1), plain.flatten(0, 1)

    def generate(self, clip: dict, past: torch.Tensor, memory: dict) -> torch.Tensor:
        """Source of one frame (1, 1, ...) to that frame, (1, 3, H, W) in [-1, 1]; `past` is empty."""
        source, style, _ = self.inputs({name: clip[name] for name in ("source", "instance") if name in clip}, memory)
        return self.G(source, style)

    def losses(self, clip: dict) -> dict:
        """The loss of every part on one batch of windows (eq. 5), each frame alone, and its terms detached."""
        n = clip["n_warmup"]  # these frames are left out: a model of single frames has no past to warm up
        clip = {name: value[:, n:] for name, value in clip.items() if name in ("real", "source", "instance")}
        source, style, plain = self.inputs(clip)
        real, fake = clip["real"].flatten(0, 1), self.G(source, style)
        pred_real = self.D_image(torch.cat([plain, real], 1))
        pred_fake = self.D_image(torch.cat([plain, fake], 1))
        terms = {
            "image_gan": lsgan(pred_fake, 1),
            "image_feature": self.w_feature * feature_matching(pred_fake, pred_real),
        }
        if self.w_pixel:
            terms["pixel"] = self.w_pixel * masked_l1(fake, real, torch.ones_like(real[:, :1]))
        if self.perceptual:
            terms["perceptual"] = self.perceptual(fake, real)
        return {"G": sum(terms.values()), "D_image": (lsgan(pred_fake, 0) + lsgan(pred_real, 1)) / 2} | {
            f"G_{name}": term.detach() for name, term in terms.items()
        }
