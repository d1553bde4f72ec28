"""PredNet (Lotter, Kreiman and Cox, ICLR 2017): each layer predicts its input, and passes on only its errors."""

from functools import reduce
from itertools import pairwise
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from v2vbench.clips.store import Facts
from v2vbench.models import Predictor
from v2vbench.models._blocks import must_divide
from v2vbench.models._recurrent import ConvLSTMCell
from v2vbench.params import Count, Fault

W_LAYERS = 0.1  # lambda_l of the layers above the image under L_all (section 2)


class Model(Predictor):
    """Layer l has a target A_l, a prediction Ahat_l, their error E_l and a recurrent representation R_l (eq. 1-4).

    Frames are in [0, 1] inside. As in the paper, kernels are 3 x 3, R_l has as many channels as A_l, and the states and
    errors are zero before a clip. The gates use a sigmoid where the authors' code has Keras's piecewise linear one.

    n_channels    of the layers above the image; [48, 96, 192] in the paper (KITTI), 6.9 M parameters
    layer_loss    "L0": only errors of the image count (L_0 in the paper); "Lall": the others too, with weight 0.1
    n_seen        frames that are read in training, with the rest of the window predicted from predictions; as many as
                  the schedule's n_frames, or more: all are read, and each prediction is of one frame ahead
    """

    READS = ("real",)

    def __init__(self, facts: Facts, *, n_channels: list[Count], layer_loss: Literal["L0", "Lall"], n_seen: Count):
        super().__init__()
        must_divide(facts, 2 ** len(n_channels), "n_channels")
        self.layer_loss, self.n_seen, self.widths = layer_loss, n_seen, [3, *n_channels]
        self.represent = nn.ModuleList(
            ConvLSTMCell(2 * n + above, n, 3) for n, above in zip(self.widths, [*n_channels, 0])
        )
        self.predictions = nn.ModuleList(nn.Conv2d(n, n, 3, padding=1) for n in self.widths)
        self.targets = nn.ModuleList(nn.Conv2d(2 * n, above, 3, padding=1) for n, above in pairwise(self.widths))
        for module in self.modules():  # as Keras does
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # pyright: ignore[reportArgumentType] - every convolution here has one

    def parts(self) -> dict:
        """{part: its parameters}."""
        return {"G": list(self.parameters())}

    def step(self, frame: torch.Tensor, states: list, errors: list) -> tuple[torch.Tensor, list, list]:
        """Predict a frame, then compare.

        frame      (B, 3, H, W) in [0, 1]: A_0, which the prediction does not see
        states     of the representation in each layer; None at a clip's start
        errors     E_l of the frame before, (B, 2 * channels, H / 2**l, W / 2**l)
        returns    Ahat_0 (B, 3, H, W) in [0, 1], the new states and errors
        """
        states, above = list(states), []
        for layer in reversed(range(len(self.widths))):  # eq. 4
            r, states[layer] = self.represent[layer](torch.cat([errors[layer], *above], 1), states[layer])
            above = [F.interpolate(r, scale_factor=2)]
        predicted = [F.relu(layer(state[0])) for layer, state in zip(self.predictions, states)]  # eq. 2
        predicted[0] = predicted[0].clamp_max(1)  # SatLU
        target, errors = frame, []
        for layer, prediction in enumerate(predicted):
            errors.append(torch.cat([F.relu(target - prediction), F.relu(prediction - target)], 1))  # eq. 3
            if layer < len(self.targets):
                target = F.max_pool2d(F.relu(self.targets[layer](errors[layer])), 2)  # eq. 1
        return predicted[0], states, errors

    def unroll(self, frames: torch.Tensor, n_steps: int) -> tuple[list[torch.Tensor], list[list[torch.Tensor]]]:
        """Read `frames` (B, T, 3, H, W) in [0, 1], then go on without any, n_steps in all.

        After the last frame, the prediction of the step before stands for the frame, as in the authors' code: the error
        is then the change that is predicted. The prediction of the same step would always give an error of 0.

        returns    predictions (B, 3, H, W) in [0, 1] and errors of each layer, at each step
        """
        height, width = frames.shape[-2:]
        errors = [
            frames.new_zeros(len(frames), 2 * n, height >> layer, width >> layer) for layer, n in enumerate(self.widths)
        ]
        states, predictions, history = [None] * len(self.widths), [], []
        for t in range(n_steps):
            frame = frames[:, t] if t < frames.shape[1] else predictions[-1]
            prediction, states, errors = self.step(frame, states, errors)
            predictions.append(prediction)
            history.append(errors)
        return predictions, history

    def losses(self, clip: dict) -> dict:
        """Mean errors of all steps but the first, for which nothing was seen (eq. 5), and its terms detached.

        E_0 has two channels for each of the frame, of which at most one is not 0, so its mean is half of L1. Steps
        without a frame count as half of L1 to the real one (fine-tuning of section 3.2), and have no higher errors.
        """
        if clip["n_warmup"]:
            raise Fault("n_warmup: PredNet reads real frames, so its schedule must have 0")
        real = (clip["real"] + 1) / 2
        n_steps = real.shape[1]
        if n_steps < 2:
            raise Fault(f"n_frames: a window of {n_steps} leaves nothing to predict")
        predictions, errors = self.unroll(real[:, : self.n_seen], n_steps)
        terms = {"frames": F.l1_loss(torch.stack(predictions[1:], 1).float(), real[:, 1:]) / 2}
        if self.layer_loss == "Lall":
            higher = [error.float().mean() for step in errors[1 : self.n_seen] for error in step[1:]]
            terms["layers"] = W_LAYERS * reduce(torch.add, higher, real.new_zeros(())) / (n_steps - 1)
        return {"G": reduce(torch.add, terms.values())} | {f"G_{name}": term.detach() for name, term in terms.items()}

    @torch.inference_mode()
    def predict(self, past: dict, n_future: int, noise: torch.Generator) -> torch.Tensor:
        """The frames after past["real"] (1, n_past, 3, H, W) in [-1, 1], (1, n_future, 3, H, W) in [-1, 1]."""
        real = (past["real"] + 1) / 2
        n_past = real.shape[1]
        return 2 * torch.stack(self.unroll(real, n_past + n_future)[0][n_past:], 1) - 1
