"""COVST, a baseline of vid2vid: coherent online video style transfer (Chen et al., ICCV 2017) on top of pix2pixHD.

The vid2vid paper describes this baseline in two sentences (section 4, Baselines), and its code was never released: the
stylisation network is pix2pixHD, its deep features are warped by the flow of the real video, and no adversarial loss is
trained. So in synthesis the method reads the flow of the real video, which it would not have in practice.
"""

from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from v2vbench.clips.flow import warp
from v2vbench.clips.store import Facts
from v2vbench.models import VideoModel
from v2vbench.models._blocks import initialise, must_divide
from v2vbench.models._image import generator
from v2vbench.models._losses import masked_l1
from v2vbench.models._source import Source
from v2vbench.params import Count, Fault, Natural, Weight


class Model(VideoModel):
    """pix2pixHD's frozen generator, and a small mask network that says where to reuse the last frame's deep features.

    n_filters .. upsample    of the generator, as in the base
    n_filters_mask           of the mask network
    w_coherence              weight of L1 to the last frame, warped by the flow, where visible (Chen et al., eq. 6)
    w_occlusion              weight of L1 to pix2pixHD's frame, where the last frame is occluded (eq. 7)
    """

    NEEDS = ("flow", "occluded")
    NEEDS_BASE = "pix2pixhd"

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
        norm: Literal["batch", "instance"],
        upsample: Literal["transposed", "transposed_even", "resize"],
        n_filters_mask: Count,
        w_coherence: Weight,
        w_occlusion: Weight,
    ):
        super().__init__()
        must_divide(facts, 2 ** (n_down + n_local), "n_down + n_local")
        self.n_past, self.w_coherence, self.w_occlusion = 0, w_coherence, w_occlusion
        self.source = Source(facts, instance_edges, "none")
        self.G = generator(
            self.source.n_channels,
            0,
            n_local=n_local,
            n_blocks_local=n_blocks_local,
            n_filters=n_filters,
            n_down=n_down,
            n_blocks=n_blocks,
            norm=norm,
            upsample=upsample,
        )
        wide = self.G.deep(torch.zeros(1, self.source.n_channels, *[2 ** (n_down + n_local + 2)] * 2)).shape[1]
        layers = [
            nn.Conv2d(wide, n_filters_mask, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(n_filters_mask, n_filters_mask, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(n_filters_mask, 1, 3, padding=1),
            nn.Sigmoid(),
        ]
        self.mask = nn.Sequential(*layers)
        self.apply(initialise)
        self.G.requires_grad_(False)

    def parts(self) -> dict:
        """{part: its parameters}: the mask network alone."""
        return {"G": list(self.mask.parameters())}

    def begin(self, weights: dict[str, torch.Tensor]) -> None:
        """Load the generator of a pix2pixhd run, or all of a published covst; raises RuntimeError naming wrong keys."""
        if any(name.startswith("mask.") for name in weights):
            self.load_state_dict(weights)
            return
        self.G.load_state_dict(
            {name.removeprefix("G."): value for name, value in weights.items() if name.startswith("G.")}
        )

    def blend(
        self, deep: torch.Tensor, before: torch.Tensor, flow: torch.Tensor, occluded: torch.Tensor
    ) -> torch.Tensor:
        """Deep features (B, C, h, w) of pix2pixHD's frame, blended with those of the last frame warped by the flow.

        flow        (B, 2, H, W) px, from the data set; averaged down to h x w
        occluded    (B, 1, H, W), from the data set; at h x w a pixel is occluded if any of the pixels it covers is
        """
        size, scale = (deep.shape[-2], deep.shape[-1]), flow.shape[-1] / deep.shape[-1]
        carried = warp(before.float(), F.adaptive_avg_pool2d(flow, size) / scale)
        visible = 1 - F.adaptive_max_pool2d(occluded, size)
        keep = visible * self.mask(deep.float() - carried).float()  # (B, 1, h, w), 1 = the last frame's features
        return keep * carried + (1 - keep) * deep.float()

    def generate(self, clip: dict, past: torch.Tensor, memory: dict) -> torch.Tensor:
        """The frame (1, 3, H, W) in [-1, 1] of a source (1, 1, ...) and of the data set's flow to it (1, 1, 2, H, W).

        memory    keeps the deep features of the last frame; a clip's first frame has none and is pix2pixHD's frame
        """
        source = self.source.joined({name: clip[name] for name in ("source", "instance") if name in clip})[0][:, -1]
        deep = self.G.deep(source)
        if "deep" in memory:
            deep = self.blend(deep, memory["deep"], clip["flow"][:, 0], clip["occluded"][:, 0])
        memory["deep"] = deep
        return self.G.paint(deep, source)

    def losses(self, clip: dict) -> dict:
        """The mask network's loss over a window and its two detached terms, coherence and occlusion.

        raises    Fault if the data set has no flow, or the window has only one frame
        """
        n = clip["n_warmup"]  # frames before the window: made as in synthesis, without gradient
        if missing := [name for name in self.NEEDS if name not in clip]:
            raise Fault(f"covst needs the data set's {' and '.join(missing)}, and this one has none")
        if clip["source"].shape[1] - n < 2:
            raise Fault("n_frames: a window of 1 leaves nothing to be coherent with")
        with torch.no_grad():
            source, _ = self.source.joined({name: clip[name] for name in ("source", "instance") if name in clip})
            B, T = source.shape[:2]
            deeps = self.G.deep(source.flatten(0, 1)).unflatten(0, (B, T))
            alone = self.G.paint(deeps.flatten(0, 1), source.flatten(0, 1)).unflatten(0, (B, T))
        deep, frame, coherence, occlusion = deeps[:, 0], alone[:, 0], 0.0, 0.0
        for t in range(1, T):
            with torch.set_grad_enabled(torch.is_grad_enabled() and t > n):
                flow, occluded = clip["flow"][:, t - 1], clip["occluded"][:, t - 1]
                deep = self.blend(deeps[:, t], deep.detach(), flow, occluded)
                before, frame = frame.detach(), self.G.paint(deep, source[:, t])
            if t > n:
                coherence = coherence + masked_l1(frame, warp(before, flow), 1 - occluded)
                occlusion = occlusion + masked_l1(frame, alone[:, t], occluded)
        terms = {
            "coherence": self.w_coherence * coherence / (T - 1 - n),
            "occlusion": self.w_occlusion * occlusion / (T - 1 - n),
        }
        return {"G": sum(terms.values())} | {f"G_{name}": term.detach() for name, term in terms.items()}
