"""What a user's videos are made from: edges, label maps, landmarks of a face, or the pose of a person."""

from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Literal

import cv2
import numpy as np

from v2vbench.clips.store import IGNORE
from v2vbench.datasets import _blazepose, _faces, _labels, carphone
from v2vbench.params import Fault, Size
from v2vbench.progress import progress

NAMES = "names.txt"  # in a folder of labels: their names, one a line, in the order of ids
FOUND = 0.9  # of a clip's frames must show what an extractor looks for
DETAIL_PX = 480  # height of the frames in which a face or a person is looked for


class Source(ABC):
    """An extractor: from the frames of a clip to its arrays in the store, with what Facts say of them."""

    kind: Literal["labels", "maps"] = "maps"
    about: ClassVar[str]  # "Made from ..."
    missing: ClassVar[str] = ""  # why a clip is dropped, where it can be
    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    droppable: tuple[str, ...] = ()  # see Facts
    enlarge: int = 1  # frames are needed this many times as large as in the store

    @abstractmethod
    def __call__(self, video: str, first: int, real: np.ndarray, large: np.ndarray) -> dict[str, np.ndarray] | None:
        """The arrays of a clip, as in `clips.store.KINDS`; None if it does not show what is looked for.

        video    name; first: its first frame of the clip
        real     (T, H, W, 3) uint8
        large    (T, enlarge * H, enlarge * W, 3) uint8: the same frames
        """


class Edges(Source):
    """Canny's edges of each frame, blurred with sigma 1: one channel, 0 or 255."""

    about, names, colours = "Made from the edges of each frame.", ("edges",), ((240, 240, 240),)

    def __init__(self, canny: tuple[float, float]):
        self.canny = canny

    def __call__(self, video, first, real, large):
        grey = [cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (0, 0), 1) for frame in real]
        return {"maps": np.stack([cv2.Canny(frame, *self.canny) for frame in grey])[..., None]}


class Labels(Source):
    """Label maps in a folder for each video, a PNG for each frame.

    folder    has a folder with the name of each video, and names.txt if the labels have names
    videos    {name: (frames, (H, W) px)}
    size      of the store
    raises    Fault naming the folder or file that does not fit
    """

    kind, about = "labels", "Made from label maps."

    def __init__(self, folder: Path, videos: dict[str, tuple[int, Size]], size: Size):
        self.size, self.files, largest = size, label_files(folder, {name: n for name, (n, _) in videos.items()}), 0
        every = [(path, videos[name][1]) for name, paths in self.files.items() for path in paths]
        for path, of_video in progress(every, "read labels", unit="frame"):
            ids = _labels.read_labels(path)
            if ids.shape != of_video:
                raise Fault(f"{path}: {list(ids.shape)} px, the frames of its video have {list(of_video)}")
            largest = max(largest, int(ids[ids != IGNORE].max(initial=0)))
        self.names, self.colours = tuple(map(str, range(largest + 1))), _labels.palette(largest + 1)
        if (file := folder / NAMES).is_file():
            names = tuple(file.read_text(encoding="utf-8").split("\n"))
            names = tuple(name.strip() for name in names[: -1 if not names[-1].strip() else None])
            if len(names) <= largest or not all(names) or len(set(names)) < len(names):
                raise Fault(f"{file}: needs {largest + 1} names or more, one a line, each once: ids go up to {largest}")
            self.names, self.colours = names, _labels.palette(len(names))

    def __call__(self, video, first, real, large):
        paths = self.files[video][first : first + len(real)]
        return {"label": np.stack([_labels.fit_ids(_labels.read_labels(path), self.size) for path in paths])}


class Landmarks(Source):
    """Edges of the face through its 68 landmarks, edges of the background, and distances, as in carphone."""

    about, missing = "Made from the edges of the face (68 landmarks) and of the background.", "no face found"
    names, colours = ("edges", *_faces.PARTS), carphone.COLOURS

    def __init__(self, size: Size, **drawing):
        self.drawing, self.enlarge = drawing, max(1, round(DETAIL_PX / size[0]))
        check_packages("landmarks")

    def __call__(self, video, first, real, large):
        try:
            points, found = _faces.landmarks(large, enlarge=1)
        except Fault:  # no frame has a face: the packages are there
            return None
        if found.mean() < FOUND:
            return None
        points = (points + 0.5) / self.enlarge - 0.5
        maps = np.stack([_faces.draw(frame, p, **self.drawing) for frame, p in zip(real, points)])
        return {"maps": maps, "keypoints": points.astype(np.float32)}


class Pose(Source):
    """The pose of the largest person, its limbs drawn as in dance, one channel for each part of the body.

    size          of the store
    line_width    px
    raises        Fault without the networks
    """

    about, missing = "Made from the pose of the largest person.", "no person found"
    names, colours, droppable = _blazepose.PARTS, _blazepose.COLOURS, _blazepose.PARTS

    def __init__(self, size: Size, line_width: float):
        self.size, self.line_width, self.enlarge = size, line_width, max(1, round(DETAIL_PX / size[0]))
        check_packages("pose")

    def __call__(self, video, first, real, large):
        poses = _blazepose.poses(large)
        if poses[..., 2].any(1).mean() < FOUND:
            return None
        poses[..., :2] = (poses[..., :2] + 0.5) / self.enlarge - 0.5
        maps = [_blazepose.draw(pose, size=self.size, line_width=self.line_width) for pose in poses]
        return {"maps": np.stack(maps), "keypoints": poses.astype(np.float32)}


def check_packages(source: str) -> None:
    """Raises Fault if what `source` looks for cannot be found for want of a package."""
    if source == "pose":
        _blazepose.files()
    if source == "landmarks" and not (find_spec("dlib") and find_spec("face_recognition_models")):
        raise Fault("landmarks need dlib and its models, 100 MB: pip install 'v2vbench[faces]'")


def label_files(folder: Path, videos: dict[str, int]) -> dict[str, list[Path]]:
    """{video: its label maps in order}; raises Fault unless every video has one for each frame.

    videos    {name: frames}
    """
    if not folder.is_dir():
        raise Fault(
            f"{folder}: no such folder; expected in it a folder of label maps (PNG) with the name of each video"
        )
    files = {}
    for name, n_frames in videos.items():
        files[name] = _labels.in_order(path for path in (folder / name).glob("[!.]*") if path.suffix.lower() == ".png")
        if len(files[name]) != n_frames:
            raise Fault(f"{folder / name}: {len(files[name])} label maps (PNG) for the {n_frames} frames of its video")
    return files
