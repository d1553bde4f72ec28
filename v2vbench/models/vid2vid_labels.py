"""The first stage of future prediction with vid2vid: predicts the labels of future frames from past labels.

The network is vid2vid's own generator, coarse to fine, without a source: where vid2vid makes a frame from labels and
past frames, this makes a label map from past label maps. It paints label probabilities, warps the last label map by a
predicted flow, and blends the two with a predicted mask.

The paper (section 4, future video prediction) says that labels are predicted first and video is made from them, and not
how this first stage is trained, on how many frames, or with what losses. So the losses here are ours, and the plainest:
cross-entropy, and vid2vid's two losses of the flow (eq. 9). There are no discriminators.
"""

from functools import reduce
from typing import ClassVar, Literal

import torch

from v2vbench.clips.store import Facts
from v2vbench.models import Predictor
from v2vbench.models._blocks import encode, initialise, must_divide, pyramid
from v2vbench.models._composite import carried, generators
from v2vbench.models._losses import flow_endpoint, flow_warp
from v2vbench.params import Count, Fault, Natural, Weight


class Model(Predictor):
    """Arguments that are also vid2vid's mean what they mean there.

    n_past        label frames that the next one is predicted from; the first of a training window, which are real
    sharpness     predicted probabilities are raised to this power, and normalised, before the next frame is made from
                  them; 1: as they are, and each warp blurs them until small things are gone; large: one-hot, in which
                  a motion of less than half a pixel is lost
    w_raw         weight of the cross-entropy of the painted labels, before they are blended with the warped ones
    w_flow        weight of the endpoint error against the data set's flow, px, where it is not occluded (eq. 9)
    w_warp        weight of L1 between labels and the labels before them, warped by the predicted flow (eq. 9)
    """

    PREDICTS: ClassVar[Literal["frames", "labels"]] = "labels"
    SEES: ClassVar[tuple[str, ...]] = ("source",)
    READS: ClassVar[tuple[str, ...] | None] = ("label", "flow", "occluded")

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
        norm: Literal["batch", "instance", "instance_affine"],
        flow_scale: Weight,
        upsample: Literal["transposed", "transposed_even", "resize"],
        sharpness: Weight,
        w_raw: Weight,
        w_flow: Weight,
        w_warp: Weight,
    ):
        super().__init__()
        if facts.source != "labels":
            raise Fault(f"vid2vid_labels predicts labels, and the source of {facts.name} is {facts.source}")
        must_divide(facts, 2 ** (n_down + n_scales_spatial - 1), "n_down + n_scales_spatial - 1")
        if n_filters % 2 ** (n_scales_spatial - 1):
            raise Fault(f"n_filters: {n_filters} cannot be halved for {n_scales_spatial} spatial scales")
        self.facts, self.n_past, self.sharpness = facts, n_past, sharpness
        self.weights = dict(raw=w_raw, flow=w_flow, warp=w_warp)
        self.G = generators(
            0,  # no source
            n_labels=len(facts.label_names),
            n_scales=n_scales_spatial,
            n_past=n_past,
            n_filters=n_filters,
            n_down=n_down,
            n_blocks=n_blocks,
            n_blocks_local=n_blocks_local,
            norm=norm,
            with_flow=True,
            with_front=False,
            flow_scale=flow_scale,
            composition="inside",  # of a foreground network, which is not there
            resample="bilinear",  # of probabilities: bicubic weights are negative in places
            upsample=upsample,
        )
        self.apply(initialise)

    def parts(self) -> dict:
        """{part: its parameters}."""
        return {"G": list(self.G.parameters())}

    def step(self, pasts: list[torch.Tensor]) -> list[dict]:
        """Predict one label frame.

        pasts      (B, n_past, K, h, w) at each scale, the coarsest first
        returns    the outputs of the generator of each scale
        """
        outputs, coarse = [], None
        for G, past in zip(self.G, pasts):
            outputs.append(G(None, past.flatten(1, 2), coarse=coarse))
            coarse = outputs[-1].pop("features")
        return outputs

    def rollout(self, labels: torch.Tensor, n_future: int) -> list[dict]:
        """Predict n_future label frames, each from the predicted probabilities of those before it.

        A loss reaches back one frame: the past has no gradient, as in vid2vid's reference code.

        labels     (B, n_past, K, H, W), one-hot
        returns    at each scale, the coarsest first: fake, raw (B, n_future, K, h, w) probabilities; flow
                   (B, n_future, 2, h, w) px; mask (B, n_future, 1, h, w)
        """
        pasts, steps = pyramid(labels, len(self.G)), []
        for _ in range(n_future):
            steps.append(self.step(pasts))
            frames = [sharper(out["fake"], self.sharpness) for out in steps[-1]]
            pasts = carried(pasts, frames, detach=True)
        return [{name: torch.stack([out[name] for out in scale], 1) for name in scale[0]} for scale in zip(*steps)]

    def losses(self, clip: dict) -> dict:
        """The mean over the scales of the losses of all predicted frames.

        vid2vid trains its scales one after the other, so that the last layers of the coarser ones are trained too. Here
        all are trained at once, each on labels and flow of its size.

        raises    Fault if there is a warm-up, or the window is shorter than n_past + 1
        """
        if clip["n_warmup"]:
            raise Fault("n_warmup: label prediction starts from real labels, so its schedule must have 0")
        labels, n_scales = encode(clip, self.facts, False), len(self.G)
        n_future = labels.shape[1] - self.n_past
        if n_future < 1:
            raise Fault(
                f"n_frames: a window of {labels.shape[1]} leaves nothing to predict after n_past = {self.n_past}"
            )
        truth = labels, clip["flow"], 1 - clip["occluded"]
        scales = zip(self.rollout(labels[:, : self.n_past], n_future), *(pyramid(array, n_scales) for array in truth))
        sums = {}
        for scale, (out, labels, flow_real, visible) in enumerate(scales):
            flow_real = flow_real / 2 ** (n_scales - 1 - scale)
            for name, term in self.objective(out, labels, flow_real, visible).items():
                sums[name] = sums.get(name, 0) + term / n_scales
        return {"G": reduce(torch.add, sums.values())} | {f"G_{name}": term.detach() for name, term in sums.items()}

    def objective(self, out: dict, labels: torch.Tensor, flow_real: torch.Tensor, visible: torch.Tensor) -> dict:
        """The weighted terms of the loss at one scale; cross-entropies in nats per pixel, without ignored pixels.

        labels       (B, T, K, h, w), of the past too; soft at a coarser scale
        flow_real    (B, T - 1, 2, h, w) px of this scale
        visible      (B, T - 1, 1, h, w), 0 where occluded
        """
        last, w = self.n_past - 1, self.weights
        before, after, flow_real, visible, fake, raw, flow = (
            x.flatten(0, 1)
            for x in (labels[:, last:-1], labels[:, last + 1 :], flow_real[:, last:], visible[:, last:])
            + (out["fake"], out["raw"], out["flow"])
        )

        def entropy(probabilities: torch.Tensor) -> torch.Tensor:
            return -(after * probabilities.clamp_min(1e-6).log()).sum() / after.sum().clamp_min(1)

        return {
            "entropy": entropy(fake),
            "raw": w["raw"] * entropy(raw),
            "flow": w["flow"] * flow_endpoint(flow, flow_real, visible),
            "warp": w["warp"] * flow_warp(flow, before, after, visible),
        }

    @torch.inference_mode()
    def predict(self, past: dict, n_future: int, noise: torch.Generator) -> torch.Tensor:
        """Label ids (1, n_future, H, W) of the frames after `past["source"]`.

        raises    Fault if the past is shorter than n_past
        """
        source = past["source"]
        if source.shape[1] < self.n_past:
            raise Fault(f"n_past: vid2vid_labels needs {self.n_past} past frames, and there are {source.shape[1]}")
        labels = encode({"source": source[:, -self.n_past :]}, self.facts, False)
        return self.rollout(labels, n_future)[-1]["fake"].argmax(2)


def sharper(probabilities: torch.Tensor, power: float) -> torch.Tensor:
    """Probabilities (B, K, H, W) to a power, normalised; all zero, of pixels without a label, they stay zero."""
    raised = probabilities**power
    return raised / raised.sum(1, keepdim=True).clamp_min(1e-6)
