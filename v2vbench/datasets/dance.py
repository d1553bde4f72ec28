"""Pose to person: a film of a dancer that you provide, in the folders of vid2vid's pose task, with OpenPose's and
DensePose's files."""

# pyright: reportGeneralTypeIssues=false

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from PIL import Image

from v2vbench.clips.motion import ESTIMATED, estimate_checked
from v2vbench.clips.store import Facts, write_store
from v2vbench.datasets import _poses
from v2vbench.params import Fault, Range, Share, Size
from v2vbench.progress import progress

PHASES = "train", "test"
ENDINGS = {"img": (".jpg", ".jpeg", ".png"), "openpose": (".json",), "densepose": (".png",)}
LAYOUT = (
    "{train,test}_img/<sequence>/*.jpg or *.png, "
    "{train,test}_openpose/<sequence>/*.json, "
    "{train,test}_densepose/<sequence>/*.png"
)


def sequences(folder: Path, phase: str, kinds: tuple[str, ...]) -> dict[str, list[tuple[Path, ...]]]:
    """{sequence: (file of each of `kinds`) of every frame, in order}; raises Fault if the folders do not agree."""
    images = folder / f"{phase}_img"
    names = sorted(path.name for path in images.glob("*") if path.is_dir())
    if not names:
        raise Fault(f"{images}: no folders of sequences in it; expected {LAYOUT}")
    found = {}
    for name in names:
        if not re.fullmatch(r"[\w.-]+", name, re.ASCII):
            raise Fault(
                f"{images / name}: a sequence's name becomes part of file names; use letters, digits and _ . - alone"
            )
        files = {
            kind: sorted(
                (
                    path
                    for path in (folder / f"{phase}_{kind}" / name).glob("*")
                    if path.suffix.lower() in ENDINGS[kind]
                ),
                key=lambda path: [int(word) if word.isdecimal() else word for word in re.split(r"(\d+)", path.name)],
            )
            for kind in kinds
        }  # by the numbers in their names: 9 before 10
        if len(set(map(len, files.values()))) > 1:
            counts = ", ".join(f"{len(of_kind)} in {phase}_{kind}" for kind, of_kind in files.items())
            raise Fault(f"{folder}: sequence {name} of {phase}: {counts}; there must be one file a frame in each")
        found[name] = list(zip(*files.values()))
    return found


def pixels(path: Path, mode: str | None) -> np.ndarray:
    """(H, W, 3) uint8 of an image; raises Fault naming it if it is broken, or not of `mode` if that is given."""
    try:
        with Image.open(path) as file:
            if mode not in (None, file.mode):
                raise Fault(f"{path}: is {file.mode}, expected {mode}; write it again")
            return np.asarray(file.convert("RGB"))
    except (OSError, SyntaxError) as error:  # PIL raises SyntaxError for a broken chunk
        raise Fault(f"{path}: {error}; write it again") from None


