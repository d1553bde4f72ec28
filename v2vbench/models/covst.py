"""COVST: coherent online video style transfer (Chen et al., ICCV 2017) with pix2pixHD as its stylisation net, vid2vid's competitor.

The vid2vid paper describes it in two sentences (section 4, Baselines) and never released it: the stylisation net is pix2pixHD, its
deep features are carried along the flow of the real video, and nothing adversarial is trained. So the flow that this method is shown
when it makes video is the real video's own; a method for use would not have it.
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
    """pix2pixHD's generator, fixed, with a small net that says where its deep features may be those of the last frame.

    n_filters .. norm    of the generator, as in the base
    n_filters_mask       of the mask net
    w_coherence          of the difference to the last frame carried along the flow, where that is visible (Chen et al., eq. 6)
    w_occlusion          of the difference to the frame made alone, where it is not (eq. 7)
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
        """{part: its parameters}: the mask net alone."""
        return {"G": list(self.mask.parameters())}

    def begin(self, weights: dict[str, torch.Tensor]) -> None:
        """Take the generator of a pix2pixhd run; raises RuntimeError naming keys that do not fit."""
        self.G.load_state_dict(
            {name.removeprefix("G."): value for name, value in weights.items() if name.startswith("G.")}
        )

    def blend(
        self, deep: torch.Tensor, before: torch.Tensor, flow: torch.Tensor, occluded: torch.Tensor
    ) -> torch.Tensor:
        """Deep features (B, C, h, w) of a frame made alone with those of the last frame carried along the flow.

        flow, occluded    of the data, (B, 2, H, W) px and (B, 1, H, W): averaged down to h x w, and occluded if any of its pixels is
        """
        size, scale = (deep.shape[-2], deep.shape[-1]), flow.shape[-1] / deep.shape[-1]
        carried = warp(before.float(), F.adaptive_avg_pool2d(flow, size) / scale)
        visible = 1 - F.adaptive_max_pool2d(occluded, size)
        keep = visible * self.mask(deep.float() - carried).float()  # (B, 1, h, w), 1 = the last frame's features
        return keep * carried + (1 - keep) * deep.float()

    def generate(self, clip: dict, past: torch.Tensor, memory: dict) -> torch.Tensor:
        """source of one frame (1, 1, ...) and the data's flow to it (1, 1, 2, H, W) to that frame, (1, 3, H, W) in [-1, 1].

        memory    keeps the deep features of the last frame; at a clip's start there are none, and the frame is pix2pixHD's
        """
        source = self.source.joined({name: clip[name] for name in ("source", "instance") if name in clip})[0][:, -1]
        deep = self.G.deep(source)
        if "deep" in memory:
            deep = self.blend(deep, memory["deep"], clip["flow"][:, 0], clip["occluded"][:, 0])
        memory["deep"] = deep
        return self.G.paint(deep, source)

    def losses(self, clip: dict) -> dict:
        """The mask net's loss over a window: coherent where the last frame shows it, the frame's own where not; terms detached.

        raises    Fault where the data have no flow, or the window is of one frame
        """
        n = clip["n_warmup"]  # features of the frames before are made as they are in use, without gradient
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
