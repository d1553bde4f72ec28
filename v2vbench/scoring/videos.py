"""Videos as they are in files, read as a clip store is: decoded and resized, and their flow estimated, when read."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from v2vbench.clips import video_files
from v2vbench.clips.store import EXACT, Facts, Store
from v2vbench.params import Fault
from v2vbench.scoring.sides import Clip, Side, stamp

Estimator = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
OPEN = 4  # videos that a thread goes on reading where it stopped, at most


class Videos(Store):
    """The clips of one side as a clip store: `facts`, `clips`, `split`, `read` and `stream` are those of Store.

    Frames are read only when asked for, so that no more than the clips at hand are in memory.
    """

    def __init__(self, side: Side, facts: Facts, size: tuple[int, int] | None, flow: Estimator | None):
        """Prepare to read a side.

        size    to which frames are fitted; None: as they are
        flow    estimates flow and occlusion of a real side; None: those of its clip store, or there are none
        """
        self.side, self.facts, self.size, self.flow = side, facts, size, flow
        self.path = side.where  # pyright: ignore[reportAttributeAccessIssue] - for messages alone
        (group,) = facts.groups
        motion = side.kind == "real" and (flow is not None or facts.flow == EXACT)
        arrays = sorted([side.kind, *(["flow", "occluded"] if motion else [])])
        self.clips = {
            name: {
                "id": name,
                "number": number,
                "split": group,
                "cluster": clip.cluster,
                "n_frames": clip.n_frames,
                "arrays": arrays,
                "sha256": clip.sha256,
                "given": 0,
            }
            for number, (name, clip) in enumerate(side.clips.items())
        }
        self._reading = threading.local()

    def read(self, clip: str, start: int = 0, stop: int | None = None, arrays: Iterable[str] | None = None) -> dict:
        """Frames start..stop of a clip, {name: (T, ...)}; flow and occluded have T-1."""
        entry = self.side.clips[clip]
        names = list(arrays or self.clips[clip]["arrays"])
        end = entry.n_frames if stop is None else stop
        result = {}
        if self.side.kind in names or self.flow is not None:
            result[self.side.kind] = np.stack([self._fitted(frame) for frame in self._frames(entry, start, end)])
        if {"flow", "occluded"} & set(names):
            result |= self._motion(entry, start, end, result)
        return {name: result[name] for name in names}

    def as_wide(self, frames: np.ndarray) -> np.ndarray:
        """Frames (T, h, w, 3) of another side at the size of these, to be shown beside them."""
        return np.stack([video_files.fit(frame, self.facts.size) for frame in frames])

    def _motion(self, clip: Clip, start: int, end: int, frames: dict) -> dict[str, np.ndarray]:
        if self.flow is None:
            assert isinstance(self.side.source, Store), "flow that is given stands in a clip store"
            name = clip.video or clip.name
            return self.side.source.read(name, clip.start + start, clip.start + end, ["flow", "occluded"])
        real = frames["real"]
        if len(real) < 2:
            return {
                "flow": np.empty((0, *real.shape[1:3], 2), np.float16),
                "occluded": np.empty((0, *real.shape[1:3]), np.uint8),
            }
        pairs = [self.flow(real[t - 1], real[t]) for t in range(1, len(real))]
        return {
            "flow": np.stack([flow for flow, _ in pairs]).astype(np.float16),
            "occluded": np.stack([occluded for _, occluded in pairs]),
        }

    def _fitted(self, frame: np.ndarray) -> np.ndarray:
        return frame if self.size is None else video_files.fit(frame, self.size)

    def _frames(self, clip: Clip, start: int, stop: int) -> Iterator[np.ndarray]:
        """The frames of a clip; a thread that reads the parts of a video in order decodes it once."""
        if not clip.video:
            frames = list(self.side.frames(clip, start, stop))
        else:
            kept = self._reading.__dict__.setdefault("kept", {})
            whole = Clip(**vars(clip) | {"name": clip.video, "video": "", "start": 0})
            at, reading = kept.pop(clip.video, (0, None))
            first, last = clip.start + start, clip.start + stop
            if reading is None or at > first:
                at, reading = 0, self.side.frames(whole, 0, self._length(clip.video))
            frames = []
            for frame in reading:
                at += 1
                if at > first:
                    frames.append(frame)
                if at == last:
                    break
            kept[clip.video] = at, reading
            while len(kept) > OPEN:
                kept.pop(next(iter(kept)))[1].close()
        source = None if isinstance(self.side.source, Store) else self.side.source[clip.video or clip.name]
        is_file = isinstance(source, Path)
        if len(frames) != stop - start or (is_file and json.dumps(stamp(source)) != clip.stamp):
            raise Fault(f"{self.side.where}: {clip.name} changed while it was scored; run the command again")
        yield from frames

    def _length(self, video: str) -> int:
        """Frames of a video up to the end of its last part."""
        return max(clip.start + clip.n_frames for clip in self.side.clips.values() if clip.video == video)
