"""Pictures and label maps as files: read, cropped and resized alike, and the colours that labels are shown in."""

# pyright: reportArgumentType=false, reportCallIssue=false

import colorsys
import re
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from v2vbench.clips.store import IGNORE
from v2vbench.params import Fault, Size

IDS = "1", "L", "P", "I;16", "I;16B", "I"  # modes of pictures whose pixels are numbers


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Paths by the numbers in their names: 9 before 10."""
    return sorted(
        paths, key=lambda path: [(0, int(w), "") if w.isdecimal() else (1, 0, w) for w in re.split(r"(\d+)", path.name)]
    )


def read_ids(path: Path, largest: int) -> np.ndarray:
    """(H, W) int64, the numbers of a picture of one channel; raises Fault naming it if it is no such picture.

    largest    number that it may contain
    """
    try:
        with Image.open(path) as file:
            if file.mode not in IDS:
                raise Fault(f"{path}: is {file.mode}, not a picture of one channel whose pixels are ids; write ids")
            ids = np.asarray(file).astype(np.int64)
    except (OSError, SyntaxError) as error:  # PIL raises SyntaxError for a broken chunk
        raise Fault(f"{path}: {error}; write it again") from None
    if not 0 <= ids.min() <= ids.max() <= largest:
        wrong = ids.min() if ids.min() < 0 else ids.max()
        raise Fault(f"{path}: id {wrong}; ids go from 0 to {largest}")
    return ids


def read_labels(path: Path, n_labels: int = IGNORE) -> np.ndarray:
    """(H, W) uint8, the label ids of a picture, 255 where a pixel has none; raises Fault for ids of n_labels to 254."""
    ids = read_ids(path, 255).astype(np.uint8)
    known = ids[ids != IGNORE]
    if known.size and known.max() >= n_labels:
        raise Fault(f"{path}: label {known.max()} is none of 0 to {n_labels - 1} and 255")
    return ids


def read_picture(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 of a picture; raises Fault naming it if it is broken."""
    try:
        with Image.open(path) as file:
            return np.asarray(file.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise Fault(f"{path}: {error}; write it again") from None


def fit_ids(ids: np.ndarray, size: Size) -> np.ndarray:
    """Ids (H, W) cropped as `clips.video_files.fit` crops a frame, and resized by nearest pixel, to `size`."""
    H, W = ids.shape
    scale = max(size[0] / H, size[1] / W)
    cut = min(H, max(1, round(size[0] / scale))), min(W, max(1, round(size[1] / scale)))
    top, left = (H - cut[0]) // 2, (W - cut[1]) // 2
    part = np.ascontiguousarray(ids[top : top + cut[0], left : left + cut[1]])
    return cv2.resize(part, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def palette(n: int) -> tuple[tuple[int, int, int], ...]:
    """n RGB colours, of hues a golden section apart and of three brightnesses in turn."""
    colours = [colorsys.hsv_to_rgb(i * 0.618034 % 1, 0.75, (1.0, 0.72, 0.48)[i % 3]) for i in range(n)]
    return tuple((round(255 * r), round(255 * g), round(255 * b)) for r, g, b in colours)


def slugs(names: Iterable[str]) -> dict[str, str]:
    """{name: a name of letters, digits and _ . - alone}, each once: it becomes part of file names."""
    made: dict[str, str] = {}
    for name in names:
        slug = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("._-")[:60] or "video"
        taken, n = {*made.values()}, 2
        while slug in taken:
            slug, n = f"{slug.removesuffix(f'-{n - 1}')}-{n}", n + 1
        made[name] = slug
    return made
