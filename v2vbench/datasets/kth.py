"""Future prediction: people who walk, run, box and wave before still walls and fields, KTH (Schuldt et al. 2004)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import av
import cv2
import numpy as np
from av.error import FFmpegError

from v2vbench.clips.store import Facts, write_store
from v2vbench.download import archives
from v2vbench.params import Count, Fault, Natural, Range, Size
from v2vbench.progress import progress, say

ABSENT = {"person13_handclapping_d3"}  # never published
SHORT = {"person01_boxing_d4"}  # published damaged: the last of its 370 frames cannot be decoded
WHOLE = 0.9  # of the frames that a file's header promises: with fewer decoded, the file was cut off
LICENCE = "none stated; for research (KTH)"


def decode(path: Path) -> np.ndarray:
    """(T, H, W) uint8, the grey frames of a video; raises Fault if it is damaged."""
    frames, promised, reason = [], 0, ""
    try:
        with av.open(str(path)) as file:
            promised = file.streams.video[0].frames if file.streams.video else 0
            for frame in file.decode(video=0):
                frames.append(cv2.cvtColor(frame.to_ndarray(format="rgb24"), cv2.COLOR_RGB2GRAY))
    except (FFmpegError, IndexError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    short = path.name.removesuffix("_uncomp.avi") in SHORT
    if not frames or not short and (reason or len(frames) < WHOLE * promised):
        said = reason or f"{len(frames)} of {promised} frames can be decoded"
        raise Fault(f"{path}: {said}; unpack the archive again")
    return np.stack(frames)


def ranges(text: str) -> dict[str, list[tuple[int, int]]]:
    """{video: [(first, stop)]} counted from 0, from lines `person01_boxing_d1 frames 1-95, 96-185` of the KTH list."""
    lines = re.findall(r"^(person\d\d_[a-z]+_d\d)\s+frames\s+(.*)$", text, re.MULTILINE)
    return {
        video: [(int(first) - 1, int(last)) for first, last in re.findall(r"(\d+)-(\d+)", spans)]
        for video, spans in lines
    }


def windows(spans: list[tuple[int, int]], length: int, n_frames: int, most: int) -> list[int]:
    """First frames of at most `most` clips: of all consecutive ones in the spans, evenly spread.

    spans     (first, stop) of frames that may be used
    length    frames of the video, which may end before its spans do
    """
    starts = sorted(
        {first for start, stop in spans for first in range(start, min(stop, length) - n_frames + 1, n_frames)}
    )
    if len(starts) > most:
        starts = [starts[i] for i in np.linspace(0, len(starts) - 1, most).round().astype(int)]
    return starts


def resized(frames: np.ndarray, size: Size) -> np.ndarray:
    """(T, h, w) to (T, H, W, 3): the largest centred crop with the aspect ratio of `size`, resized."""
    h, w = frames.shape[1:]
    scale = max(size[0] / h, size[1] / w)
    cut = round(size[0] / scale), round(size[1] / scale)
    top, left = (h - cut[0]) // 2, (w - cut[1]) // 2
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    grey = [cv2.resize(f[top : top + cut[0], left : left + cut[1]], size[::-1], interpolation=how) for f in frames]
    return np.repeat(np.stack(grey)[..., None], 3, -1)


def find(root: Path, pattern: str) -> list[Path]:
    """Files in `root` or up to two levels below, in order of their names."""
    found = [path for above in ("", "*/", "*/*/") for path in root.glob(above + pattern)]
    return sorted(found, key=lambda path: path.name)


def prepare(
    out: Path,
    *,
    name: str,
    cache: Path,
    size: Size,
    n_frames: Annotated[int, Range(2)],
    n_train_clips: Count,
    n_test_clips: Count,
    actions: dict[str, archives.Archive],
    visible: Literal["none"] | archives.Archive,
    train: tuple[Natural, ...],
    test: tuple[Natural, ...],
) -> None:
    """Download the archives, or use the copy in V2VBENCH_DATA, and write the clip store; `test` is the test group.

    size                         of the largest centred crop of this aspect ratio: the videos have 120 x 160 px
    n_train_clips, n_test_clips  of each video, at most; videos with no clip of n_frames have none
    actions                      {action: archive with person01_<action>_d1_uncomp.avi}
    visible                      00sequences.txt, the frames in which the person is seen: clips lie within them; none:
                                 clips are of all frames
    train, test                  persons of each split
    raises                       Fault
    """
    where = f"datasets.{name}"
    if size[0] % 8 or size[1] % 8:
        raise Fault(f"{where}.size: {list(size)} must be multiples of 8")
    if both := sorted(set(train) & set(test)):
        raise Fault(f"{where}: person {both[0]} is in train and in test")
    cache, copy, seen = Path(cache) / "kth", archives.local_copy(), None
    if not isinstance(visible, str):
        file = visible.url.rpartition("/")[2]
        if copy:
            path = next(iter(find(copy, file)), copy / file)
        else:
            path, sha256 = archives.fetch(visible.url, cache, sha256=visible.sha256, size=visible.size)
            if visible.sha256 is None:
                say(f"{file}: sha256 {sha256}; write it in the parameters, so that nobody gets another file unnoticed")
        seen = ranges(path.read_text(errors="replace")) if path.is_file() else {}
        if not seen:
            raise Fault(f"{path}: missing, or no lines like 'person01_boxing_d1 frames 1-95'; {archives.OWN_COPY}")
    videos = []  # (split, person, path, sha256 of its archive)
    for action, archive in actions.items():
        root, sha256 = (copy, "own copy") if copy else archives.archive(archive, cache, only=".avi")
        have = {path.name.removesuffix("_uncomp.avi"): path for path in find(root, f"person*_{action}_d?_uncomp.avi")}
        for split, person in [("train", p) for p in train] + [("test", p) for p in test]:
            for video in (f"person{person:02d}_{action}_d{setting}" for setting in range(1, 5)):
                if video not in have and video not in ABSENT:
                    raise Fault(f"{root}: no {video}_uncomp.avi in it or two levels below; {archives.OWN_COPY}")
                if video in have:
                    videos.append((split, person, have[video], sha256))
    made = set()

    def cut() -> Iterator[tuple[dict, dict]]:
        for split, person, path, sha256 in progress(videos, f"prepare {name}", unit="video"):
            video, frames = path.name.removesuffix("_uncomp.avi"), decode(path)
            spans = [(0, len(frames))] if seen is None else seen.get(video, [])
            for first in windows(spans, len(frames), n_frames, n_train_clips if split == "train" else n_test_clips):
                made.add(split)
                clip = {
                    "id": f"{video}-{first:04d}",
                    "split": split,
                    "cluster": f"person{person:02d}",
                    "licence": LICENCE,
                    "archive_sha256": sha256,
                    "origin": f"KTH, {path.name}, frames {first} to {first + n_frames - 1}",
                }
                yield clip, {"real": resized(frames[first : first + n_frames], size)}
        if missing := {"train", "test"} - made:
            raise Fault(f"{where}.n_frames: no video of {min(missing)} has {n_frames} frames that may be used")

    facts = Facts(
        name=name,
        title="KTH",
        standing="benchmark",
        cluster="person",
        fps=25.0,
        source="none",
        size=size,
        about=f"25 people, grey and seen by one camera each time: {', '.join(actions)}.",
        label_names=(),
        label_colours=(),
        groups={"test": "people never seen in training"},
        origin=", ".join(archive.url for archive in actions.values()),
        licence=LICENCE,
    )
    write_store(out, facts, cut())
