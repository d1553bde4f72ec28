"""Videos as users have them: video files, folders of numbered pictures, and NumPy arrays."""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from v2vbench.clips.video_files._arrays import Array
from v2vbench.clips.video_files._colours import Colours
from v2vbench.clips.video_files._decode import decoded
from v2vbench.clips.video_files._facts import Facts, has_alpha
from v2vbench.clips.video_files._names import natural, shown
from v2vbench.clips.video_files._pictures import PICTURES, is_picture, numbered, picture
from v2vbench.clips.video_files._times import at_rate, average
from v2vbench.params import Fault

FILES = ".mp4 .m4v .mov .avi .mkv .webm .gif .mpg .mpeg .ts .wmv .flv .y4m .ogv".split()  # with time stamps
ARRAYS = (".npy", ".npz")
VIDEO = (*FILES, *ARRAYS)  # endings of files that are videos
BESIDE = (  # endings of files that may lie beside videos: text, tables, captions, sound, archives, programs
    ".txt .md .rst .pdf .html .htm .json .jsonl .csv .tsv .yaml .yml .toml .xml .ini .cfg .log .srt .vtt .ass .wav "
    ".mp3 .flac .m4a .aac .zip .tar .gz .sha256 .md5 .py .sh .ipynb"
).split()
NAMES_BESIDE = ("readme", "license", "licence", "notice", "makefile", "thumbs.db", "desktop.ini")
FIT = "centre-crop:area-or-cubic"  # what `fit` does, for protocol ids and pages


@dataclass(frozen=True, kw_only=True)
class Video:
    """A video as a file, or as a folder of numbered pictures, after every frame was decoded once."""

    path: Path
    n_frames: int  # decoded, never read from a header; after `fps` where one is given
    size: tuple[int, int]  # H, W in px as shown, after rotation
    fps: float | None  # average frame rate of a video file; None: pictures and arrays have none
    codec: str  # h264, ffv1, png, npy, ...
    lossy: str  # why pixels may differ from those that were written; "" where they cannot
    sha256: str  # of the file's bytes; of a folder, of its pictures' names and bytes
    notes: tuple[str, ...]  # what was done to the frames, or is odd, one short phrase each


def find(folder: Path) -> dict[str, Path]:
    """{name: path} of the videos in a folder, by name in natural order: 9 before 10.

    A video is a file with an ending in VIDEO, or a folder that has pictures; folders of neither are looked into. The
    name is the path below `folder` without the ending. Hidden files are left out, and files that BESIDE or NAMES_BESIDE
    lists; any other file is a Fault, so that no clip is left out unnoticed.

    folder    or one video file, or one folder of pictures: then one video, named by its stem
    raises    Fault
    """
    folder = Path(folder)
    if folder.is_file():
        if folder.suffix.lower() not in VIDEO:
            raise Fault(f"{shown(folder)}: no video; give a folder, or a file that ends in one of {', '.join(VIDEO)}")
        return {_name(folder.stem, folder): folder}
    if not folder.is_dir():
        raise Fault(f"{shown(folder)}: no such file or folder; give a folder of videos")
    videos: dict[str, Path] = {}
    for name, path in _below(folder, "", ()):
        name = name or _name(folder.resolve().name, folder)
        if name in videos:
            raise Fault(f"{shown(path)}: has the same name as {shown(videos[name])}; rename one of them")
        videos[name] = path
    if not videos:
        kinds = f"{', '.join(VIDEO)} files, or folders of {', '.join(PICTURES)} pictures"
        raise Fault(f"{shown(folder)}: no video in it; give a folder that has {kinds}")
    return dict(sorted(videos.items(), key=lambda item: natural(item[0])))


def _below(folder: Path, name: str, above: tuple[Path, ...]) -> list[tuple[str, Path]]:
    """(name, path) of the videos in a folder that has the name `name`; `above` are the folders that it is in."""
    if folder.resolve() in above:
        raise Fault(f"{shown(folder)}: a link to a folder that it is in; remove it")
    above, videos, pictures = (*above, folder.resolve()), [], []
    for path in sorted(folder.iterdir(), key=lambda path: natural(path.name)):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            videos += _below(path, f"{name}/{path.name}" if name else path.name, above)
        elif is_picture(path):
            pictures.append(path)
        elif path.suffix.lower() in VIDEO:
            videos.append((_name(f"{name}/{path.stem}" if name else path.stem, path), path))
        elif path.suffix.lower() not in BESIDE and path.name.lower() not in NAMES_BESIDE:
            raise Fault(f"{shown(path)}: no known kind of video or picture; convert it, or move it elsewhere")
    if pictures and videos:
        two = f"picture {shown(pictures[0].name)} beside video {shown(videos[0][1].name)}"
        raise Fault(f"{shown(folder)}: {two}; give the pictures a folder with nothing else, or move them elsewhere")
    return [(_name(name, folder), folder)] if pictures else videos


def _name(name: str, path: Path) -> str:
    """The name of a video; raises Fault if it cannot be printed on one line."""
    if not name.isprintable():
        raise Fault(f"{shown(path)}: characters in its name that cannot be printed; rename it")
    return name


