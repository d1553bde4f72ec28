"""Optical flow estimated by RAFT (Teed & Deng 2020), torchvision's large network, where its weights are here."""

import threading

import numpy as np
import torch
from torch.nn import functional as F

from v2vbench.clips.motion import estimate_checked
from v2vbench.download import weights

ESTIMATED = "raft-large-c-t-skht-v2"  # as stores and protocol ids name its flow
WEIGHTS = "raft_large"
LEAST, MULTIPLE = 128, 8  # px: what its pyramid of correlations takes
UPDATES = 12  # of the flow, torchvision's default


class Raft:
    """Estimates flow and occlusion between two frames, as `motion.estimate_checked` does.

    Frames are padded at the right and at the bottom by repeating their edges, to multiples of 8 px and to 128 px at
    least, and the flow is cut to their size again. Threads take turns: torchvision's network keeps the correlations of
    a pair in itself.
    raises    Fault where the weights are not here
    """

    def __init__(self):
        from torchvision.models.optical_flow import raft_large

        self.lock = threading.Lock()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = raft_large(weights=None)
        network.load_state_dict(weights.load(WEIGHTS))
        self.network = network.eval().requires_grad_(False).to(self.device)

    def __call__(self, previous: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, 3) uint8 twice to flow from `current` to `previous`, (H, W, 2) float32 px, and occluded (H, W)."""
        return estimate_checked(previous, current, self.flow)

    def flow(self, previous: np.ndarray, current: np.ndarray) -> np.ndarray:
        """Flow from `current` back to `previous`, (H, W, 2) float32 px."""
        H, W, _ = current.shape
        images = [self._image(frame) for frame in (current, previous)]
        with self.lock, torch.inference_mode():
            flow = self.network(*images, num_flow_updates=UPDATES)[-1]
        return flow[0, :, :H, :W].permute(1, 2, 0).float().cpu().numpy()

    def _image(self, frame: np.ndarray) -> torch.Tensor:
        """(1, 3, H', W') in [-1, 1], padded."""
        image = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float() / 127.5 - 1
        missing = [max(LEAST, -(-n // MULTIPLE) * MULTIPLE) - n for n in image.shape[-2:]]
        return F.pad(image, (0, missing[1], 0, missing[0]), mode="replicate").to(self.device)
