"""vid2vid (Wang et al., Video-to-Video Synthesis, NeurIPS 2018) at one spatial scale."""
from typing import Literal

import torch
from torch import nn

from v2vbench.clips import Facts
from v2vbench.flow import warp
from v2vbench.losses import feature_matching, flow_endpoint, flow_warp, lsgan, masked_l1, temporal_warp
from v2vbench.models._blocks import Discriminator, decoder, encode, encoder, head, initialise, n_source, residuals
from v2vbench.params import Count, Fault, Natural, Weight

N_FRAMES_D = 3          # frames that the video discriminator sees at once


class Generator(nn.Module):
    """F of eq. 4: hallucinates a frame, carries the last one along a flow, and blends the two by a mask.

    source     (B, (n_past + 1) * n_source, H, W)    of frames t - n_past .. t
    past       (B, n_past * 3, H, W)                 frames t - n_past .. t - 1, [-1, 1]
    front      (B, 1, H, W) or None                  1 where the labels say foreground
    returns    dict: fake, raw (B, 3, H, W) [-1, 1]; flow (B, 2, H, W) px to t - 1; mask (B, 1, H, W), 1 = paint anew
    """

    def __init__(self, n_source: int, *, n_past: int, n_filters: int, n_down: int, n_blocks: int, norm: str, with_flow: bool,
                 with_foreground: bool, flow_scale: float, composition: str, resample: str):
        super().__init__()
        wide = n_filters * 2 ** n_down
        self.flow_scale, self.composition, self.resample = flow_scale, composition, resample
        shape = dict(n_down=n_down, norm=norm)
        self.down_source = encoder(n_source * (n_past + 1), n_filters, n_blocks=n_blocks - n_blocks // 2, **shape)
        self.down_past = encoder(3 * n_past, n_filters, n_blocks=n_blocks - n_blocks // 2, **shape)
        self.image = nn.Sequential(residuals(wide, n_blocks // 2, norm), decoder(n_filters, **shape), head(n_filters, 3, nn.Tanh()))
        if with_flow:
            self.motion = nn.Sequential(residuals(wide, n_blocks // 2, norm), decoder(n_filters, **shape))
            self.flow, self.mask = head(n_filters, 2), head(n_filters, 1, nn.Sigmoid())
        if with_foreground:
            narrow = n_filters // 2 if n_down > 2 else n_filters
            self.front = nn.Sequential(encoder(n_source * (n_past + 1), narrow, n_blocks=n_blocks, **shape), decoder(narrow, **shape),
                                       head(narrow, 3, nn.Tanh()))

    def forward(self, source, past, front=None) -> dict:
        seen = self.down_source(source) + self.down_past(past)              # (B, wide, H / 2**n_down, W / 2**n_down)
        raw = self.image(seen).float()
        painted = self.front(source).float() if front is not None else None
        if painted is not None:
            raw = front * painted + (1 - front) * raw
        if not hasattr(self, "motion"):
            return dict(fake=raw, raw=raw)
        motion = self.motion(seen)
        flow, mask = self.flow_scale * self.flow(motion).float(), self.mask(motion).float()
        fake = mask * raw + (1 - mask) * warp(past[:, -3:], flow, self.resample).clamp(-1, 1)
        if painted is not None and self.composition == "over":
            fake = front * painted + (1 - front) * fake                     # never warped, as in the reference code
        return dict(fake=fake, raw=raw, flow=flow, mask=mask)


def triplets(n_frames: int, scale: int) -> list[list[int]]:
    """Frames that the video discriminator of a temporal scale sees: spaced 3**scale, every third window from the end.

    n_frames    of the clip; spans are 3, 7, 19 frames for scales 0, 1, 2; none fits a shorter clip
    """
    spacing = N_FRAMES_D ** scale
    span = spacing * (N_FRAMES_D - 1)
    return [list(range(end - span, end + 1, spacing)) for end in range(n_frames - 1, span - 1, -N_FRAMES_D)]


def compose(flow: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    """The flow from frame `stop` back to frame `start`, px, (B, 2, H, W): single steps of `flow` (B, T-1, 2, H, W) in a chain."""
    total = flow[:, stop - 1]
    for t in range(stop - 2, start - 1, -1):
        total = total + warp(flow[:, t], total)
    return total


class Model(nn.Module):
    """Generator, image discriminator and a video discriminator a temporal scale.

    n_past               L, real frames that a roll-out starts from
    norm                 of all nets; statistics are those of the present frames; "batch" is the paper's, with one clip a batch, where it
                         equals "instance_affine"
    foreground           labels painted by a network of their own ("no foreground prior" in Table 2 is []; section 3.3)
    composition          "over": the foreground is laid over the blend, as in the reference code; "inside": eq. 12, blended with the warp
    with_flow            False removes flow and mask ("no flow warping" in Table 2)
    resample             how the last frame is carried along the flow; "bilinear" is the paper's, and blurs a little more each frame
    n_scales_temporal    0 removes the video discriminator ("no conditional video discriminator" in Table 2)
    score_raw            the hallucinated frame is scored by the image discriminator as well, as in the reference code
    w_temporal           of the reference code's extra term; 0 is the paper's objective
    w_pixel              of an L1 to the real frame, which stands where the VGG term would without its weights; 0 is the paper's
    """

    def __init__(self, facts: Facts, *, n_past: Count, n_filters: Count, n_down: Natural, n_blocks: Count, instance_edges: bool,
                 norm: Literal["batch", "instance", "instance_affine"], foreground: list[str], composition: Literal["over", "inside"],
                 with_flow: bool, flow_scale: Weight, resample: Literal["bilinear", "bicubic"], n_scales: Count,
                 n_scales_temporal: Natural, n_filters_d: Count, n_layers_d: Count, score_raw: bool, w_feature: Weight, w_flow: Weight,
                 w_warp: Weight, w_temporal: Weight, w_pixel: Weight, perceptual: Literal["none"]):
        super().__init__()
        if unknown := set(foreground) - set(facts.label_names):
            raise Fault(f"foreground: no label {', '.join(sorted(unknown))} in {facts.name}; there are {', '.join(facts.label_names)}")
        self.facts, self.n_past, self.instance_edges, self.score_raw = facts, n_past, instance_edges, score_raw
        self.weights = dict(feature=w_feature, flow=w_flow, warp=w_warp, temporal=w_temporal, pixel=w_pixel)
        self.flow_scale = flow_scale
        self.front = [facts.label_names.index(label) for label in foreground]
        channels = n_source(facts, instance_edges)
        self.G = Generator(channels, n_past=n_past, n_filters=n_filters, n_down=n_down, n_blocks=n_blocks, norm=norm, with_flow=with_flow,
                           with_foreground=bool(foreground), flow_scale=flow_scale, composition=composition, resample=resample)
        shape = dict(n_scales=n_scales, n_filters=n_filters_d, n_layers=n_layers_d, norm=norm)
        self.D_image = Discriminator(channels + 3, **shape)
        self.D_video = nn.ModuleList(Discriminator(3 * N_FRAMES_D + 2 * (N_FRAMES_D - 1), **shape) for _ in range(n_scales_temporal))
        self.apply(initialise)

    def parts(self) -> dict:
        """{part: its parameters}; each has an optimiser of its own."""
        parts = {"G": self.G, "D_image": self.D_image} | {f"D_video{s}": D for s, D in enumerate(self.D_video)}
        return {name: list(part.parameters()) for name, part in parts.items()}

    def step(self, source, past) -> dict:
        """One frame: encoded source (B, n_past + 1, C, H, W), past (B, n_past, 3, H, W) to the generator's outputs."""
        front = source[:, -1, self.front].sum(1, keepdim=True) if self.front else None
        return self.G(source.flatten(1, 2), past.flatten(1, 2), front)

    def generate(self, clip: dict, past: torch.Tensor) -> torch.Tensor:
        """The frame after `past`.

        clip       source (and instance) of frames t - n_past .. t, (1, n_past + 1, ...)
        past       (1, n_past, 3, H, W) in [-1, 1]
        returns    (1, 3, H, W) in [-1, 1]
        """
        return self.step(encode(clip, self.facts, self.instance_edges), past)["fake"]

    @torch.no_grad()
    def warm_up(self, clip: dict) -> tuple[dict, torch.Tensor]:
        """The clip without its first n_warmup frames, and the past that the model has painted by then.

        A model that has only ever continued real frames lets its own errors grow; the reference code meets them by training
        on long clips in chunks, each going on from the last. This is one such chunk, the earlier ones without gradient.
        """
        n, later = clip["n_warmup"], {name: value[:, clip["n_warmup"]:] for name, value in clip.items() if name != "n_warmup"}
        if not n:
            return later, clip["real"][:, :self.n_past]
        early = {name: value[:, :n + self.n_past] for name, value in clip.items() if name != "n_warmup"}
        painted = self.rollout(early, early["real"][:, :self.n_past])["fake"]
        return later, torch.cat([early["real"], painted], 1)[:, -self.n_past:]

    def rollout(self, clip: dict, past: torch.Tensor) -> dict:
        """Frames n_past .. T-1 from the model's own past; the past gives no gradient (section 4).

        past       (B, n_past, 3, H, W), what stands for frames 0 .. n_past-1
        returns    the generator's outputs, each (B, T - n_past, ...), and `source`, `past` (the frame before each)
        """
        source, outputs = encode(clip, self.facts, self.instance_edges), []
        for t in range(self.n_past, source.shape[1]):
            out = self.step(source[:, t - self.n_past:t + 1], past)
            outputs.append(out | {"past": past[:, -1]})
            past = torch.cat([past[:, 1:], out["fake"].detach()[:, None]], 1)
        return {name: torch.stack([out[name] for out in outputs], 1) for name in outputs[0]} | {"source": source[:, self.n_past:]}

    def losses(self, clip: dict) -> dict:
        """Every part's loss on one batch of windows, and the terms it is made of (detached, for the learning curves).

        raises    Fault where the window is shorter than n_past + 1
        """
        n_frames = clip["real"].shape[1] - clip["n_warmup"]
        if n_frames <= self.n_past:
            raise Fault(f"n_frames: a window of {n_frames} leaves nothing to generate after n_past = {self.n_past}")
        clip, past = self.warm_up(clip)
        return self.objective(clip, self.rollout(clip, past))

    def objective(self, clip: dict, out: dict) -> dict:
        """eq. 8 with its terms as the reference code weighs them; `out` as `rollout` gives it."""
        fake, real, source = out["fake"], clip["real"][:, self.n_past:], out["source"]
        flow_real = clip["flow"][:, self.n_past - 1:]
        visible = 1 - clip["occluded"][:, self.n_past - 1:].flatten(0, 1)
        terms, w = {}, self.weights

        frames = [fake, out["raw"]] if self.score_raw and "flow" in out else [fake]
        judged = self.D_image(torch.cat([source, real], 2).flatten(0, 1))
        G = D = 0.0
        for frame in frames:
            called = self.D_image(torch.cat([source, frame], 2).flatten(0, 1))
            G = G + self._versus(terms, "image", called, judged)
            D = D + (lsgan(called, 0) + lsgan(judged, 1)) / 2
        losses = {"D_image": D}

        for scale, D_video in enumerate(self.D_video):
            picks = triplets(fake.shape[1], scale)
            if not picks:
                raise Fault(f"n_frames: {clip['real'].shape[1]} is too short for {len(self.D_video)} temporal scales "
                            f"with n_past = {self.n_past}")
            judged = D_video(torch.cat([self._triplet(real, flow_real, pick) for pick in picks]))
            called = D_video(torch.cat([self._triplet(fake, flow_real, pick) for pick in picks]))
            G = G + self._versus(terms, f"video{scale}", called, judged)
            losses[f"D_video{scale}"] = (lsgan(called, 0) + lsgan(judged, 1)) / 2

        flat = [x.flatten(0, 1) for x in (fake, out["past"], real, clip["real"][:, self.n_past - 1:-1], flow_real)]
        fake, fake_past, real, real_past, flow_real = flat
        if "flow" in out:
            flow = out["flow"].flatten(0, 1)
            terms["flow"] = w["flow"] * flow_endpoint(flow, flow_real, visible)
            terms["warp"] = w["warp"] * flow_warp(flow, real_past, real, visible)
        if w["temporal"]:
            terms["temporal"] = w["temporal"] * temporal_warp(fake, fake_past, flow_real, visible)
        if w["pixel"]:
            raws = [out["raw"].flatten(0, 1)] if len(frames) == 2 else []
            terms["pixel"] = w["pixel"] * sum(masked_l1(x, real, torch.ones_like(visible)) for x in (fake, *raws))
        G = G + sum(terms[name] for name in ("flow", "warp", "temporal", "pixel") if name in terms)
        return {"G": G, **losses} | {f"G_{name}": term.detach() for name, term in terms.items()}

    def _versus(self, terms: dict, name: str, called, judged) -> torch.Tensor:
        gan, feature = lsgan(called, 1), self.weights["feature"] * feature_matching(called, judged)
        terms[f"{name}_gan"] = terms.get(f"{name}_gan", 0) + gan
        terms[f"{name}_feature"] = terms.get(f"{name}_feature", 0) + feature
        return gan + feature

    def _triplet(self, frames, flow, pick: list[int]) -> torch.Tensor:
        """Three frames and the two flows between them in the generator's unit, (B, 13, H, W); eq. 7's (x, w)."""
        flows = [compose(flow[:, 1:], start, stop) / self.flow_scale for start, stop in zip(pick, pick[1:])]
        return torch.cat([frames[:, pick].flatten(1, 2), *flows], 1)
