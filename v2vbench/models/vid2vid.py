"""vid2vid (Wang et al., Video-to-Video Synthesis, NeurIPS 2018), coarse to fine."""

from typing import Any, Literal

import torch
from torch import nn

from v2vbench.clips.store import Facts, Store
from v2vbench.models import VideoModel
from v2vbench.models._blocks import Discriminator, initialise, must_divide, pyramid
from v2vbench.models._composite import carried, generators
from v2vbench.models._losses import (
    feature_matching,
    flow_endpoint,
    flow_warp,
    lsgan,
    masked_l1,
    perceptual_loss,
    temporal_warp,
)
from v2vbench.models._source import Source, Styles
from v2vbench.models._temporal import n_channels, stack, triplets
from v2vbench.params import Count, Fault, Natural, Weight


class Model(VideoModel):
    """Generators from coarse to fine, an image discriminator, and one video discriminator per temporal scale.

    n_past               L of the paper: past frames that the next frame is made from
    n_filters            of the coarsest generator; halved at each finer scale
    n_scales_spatial     1 to 3 in the paper: G0, G0 + G1, ... (section 3.4)
    n_blocks_local       residual blocks of the branches of G1, ...
    n_frozen_steps       first training steps in which the coarser scales, which come from a `base`, are frozen
    n_backprop           truncated backpropagation through time: the past is detached after every n_backprop + 1 frames,
                         so a loss reaches back n_backprop frames at most; 0 in the reference code
    from_nothing         the model generates the first frames too, from a black past without warp (first_frames: self)
    norm                 of all networks, with the statistics of the current batch; "batch" in the paper, which has one
                         clip per batch, where it equals "instance_affine"
    foreground           labels that a separate network paints (section 3.3); [] is "no foreground prior" in Table 2
    composition          "over": the foreground is laid over the blend, as in the reference code;
                         "inside": the foreground is blended with the warped frame, eq. 12
    with_flow            False removes flow and mask ("no flow warping" in Table 2)
    resample             interpolation of the warp; "bilinear" in the paper, which blurs a little more with each frame
    upsample             how decoders double the size: transposed convolutions as in the paper, or resize and convolve
    n_scales             of the discriminators' image pyramids
    n_scales_temporal    0 removes the video discriminator ("no conditional video discriminator" in Table 2)
    condition_video      the video discriminator gets the flow in addition to the frames (eq. 7); False: frames alone
    score_raw            the image discriminator also gets the hallucinated frame, as in the reference code
    w_temporal           weight of temporal_warp, a term of the reference code; 0 in the paper
    w_mask               weight of an L1 norm of the mask where the past is visible, which favours the warped frame;
                         1 in the reference code with from_nothing
    w_pixel              weight of L1 to the real frame, in place of the VGG term without VGG weights; 0 in the paper
    perceptual           "vgg19", which needs its weights, or "none"
    """

    front: torch.Tensor

    def __init__(
        self,
        facts: Facts,
        *,
        n_past: Count,
        n_filters: Count,
        n_down: Natural,
        n_blocks: Count,
        n_scales_spatial: Count,
        n_blocks_local: Natural,
        n_frozen_steps: Natural,
        n_backprop: Natural,
        from_nothing: bool,
        instance_edges: bool,
        styles: Literal["none"] | Styles,
        norm: Literal["batch", "instance", "instance_affine"],
        foreground: list[str],
        composition: Literal["over", "inside"],
        with_flow: bool,
        flow_scale: Weight,
        resample: Literal["bilinear", "bicubic"],
        upsample: Literal["transposed", "transposed_even", "resize"],
        n_scales: Count,
        n_scales_temporal: Natural,
        condition_video: bool,
        n_filters_d: Count,
        n_layers_d: Count,
        score_raw: bool,
        w_feature: Weight,
        w_flow: Weight,
        w_warp: Weight,
        w_temporal: Weight,
        w_mask: Weight,
        w_pixel: Weight,
        w_perceptual: Weight,
        perceptual: Literal["none", "vgg19"],
    ):
        super().__init__()
        if unknown := set(foreground) - set(facts.label_names):
            raise Fault(
                f"foreground: no label {', '.join(sorted(unknown))} in {facts.name}; "
                f"there are {', '.join(facts.label_names)}"
            )
        must_divide(facts, 2 ** (n_down + n_scales_spatial - 1), "n_down + n_scales_spatial - 1")
        if n_filters % 2**n_scales_spatial:
            raise Fault(
                f"n_filters: {n_filters} cannot be halved for {n_scales_spatial} spatial scales and a foreground net"
            )
        self.n_past, self.n_backprop, self.from_nothing, self.n_frozen_steps = (
            n_past,
            n_backprop,
            from_nothing,
            n_frozen_steps,
        )
        self.score_raw, self.condition_video, self.flow_scale = score_raw, condition_video, flow_scale
        self.weights = dict(
            feature=w_feature,
            flow=w_flow / 2 ** (n_scales_spatial - 1),
            warp=w_warp,
            temporal=w_temporal,
            mask=w_mask,
            pixel=w_pixel,
        )
        self.perceptual = perceptual_loss(perceptual, w_perceptual)
        front = torch.tensor([facts.label_names.index(label) for label in foreground], dtype=torch.long)
        self.register_buffer("front", front, persistent=False)  # a list would be copied to a GPU at every frame
        self.source = Source(facts, instance_edges, styles)
        self.G = generators(
            self.source.n_channels,
            n_scales=n_scales_spatial,
            n_past=n_past,
            n_filters=n_filters,
            n_down=n_down,
            n_blocks=n_blocks,
            n_blocks_local=n_blocks_local,
            norm=norm,
            with_flow=with_flow,
            with_front=bool(foreground),
            flow_scale=flow_scale,
            composition=composition,
            resample=resample,
            upsample=upsample,
        )
        shape: dict[str, Any] = dict(n_scales=n_scales, n_filters=n_filters_d, n_layers=n_layers_d, norm=norm)
        self.D_image = Discriminator(self.source.n_plain + 3, **shape)
        self.D_video = nn.ModuleList(
            Discriminator(n_channels(condition_video), **shape) for _ in range(n_scales_temporal)
        )
        self.apply(initialise)

    def parts(self) -> dict:
        """{part: its parameters}; each part has a separate optimiser."""
        parts = {"D_image": self.D_image} | {f"D_video{s}": D for s, D in enumerate(self.D_video)}
        return {"G": [*self.G.parameters(), *self.source.parameters()]} | {
            name: list(part.parameters()) for name, part in parts.items()
        }

    def begin(self, weights: dict[str, torch.Tensor]) -> None:
        """Start from the weights of a base: all of them, or those of the encoder and of the scales that the base has.

        Discriminators start from random weights if the base has another number of spatial scales, since the frames then
        have another size.

        raises    RuntimeError naming keys that are missing, unexpected or of another shape
        """
        scales = [name.split(".")[1] for name in weights if name.startswith("G.")]
        n = 1 + max((int(scale) for scale in scales if scale.isdecimal()), default=-1)  # pix2pixHD has no scales
        if n == len(self.G) and any(name.startswith("D_") for name in weights):
            self.load_state_dict(weights)
            return
        generators_only = {name: value for name, value in weights.items() if not name.startswith("D_")}
        expected = {
            name
            for name in self.state_dict()
            if name.split(".")[0] in ("G", "source")
            and not (name.startswith("G.") and int(name.split(".")[1]) >= max(n, 1))
        }
        if wrong := sorted(expected ^ generators_only.keys()):
            raise RuntimeError(
                f"{wrong[0]} is {'missing' if wrong[0] in expected else 'left over'}, and {len(wrong) - 1} more"
            )
        self.load_state_dict(self.state_dict() | generators_only)

    def finish(self, store: Store) -> None:
        """After training: fit the mixtures of styles."""
        self.source.fit(store)

    def step(
        self, sources: list[torch.Tensor], pasts: list[torch.Tensor], raw_only: bool = False, frozen: bool = False
    ) -> tuple:
        """Generate one frame.

        sources     (B, n_past + 1, C, h, w) at each scale, the coarsest first
        pasts       (B, n_past, 3, h, w) at each scale
        raw_only    there is no past frame to warp
        frozen      the coarser scales get no gradient
        returns     the finest generator's outputs, and the frame (B, 3, h, w) at every scale
        """
        coarse, frames, trains = None, [], torch.is_grad_enabled()
        for scale, (G, source, past) in enumerate(zip(self.G, sources, pasts)):
            front = source[:, -1, self.front].sum(1, keepdim=True) if len(self.front) else None
            with torch.set_grad_enabled(trains and not (frozen and scale + 1 < len(self.G))):
                out = G(source.flatten(1, 2), past.flatten(1, 2), front, coarse, raw_only)
            coarse = out.pop("features")
            frames.append(out["fake"])
        return out, frames

    def generate(self, clip: dict, past: torch.Tensor, memory: dict) -> torch.Tensor:
        """The frame after `past`.

        clip       source (and instance) of the frames in `past` and of the next one, (1, P + 1, ...)
        past       (1, P, 3, H, W) in [-1, 1]; P is n_past, or less at a clip's start if from_nothing is set
        memory     keeps the past frames of the coarser scales during a roll-out; empty at its start
        returns    (1, 3, H, W) in [-1, 1]
        """
        source, _ = self.source.joined({name: clip[name] for name in ("source", "instance") if name in clip}, memory)
        n_missing = self.n_past - past.shape[1]
        if n_missing:
            source = torch.cat([source[:, :1].expand(-1, n_missing, -1, -1, -1), source], 1)
            past = torch.cat([past.new_zeros(1, n_missing, 3, *source.shape[-2:]), past], 1)
        coarser = memory.get("pasts", pyramid(past, len(self.G))[:-1])
        pasts = [*coarser, past]
        out, frames = self.step(pyramid(source, len(self.G)), pasts, raw_only=n_missing == self.n_past)
        memory["pasts"] = carried(coarser, frames, detach=True)
        return out["fake"]

    def lead(self, clip: dict) -> dict:
        """The clip with n_past copies of its first frame in front, for `from_nothing`; losses leave out the copies."""

        def longer(name: str, value: torch.Tensor) -> torch.Tensor:
            if name not in ("real", "source", "instance", "flow", "occluded"):
                return value
            first = value[:, :1].expand(-1, self.n_past, *[-1] * (value.ndim - 2))
            fill = {"flow": torch.zeros_like(first), "occluded": torch.ones_like(first)}.get(name, first)
            return torch.cat([fill, value], 1)

        return {name: longer(name, value) for name, value in clip.items()}

    @torch.no_grad()
    def warm_up(self, clip: dict) -> tuple[dict, list[torch.Tensor]]:
        """The clip without its first n_warmup frames, and the past that the model generates from these, at each scale.

        A model trained only on real past frames lets errors accumulate in a roll-out. So the reference code trains on
        long clips in chunks, each of which continues the last one. Here the window is one such chunk, and the warm-up
        frames stand for the earlier ones, without gradient.
        """
        n, later = (
            clip["n_warmup"],
            {name: value[:, clip["n_warmup"] :] for name, value in clip.items() if torch.is_tensor(value)},
        )
        first = clip.get("past", clip["real"][:, : self.n_past])
        pasts = pyramid(torch.zeros_like(first) if self.from_nothing else first, len(self.G))
        if not n:
            return later, pasts
        early = {name: value[:, : n + self.n_past] for name, value in clip.items() if torch.is_tensor(value)}
        return later, self.rollout(early, pasts, first=self.from_nothing)["pasts"]

    def rollout(self, clip: dict, pasts: list[torch.Tensor], first: bool = False, frozen: bool = False) -> dict:
        """Generate frames n_past .. T-1, each from the generated frames before it.

        pasts      in place of frames 0 .. n_past-1, (B, n_past, 3, h, w) at each scale
        first      the clip starts here, so the first frame has no past frame to warp
        frozen     the coarser scales get no gradient
        returns    the finest generator's outputs, `source`, and `past` (the frame before each), (B, T - n_past, ...)
                   each; `pasts`, the past of the frame after the last, as above
        """
        (source, plain), outputs = self.source.joined(clip), []
        sources = pyramid(source, len(self.G))
        for t in range(self.n_past, source.shape[1]):
            window = [scale[:, t - self.n_past : t + 1] for scale in sources]
            out, frames = self.step(window, pasts, raw_only=first and t == self.n_past, frozen=frozen)
            outputs.append(out | {"past": pasts[-1][:, -1]})
            pasts = carried(pasts, frames, detach=(t - self.n_past + 1) % (self.n_backprop + 1) == 0)
        outs = {name: torch.stack([out[name] for out in outputs], 1) for name in outputs[0]}
        return outs | {"source": plain[:, self.n_past :], "pasts": pasts}

    def losses(self, clip: dict) -> dict:
        """The loss of every part on one batch of windows, and the detached terms of these losses for learning curves.

        raises    Fault if the window is shorter than n_past + 1
        """
        if self.from_nothing:
            clip = self.lead(clip)
        n_frames = clip["real"].shape[1] - clip["n_warmup"]
        if n_frames <= self.n_past:
            raise Fault(f"n_frames: a window of {n_frames} leaves nothing to generate after n_past = {self.n_past}")
        first, frozen = self.from_nothing and not clip["n_warmup"], clip["step"] < self.n_frozen_steps
        later, pasts = self.warm_up(clip)
        out = self.rollout(later, pasts, first, frozen)
        return self.objective(later | {"single": clip.get("single", False)}, out)

    def objective(self, clip: dict, out: dict) -> dict:
        """The objective, eq. 8, with the weights of the reference code; `out` comes from `rollout`.

        In steps on single frames there is nothing for video discriminators to see, and they have no loss.
        """
        fake, real, source = out["fake"], clip["real"][:, self.n_past :], out["source"]
        flow_real = clip["flow"][:, self.n_past - 1 :]
        visible = 1 - clip["occluded"][:, self.n_past - 1 :].flatten(0, 1)
        terms, w = {}, self.weights

        frames = [fake, out["raw"]] if self.score_raw else [fake]
        pred_real = self.D_image(torch.cat([source, real], 2).flatten(0, 1))
        G = D = 0.0
        for frame in frames:
            pred_fake = self.D_image(torch.cat([source, frame], 2).flatten(0, 1))
            G = G + self.gan_and_feature_loss(terms, "image", pred_fake, pred_real)
            D = D + (lsgan(pred_fake, 0) + lsgan(pred_real, 1)) / 2
        losses = {"D_image": D}

        for scale, D_video in enumerate(self.D_video):
            picks = triplets(fake.shape[1], scale)
            if not picks and clip.get("single"):
                continue
            if not picks:
                raise Fault(
                    f"n_frames: {clip['real'].shape[1]} is too short for {len(self.D_video)} temporal scales "
                    f"with n_past = {self.n_past}"
                )
            flow_shown = flow_real[:, 1:] if self.condition_video else None
            pred_real = D_video(stack(real, flow_shown, self.flow_scale, picks))
            pred_fake = D_video(stack(fake, flow_shown, self.flow_scale, picks))
            G = G + self.gan_and_feature_loss(terms, f"video{scale}", pred_fake, pred_real)
            losses[f"D_video{scale}"] = (lsgan(pred_fake, 0) + lsgan(pred_real, 1)) / 2

        real_past = clip["real"][:, self.n_past - 1 : -1]
        fake_past = real_past if "past" in clip and not self.from_nothing else out["past"]  # not like a damaged one
        flat = [x.flatten(0, 1) for x in (fake, fake_past, real, real_past, flow_real)]
        fake, fake_past, real, real_past, flow_real = flat
        painted = [frame.flatten(0, 1) for frame in frames]
        if "flow" in out:
            flow, mask = out["flow"].flatten(0, 1), out["mask"].flatten(0, 1)
            terms["flow"] = w["flow"] * flow_endpoint(flow, flow_real, visible)
            terms["warp"] = w["warp"] * flow_warp(flow, real_past, real, visible)
            if w["mask"]:
                terms["mask"] = w["mask"] * masked_l1(mask, torch.zeros_like(mask), visible)
        if w["temporal"]:
            terms["temporal"] = w["temporal"] * temporal_warp(fake, fake_past, flow_real, visible)
        if w["pixel"]:
            terms["pixel"] = w["pixel"] * sum(masked_l1(x, real, torch.ones_like(visible)) for x in painted)
        if self.perceptual:
            terms["perceptual"] = sum(self.perceptual(x, real) for x in painted)
        G = G + sum(term for name, term in terms.items() if "_" not in name)
        return {"G": G, **losses} | {f"G_{name}": term.detach() for name, term in terms.items()}

    def gan_and_feature_loss(self, terms: dict, name: str, pred_fake: list, pred_real: list) -> torch.Tensor:
        """The generator's loss from a discriminator's outputs: adversarial and feature matching.

        The two are also added to `terms`, as `<name>_gan` and `<name>_feature`.
        """
        gan = lsgan(pred_fake, 1)
        feature = self.weights["feature"] * feature_matching(pred_fake, pred_real)
        terms[f"{name}_gan"] = terms.get(f"{name}_gan", 0) + gan
        terms[f"{name}_feature"] = terms.get(f"{name}_feature", 0) + feature
        return gan + feature
