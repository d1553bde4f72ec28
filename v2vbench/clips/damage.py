"""Real frames made worse, a little or a lot: what a metric makes of them says what its numbers mean.

A ladder is one kind of damage by degrees: a function (frames, level, rng) -> frames, uint8 (T, H, W, 3), RGB, of the shape
that went in, under the decorator `ladder`, which puts it into LADDERS. The level's type is its range. What a level does not
say, such as how smooth a warp is, belongs to the damage's definition. Where frames change places or are held they are
bit-equal to frames that went in, so that no network needs to see them again.
"""

import hashlib
import typing
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal

import av
import cv2
import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from v2vbench.clips.flow import warp
from v2vbench.params import Count, Range

Grey = Annotated[float, Range(0.1, 255)]  # levels of 255
Times = Annotated[float, Range(1.01, 100)]
Several = Annotated[int, Range(2)]  # frames
SMOOTH = 1 / 8  # standard deviation of the filter that smooths a warp's displacements, in shorter sides of the frame


@dataclass(frozen=True)
class Ladder:
    """One kind of damage.

    title      in tables
    unit       of a level, which stands in the braces
    kind       space: looks worse in all frames alike; time: whole frames at the wrong time; both
    neutral    the level that would do nothing; None: there is none, and a lower level is worse
    damage     the function
    """

    title: str
    unit: str
    kind: Literal["space", "time", "both"]
    neutral: float | None
    damage: Callable

    @property
    def levels(self):
        """The type of its level, with its range."""
        return typing.get_type_hints(self.damage, include_extras=True)["level"]


LADDERS: dict[str, Ladder] = {}  # by the name of the function, in the order of this file


def ladder(title: str, unit: str, kind: Literal["space", "time", "both"], *, neutral: float | None) -> Callable:
    """Puts a function of this file into LADDERS; see Ladder."""

    def register(damage: Callable) -> Callable:
        LADDERS[damage.__name__] = Ladder(title, unit, kind, neutral, damage)
        return damage

    return register


@ladder("blur", "σ {} px", "space", neutral=0)
def blur(frames: np.ndarray, level: Annotated[float, Range(0.1, 64)], rng) -> np.ndarray:
    """Each frame under a Gaussian of standard deviation `level` px, cut at 4 of them, edges mirrored."""
    return to_uint8(gaussian_filter(frames.astype(np.float32), level, axes=(1, 2)))


@ladder("noise", "σ {} grey levels", "both", neutral=0)
def noise(frames: np.ndarray, level: Grey, rng) -> np.ndarray:
    """Gaussian noise of standard deviation `level` in each pixel and channel, another in each frame."""
    return np.stack([to_uint8(frame + level * rng.standard_normal(frame.shape)) for frame in frames])


@ladder("JPEG", "quality {}", "space", neutral=None)
def jpeg(frames: np.ndarray, level: Annotated[int, Range(1, 100)], rng) -> np.ndarray:
    """Each frame through JPEG of quality `level`, libjpeg's scale, by OpenCV; colours at half size (4:2:0)."""
    how = [cv2.IMWRITE_JPEG_QUALITY, level, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    files = [cv2.imencode(".jpg", frame[..., ::-1], how)[1] for frame in frames]  # OpenCV's order is BGR
    return np.stack([cv2.imdecode(file, cv2.IMREAD_COLOR)[..., ::-1] for file in files])


@ladder("H.264", "crf {}", "space", neutral=0)
def h264(frames: np.ndarray, level: Annotated[float, Range(1, 51)], rng) -> np.ndarray:
    """The clip through x264, preset medium at constant rate factor `level`, one thread, `mbtree=0`; yuv444p, BT.709,
    full range.

    yuv444p takes frames of odd sizes. The macroblock tree reads memory it has not written where a row is no multiple of
    128 px, and about one encoding in a hundred is then another (measured; widths of 80 and 96 px, libx264 of PyAV).
    """
    encoder, decoder = av.CodecContext.create("libx264", "w"), av.CodecContext.create("h264", "r")
    encoder.height, encoder.width, encoder.pix_fmt = *frames.shape[1:3], "yuv444p"
    encoder.framerate, encoder.time_base = Fraction(25), Fraction(1, 25)
    encoder.options = {"crf": f"{level:g}", "preset": "medium", "threads": "1", "x264-params": "mbtree=0"}
    packets = []
    for number, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
        frame = frame.reformat(format="yuv444p", dst_colorspace="ITU709", dst_color_range="JPEG")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoded = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]  # None: those held back
    return np.stack(
        [
            frame.reformat(format="rgb24", src_colorspace="ITU709", src_color_range="JPEG").to_ndarray()
            for frame in decoded
        ]
    )


@ladder("colour shift", "{} grey levels", "space", neutral=0)
def colour(frames: np.ndarray, level: Grey, rng) -> np.ndarray:
    """A warm cast: red `level` up and blue `level` down, in all frames alike."""
    return to_uint8(frames + level * np.array([1, 0, -1], np.float32))


