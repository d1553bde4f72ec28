"""Future prediction: trained on drives of KITTI, tested on those of Caltech Pedestrian, PredNet's protocol (2017)."""

import io
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from PIL import Image

from v2vbench.clips.store import Facts, write_store
from v2vbench.download import archives
from v2vbench.params import Fault, Natural, Range, Size
from v2vbench.progress import progress

EVERY = 3  # of Caltech's 30 frames a second, to KITTI's 10
KITTI, CALTECH = "CC BY-NC-SA 3.0 (KITTI)", "none stated; for research (Caltech Pedestrian)"
CURE = (
    "download data_and_labels.zip from https://data.caltech.edu/records/f6rph-90m20, unpack it and all archives in it, "
    "and name its folder"
)
HEADER = 1024  # bytes


def seq_index(path: Path) -> list[tuple[int, int]]:
    """First byte and number of bytes of every JPEG in a file of Norpix's StreamPix, version 3; raises Fault.

    The header has 0xFEED at 0, the image format at 568 (102 grey JPEG, 201 colour JPEG) and the number of frames at
    572 (0: until the end). A frame is its size in bytes, these four included, the JPEG, and a time stamp of 8 bytes,
    in some files 8 empty bytes more. Numbers are little-endian.
    """
    found, at, after, end = [], HEADER, 8, path.stat().st_size
    if end < HEADER:
        raise Fault(f"{path}: cut off in its header; unpack its archive again")
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        magic, format, n_frames = (number(data, place) for place in (0, 568, 572))
        if magic != 0xFEED or format not in (102, 201):
            raise Fault(f"{path}: not a .seq file of JPEGs, as the Caltech data set's are; unpack its archive again")
        while len(found) < n_frames if n_frames else at < end:
            if len(found) == 1 and number(data, at) == 0:
                after, at = 16, at + 8
            n_bytes = number(data, at)
            if n_bytes <= 4 or at + n_bytes > end:
                raise Fault(f"{path}: cut off or damaged at frame {len(found)}; unpack its archive again")
            found.append((at + 4, n_bytes - 4))
            at += n_bytes + after
    return found


def number(data: mmap.mmap, at: int) -> int:
    """The four bytes there; 0 at the end of the file."""
    return int.from_bytes(data[at : at + 4], "little")


def picture(place: tuple[Path, int, int], size: Size) -> np.ndarray:
    """An image in a file to (H, W, 3) uint8: its largest centred crop with the aspect ratio of `size`, resized.

    place     file, first byte and number of bytes of the image; -1: to the end
    raises    Fault
    """
    path, at, n_bytes = place
    try:
        with open(path, "rb") as file:
            file.seek(at)
            content = file.read(n_bytes)
        with Image.open(io.BytesIO(content)) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError):  # PIL raises SyntaxError for a broken chunk
        raise Fault(f"{path}: the image at byte {at} cannot be decoded; unpack its archive again") from None
    h, w, _ = pixels.shape
    scale = max(size[0] / h, size[1] / w)
    cut = round(size[0] / scale), round(size[1] / scale)
    top, left = (h - cut[0]) // 2, (w - cut[1]) // 2
    pixels = pixels[top : top + cut[0], left : left + cut[1]]
    return cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def find(root: Path, pattern: str) -> list[Path]:
    """What matches in `root`, one level below, or two: in the first of these that has any, in order."""
    return next((found for above in ("", "*/", "*/*/") if (found := sorted(root.glob(above + pattern)))), [])


def drive_frames(root: Path, drive: str) -> list[tuple[Path, int, int]]:
    """(file, 0, -1) of every frame of a drive, of the right colour camera, PredNet's; raises Fault."""
    folder = f"{drive[:10]}/{drive}_sync/image_03/data"
    files = find(root, f"{folder}/*.png")
    if not files:
        raise Fault(f"{root}: no {folder}/*.png in it or two levels below; {archives.OWN_COPY}")
    for number, path in enumerate(files):
        if path.name != f"{number:010d}.png":
            raise Fault(f"{path.with_name(f'{number:010d}.png')}: missing; unpack the archive again")
    return [(path, 0, -1) for path in files]


