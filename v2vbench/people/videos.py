"""The video files of a study: their names and sizes do not tell what they show, also where a zip compresses them."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from v2vbench.clips.damage import blur
from v2vbench.clips.store import Store
from v2vbench.display.mp4 import write_mp4
from v2vbench.display.palette import colour
from v2vbench.people.records import StudyVideo
from v2vbench.progress import progress

MADE = "real", "frozen", "blurred", "source"  # what no run shows
WIDTH = 384  # px, at least: smaller frames are enlarged by a whole factor, each pixel repeated
BLUR = 1 / 20  # sigma of a heavily blurred video, as a share of its width
# No B-frames, and a key frame every 8: a browser starts a loop without delay, and finds every frame fast. Without
# mbtree equal input gives equal bytes, see clips/damage.h264.
ENCODER = {"crf": "14", "preset": "medium", "bf": "0", "g": "8", "x264-params": "mbtree=0"}
BOX = 8  # bytes of the header of a box: its size and its name


@dataclass(frozen=True)
class Source:
    """Where the frames come from.

    store     of the data set
    runs      {run: its clips}
    n_cut     first frames that are not shown: those that some run was given, which tell nothing of any method
    most      frames, at most, so that a long clip of a catch is like the others
    """

    store: Store
    runs: Mapping[str, Store]
    n_cut: int
    most: int

    def n_frames(self, clip: str) -> int:
        """Frames that a video of this clip shows."""
        return min(self.store.brief(clip)["n_frames"] - self.n_cut, self.most)

    def ms(self, clip: str) -> int:
        """Length of a loop, milliseconds."""
        return round(1000 * self.n_frames(clip) / self.store.facts.fps)

    def frames(self, clip: str, shows: str) -> np.ndarray:
        """The video as it is stored, (T, H, W, 3) uint8; `shows` as in StudyVideo."""
        start, stop = self.n_cut, self.n_cut + self.n_frames(clip)
        if shows == "source":
            array = "label" if self.store.facts.source == "labels" else "maps"
            return colour(self.store.read(clip, start, stop, [array]), self.store.facts)
        if shows in self.runs:
            return self.runs[shows].read(clip, start, stop, ["fake"])["fake"]
        real = self.store.read(clip, start, stop, ["real"])["real"]
        if shows == "frozen":
            return np.repeat(real[:1], len(real), 0)
        return blur(real, BLUR * real.shape[2], None) if shows == "blurred" else real

    def size(self) -> tuple[int, int]:
        """(H, W) of every video, px."""
        return _enlarged(np.zeros((*self.store.facts.size, 3), np.uint8)).shape[:2]


def write_videos(source: Source, shown: Iterable[tuple[str, str]], folder: Path, seed: int) -> dict[str, StudyVideo]:
    """Write a file for each (clip, what it shows) to `folder`; all have the same size in bytes.

    seed       of the names and of what files are padded with
    returns    {name: StudyVideo}, names without .mp4
    """
    shown = sorted(set(shown))
    names = _names(len(shown), seed)
    written, fps = {}, source.store.facts.fps
    by_name = sorted(zip(names, shown))  # so that times of files tell nothing either
    for name, (clip, shows) in progress(by_name, "study videos", unit="video"):
        frames = source.frames(clip, shows)
        write_mp4(folder / f"{name}.mp4", map(_enlarged, frames), fps, **ENCODER)
        sha256 = source.runs[shows].clips[clip]["sha256"] if shows in source.runs else None
        written[name] = clip, shows, sha256
    pad([folder / f"{name}.mp4" for name in written], seed)
    return {
        name: StudyVideo(
            clip=clip,
            shows=shows,
            sha256=sha256,
            file_sha256=hashlib.sha256((folder / f"{name}.mp4").read_bytes()).hexdigest(),
            ms=source.ms(clip),
        )
        for name, (clip, shows, sha256) in written.items()
    }


def pad(files: list[Path], seed: int) -> None:
    """Lengthen MP4 files to one size by a box `free` at the end, which players skip; each gets one, of random bytes."""
    rng = np.random.default_rng([seed, 2])  # zeros would be compressed by a zip, whose sizes would tell
    size = max(file.stat().st_size for file in files) + BOX
    for file in files:
        n = size - file.stat().st_size
        with open(file, "ab") as out:
            out.write(n.to_bytes(4, "big") + b"free" + rng.bytes(n - BOX))
            out.flush()
            os.fsync(out.fileno())


def _names(n: int, seed: int) -> list[str]:
    """n different names of 12 hexadecimal digits."""
    rng, names = np.random.default_rng([seed, 1]), {}  # a stream apart from that of the design
    while len(names) < n:
        names[rng.bytes(6).hex()] = None
    return list(names)


def _enlarged(frame: np.ndarray) -> np.ndarray:
    """A frame at least WIDTH px wide, by a whole factor; odd sides grow by a pixel, which H.264 needs."""
    factor = -(-WIDTH // frame.shape[1])
    large = frame.repeat(factor, 0).repeat(factor, 1)
    return np.pad(large, [(0, side % 2) for side in large.shape[:2]] + [(0, 0)], mode="edge")
