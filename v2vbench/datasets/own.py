"""Videos of yours: cut into clips that cross no shot, and made from edges, labels, landmarks or poses in them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from v2vbench.clips import video_files
from v2vbench.clips.motion import ESTIMATED, estimate_checked
from v2vbench.clips.store import Facts, write_store
from v2vbench.datasets import _labels, _sources
from v2vbench.datasets._clip_plan import Piece, check_counts, plan
from v2vbench.datasets._shots import find_shots
from v2vbench.params import Count, Fault, Natural, Range, Share, Size, Weight
from v2vbench.progress import progress, say

SAME_RATE = 0.01  # share by which a video's frame rate may differ from fps and its frames still be taken as they are
VARIABLE = "variable frame rate"  # the note of `video_files.examine`
AGAIN = "run `v2vbench use own --videos PATH` again"
Level = Annotated[float, Range(0, 1000)]


def look(root: Path, labels: Path | None) -> tuple[dict[str, video_files.Video], str]:
    """Decode every video once.

    root       a folder of videos, or one video
    labels     a folder of label maps
    returns    {name: video}, and a sha256 of the names and bytes of all videos and label maps
    raises     Fault naming what is missing or damaged; where two videos are the same file
    """
    paths = video_files.find(root)
    seen = {}
    for name, path in progress(paths.items(), "look at videos", unit="video", total=len(paths)):
        seen[name] = video_files.examine(path)
    of_bytes, sha = {}, hashlib.sha256()
    for name, video in seen.items():
        if (other := of_bytes.setdefault(video.sha256, name)) != name:
            raise Fault(f"{root}: {name!r} and {other!r} are the same video, which might be split; remove one")
        sha.update(f"{name!r} {video.sha256}\n".encode())
    if labels:
        files = _sources.label_files(labels, {name: video.n_frames for name, video in seen.items()})
        every = [path for name in files for path in files[name]]
        for path in [*every, *filter(Path.is_file, [labels / _sources.NAMES])]:
            sha.update(f"{str(path.relative_to(labels))!r} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return seen, sha.hexdigest()


def rate(video: video_files.Video, fps: float) -> float | None:
    """The frame rate at which frames are chosen by their time; None: every frame is taken as it is."""
    if video.fps is None or VARIABLE not in video.notes and abs(video.fps / fps - 1) <= SAME_RATE:
        return None
    return fps


def prepare(
    out: Path,
    *,
    name: str,
    cache: Path,
    videos: str,
    sha256: str,
    licence: str,
    size: Size,
    fps: Annotated[float, Range(1, 240)],
    n_frames: Annotated[int, Range(2)],
    stride: Count,
    n_train: Count,
    n_test: Count,
    test_share: Share,
    gap: Natural,
    cut: Annotated[float, Range(0, 255)],
    still: Weight,
    seed: Natural,
    source: Literal["edges", "labels", "landmarks", "pose"],
    labels: str,
    canny: tuple[Level, Level],
    line_width: Annotated[float, Range(0.25, 8)],
    distance_clip: Annotated[float, Range(8, 765)],
    upper: Annotated[float, Range(0, 2)],
) -> None:
    """Read the videos, cut and split them, and write the clip store; `test` is the test group.

    cache            not used: nothing is downloaded
    videos           a folder of videos (files, or folders of numbered pictures), or one video
    sha256           of the videos and label maps as `v2vbench use own` saw them
    licence          of the videos; written to the store and the report
    size             multiples of 8; the largest centred crop of this aspect ratio is resized to it
    fps              of the clips; videos of another or a variable rate are sampled at it by their time stamps
    n_frames         per clip
    stride           frames from the start of a clip to that of the next one in a shot, n_frames or more
    n_train, n_test  clips at most, spread evenly over the videos of a split
    test_share       of the videos that are kept for testing; with fewer than three, of each video's frames
    gap              frames left out between training and test where these are parts of one video
    cut              change from which two frames are of two shots, see _shots.find_shots
    still            mean change from frame to frame, in grey levels, below which a clip is not used
    seed             of the choice of videos for testing
    source           what videos are made from, see _sources
    labels           folder of label maps for `source: labels`, with a folder of PNGs for each video; else none
    canny            thresholds, of edges
    line_width       px, of landmarks and poses
    distance_clip, upper    of landmarks: see _faces.draw
    raises           Fault
    """
    where = f"datasets.{name}"
    if not videos:
        raise Fault(f"{where}.videos: no videos yet; `v2vbench use own --videos PATH` writes params.yaml for yours")
    if size[0] % 8 or size[1] % 8:
        raise Fault(f"{where}.size: {list(size)} must be multiples of 8")
    if stride < n_frames:
        raise Fault(f"{where}.stride: {stride} is less than n_frames, {n_frames}, so a frame would be in two clips")
    if (source == "labels") != (labels != "none"):
        raise Fault(f"{where}.labels: a folder of label maps with `source: labels`, none with any other")
    maps = Path(labels).expanduser() if source == "labels" else None
    seen, digest = look(Path(videos).expanduser(), maps)
    if digest != sha256:
        raise Fault(f"{where}.sha256: the videos changed since `v2vbench use own`; {AGAIN}")
    if source == "labels" and (other := [key for key, video in seen.items() if rate(video, fps)]):
        rates = f"{seen[other[0]].fps:.4g} frames a second or a variable rate, not fps, {fps:g}"
        raise Fault(f"{where}.fps: {other[0]!r} has {rates}; label maps are for frames as they are")

    shots = {}
    for key, video in progress(seen.items(), f"find shots in {name}", unit="video", total=len(seen)):
        shots[key] = find_shots(video_files.frames(video.path, fps=rate(video, fps)), threshold=cut)
    made = plan(
        shots,
        n_frames=n_frames,
        stride=stride,
        n_train=n_train,
        n_test=n_test,
        test_share=test_share,
        gap=gap,
        still=still,
        seed=seed,
    )
    extract = _source(
        source,
        maps,
        {key: (video.n_frames, video.size) for key, video in seen.items()},
        size,
        canny=canny,
        line_width=line_width,
        distance_clip=distance_clip,
        upper=upper,
    )
    large = (extract.enlarge * size[0], extract.enlarge * size[1])
    slugs = _labels.slugs(seen)

    def clips() -> Iterator[tuple[dict, dict]]:
        counts = {
            "videos": len(shots),
            "shots": sum(len(of_one.starts) for of_one in shots.values()),
            "frames": sum(of_one.n_frames for of_one in shots.values()),
            "dropped": made.dropped,  # complete with the last clip; the index is written after it
        }
        left, kept = {piece.split for piece in made.pieces}, []
        read = _read(made.pieces, n_frames, {key: (video.path, rate(video, fps)) for key, video in seen.items()})
        for piece, frames in progress(read, f"prepare {name}", unit="frame", total=len(made.pieces), scale=n_frames):
            real = np.stack([video_files.fit(frame, size) for frame in frames])
            fine = real if large == size else np.stack([video_files.fit(frame, large) for frame in frames])
            arrays = extract(piece.video, piece.first, real, fine)
            if arrays is None:
                made.drop(extract.missing, n_frames)
                continue
            motion, occluded = map(np.stack, zip(*(estimate_checked(*real[t - 1 : t + 1]) for t in range(1, n_frames))))
            last = piece.first + n_frames - 1
            clip = {
                "id": f"{slugs[piece.video]}-{piece.first:06d}",
                "split": piece.split,
                "cluster": slugs[piece.video],
                "licence": licence,
                "origin": f"{piece.video}, shot {piece.shot}, frames {piece.first} to {last}",
                "file_sha256": seen[piece.video].sha256,
                "resize": video_files.FIT,
            }
            yield (
                clip | ({} if kept else {"counts": counts}),
                {"real": real, "flow": motion.astype(np.float16), "occluded": occluded} | arrays,
            )
            kept.append(piece)
        if lost := left - {piece.split for piece in kept}:
            raise Fault(f"{where}.source: {extract.missing} in any clip of {min(lost)}; use `source: edges`")
        made.pieces = kept
        check_counts(made, shots)
        say(f"{name}: {counts['frames']} frames = {n_frames * len(kept)} in {len(kept)} clips{_reasons(made.dropped)}")

    n, few = len(seen), made.by_time
    one = "One video" if n == 1 else f"{n} videos of yours"
    facts = Facts(
        name=name,
        title="Your videos",
        standing="sanity" if few else "benchmark",
        cluster="video",
        fps=fps,
        source=extract.kind,
        size=size,
        about=f"{one}. {extract.about} Flow and occlusion are estimated."
        + (
            " Too few videos to keep some for testing: trained on the beginning of each and tested on its end, so this "
            "is a sanity check, not evidence about the methods."
            if few
            else ""
        ),
        label_names=extract.names,
        label_colours=extract.colours,
        groups={
            "test": ("the end of the same video" if n == 1 else "the ends of the same videos")
            if few
            else "videos kept for testing"
        },
        origin="your own videos",
        licence=licence,
        flow=ESTIMATED,
        droppable=extract.droppable,
    )
    write_store(out, facts, clips())


def _source(
    source: str,
    labels: Path | None,
    videos: dict[str, tuple[int, Size]],
    size: Size,
    *,
    canny: tuple[float, float],
    line_width: float,
    distance_clip: float,
    upper: float,
) -> _sources.Source:
    """The extractor `source` with its settings."""
    if labels:
        return _sources.Labels(labels, videos, size)
    if source == "landmarks":
        return _sources.Landmarks(size, canny=canny, line_width=line_width, distance_clip=distance_clip, upper=upper)
    if source == "pose":
        return _sources.Pose(size, line_width)
    return _sources.Edges(canny)


def _read(
    pieces: list[Piece], n_frames: int, videos: dict[str, tuple[Path, float | None]]
) -> Iterator[tuple[Piece, list[np.ndarray]]]:
    """The frames of each piece, (H, W, 3) uint8; every video is decoded once."""
    for key, (path, fps) in videos.items():
        mine = [piece for piece in pieces if piece.video == key]
        if not mine:
            continue
        first, stop = mine[0].first, mine[-1].first + n_frames
        frames = enumerate(video_files.frames(path, start=first, stop=stop, fps=fps), first)
        for piece in mine:
            held = [frame for _, frame in zip(range(n_frames), (f for t, f in frames if t >= piece.first))]
            yield piece, held


def _reasons(dropped: dict[str, int]) -> str:
    return "".join(f", {n} dropped: {reason}" for reason, n in dropped.items())