def read(files: tuple[Path, ...], *, size: Size, keep_width: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One frame, its middle columns resized to `size`: the image by averaging, the surface by nearest pixel.

    files      of the image, of OpenPose and, if there is one, of DensePose
    returns    real (H, W, 3) uint8; surface (H, W, 3) uint8: part id 0..24, u, v, or zeros; pose (137, 3), px of `size`
    raises     Fault
    """
    real, pose = pixels(files[0], None), _poses.read(files[1])
    surface = (
        pixels(files[2], "RGB")[..., ::-1] if len(files) > 2 else np.zeros_like(real)
    )  # its red is v, its blue the part
    H, W, _ = real.shape
    if surface.shape != real.shape:
        raise Fault(f"{files[2]}: {list(surface.shape[:2])} px, its frame {files[0].name} has {[H, W]}")
    if surface[..., 0].max() > _poses.N_SURFACES:
        raise Fault(
            f"{files[2]}: part {surface[..., 0].max()} in the third channel; "
            f"DensePose's go from 0 to {_poses.N_SURFACES}"
        )
    cut = max(1, round(keep_width * W))
    left = (W - cut) // 2
    real = cv2.resize(real[:, left : left + cut], size[::-1], interpolation=cv2.INTER_AREA)
    surface = cv2.resize(
        np.ascontiguousarray(surface[:, left : left + cut]), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT
    )
    pose[:, :2] = (pose[:, :2] - (left, 0) + 0.5) * (size[1] / cut, size[0] / H) - 0.5
    return real, surface, pose


def prepare(
    out: Path,
    *,
    name: str,
    cache: Path,
    folder: str,
    licence: str,
    fps: Annotated[float, Range(1, 240)],
    size: Size,
    n_frames: Annotated[int, Range(2)],
    keep_width: Annotated[float, Range(0.05, 1)],
    densepose: bool,
    threshold: Share,
    line_width: Annotated[float, Range(0.25, 8)],
) -> None:
    """Read the folder and write the clip store; `test` is the test group.

    cache         not used: nothing is downloaded
    folder        has {train,test}_img, _openpose and _densepose, in each a folder per sequence with a file per frame
    licence       of the film; written to the store and the report
    n_frames      per clip; sequences are cut into consecutive clips, and the remainder at the end is not used
    keep_width    share of a frame's width to keep, centred; the crop is resized to `size`
    densepose     false: there are no DensePose folders, and the first three channels of the maps are zeros
    threshold     lowest confidence of a keypoint that is drawn
    line_width    px, of the lines in the maps
    raises        Fault naming the file that is missing or malformed
    """
    root, kinds = Path(folder).expanduser(), tuple(ENDINGS)[: 2 + densepose]
    for path in (root, *(root / f"{phase}_{kind}" for phase in PHASES for kind in kinds)):
        if not path.is_dir():
            raise Fault(
                f"datasets.{name}.folder: no folder {path}; "
                f"expected {LAYOUT}{'' if densepose else ', the last not used'}"
            )
    if size[0] % 8 or size[1] % 8:
        raise Fault(f"datasets.{name}.size: {list(size)} must be multiples of 8")
    starts = []  # (phase, sequence, first frame, its files)
    for phase in PHASES:
        starts += [
            (phase, sequence, first, files[first : first + n_frames])
            for sequence, files in sequences(root, phase, kinds).items()
            for first in range(0, len(files) - n_frames + 1, n_frames)
        ]
        if not any(start[0] == phase for start in starts):
            raise Fault(f"{root / f'{phase}_img'}: no sequence has {n_frames} frames, datasets.{name}.n_frames")

    def cut() -> Iterator[tuple[dict, dict]]:
        for phase, sequence, first, files in progress(starts, f"prepare {name}", unit="frame", scale=n_frames):
            real, surface, poses = map(
                np.stack, zip(*(read(frame, size=size, keep_width=keep_width) for frame in files))
            )
            maps = [_poses.encode(*pair, line_width=line_width, threshold=threshold) for pair in zip(surface, poses)]
            motion, occluded = map(np.stack, zip(*(estimate_checked(*real[t - 1 : t + 1]) for t in range(1, n_frames))))
            clip = {
                "id": f"{phase}-{sequence}-{first:06d}",
                "split": phase,
                "cluster": f"{phase}-{sequence}",
                "licence": licence,
                "origin": f"{root.name}, {phase}, sequence {sequence}, frames {first} to {first + n_frames - 1}",
            }
            yield (
                clip,
                {
                    "real": real,
                    "maps": np.stack(maps),
                    "keypoints": poses[:, : _poses.N_BODY].astype(np.float32),
                    "flow": motion.astype(np.float16),
                    "occluded": occluded,
                },
            )

    facts = Facts(
        name=name,
        flow=ESTIMATED,
        title="Dance",
        standing="benchmark",
        cluster="video",
        fps=fps,
        source="maps",
        size=size,
        about="A film of a dancer, made from OpenPose's keypoints"
        f"{' and the surface that DensePose finds' if densepose else ''}. "
        "Flow and occlusion are estimated.",
        label_names=_poses.CHANNELS,
        label_colours=_poses.COLOURS,
        groups={"test": "sequences kept for testing"},
        origin=f"your own folder {root.name}",
        licence=licence,
        droppable=tuple(_poses.PARTS),
    )
    write_store(out, facts, cut())
