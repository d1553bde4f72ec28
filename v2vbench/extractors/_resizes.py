"""Frames resized to what a network takes. The policies must not be mixed: each gives another FID of the same frames."""

import functools
import math
from collections.abc import Callable

import cv2
import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

VERSION = 1  # of the arithmetic below; a change of it must make every cached feature stale


def resize(frames: np.ndarray, policy: str, px: int) -> torch.Tensor:
    """Squash frames to a square by the policy of that name; `short-side-crop` alone keeps their proportions and cuts.

    frames     (T, H, W, 3) uint8
    policy     a name in POLICIES
    px         side of the square
    returns    (T, 3, px, px) float32 on 0..255, never rounded; channels last in memory. A frame's pixels depend on no
               other's
    raises     ValueError for a policy there is none of, and for frames that are not such
    """
    if policy not in POLICIES:
        raise ValueError(f"no resize {policy!r}; there are {', '.join(POLICIES)}")
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape[1:3]:
        raise ValueError(f"frames are {frames.dtype} {frames.shape}; a resize takes uint8 (T, H, W, 3)")
    resized = torch.empty(len(frames), px, px, 3)
    for frame, to in zip(frames, resized):
        to.copy_(POLICIES[policy](np.ascontiguousarray(frame), px))
    return resized.permute(0, 3, 1, 2)


def tensorflow(frame: np.ndarray, px: int) -> torch.Tensor:
    """Bilinear without antialias as TensorFlow 1 has it: pixel i lies at i * size / px, so all shifts up and left.

    source    tensorflow/core/kernels/image_resizer_state.h, with neither align_corners nor half_pixel_centers;
              torch-fidelity's `slow`
    """
    (top, bottom, down), (left, right, across) = (_neighbours(size, px) for size in frame.shape[:2])
    pixels = cv2.cvtColor(frame, cv2.COLOR_RGB2RGBA).view(np.uint32)[..., 0]  # a pixel is one word: quick to gather

    def row(at: np.ndarray) -> torch.Tensor:
        line = pixels[at]
        one, two = (torch.from_numpy(line.take(x, 1).view(np.uint8).reshape(px, px, 4)).float() for x in (left, right))
        return two.sub_(one).mul_(across[:, None]).add_(one)  # (px, px, 4)

    upper = row(top)
    return row(bottom).sub_(upper).mul_(down[:, None, None]).add_(upper)[..., :3]


@functools.lru_cache(64)
def _neighbours(size: int, px: int) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    """The two pixels of a line that TensorFlow mixes for each of px, and the share of the second, all (px,)."""
    place = np.arange(px, dtype=np.float32) * np.float32(size / px)
    low = place.astype(np.int64)
    return low, np.minimum(low + 1, size - 1), torch.from_numpy(place - low.astype(np.float32))


def pil_bicubic(frame: np.ndarray, px: int) -> torch.Tensor:
    """Pillow's bicubic with antialias, of each channel as floats, then clipped to 0..255: clean-fid's `clean`.

    source    Parmar et al. 2022; cleanfid/resize.py
    """
    channels = (
        Image.fromarray(frame[..., i].astype(np.float32)).resize((px, px), Image.Resampling.BICUBIC) for i in range(3)
    )
    return torch.from_numpy(np.stack([np.asarray(channel) for channel in channels], 2)).clamp_(0, 255)


def torch_bilinear(frame: np.ndarray, px: int) -> torch.Tensor:
    """PyTorch's bilinear without antialias: of a frame much larger than px it skips pixels. Used by pytorch-fid."""
    return _interpolated(frame, (px, px), antialias=False)


def bilinear_antialias(frame: np.ndarray, px: int) -> torch.Tensor:
    """PyTorch's bilinear with antialias: the mean of the pixels under one of the result; torchmetrics' since 1.8."""
    return _interpolated(frame, (px, px), antialias=True)


def torch_bicubic(frame: np.ndarray, px: int) -> torch.Tensor:
    """PyTorch's bicubic without antialias, which may leave 0..255 at edges and is not clipped. Used by cmmd-pytorch."""
    return _interpolated(frame, (px, px), antialias=False, mode="bicubic")


def short_side_crop(frame: np.ndarray, px: int) -> torch.Tensor:
    """PyTorch's bilinear without antialias until the short side has px, then px of the middle of the long one.

    source    `preprocess_single` of VideoGPT's and of JunyaoHu's FVD: the long side is rounded up, an odd rest goes to
              its end
    """
    height, width = frame.shape[:2]
    scale = px / min(height, width)
    size = (px, math.ceil(width * scale)) if height < width else (math.ceil(height * scale), px)
    y, x = (size[0] - px) // 2, (size[1] - px) // 2
    return _interpolated(frame, size, antialias=False)[y : y + px, x : x + px]


def _interpolated(frame: np.ndarray, size: tuple[int, int], antialias: bool, mode: str = "bilinear") -> torch.Tensor:
    """(H, W, 3) uint8 to (*size, 3) float32."""
    image = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
    return F.interpolate(image, size, mode=mode, align_corners=False, antialias=antialias)[0].permute(1, 2, 0)


POLICIES: dict[str, Callable[[np.ndarray, int], torch.Tensor]] = {
    "tf": tensorflow,
    "torch-bilinear": torch_bilinear,
    "torch-bicubic": torch_bicubic,
    "pil-bicubic": pil_bicubic,
    "bilinear-antialias": bilinear_antialias,
    "torch-antialias": bilinear_antialias,
    "short-side-crop": short_side_crop,
}
