"""A small convolutional recurrent network that predicts future labels, from which vid2vid then makes future video."""

from functools import reduce
from typing import ClassVar, Literal

import torch
from torch import nn
from torch.nn import functional as F

from v2vbench.clips.flow import warp
from v2vbench.clips.store import IGNORE, Facts
from v2vbench.models import Predictor
from v2vbench.models._blocks import conv, encode, initialise, residuals
from v2vbench.params import Count, Fault, Natural, Weight


class Cell(nn.Module):
    """Convolutional gated recurrent unit (Ballas et al. 2016, eq. 5-8): x (B, C, H, W), state (B, C, H, W) to state."""

    def __init__(self, n_channels: int):
        super().__init__()
        self.gates = nn.Conv2d(2 * n_channels, 2 * n_channels, 3, padding=1)
        self.candidate = nn.Conv2d(2 * n_channels, n_channels, 3, padding=1)

    def forward(self, x, state):
        update, reset = self.gates(torch.cat([x, state], 1)).sigmoid().chunk(2, 1)
        return torch.lerp(state, self.candidate(torch.cat([x, reset * state], 1)).tanh(), update)


class Model(Predictor):
    """Reads label frames one by one, then continues from its predictions.

    Each prediction blends the last label map, warped by a predicted flow, with predicted label probabilities.

    n_seen        label frames that are read in training; the rest of the window is predicted
    flow_scale    px per unit of the output of the flow layer
    w_flow        weight of the endpoint error against the data set's flow, px
    """

    READS: ClassVar[tuple[str, ...] | None] = ("label", "flow", "occluded")
    PREDICTS: ClassVar[Literal["frames", "labels"]] = "labels"
    SEES: ClassVar[tuple[str, ...]] = ("source",)

    def __init__(
        self,
        facts: Facts,
        *,
        n_filters: Count,
        n_down: Natural,
        n_blocks: Count,
        n_seen: Count,
        flow_scale: Weight,
        w_flow: Weight,
    ):
        super().__init__()
        if facts.source != "labels":
            raise Fault(f"forecast predicts labels, and the source of {facts.name} is {facts.source}")
        self.facts, self.n_seen, self.flow_scale, self.w_flow = facts, n_seen, flow_scale, w_flow
        n_labels, wide = len(facts.label_names), n_filters * 2**n_down
        widths = [n_labels, *(n_filters * 2 ** (i + 1) for i in range(n_down))]
        self.read = nn.Sequential(
            *(conv(a, b, kernel=3, stride=2, reflect=False, norm="instance") for a, b in zip(widths, widths[1:]))
        )
        self.cell = Cell(wide)
        self.think = residuals(wide, n_blocks, "instance")
        self.out = nn.Conv2d(wide, 3 + n_labels, 3, padding=1)
        self.apply(initialise)

    def parts(self) -> dict:
        """{part: its parameters}."""
        return {"G": list(self.parameters())}

    def step(self, labels, state) -> tuple:
        """Label probabilities (B, K, H, W) to those of the next frame, the flow back from it, and the new state."""
        features = self.read(labels)
        state = self.cell(features, torch.zeros_like(features) if state is None else state)
        out = F.interpolate(
            self.out(self.think(state)).float(), labels.shape[-2:], mode="bilinear", align_corners=False
        )
        flow, trust, evidence = self.flow_scale * out[:, :2], out[:, 2:3].sigmoid(), out[:, 3:].softmax(1)
        return torch.lerp(evidence, warp(labels, flow), trust), flow, state

    def losses(self, clip: dict) -> dict:
        """Cross-entropy, nats per pixel, and the flow's endpoint error of predicted frames, without ignored pixels."""
        if clip["n_warmup"]:
            raise Fault("n_warmup: a forecast reads real labels, so its schedule must have 0")
        labels, target = encode(clip, self.facts, False), clip["source"]
        if labels.shape[1] <= self.n_seen:
            raise Fault(
                f"n_frames: a window of {labels.shape[1]} leaves nothing to predict after n_seen = {self.n_seen}"
            )
        state, predicted, entropies, endpoints = None, None, [], []
        for t in range(labels.shape[1] - 1):
            predicted, flow, state = self.step(labels[:, t] if t < self.n_seen else predicted, state)
            entropies.append(F.nll_loss(predicted.clamp_min(1e-6).log(), target[:, t + 1], ignore_index=IGNORE))
            visible = 1 - clip["occluded"][:, t]
            endpoints.append(((flow - clip["flow"][:, t]).abs() * visible).mean())
        n, entropy, endpoint = len(entropies), reduce(torch.add, entropies), reduce(torch.add, endpoints)
        return {
            "G": entropy / n + self.w_flow * endpoint / n,
            "G_entropy": (entropy / n).detach(),
            "G_flow": (endpoint / n).detach(),
        }

    @torch.inference_mode()
    def predict(self, past: dict, n_future: int, noise: torch.Generator) -> torch.Tensor:
        """Labels of the frames after source (1, n_past, H, W), (1, n_future, H, W)."""
        labels, state, frames = encode(past, self.facts, False), None, []
        for t in range(labels.shape[1] - 1):
            state = self.step(labels[:, t], state)[2]
        predicted = labels[:, -1]
        for _ in range(n_future):
            predicted, _, state = self.step(predicted, state)
            frames.append(predicted.argmax(1))
        return torch.stack(frames, 1)
