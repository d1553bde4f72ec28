"""Ladders: real frames damaged by increasing levels, which show what the numbers of a metric mean.

A ladder is one kind of damage: a function (frames, level, rng) -> frames, both uint8 (T, H, W, 3), RGB, of the same
shape, with the decorator `ladder`, which adds it to LADDERS. The type of `level` is its range. Everything else, such as
how smooth a warp is, is fixed in the function. Damages that only reorder or repeat frames return bit-equal copies, so
cached features of these frames can be reused.
"""

# pyright: reportOptionalSubscript=false

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
SMOOTH = 1 / 8  # standard deviation of the filter that smooths a warp's displacements, as a share of the shorter side


@dataclass(frozen=True)
class Ladder:
    """One kind of damage.

    title      in tables
    unit       of a level; a format string, the level replaces the braces
    kind       space: all frames look equally worse; time: whole frames at the wrong time; both
    neutral    the level that would change nothing; None: there is none, and lower levels are worse
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
    """Decorator that adds a function of this file to LADDERS; see Ladder."""

    def register(damage: Callable) -> Callable:
        LADDERS[damage.__name__] = Ladder(title, unit, kind, neutral, damage)
        return damage

    return register


@ladder("blur", "σ {} px", "space", neutral=0)
def blur(frames: np.ndarray, level: Annotated[float, Range(0.1, 64)], rng) -> np.ndarray:
    """Gaussian blur of each frame, standard deviation `level` px, cut at 4 standard deviations, edges mirrored."""
    return to_uint8(gaussian_filter(frames.astype(np.float32), level, axes=(1, 2)))


@ladder("noise", "σ {} grey levels", "both", neutral=0)
def noise(frames: np.ndarray, level: Grey, rng) -> np.ndarray:
    """Independent Gaussian noise of standard deviation `level` in every pixel, channel and frame."""
    return np.stack([to_uint8(frame + level * rng.standard_normal(frame.shape)) for frame in frames])


@ladder("JPEG", "quality {}", "space", neutral=None)
def jpeg(frames: np.ndarray, level: Annotated[int, Range(1, 100)], rng) -> np.ndarray:
    """Each frame compressed as JPEG of quality `level` (libjpeg's scale) by OpenCV, with 4:2:0 chroma subsampling."""
    how = [cv2.IMWRITE_JPEG_QUALITY, level, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    files = [cv2.imencode(".jpg", frame[..., ::-1], how)[1] for frame in frames]  # OpenCV's order is BGR
    return np.stack([cv2.imdecode(file, cv2.IMREAD_COLOR)[..., ::-1] for file in files])


@ladder("H.264", "crf {}", "space", neutral=0)
def h264(frames: np.ndarray, level: Annotated[float, Range(1, 51)], rng) -> np.ndarray:
    """The clip compressed by x264 at constant rate factor `level`, preset medium; yuv444p, BT.709, full range.

    yuv444p allows odd frame sizes. One thread and `mbtree=0` make the result reproducible: x264's macroblock tree reads
    uninitialised memory if a row is no multiple of 128 px, and about one encoding in a hundred then differs (measured
    at widths of 80 and 96 px, libx264 of PyAV).
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
    decoded = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]  # None flushes the decoder
    return np.stack(
        [
            frame.reformat(format="rgb24", src_colorspace="ITU709", src_color_range="JPEG").to_ndarray()
            for frame in decoded
        ]
    )


@ladder("colour shift", "{} grey levels", "space", neutral=0)
def colour(frames: np.ndarray, level: Grey, rng) -> np.ndarray:
    """A warm colour cast: red plus `level` and blue minus `level`, the same in all frames."""
    return to_uint8(frames + level * np.array([1, 0, -1], np.float32))


@ladder("warp, the same in all frames", "σ {} px", "space", neutral=0)
def warp_space(frames: np.ndarray, level: Annotated[float, Range(0.1, 64)], rng) -> np.ndarray:
    """All frames warped by the same random displacement field; bilinear, edges repeated.

    The field is smoothed by a Gaussian of 1/8 of the shorter side; its root mean square is `level` px in x and in y.
    """
    return _bent(frames, _field(frames, level, rng).expand(len(frames), -1, -1, -1))


@ladder("warp, another in each frame", "σ {} px", "both", neutral=0)
def warp_space_time(frames: np.ndarray, level: Annotated[float, Range(0.1, 64)], rng) -> np.ndarray:
    """As `warp_space`, but with a different field for each frame: single frames look the same, and the video shakes.

    source    both damages: Ge et al. 2024, "On the content bias in Fréchet video distance"
    """
    return _bent(frames, torch.cat([_field(frames, level, rng) for _ in frames]))


@ladder("flicker", "σ {} grey levels", "both", neutral=0)
def flicker(frames: np.ndarray, level: Grey, rng) -> np.ndarray:
    """The brightness of each whole frame changed by a normal draw of standard deviation `level`."""
    return np.stack([to_uint8(frame + np.float32(level * rng.standard_normal())) for frame in frames])


@ladder("shuffle", "in blocks of {} frames", "time", neutral=1)
def shuffle(frames: np.ndarray, level: Several, rng) -> np.ndarray:
    """Each block of `level` frames in a random order in which no frame stays in place; the last may be shorter."""
    order = np.arange(len(frames))
    for start in range(0, len(frames), level):
        cycle = rng.permutation(order[start : start + level])
        order[cycle] = np.roll(cycle, 1)
    return frames[order]


@ladder("freeze", "for {} frames", "time", neutral=1)
def freeze(frames: np.ndarray, level: Several, rng) -> np.ndarray:
    """Each block of `level` frames replaced by copies of its first frame."""
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
    """`level` times faster: frame t shows frame ⌊t · level⌋, played back and forth at the clip's ends."""
    last = len(frames) - 1
    return frames[last - np.abs(last - (np.arange(len(frames)) * level).astype(int) % max(2 * last, 1))]


@ladder("shown late", "by {} frames", "time", neutral=0)
def late(frames: np.ndarray, level: Count, rng) -> np.ndarray:
    """Delayed by `level` frames: the first frame is repeated at the start, and the clip's end is not reached."""
    return frames[np.maximum(np.arange(len(frames)) - level, 0)]


def to_uint8(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _field(frames: np.ndarray, level: float, rng) -> torch.Tensor:
    """A smooth random displacement field, (1, 2, H, W) px; the frame's edges move too."""
    height, width = frames.shape[1:3]
    field = gaussian_filter(rng.standard_normal((2, height, width)), SMOOTH * min(height, width), axes=(1, 2))
    return torch.from_numpy(level * field / np.sqrt((field**2).mean((1, 2), keepdims=True)))[None]


def _bent(frames: np.ndarray, field: torch.Tensor) -> np.ndarray:
    return to_uint8(
        warp(torch.from_numpy(frames.astype(np.float32)).permute(0, 3, 1, 2), field).permute(0, 2, 3, 1).numpy()
    )


def damaged(frames: np.ndarray, ladder: str, level: float, clip: str, seed: int) -> np.ndarray:
    """A clip at one level of a ladder; level 0 is the undamaged clip.

    frames     (T, H, W, 3) uint8
    clip       name of the clip; it seeds the random draws, together with `seed` and the ladder's name. All levels of a
               ladder scale the same draws, so only the level differs between them
    returns    as `frames`
    """
    if level == 0:
        return frames
    words = hashlib.sha256(f"{seed} {ladder} {clip}".encode()).digest()
    return LADDERS[ladder].damage(frames, level, np.random.default_rng(np.frombuffer(words, "<u4")))