def examine(path: Path, *, fps: float | None = None) -> Video:
    """Decode every frame once.

    fps       frames are chosen by time stamp, as `frames` does
    raises    Fault: missing, empty, no video, damaged, no frame, frames of two sizes, a picture missing
    """
    path, facts = _present(path, fps), Facts()
    if _is_timed(path):
        colours, n_frames = Colours(shown(path), facts.note), 0
        for n_frames, frame in enumerate(_chosen(path, fps, facts), 1):
            if n_frames == 1 or has_alpha(frame.format):
                facts.size = colours(frame).shape[:2]  # of every frame that may not be opaque, for the note
    else:
        n_frames = sum(1 for _ in _untimed(path, facts))
    return Video(
        path=path,
        n_frames=n_frames,
        size=facts.size,
        fps=(fps or average(facts)) if _is_timed(path) else None,
        codec=facts.codec,
        lossy=facts.lossy,
        sha256=_sha256(path),
        notes=tuple(facts.notes),
    )


def frames(path: Path, *, start: int = 0, stop: int | None = None, fps: float | None = None) -> Iterator[np.ndarray]:
    """Frames start..stop-1 in order, (H, W, 3) uint8 RGB, as `examine` counts them; few are in memory at a time.

    A video file is decoded from its beginning, because seeking is not exact in every container.

    fps       frames are chosen by time stamp: the last one shown at each multiple of 1/fps s; None: every frame
    raises    Fault, as `examine`
    """
    path, facts = _present(path, fps), Facts()
    if start < 0 or (stop is not None and stop < 0):
        raise ValueError(f"start {start} and stop {stop} count frames from the first; they cannot be negative")
    if not _is_timed(path):
        return _untimed(path, facts, start, stop)
    colours = Colours(shown(path), facts.note)
    return (colours(frame) for frame in itertools.islice(_chosen(path, fps, facts), start, stop))


def _is_timed(path: Path) -> bool:
    return path.suffix.lower() in FILES and not path.is_dir()


def _present(path: Path, fps: float | None) -> Path:
    """The path, if there is something that may be a video; raises Fault."""
    path = Path(path)
    if not path.exists():
        raise Fault(f"{shown(path)}: no such file or folder")
    if path.is_file() and path.suffix.lower() not in VIDEO:
        raise Fault(f"{shown(path)}: no video; its name must end in one of {', '.join(VIDEO)}")
    if path.is_file() and not path.stat().st_size:
        raise Fault(f"{shown(path)}: empty, 0 bytes; copy it again")
    if fps is not None and not _is_timed(path):
        raise Fault(f"{shown(path)}: has no time stamps by which frames could be chosen; leave fps out")
    if fps is not None and not 0.001 <= fps <= 1000:
        raise Fault(f"{shown(path)}: fps {fps} is out of range; it goes from 0.001 to 1000")
    return path


def _chosen(path: Path, fps: float | None, facts: Facts) -> Iterator[av.VideoFrame]:
    """Frames of a video file, not yet converted."""
    timed = decoded(path, facts)
    return (one.frame for one in timed) if fps is None else at_rate(shown(path), timed, fps, facts)


def _untimed(path: Path, facts: Facts, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
    """Frames of an array or of a folder of pictures."""
    if not path.is_dir():
        array = Array(path)
        facts.size, facts.codec = (array.shape[1], array.shape[2]), path.suffix.lower()[1:]
        yield from array.frames(facts.note, start, stop)
        return
    first = None
    for each in numbered(path)[start:stop]:
        pixels, kind, lossy, notes = picture(each)
        size = pixels.shape[:2]
        if first is None:
            facts.size, facts.codec, first = size, kind, each
        if size != facts.size:
            two = (
                f"{shown(first.name)} is {facts.size[0]} x {facts.size[1]}, {shown(each.name)} {size[0]} x {size[1]} px"
            )
            raise Fault(f"{shown(path)}: {two}; all pictures of a video must have one size")
        facts.lossy = facts.lossy or lossy
        for phrase in notes:
            facts.note(phrase)
        yield pixels


def _sha256(path: Path) -> str:
    if not path.is_dir():
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for each in numbered(path):
        with open(each, "rb") as file:
            whole.update(each.name.encode(errors="surrogateescape") + b"\0")
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def fit(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest centred crop of the aspect ratio of `size`, resized: averaged if it shrinks, bicubic if it grows.

    frame      (h, w, 3) uint8
    size       (H, W) in px
    returns    (H, W, 3) uint8; the same array if it has the size already
    """
    height, width = frame.shape[:2]
    if (height, width) == tuple(size):
        return frame
    scale = max(size[0] / height, size[1] / width)
    rows, columns = (min(whole, max(1, round(side / scale))) for whole, side in zip((height, width), size))
    top, left = (height - rows) // 2, (width - columns) // 2
    crop = frame[top : top + rows, left : left + columns]
    if (rows, columns) == tuple(size):
        return np.ascontiguousarray(crop)
    return cv2.resize(crop, size[::-1], interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
