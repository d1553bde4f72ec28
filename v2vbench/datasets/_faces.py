"""The 68 landmarks of a face: detected in frames, and drawn as maps of edges and distances, a talking head's source."""

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from v2vbench.params import Fault
from v2vbench.progress import progress

# Edges through the points: 0..67 are the landmarks, 68..82 the mirror images of 15..1 that `close` adds.
PARTS = {
    "outline": (*range(17), *range(68, 83), 0),
    "right brow": range(17, 22),
    "left brow": range(22, 27),
    "nose right": (28, 31),
    "nostrils": range(31, 36),
    "nose left": (35, 28),
    "right eye above": (36, 37, 38, 39),
    "right eye below": (39, 40, 41, 36),
    "left eye above": (42, 43, 44, 45),
    "left eye below": (45, 46, 47, 42),
    "lips above": range(48, 55),
    "lips below": (54, 55, 56, 57, 58, 59, 48),
    "mouth above": range(60, 65),
    "mouth below": (64, 65, 66, 67, 60),
}
FINE = 4  # edges are drawn this much larger, then averaged, since an eyelid moves by less than a pixel


def landmarks(frames: np.ndarray, *, enlarge: int) -> tuple[np.ndarray, np.ndarray]:
    """The 68 points of the most confident face of every frame, by dlib's HOG detector and regression trees.

    The detector's boxes jump from frame to frame, and the points with them. So a frame's box is the median of five
    frames, and its points are the mean over nine boxes, shifted by a twentieth of their width in x and y. On carphone
    this reduces the distance of the points from those moved by optical flow: from 0.57 to 0.37 px on average, and from
    3.3 to 1.2 px in the worst frame.

    frames     (T, H, W, 3) uint8
    enlarge    factor; the detector needs faces of at least 80 px
    returns    points (T, 68, 2) float64, (x, y) in px; found (T,) bool: a face was detected. Without one the points are
               fitted in the box of the nearest frame that has one
    raises     Fault without dlib or its models, or if no frame has a face
    """
    home = find_spec("face_recognition_models")
    if not find_spec("dlib") or not home:
        raise Fault("landmarks need dlib and its models, 100 MB: pip install 'v2vbench[faces]'")
    import dlib  # pyright: ignore[reportMissingImports]

    models = Path(home.submodule_search_locations[0], "models")  # pyright: ignore[reportOptionalSubscript]
    detect = dlib.get_frontal_face_detector()
    predict = dlib.shape_predictor(str(models / "shape_predictor_68_face_landmarks.dat"))
    T, H, W, _ = frames.shape
    large = [cv2.resize(frame, (enlarge * W, enlarge * H), interpolation=cv2.INTER_CUBIC) for frame in frames]
    boxes, found = np.zeros((T, 4), int), np.zeros(T, bool)
    for t, frame in enumerate(progress(large, "find faces", unit="frame")):
        faces, scores, _ = detect.run(frame, 0, 0.0)
        if len(faces):
            found[t], face = True, faces[int(np.argmax(scores))]
            boxes[t] = face.left(), face.top(), face.right(), face.bottom()
    if not found.any():
        raise Fault(f"no face in {T} frames of {H} x {W}: a face must be {80 // enlarge} px wide or more")
    known = np.flatnonzero(found)
    boxes = boxes[known[np.abs(np.arange(T)[:, None] - known).argmin(1)]]
    around = np.pad(boxes, ((2, 2), (0, 0)), mode="edge")
    boxes = np.median([around[i : i + T] for i in range(5)], axis=0).astype(int)
    points = np.zeros((T, 68, 2))
    for t, box in enumerate(boxes):
        step = (box[2] - box[0]) // 20
        shifts = [(dx, dy) for dx in (-step, 0, step) for dy in (-step, 0, step)]
        shapes = [predict(large[t], dlib.rectangle(*map(int, box + (dx, dy, dx, dy)))) for dx, dy in shifts]
        points[t] = np.mean([[(p.x, p.y) for p in shape.parts()] for shape in shapes], axis=0)
    return (points + 0.5) / enlarge - 0.5, found  # pixel centres of the small frame


def close(points: np.ndarray, upper: float) -> np.ndarray:
    """Add a forehead: 15 jaw points mirrored on the line between the ears, `upper` times as far from it.

    points     (68, 2)
    returns    (83, 2)
    """
    ear, other = points[0], points[16]
    across = (other - ear) / np.linalg.norm(other - ear)
    jaw = points[15:0:-1] - ear
    along = (jaw @ across)[:, None] * across
    return np.concatenate([points, ear + along - upper * (jaw - along)])


def curve(points: np.ndarray) -> np.ndarray:
    """Points at most a quarter of a pixel apart on the edge through `points`: parabolas, each through three of them.

    points     (P, 2)
    returns    (n, 2)
    """
    pieces = []
    for first in range(0, max(len(points) - 1, 1), 2):
        piece = points[first : first + 3]
        n = 2 + int(8 * np.abs(np.diff(piece, axis=0)).sum())
        t = np.linspace(0, len(piece) - 1, n)[:, None]
        if len(piece) == 3:
            a, b, c = piece
            pieces.append(a * (t - 1) * (t - 2) / 2 - b * t * (t - 2) + c * t * (t - 1) / 2)
        else:
            pieces.append(piece[0] + t * (piece[1] - piece[0]))
    return np.concatenate(pieces)


def draw(
    frame: np.ndarray,
    points: np.ndarray,
    *,
    line_width: float,
    distance_clip: float,
    upper: float,
    canny: tuple[float, float],
) -> np.ndarray:
    """The maps of a frame: its edges, then for each edge of the face the distance of every pixel to it.

    frame            (H, W, 3) uint8
    points           (68, 2) px
    line_width       px of the face's edges
    distance_clip    px, L1: distances from here on are 255
    upper            height of the forehead, see `close`
    canny            thresholds of the background's edges, on the grey frame blurred with sigma 1; none inside the face
    returns          (H, W, 1 + len(PARTS)) uint8
    """
    H, W, _ = frame.shape
    points = close(points, upper)
    face, maps = np.ones((FINE * H, FINE * W), np.uint8), []  # 0 on the edges
    for part in PARTS.values():
        pen = np.ones((FINE * H, FINE * W), np.uint8)
        x, y = np.rint((curve(points[list(part)]) + 0.5) * FINE - 0.5).astype(int).T
        inside = (x >= 0) & (x < FINE * W) & (y >= 0) & (y < FINE * H)
        pen[y[inside], x[inside]] = face[y[inside], x[inside]] = 0
        away = cv2.distanceTransform(pen, cv2.DIST_L1, 3) / FINE
        away = cv2.resize(away, (W, H), interpolation=cv2.INTER_AREA)
        maps.append(away.clip(0, distance_clip) * (255 / distance_clip))
    edges = cv2.Canny(cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (0, 0), 1), *canny)
    cv2.fillPoly(edges, [np.rint(curve(points[list(PARTS["outline"])])).astype(np.int32)], 0)
    line = cv2.distanceTransform(face, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) < line_width * FINE / 2
    edges = np.maximum(edges, cv2.resize(line.astype(np.uint8) * 255, (W, H), interpolation=cv2.INTER_AREA))
    return np.rint(np.stack([edges, *maps], -1)).astype(np.uint8)
