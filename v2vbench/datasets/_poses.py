"""Poses of a person: OpenPose's keypoints, read from its files, and the maps that are the source of a video."""

# pyright: reportCallIssue=false

import json
from itertools import pairwise
from pathlib import Path

import numpy as np

from v2vbench.params import Fault

# A pose is (137, 3): x, y in px and confidence, of the body (BODY_25), the face, the left hand and the right hand.
ARRAYS = {"pose_keypoints_2d": 25, "face_keypoints_2d": 70, "hand_left_keypoints_2d": 21, "hand_right_keypoints_2d": 21}
N_BODY, FACE, LEFT_HAND, RIGHT_HAND = 25, 25, 95, 116  # points of the body; first index of each other part
N_POINTS = sum(ARRAYS.values())
FARTHEST = 1e5  # px; points farther away are not drawn


def _from(first: int, *lines: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(first + i for i in line) for line in lines)


FINGERS = tuple((0, *range(i, i + 4)) for i in range(1, 21, 4))  # from the wrist to each tip
PARTS = {  # lines through points; one channel of the maps for each part
    "head": ((1, 0, 15, 17), (0, 16, 18)),
    "torso": ((2, 1, 5), (1, 8), (9, 8, 12)),
    "right arm": ((2, 3, 4),),
    "left arm": ((5, 6, 7),),
    "right leg": ((9, 10, 11, 22, 23), (11, 24)),
    "left leg": ((12, 13, 14, 19, 20), (14, 21)),
    "right hand": _from(RIGHT_HAND, *FINGERS),
    "left hand": _from(LEFT_HAND, *FINGERS),
    "face": _from(
        FACE,
        tuple(range(17)),
        tuple(range(17, 22)),
        tuple(range(22, 27)),
        tuple(range(27, 31)),
        tuple(range(31, 36)),
        (*range(36, 42), 36),
        (*range(42, 48), 42),
        (*range(48, 60), 48),
        (*range(60, 68), 60),
    ),
}
CHANNELS = ("part", "u", "v", *PARTS)
COLOURS = (
    (70, 70, 80),
    (60, 60, 110),
    (60, 100, 60),
    (240, 240, 240),
    (240, 228, 66),
    (213, 94, 0),
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
)
N_SURFACES = 24  # DensePose's parts of the body's surface are 1 to 24; 0 is background
FINE = 4  # lines are drawn this much larger, then averaged, since a limb moves by less than a pixel


def read(path: Path) -> np.ndarray:
    """The pose of the tallest person in a file of OpenPose, by the height of the detected body points.

    returns    (137, 3) float64: x, y in px of the frame, confidence; zeros if OpenPose ran without hands or face
    raises     Fault if the file is missing, malformed, or has no person
    """
    try:
        people = json.loads(Path(path).read_text(encoding="utf-8"))["people"]
        poses = [np.concatenate([_points(person, name, n) for name, n in ARRAYS.items()]) for person in people]
    except OSError as error:
        raise Fault(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise Fault(f"{path}: not OpenPose's JSON of BODY_25 ({what}); write it again") from None
    heights = [np.ptp(found[:, 1]) if len(found := pose[:N_BODY][pose[:N_BODY, 2] > 0]) else -1 for pose in poses]
    if max(heights, default=-1) < 0:
        raise Fault(f"{path}: holds no person; leave the frame out, its image and its DensePose with it")
    return poses[int(np.argmax(heights))]


def _points(person: dict, name: str, n: int) -> np.ndarray:
    """One array of a person, (n, 3); raises ValueError."""
    values = np.asarray(person[name] if n == N_BODY else person.get(name, []), np.float64)
    if values.size == 0 and n != N_BODY:
        return np.zeros((n, 3))
    if values.shape != (3 * n,) or not (np.abs(values) < FARTHEST).all():
        raise ValueError(f"{name}: expected {3 * n} numbers nearer than {FARTHEST:.0e} px, got {values.size}")
    return values.reshape(n, 3)


def draw(pose: np.ndarray, *, size: tuple[int, int], line_width: float, threshold: float) -> np.ndarray:
    """Each part of a pose in a separate channel, so that each can be blanked without the others.

    pose          (137, 3): x, y in px, confidence
    size          H, W in px
    line_width    px; ends are round
    threshold     of confidence; a line is drawn if both its ends reach it
    returns       (H, W, len(PARTS)) uint8: the share of a pixel that lines cover, 255 = all
    """
    (H, W), channels = size, []
    sure = pose[:, 2] >= max(threshold, 1e-6)  # 0: not detected by OpenPose
    for lines in PARTS.values():
        pen = np.zeros((FINE * H, FINE * W), np.float32)
        for a, b in (pair for line in lines for pair in pairwise(line)):
            if sure[a] and sure[b]:
                _line(pen, *(pose[[a, b], :2] * FINE + (FINE - 1) / 2), line_width * FINE / 2)
        channels.append(pen.reshape(H, FINE, W, FINE).mean((1, 3)) * 255)
    return np.rint(np.stack(channels, -1)).astype(np.uint8)


def _line(pen: np.ndarray, a: np.ndarray, b: np.ndarray, radius: float) -> None:
    """Set to 1 the pixels of `pen` (H, W) whose centres are within `radius` of the line from a to b, all in px."""
    low, high = np.floor(np.minimum(a, b) - radius), np.ceil(np.maximum(a, b) + radius) + 1
    (left, top), (right, bottom) = (end.clip(0, pen.shape[::-1]).astype(int) for end in (low, high))
    away = np.stack(np.meshgrid(np.arange(left, right), np.arange(top, bottom)), -1) - a
    share = (away @ (b - a) / max(((b - a) ** 2).sum(), 1e-12)).clip(0, 1)
    pen[top:bottom, left:right][((away - share[..., None] * (b - a)) ** 2).sum(-1) <= radius**2] = 1


def encode(surface: np.ndarray, pose: np.ndarray, *, line_width: float, threshold: float) -> np.ndarray:
    """The maps of a frame, as in CHANNELS: DensePose's three, with part ids scaled to 0..255, then those of `draw`.

    surface    (H, W, 3) uint8: part id 0..24, u, v; zeros where there is none
    returns    (H, W, 3 + len(PARTS)) uint8
    """
    ids = np.rint(surface[..., :1] * (255 / N_SURFACES)).astype(np.uint8)
    lines = draw(pose, size=surface.shape[:2], line_width=line_width, threshold=threshold)
    return np.concatenate([ids, surface[..., 1:], lines], -1)