def prepare(
    out: Path,
    *,
    name: str,
    cache: Path,
    size: Size,
    n_frames: Annotated[int, Range(2)],
    url: str,
    train_drives: dict[str, str | None],
    caltech: str,
    test_sets: tuple[Natural, ...],
) -> None:
    """Download KITTI's drives, or use the copy in V2VBENCH_DATA, and write the clip store; `test` is the test group.

    n_frames        per clip; videos are cut into consecutive clips from their end, the remainder at the start not used
    url             of a drive's archive, the drive written {drive}
    train_drives    {drive: sha256 of its archive; null: any file is accepted, and its hash is printed}
    caltech         folder that has set06/V000.seq in it or up to two levels below
    test_sets       of Caltech Pedestrian: every third frame from the third, as OpenSTL reads them
    raises          Fault
    """
    where, root = f"datasets.{name}", Path(caltech).expanduser()
    if size[0] % 8 or size[1] % 8:
        raise Fault(f"{where}.size: {list(size)} must be multiples of 8")
    if wrong := [drive for drive in train_drives if not re.fullmatch(r"\d{4}(_\d\d){2}_drive_\d{4}", drive)]:
        raise Fault(f"{where}.train_drives: {wrong[0]!r} is not like 2011_09_26_drive_0001")
    if "{drive}" not in url:
        raise Fault(f"{where}.url: {url} has no {{drive}} in it")
    tests = []  # (split, video, its frames, origin, licence, sha256)
    for number in test_sets:
        if not (files := find(root, f"set{number:02d}/V*.seq")):
            raise Fault(f"{where}.caltech: no set{number:02d}/V*.seq in {root} or two levels below; {CURE}")
        for path in files:
            video, frames = f"set{number:02d}-{path.stem}", [(path, *place) for place in seq_index(path)]
            tests.append(
                ("test", video, frames[EVERY - 1 :: EVERY], f"Caltech Pedestrian, {video}", CALTECH, "own copy")
            )
    copy, videos = archives.local_copy(), []
    for drive, sha256 in train_drives.items():
        wanted = archives.Archive(url=url.replace("{drive}", drive), sha256=sha256, size=None)
        place, digest = (
            (copy, "own copy") if copy else archives.archive(wanted, Path(cache) / "kitti_raw", only="image_03/data/")
        )
        videos.append(("train", drive, drive_frames(place, drive), f"KITTI, {drive}", KITTI, digest))
    videos += tests
    for split in ("train", "test"):
        if not any(video[0] == split and len(video[2]) >= n_frames for video in videos):
            raise Fault(f"{where}: no video of {split} has {n_frames} frames at 10 a second")
    clips = [
        (first, *video)
        for video in videos
        for first in range(len(video[2]) % n_frames, len(video[2]) - n_frames + 1, n_frames)
    ]

    def cut() -> Iterator[tuple[dict, dict]]:
        for first, split, video, frames, origin, licence, sha256 in progress(
            clips, f"prepare {name}", unit="frame", scale=n_frames
        ):
            clip = {
                "id": f"{video}-{first:05d}",
                "split": split,
                "cluster": video,
                "licence": licence,
                "file_sha256": sha256,
                "origin": f"{origin}, frames {first} to {first + n_frames - 1} at 10 a second",
            }
            yield clip, {"real": np.stack([picture(frame, size) for frame in frames[first : first + n_frames]])}

    facts = Facts(
        name=name,
        title="KITTI to Caltech",
        standing="benchmark",
        cluster="video",
        fps=10.0,
        source="none",
        size=size,
        about="Drives seen from a car: trained in Karlsruhe, tested in the streets of Los Angeles by another camera.",
        label_names=(),
        label_colours=(),
        groups={"test": "another city and another camera"},
        origin=f"{url} and Caltech Pedestrian",
        licence=f"training: {KITTI}; test: {CALTECH}",
    )
    write_store(out, facts, cut())