@ladder("warp, the same in all frames", "σ {} px", "space", neutral=0)
def warp_space(frames: np.ndarray, level: Annotated[float, Range(0.1, 64)], rng) -> np.ndarray:
    """Bent by one random field of displacements, the same for all frames: Gaussian-smoothed over 1/8 of the shorter side,
    root mean square `level` px in x and in y; bilinear, edges repeated."""
    return _bent(frames, _field(frames, level, rng).expand(len(frames), -1, -1, -1))


@ladder("warp, another in each frame", "σ {} px", "both", neutral=0)
def warp_space_time(frames: np.ndarray, level: Annotated[float, Range(0.1, 64)], rng) -> np.ndarray:
    """As `warp_space`, by another field in each frame: single frames look as good, and the video shakes
    (Ge et al. 2024).

    source    both are of Ge et al. 2024, "On the content bias in Fréchet video distance"
    """
    return _bent(frames, torch.cat([_field(frames, level, rng) for _ in frames]))


@ladder("flicker", "σ {} grey levels", "both", neutral=0)
def flicker(frames: np.ndarray, level: Grey, rng) -> np.ndarray:
    """Each frame brighter or darker as a whole, by normal draws of standard deviation `level`."""
    return np.stack([to_uint8(frame + np.float32(level * rng.standard_normal())) for frame in frames])


@ladder("shuffle", "in blocks of {} frames", "time", neutral=1)
def shuffle(frames: np.ndarray, level: Several, rng) -> np.ndarray:
    """The frames of each block of `level` in a random order in which none is in its place; the last block may be shorter."""
    order = np.arange(len(frames))
    for start in range(0, len(frames), level):
        cycle = rng.permutation(order[start : start + level])
        order[cycle] = np.roll(cycle, 1)
    return frames[order]


@ladder("freeze", "for {} frames", "time", neutral=1)
def freeze(frames: np.ndarray, level: Several, rng) -> np.ndarray:
    """The first of every `level` frames in the place of the others."""
    at = np.arange(len(frames))
    return frames[at - at % level]


@ladder("drop", "of one frame in {}", "time", neutral=None)
def drop(frames: np.ndarray, level: Several, rng) -> np.ndarray:
    """Every `level`-th frame replaced by the one before it."""
    at = np.arange(len(frames))
    return frames[at - (at % level == level - 1)]


@ladder("slow motion", "{} times", "time", neutral=1)
def slow(frames: np.ndarray, level: Times, rng) -> np.ndarray:
    """`level` times slower: frame t shows frame ⌊t / level⌋; the clip's end is not reached."""
    return frames[(np.arange(len(frames)) / level).astype(int)]


@ladder("fast motion", "{} times", "time", neutral=1)
def fast(frames: np.ndarray, level: Times, rng) -> np.ndarray:
    """`level` times faster: frame t shows frame ⌊t · level⌋; at the clip's end it turns back, and forth at its start."""
    last = len(frames) - 1
    return frames[last - np.abs(last - (np.arange(len(frames)) * level).astype(int) % max(2 * last, 1))]


@ladder("shown late", "by {} frames", "time", neutral=0)
def late(frames: np.ndarray, level: Count, rng) -> np.ndarray:
    """Each frame `level` frames late, the first one until then; the clip's end is not reached."""
    return frames[np.maximum(np.arange(len(frames)) - level, 0)]


def to_uint8(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _field(frames: np.ndarray, level: float, rng) -> torch.Tensor:
    """(1, 2, H, W) px, smooth, edges of the frame moved too."""
    height, width = frames.shape[1:3]
    field = gaussian_filter(rng.standard_normal((2, height, width)), SMOOTH * min(height, width), axes=(1, 2))
    return torch.from_numpy(level * field / np.sqrt((field**2).mean((1, 2), keepdims=True)))[None]


def _bent(frames: np.ndarray, field: torch.Tensor) -> np.ndarray:
    return to_uint8(
        warp(torch.from_numpy(frames.astype(np.float32)).permute(0, 3, 1, 2), field).permute(0, 2, 3, 1).numpy()
    )


def damaged(frames: np.ndarray, ladder: str, level: float, clip: str, seed: int) -> np.ndarray:
    """A clip at one level of a ladder; level 0 is the clip itself.

    frames    (T, H, W, 3) uint8
    clip      its name; with `seed` and the ladder's name it seeds what is drawn. All levels of a ladder make of the same draws more
              or less, so that between them nothing but the level differs
    returns   as `frames`
    """
    if level == 0:
        return frames
    words = hashlib.sha256(f"{seed} {ladder} {clip}".encode()).digest()
    return LADDERS[ladder].damage(frames, level, np.random.default_rng(np.frombuffer(words, "<u4")))
