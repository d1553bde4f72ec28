"""The generator networks of vid2vid: F of eq. 4 at one spatial scale, either the coarsest or a finer one."""

from typing import Any

import torch
from torch import nn

from v2vbench.clips.flow import warp
from v2vbench.models._blocks import decoder, encoder, head, residuals


class Generator(nn.Module):
    """Hallucinates a frame, warps the last one by a predicted flow, and blends the two with a predicted mask (eq. 4).

    A finer scale is the same network with one downsampling and no residual blocks in its encoders. The last features of
    the coarser scale are added to the sum of its encoded source and past (section 3.4, Coarse-to-fine).

    n_blocks_in                residual blocks of the encoders of source and past
    n_blocks                   residual blocks of the branches that follow the sum of the two
    n_blocks_front             residual blocks of the foreground network
    n_filters_front            width of the foreground network; 0: there is none
    flow_scale                 px per unit of the output of the flow's last layer
    n_labels                   0: frames, C = 3, [-1, 1]; else probabilities of so many labels, C = n_labels, [0, 1]
    source                     (B, (n_past + 1) * n_source, H, W)    of frames t - n_past .. t; None if n_source is 0
    past                       (B, n_past * C, H, W)                 frames t - n_past .. t - 1
    front                      (B, 1, H, W) or None                  1 where the label is foreground; soft where pooled
    coarse                     `features` of the coarser scale, or None
    raw_only                   there is no past frame to warp: the result is the hallucinated frame
    returns    dict: fake, raw (B, C, H, W); flow (B, 2, H, W) px to t - 1; mask (B, 1, H, W), 1 = hallucinated
               frame; features of image, motion and foreground, each (B, n_filters of that branch, H, W) or 0
    """

    def __init__(
        self,
        n_source: int,
        *,
        n_past: int,
        n_filters: int,
        n_filters_front: int,
        n_down: int,
        n_blocks_in: int,
        n_blocks: int,
        n_blocks_front: int,
        norm: str,
        with_flow: bool,
        flow_scale: float,
        composition: str,
        resample: str,
        upsample: str,
        coarsest: bool,
        n_labels: int = 0,
    ):
        super().__init__()
        self.flow_scale, self.composition, self.resample, self.coarsest = flow_scale, composition, resample, coarsest
        shape: dict[str, Any] = dict(n_down=n_down, norm=norm)
        n_in, self.n_channels = n_source * (n_past + 1), n_labels or 3

        def branch(width: int, n_blocks: int) -> nn.Sequential:
            return nn.Sequential(
                residuals(width * 2**n_down, n_blocks, norm), decoder(width, upsample=upsample, **shape)
            )

        if n_source:
            self.down_source = encoder(n_in, n_filters, n_blocks=n_blocks_in, **shape)
        self.down_past = encoder(self.n_channels * n_past, n_filters, n_blocks=n_blocks_in, **shape)
        self.image = branch(n_filters, n_blocks)
        self.paint = head(n_filters, self.n_channels, nn.Softmax(1) if n_labels else nn.Tanh())
        if with_flow:
            self.motion, self.flow, self.mask = (
                branch(n_filters, n_blocks),
                head(n_filters, 2),
                head(n_filters, 1, nn.Sigmoid()),
            )
        if n_filters_front:
            self.down_front = encoder(n_in, n_filters_front, n_blocks=0, **shape)
            self.front, self.paint_front = branch(n_filters_front, n_blocks_front), head(n_filters_front, 3, nn.Tanh())

    def forward(self, source, past, front=None, coarse=None, raw_only: bool = False) -> dict:
        from_image, from_motion, from_front = coarse or (0, 0, 0)
        # features: (B, n_filters * 2**n_down, H / 2**n_down, W / 2**n_down)
        features = self.down_past(past) if source is None else self.down_source(source) + self.down_past(past)
        image, motion, behind = self.image(features + from_image), 0, 0
        raw, painted, result = self.paint(image).float(), None, {}
        if front is not None:
            behind = self.front(self.down_front(source) + from_front)
            painted = self.paint_front(behind).float()
            if self.composition == "inside":  # eq. 12: blended with the warp like all else
                raw = front * painted + (1 - front) * raw
        fake = raw
        if hasattr(self, "motion"):
            motion = self.motion(features + from_motion)
            flow, mask = self.flow_scale * self.flow(motion).float(), self.mask(motion).float()
            result = dict(flow=flow, mask=mask)
            if not raw_only:
                fake = mask * raw + (1 - mask) * warp(past[:, -self.n_channels :], flow, self.resample).clamp(-1, 1)
        if (
            front is not None and painted is not None and self.composition == "over"
        ):  # never warped, as in the reference code
            fake, raw = (front * painted + (1 - front) * frame for frame in (fake, raw))
        return result | dict(fake=fake, raw=raw, features=(image, motion, behind))


def pick_filters(n_filters: int, n_down: int, scale: int) -> tuple[int, int]:
    """Widths of the generator and the foreground network at a scale; scale 0 is the coarsest.

    As in the reference code, both are halved at each finer scale.
    """
    width = n_filters // 2**scale
    return width, width // 2 if n_down > 2 else width


def generators(
    n_source: int,
    *,
    n_scales: int,
    n_filters: int,
    n_down: int,
    n_blocks: int,
    n_blocks_local: int,
    flow_scale: float,
    with_front: bool,
    **common,
) -> nn.ModuleList:
    """G0 (coarsest), G1, ...: flow_scale doubles with the frame size."""
    nets = nn.ModuleList()
    for scale in range(n_scales):
        width, front = pick_filters(n_filters, n_down, scale)
        blocks = dict(
            n_down=n_down, n_blocks_in=n_blocks - n_blocks // 2, n_blocks=n_blocks // 2, n_blocks_front=n_blocks
        )
        if scale:
            blocks = dict(n_down=1, n_blocks_in=0, n_blocks=n_blocks_local, n_blocks_front=n_blocks_local)
        nets.append(
            Generator(
                n_source,
                n_filters=width,
                n_filters_front=front * with_front,
                flow_scale=flow_scale * 2**scale,
                coarsest=not scale,
                **blocks,
                **common,
            )
        )
    return nets


def carried(pasts: list[torch.Tensor], frames: list[torch.Tensor], detach: bool) -> list[torch.Tensor]:
    """Each scale's past (B, n_past, C, h, w) with the newest frame (B, C, h, w) appended and the oldest one dropped."""
    later = [torch.cat([past[:, 1:], frame[:, None]], 1) for past, frame in zip(pasts, frames)]
    return [past.detach() for past in later] if detach else later
