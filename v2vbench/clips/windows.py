"""Random windows of training clips."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from v2vbench.clips.augment import disturb
from v2vbench.clips.store import Store
from v2vbench.clips.tensors import to_tensors
from v2vbench.params import Fault, SingleFrames


class Ends(Sequence[tuple[str, int]]):
    """Every (clip, end of a window in it), clip by clip, of windows that end at frame `first` or later; never listed.

    clips      ids
    n_frames   (n_clips,), frames of each
    """

    def __init__(self, clips: list[str], n_frames: np.ndarray, first: int):
        self.clips, self.n_frames, self.first = clips, n_frames, first
        self._until = np.cumsum(np.maximum(n_frames - first + 1, 0))  # windows of a clip and of those before it

    def __len__(self) -> int:
        return int(self._until[-1])

    def __getitem__(self, number) -> tuple[str, int]:
        if not 0 <= number < len(self):
            raise IndexError(number)
        clip = int(np.searchsorted(self._until, number, "right"))
        return self.clips[clip], int(self.n_frames[clip] - (self._until[clip] - 1 - number))

    def at_least(self, n: int) -> "Ends":
        """Those of windows of `n` frames."""
        return self if n <= self.first else Ends(self.clips, self.n_frames, n)


class Windows:
    """Random training windows; those of step `n` depend only on the seed and n, so that training can be resumed.

    store           Store
    n_frames        frames per window
    n_warmup        largest number of warm-up frames before a window; their number is drawn for each batch, and fits the
                    longest training clip
    double_every    steps after which the largest total length, at first n_frames, doubles, up to n_frames + n_warmup;
                    0: n_frames + n_warmup from the start
    single_frames   params.SingleFrames: of the first steps, whose windows are the past and one more frame; or "none"
    n_past          frames of the model's past
    drop_parts      probability that a droppable channel of the maps is blank in a window
    batch_size      windows per batch
    arrays          arrays to read, which all clips must have; None: all except depth and keypoints
    share           (rank, n): each batch holds every n-th of its windows alone, from number `rank` on; n divides their
                    number, and the shares of all ranks are the batch
    """

    def __init__(
        self,
        store: Store,
        *,
        n_frames: int,
        n_warmup: int,
        batch_size: int,
        seed: int,
        double_every: int,
        drop_parts: float,
        arrays: tuple[str, ...] | None = None,
        single_frames: Literal["none"] | SingleFrames = "none",
        n_past: int = 0,
        share: tuple[int, int] = (0, 1),
    ):
        self.store, self.n_frames, self.batch_size, self.seed = store, n_frames, batch_size, seed
        self.double_every, self.drop_parts, self.share = double_every, drop_parts, slice(share[0], None, share[1])
        self.single_frames, self.n_past = None if single_frames == "none" else single_frames, n_past
        self.droppable = [store.facts.label_names.index(name) for name in store.facts.droppable]
        clips = store.split("train")
        lengths = np.array([store.brief(key)["n_frames"] for key in clips], np.int64)
        longest = int(lengths.max(initial=0))
        if n_frames > longest:
            raise Fault(f"{store.path}: no training clip has {n_frames} frames, the schedule's n_frames")
        self.ends = Ends(clips, lengths, n_frames)
        self.n_warmup = min(n_warmup, longest - n_frames)
        available = store.brief(self.ends[0][0])["arrays"]
        if missing := set(arrays or ()) - set(available):
            raise Fault(
                f"{store.path}: its clips have no {' and no '.join(sorted(missing))}, which the model is trained on"
            )
        self.arrays = list(arrays or (name for name in available if name not in ("depth", "keypoints")))

    def batch(self, step: int) -> dict:
        """The batch of a training step: tensors (B, n_warmup + n_frames, ...), its `n_warmup`, `step`, and `single`.

        In a step on single frames `single` is True, tensors are (B, n_past + 1, ...), and `past` holds the damaged past
        (B, n_past, 3, H, W).
        """
        rng = np.random.default_rng([self.seed, step])
        single = self.single_frames if self.single_frames and step < self.single_frames.steps else None
        n_windows, longest = self.batch_size, self.n_frames + self.n_warmup
        if single:
            n_windows, n_frames = single.batch_size, self.n_past + 1
            n = n_frames
        else:
            n_frames = self.n_frames
            if self.double_every:
                longest = min(longest, n_frames * 2 ** min(step // self.double_every, 32))
            n = n_frames + int(rng.integers(longest - n_frames + 1))
        ends = self.ends.at_least(n)
        numbers = rng.integers(len(ends), size=n_windows)
        # Of single frames all are read: their damage is drawn for the whole batch.
        read = slice(None) if single else self.share
        windows = [
            to_tensors(self.store.read(key, end - n, end, self.arrays)) for key, end in (ends[i] for i in numbers[read])
        ]
        clip = {name: torch.stack([window[name] for window in windows]) for name in windows[0]}
        if self.drop_parts and self.droppable and "source" in clip:
            blank = (rng.random((n_windows, len(self.droppable))) < self.drop_parts)[read]
            clip["source"][:, :, self.droppable] *= torch.from_numpy(~blank)[:, None, :, None, None]
        if single:
            past = clip["real"][:, : self.n_past]
            damaged = disturb(past.flatten(1, 2), step, blur=single.blur, noise=single.noise, brightness=0)
            clip["past"] = damaged.view_as(past)
            clip = {name: value[self.share] for name, value in clip.items()}
        return clip | {"n_warmup": n - n_frames, "step": step, "single": single is not None}
