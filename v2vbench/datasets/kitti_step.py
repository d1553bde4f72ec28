"""Label maps to street video: KITTI-STEP (Weber et al. 2021), 21 drives with labels of every frame, 15 GB."""

# pyright: reportArgumentType=false, reportCallIssue=false

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from v2vbench.clips.motion import ESTIMATED, estimate_checked
from v2vbench.clips.store import Facts, write_store
from v2vbench.download import archives
from v2vbench.params import Count, Fault, Natural, Size
from v2vbench.progress import progress

LABELS = {  # name: colour, in the order of ids; other ids are 255, void
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
}
WITH_INSTANCES = 11, 13  # person, car
LICENCE = "CC BY-NC-SA 3.0 (KITTI)"


def folder(root: Path, *names: str) -> Path:
    """The first of `names` that is a folder in `root` or up to two levels below; raises Fault if there is none."""
    for above in ("", "*/", "*/*/"):
        for name in names:
            if found := [path for path in sorted(root.glob(above + name)) if path.is_dir()]:
                return found[0]
    raise Fault(f"{root}: no folder {' or '.join(names)} in it or two levels below; {archives.OWN_COPY}")


def frames(images: Path, labels: Path) -> list[tuple[Path, Path]]:
    """The image and label file of every frame of a drive, in order; raises Fault naming the first that is missing."""
    have = [{path.name for path in place.glob("[0-9]*.png")} for place in (images, labels)]
    names = [f"{number:06d}.png" for number in range(max(map(len, have)))]
    for place, there in zip((images, labels), have):
        if missing := sorted({*names, *have[0], *have[1]} - there):
            raise Fault(f"{place / missing[0]}: missing; unpack the archive again")
    if not names:
        raise Fault(f"{images}: holds no frames; unpack the archive again")
    return [(images / name, labels / name) for name in names]


def pixels(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 of a PNG; raises Fault if it is broken or not RGB."""
    try:
        with Image.open(path) as file:
            if file.mode != "RGB":
                raise Fault(f"{path}: is {file.mode}, expected RGB; unpack the archive again")
            return np.asarray(file)
    except (OSError, SyntaxError) as error:  # PIL raises SyntaxError for a broken chunk
        raise Fault(f"{path}: {error}; unpack the archive again") from None


def read(image: Path, label: Path, size: Size) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The largest centred crop of a frame with the aspect ratio of `size`, resized: averaged, labels by nearest pixel.

    returns    real (H, W, 3) uint8; label (H, W) uint8, 255 = void; instance (H, W) uint16, 0 = none
    raises     Fault
    """
    real, panoptic = pixels(image), pixels(label)
    H, W, _ = real.shape
    if panoptic.shape != real.shape:
        raise Fault(f"{label}: {panoptic.shape[:2]} px, its image has {real.shape[:2]}")
    scale = max(size[0] / H, size[1] / W)
    cut = round(size[0] / scale), round(size[1] / scale)
    top, left = (H - cut[0]) // 2, (W - cut[1]) // 2
    real, panoptic = (array[top : top + cut[0], left : left + cut[1]] for array in (real, panoptic))
    real = cv2.resize(real, size[::-1], interpolation=cv2.INTER_AREA)
    panoptic = cv2.resize(panoptic, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    ids, high, low = np.moveaxis(panoptic, -1, 0)
    if unknown := sorted({*np.unique(ids).tolist()} - {*range(len(LABELS)), 255}):
        raise Fault(f"{label}: label {unknown[0]} is none of 0 to {len(LABELS) - 1} and 255")
    instance = high.astype(np.uint16) * 256 + low
    return real, ids.copy(), np.where(np.isin(ids, WITH_INSTANCES), instance, 0).astype(np.uint16)


def prepare(
    out: Path,
    *,
    name: str,
    cache: Path,
    size: Size,
    n_frames: Count,
    images: archives.Archive,
    labels: archives.Archive,
    train: tuple[Natural, ...],
    val: tuple[Natural, ...],
) -> None:
    """Download both archives, or use the copy in V2VBENCH_DATA, and write the clip store.

    n_frames         per clip; drives are cut into consecutive clips, and the remainder at the end is not used
    images           archive with training/image_02/0000/000000.png
    labels           archive with panoptic_maps/train/0000/000000.png
    train, val       drives of each split; `val` is the test group
    raises           Fault
    """
    if n_frames < 2 or size[0] % 8 or size[1] % 8:
        raise Fault(f"datasets.{name}: n_frames {n_frames} must be 2 or more, and size {list(size)} multiples of 8")
    if copy := archives.local_copy():
        roots, hashes = (copy, copy), ("own copy", "own copy")
    else:
        roots, hashes = zip(
            archives.archive(images, cache, only="training/image_02/"),
            archives.archive(labels, cache, only="panoptic_maps/"),
        )
    starts = []  # (split, drive, first frame, its files)
    for split, drives in (("train", train), ("val", val)):
        for drive in drives:
            files = frames(
                folder(roots[0], f"training/image_02/{drive:04d}", f"images/{split}/{drive:04d}"),
                folder(roots[1], f"panoptic_maps/{split}/{drive:04d}"),
            )
            starts += [
                (split, drive, first, files[first : first + n_frames])
                for first in range(0, len(files) - n_frames + 1, n_frames)
            ]
        if not any(start[0] == split for start in starts):
            raise Fault(f"datasets.{name}: no drive of {split} has {n_frames} frames")

    def cut() -> Iterator[tuple[dict, dict]]:
        for split, drive, first, files in progress(starts, f"prepare {name}", unit="frame", scale=n_frames):
            real, label, instance = map(np.stack, zip(*(read(*pair, size) for pair in files)))
            motion, occluded = map(np.stack, zip(*(estimate_checked(*real[t - 1 : t + 1]) for t in range(1, n_frames))))
            clip = {
                "id": f"{drive:04d}-{first:06d}",
                "split": split,
                "cluster": f"{drive:04d}",
                "licence": LICENCE,
                "images_sha256": hashes[0],
                "labels_sha256": hashes[1],
                "origin": f"KITTI-STEP, drive {drive:04d}, frames {first} to {first + n_frames - 1}",
            }
            yield (
                clip,
                {
                    "real": real,
                    "label": label,
                    "instance": instance,
                    "flow": motion.astype(np.float16),
                    "occluded": occluded,
                },
            )

    facts = Facts(
        name=name,
        flow=ESTIMATED,
        title="KITTI-STEP",
        standing="benchmark",
        cluster="video",
        fps=10.0,
        source="labels",
        size=size,
        about="Drives through Karlsruhe seen from a car: 19 classes in every frame, people and cars told apart. Flow "
        "and occlusion are estimated.",
        label_names=tuple(LABELS),
        label_colours=tuple(LABELS.values()),
        groups={"val": "drives never seen in training"},
        origin=f"{images.url} and {labels.url}",
        licence=LICENCE,
    )
    write_store(out, facts, cut())
