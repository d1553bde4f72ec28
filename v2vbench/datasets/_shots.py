"""Shots of a video, found where its pictures change at once, and how much changes from frame to frame."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

SIDE_PX = 256  # frames are averaged down to about this width before they are compared


@dataclass(frozen=True, kw_only=True)
class Shots:
    """The shots of a video, one after the other."""

    n_frames: int  # of the video
    starts: tuple[int, ...]  # first frame of each shot, from 0
    change: np.ndarray  # (n_frames,) float64: mean absolute difference in grey levels from the frame before; first: 0

    @property
    def spans(self) -> list[tuple[int, int]]:
        """(start, stop) of each shot, in frames."""
        return list(zip(self.starts, (*self.starts[1:], self.n_frames)))


def find_shots(frames: Iterable[np.ndarray], *, threshold: float) -> Shots:
    """Split a video at its cuts, by PySceneDetect's ContentDetector without a shortest scene.

    A flash makes a shot of its own, so that no clip contains one. Fades are no cuts: they change slowly.

    frames       (H, W, 3) uint8 RGB each, of one video in order, at least one
    threshold    mean difference of hue, saturation and value, on 0..255, from which two frames are of two shots
    source       https://www.scenedetect.com, detect-content
    """
    from scenedetect import ContentDetector, FrameTimecode

    detector, starts, change, before = ContentDetector(threshold=threshold, min_scene_len=0), [0], [], None
    for t, frame in enumerate(frames):
        H, W, _ = frame.shape
        factor = max(1, round(W / SIDE_PX))
        small = cv2.resize(frame, (max(1, W // factor), max(1, H // factor)), interpolation=cv2.INTER_AREA)
        cuts = detector.process_frame(FrameTimecode(t, fps=25.0), cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        starts += [cut.frame_num for cut in cuts]
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.int16)
        change.append(0.0 if before is None else float(np.abs(grey - before).mean()))
        before = grey
    return Shots(n_frames=len(change), starts=tuple(starts), change=np.array(change))
