"""The simplest baseline: repeat the last real frame. It never flickers, and is wrong as soon as anything moves."""

import torch

from v2vbench.clips.store import Facts
from v2vbench.models import VideoModel


class Model(VideoModel):
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
