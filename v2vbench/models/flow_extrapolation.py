"""A floor of future prediction that knows motion: every pixel of the last frame keeps the velocity it had."""

import numpy as np
import torch
from scipy import ndimage

from v2vbench.clips.motion import estimate
from v2vbench.clips.store import Facts
from v2vbench.clips.tensors import to_pixels
from v2vbench.models import Predictor
from v2vbench.params import Fault


class Model(Predictor):
    """Has nothing to train.

    The flow between the last two frames of the past is estimated from these frames on every data set, also where the
    true flow is known: so the floor sees no truth, and is the same thing everywhere.
    """

    def __init__(self, facts: Facts):
        super().__init__()

    def parts(self) -> dict:
        """{}: nothing to train."""
        return {}

    @torch.inference_mode()
    def predict(self, past: dict, n_future: int, noise: torch.Generator) -> torch.Tensor:
        """The frames after `past["real"]`, (1, n_future, 3, H, W) in [-1, 1].

        raises    Fault if there are no two frames to see a motion between
        """
        real = past["real"]
        if real.shape[1] < 2:
            raise Fault(f"n_past: flow_extrapolation needs 2 past frames, and there is {real.shape[1]}")
        flow = torch.from_numpy(estimate(*to_pixels(real[0, -2:]))).permute(2, 0, 1)
        return extrapolate(real[0, -1].cpu(), flow, n_future)[None].to(real.device)


def extrapolate(frame: torch.Tensor, flow: torch.Tensor, n_future: int) -> torch.Tensor:
    """Move each pixel of the last frame along its own velocity, that of the last step, which goes with the pixel.

    A pixel that lands between four others is shared out among them with its bilinear weights (forward warping by
    summation splatting). What arrives at one place is averaged with these weights, since nothing says which of two
    pixels is in front. A place where nothing arrives takes the value of the nearest one where something does.

    frame      (3, H, W)
    flow       (2, H, W)    px, from the last frame back to the one before: a pixel's velocity is -flow, px per frame
    n_future   frames
    returns    (n_future, 3, H, W)
    """
    H, W = flow.shape[-2:]
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    futures = []
    for step in range(1, n_future + 1):
        new_x, new_y = x - step * flow[0].double(), y - step * flow[1].double()
        left, top = new_x.floor(), new_y.floor()
        total, weights = torch.zeros(len(frame), H * W, dtype=torch.float64), torch.zeros(H * W, dtype=torch.float64)
        for at_x, at_y in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
            weight = (1 - (new_x - at_x).abs()) * (1 - (new_y - at_y).abs())
            lands = (weight > 0) & (at_x >= 0) & (at_x < W) & (at_y >= 0) & (at_y < H)
            place = (at_y * W + at_x)[lands].long()
            total.index_add_(1, place, frame[:, lands].double() * weight[lands])
            weights.index_add_(0, place, weight[lands])
        if not weights.any():  # everything has left the frame
            futures.append(futures[-1] if futures else frame)
            continue
        mean = (total / weights).view(-1, H, W).float()  # nan where nothing arrives
        empty = (weights == 0).view(H, W).numpy()
        nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
        futures.append(mean[:, *map(torch.from_numpy, np.asarray(nearest).astype(np.int64))])
    return torch.stack(futures)
