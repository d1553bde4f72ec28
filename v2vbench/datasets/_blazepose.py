"""The pose of the largest person in every frame, by BlazePose's two networks, as body keypoints of OpenPose."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from v2vbench.datasets import _poses
from v2vbench.params import Fault
from v2vbench.progress import progress

# Bazarevsky et al. 2020, "BlazePose: On-device real-time body pose tracking", and the model cards of the two networks.
# {file in the package mediapipe: sha256 of that in mediapipe 0.10.14}
DETECTOR, LANDMARKER = "pose_detection/pose_detection.tflite", "pose_landmark/pose_landmark_full.tflite"
FILES = {
    DETECTOR: "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    LANDMARKER: "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
}
MODULES = {"ai-edge-litert": "ai_edge_litert", "mediapipe": "mediapipe"}
INSTALL = "pip install ai-edge-litert && pip install --no-deps mediapipe==0.10.14"
DETECTOR_PX, LANDMARKER_PX = 224, 256  # sides of the networks' square inputs
GRIDS = {8: 2, 16: 2, 32: 6}  # {px from one anchor to the next: boxes at each}
SURE = 0.5  # scores and confidences from here on are of a person, or of a point that is seen
SAME = 0.3  # boxes that overlap by this share of their union are of the same person
MARGIN = 1.25  # side of the square that is looked at, over the diameter of the circle around a body
REACH = 3  # cells around a point in which its heat counts
N_FRAMES = 5  # whose squares a frame is looked at in

# The marks that each of BODY_25's points is the mean of, left and right as seen by the person: of the feet, only a
# big toe and the heel; no small toe.
OF_MARKS = "0 11+12 12 14 16 11 13 15 23+24 24 26 28 23 25 27 5 2 8 7 31 - 29 32 - 30"
BODY = tuple([int(mark) for mark in point.split("+") if mark != "-"] for point in OF_MARKS.split())
PARTS = tuple(part for part, lines in _poses.PARTS.items() if max(map(max, lines)) < _poses.N_BODY)
COLOURS = _poses.COLOURS[len(_poses.CHANNELS) - len(_poses.PARTS) :][: len(PARTS)]


def poses(frames: np.ndarray) -> np.ndarray:
    """The pose of every frame, by a detector of persons and a network that marks the points of one.

    The marks depend on the square in which they are looked for, and the detector's jumps from frame to frame. So a
    frame's marks are the mean over the squares of five frames. On carphone, 144 px high, this reduces the mean second
    difference in time of nose and shoulders from 1.9 to 1.1 px.

    frames     (T, H, W, 3) uint8
    returns    (T, 25, 3) float64: x, y in px, confidence in 0..1, of BODY_25; the confidence is 0 outside the frame,
               and all is in a frame without a person
    raises     Fault without the networks
    """
    detector, landmarker = (_Network(path) for path in files())
    circles = np.full((len(frames), 2, 2), np.nan)
    for t, frame in enumerate(progress(frames, "find persons", unit="frame")):
        circles[t] = detect(detector, frame)
    out = np.zeros((len(frames), _poses.N_BODY, 3))
    for t, frame in enumerate(progress(frames, "find poses", unit="frame")):
        looks = [look(landmarker, frame, circle) for circle in around(circles, t)]
        if marks := [points for points, score in looks if score >= SURE]:
            out[t] = body(np.mean(marks, axis=0))
    H, W = frames.shape[1:3]
    out[((out[..., :2] < -0.5) | (out[..., :2] > (W - 0.5, H - 0.5))).any(-1), 2] = 0
    return out


def around(circles: np.ndarray, t: int) -> np.ndarray:
    """The circles (n, 2, 2) of five frames around frame t that are of the same person, from all (T, 2, 2) or NaN."""
    near = circles[max(0, t - N_FRAMES // 2) : t + N_FRAMES // 2 + 1]
    near = near[np.isfinite(near).all((1, 2))]
    if not len(near):
        return near
    centre, top = np.median(near, axis=0)
    return near[np.linalg.norm(near[:, 0] - centre, axis=-1) <= np.linalg.norm(top - centre) / 2]


def files() -> list[Path]:
    """The files of the detector and the landmark network; raises Fault saying what is missing."""
    homes = {package: find_spec(module) for package, module in MODULES.items()}  # which imports neither
    if missing := [package for package, home in homes.items() if home is None]:
        raise Fault(f"poses need {' and '.join(missing)}: {INSTALL}")
    home = next(iter(homes["mediapipe"].submodule_search_locations or [""]))  # pyright: ignore[reportOptionalMemberAccess]
    paths = [Path(home, "modules", name) for name in FILES]
    for path, sha256 in zip(paths, FILES.values()):
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise Fault(f"{path}: not the network of mediapipe 0.10.14: {INSTALL}")
    return paths


class _Network:
    """A tflite file on one core, so that its results do not depend on how many there are."""

    def __init__(self, path: Path):
        from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingImports]

        self.net = Interpreter(model_path=str(path), num_threads=1)
        self.net.allocate_tensors()

    def __call__(self, picture: np.ndarray) -> list[np.ndarray]:
        """All outputs for a picture (H, W, 3), float32, each without its batch axis."""
        self.net.set_tensor(self.net.get_input_details()[0]["index"], picture[None].astype(np.float32))
        self.net.invoke()
        return [self.net.get_tensor(output["index"])[0] for output in self.net.get_output_details()]


def anchors() -> np.ndarray:
    """The centres that the detector's boxes are relative to, (2254, 2): x, y on 0..1, row after row of each grid."""
    out = []
    for step, n in GRIDS.items():
        ticks = (np.arange(DETECTOR_PX // step) + 0.5) * step / DETECTOR_PX
        out.append(np.repeat(np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2), n, 0))
    return np.concatenate(out)


def decode(raw: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The detector's outputs as boxes.

    raw        (2254, 12): x, y of a box's centre from its anchor, width, height, then x, y of four points from it, px
    logits     (2254, 1)
    returns    (2254, 6, 2): centre, width and height, points, on 0..1 of the picture; scores (2254,)
    """
    boxes = raw.reshape(-1, 6, 2).astype(np.float64) / DETECTOR_PX
    boxes[:, [0, 2, 3, 4, 5]] += anchors()[:, None]
    return boxes, _sigmoid(logits[:, 0])


def person(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray | None:
    """The mean of the boxes of the largest person, weighted by their scores, (6, 2); None without a person.

    The detector's boxes are all about as large, so it is the circle around the body that tells who is largest.
    """
    boxes, scores = boxes[scores >= SURE], scores[scores >= SURE]
    if not len(boxes):
        return None
    low, high = (boxes[:, 0] + sign * boxes[:, 1] / 2 for sign in (-1, 1))
    one = int(np.linalg.norm(boxes[:, 3] - boxes[:, 2], axis=-1).argmax())
    shared = (np.minimum(high, high[one]) - np.maximum(low, low[one])).clip(0).prod(-1)
    area = boxes[:, 1].prod(-1)
    same = shared >= SAME * (area + area[one] - shared)
    return np.average(boxes[same], axis=0, weights=scores[same])


def detect(detector: _Network, frame: np.ndarray) -> np.ndarray:
    """The circle around the largest person: the middle of the hips, and the point above it; (2, 2) px, NaN if none."""
    H, W, _ = frame.shape
    middle = np.array([W, H]) / 2 - 0.5
    whole = square(middle, middle - (0, max(H, W) / 2))
    box = person(*decode(*detector(crop(frame, whole, DETECTOR_PX) / 127.5 - 1)))
    return np.full((2, 2), np.nan) if box is None else place(box[2:4], whole)


def look(landmarker: _Network, frame: np.ndarray, circle: np.ndarray) -> tuple[np.ndarray, float]:
    """The marks in the square around a circle.

    circle     (2, 2) px: centre, and the point above it, in the direction of the head
    returns    (39, 3) float64: x, y in px, confidence in 0..1; score in 0..1 that a person is there
    """
    where = square(circle[0], circle[0] + MARGIN * (circle[1] - circle[0]))
    raw, score, _, heat, _ = landmarker(crop(frame, where, LANDMARKER_PX) / 255)
    marks = raw.reshape(-1, 5).astype(np.float64)  # x, y, z, then logits: seen, in the picture
    at = refine(marks[:, :2] / LANDMARKER_PX, _sigmoid(heat))
    # Either alone is too high for elbows outside the frame, or too low for shoulders in it.
    seen = np.sqrt(_sigmoid(marks[:, 3:]).prod(-1))
    return np.column_stack([place(at, where), seen]), score.item()


def refine(points: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Points moved to the middle of the heat around them, where it is hot enough.

    On carphone this reduces the distance of nose and eyes from dlib's landmarks from 3.0 to 2.3 px.

    points     (P, 2): x, y on 0..1
    heat       (h, w, P) in 0..1: how likely a point is in a cell
    """
    h, w, _ = heat.shape
    out = points.copy()
    for i, (x, y) in enumerate((points * (w, h)).astype(int)):
        if not (0 <= x < w and 0 <= y < h):
            continue
        rows, columns = (slice(max(0, at - REACH), at + REACH + 1) for at in (y, x))
        part = heat[rows, columns, i]
        if part.max() >= SURE:
            y, x = np.mgrid[rows, columns][:, : part.shape[0], : part.shape[1]]
            out[i] = (part * x).sum() / w / part.sum(), (part * y).sum() / h / part.sum()
    return out


def square(centre: np.ndarray, top: np.ndarray) -> np.ndarray:
    """The affine map (2, 3) from 0..1, y downwards, to the square around `centre` whose upper side has its middle at
    `top`, in px."""
    down = 2 * (centre - top)
    right = np.array([down[1], -down[0]])
    return np.column_stack([right, down, centre - (right + down) / 2])


def place(points: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Points (P, 2) on 0..1 of a square, in px of the frame."""
    return points @ where[:, :2].T + where[:, 2]


def crop(frame: np.ndarray, where: np.ndarray, side: int) -> np.ndarray:
    """The square `where` of a frame, (side, side, 3) uint8, black outside; smoothed first if it gets smaller."""
    shrink = float(np.linalg.norm(where[:, 0])) / side
    smooth = cv2.GaussianBlur(frame, (0, 0), shrink / 2) if shrink > 1 else frame
    centres = np.column_stack([where[:, :2] / side, place(np.full((1, 2), 0.5 / side), where)[0]])
    return cv2.warpAffine(smooth, centres, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def body(marks: np.ndarray) -> np.ndarray:
    """BODY_25's points (25, 3) from BlazePose's marks (33 or more, 3): the lesser confidence of a mean; 0 if none."""
    out = np.zeros((_poses.N_BODY, 3))
    for point, of in enumerate(BODY):
        if of:
            out[point] = *marks[of, :2].mean(0), marks[of, 2].min()
    return out


def draw(body: np.ndarray, *, size: tuple[int, int], line_width: float) -> np.ndarray:
    """The maps of a pose (25, 3): a channel for each of PARTS, (H, W, 6) uint8."""
    pose = np.zeros((_poses.N_POINTS, 3))
    pose[: _poses.N_BODY] = body
    return _poses.draw(pose, size=size, line_width=line_width, threshold=SURE)[..., : len(PARTS)]


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64).clip(-100, 100)))
