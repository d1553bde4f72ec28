"""The simplest baseline: repeat the last real frame. It never flickers, and is wrong as soon as anything moves."""

import torch

from v2vbench.clips.store import Facts
from v2vbench.models import Predictor, VideoModel


class Model(VideoModel, Predictor):
    """Has nothing to train; n_past real frames are given, and every later frame is a copy of the last one."""

    n_past = 1

    def __init__(self, facts: Facts):
        super().__init__()

    def parts(self) -> dict:
        """{}: nothing to train."""
        return {}

    def generate(self, clip: dict, past: torch.Tensor, memory: dict) -> torch.Tensor:
        """past (1, 1, 3, H, W) to the same frame, (1, 3, H, W)."""
        return past[:, -1]

    def predict(self, past: dict, n_future: int, noise: torch.Generator) -> torch.Tensor:
        """The last frame of real (1, n_past, 3, H, W) n_future times."""
        return past["real"][:, -1:].expand(-1, n_future, -1, -1, -1)
