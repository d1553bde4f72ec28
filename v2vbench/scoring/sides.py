"""The videos of one side, real or generated: found in a folder, a file, a clip store or arrays, and looked at once."""

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from v2vbench.clips import video_files
from v2vbench.clips.store import Store
from v2vbench.files import write_json
from v2vbench.params import Fault, brief
from v2vbench.progress import progress

Kind = Literal["real", "fake"]
Given = str | Path | np.ndarray | Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One clip of a side: a video, or a part of one."""

    name: str
    cluster: str  # clips of one folder are alike
    n_frames: int
    size: tuple[int, int]  # H, W as they are in the file
    fps: float | None
    codec: str
    lossy: str  # "" where the file keeps every pixel; else why not
    sha256: str  # of what the frames are read from
    notes: tuple[str, ...]
    stamp: str = ""  # of the file as it was looked at, see `stamp`
    n_given: int = 0  # first frames that are real ones, which a method was given
    start: int = 0  # of a part: its first frame in the video
    video: str = ""  # of a part: the name of the video


@dataclass(frozen=True)
class Side:
    """The clips of one side, in order of their names.

    title     in tables
    where     the path, for messages
    clips     {name: Clip}
    source    what frames are read from: {name of a video: path}, an open clip store, or {name: array}
    kind      the array of a clip store that is read
    """

    title: str
    where: str
    clips: dict[str, Clip]
    source: dict[str, Path] | Store | dict[str, np.ndarray]
    kind: Kind
    fps: float | None = None  # to which the frames of files are resampled; None: as they are

    def frames(self, clip: Clip, start: int, stop: int) -> Iterator[np.ndarray]:
        """Frames start..stop-1 of a clip, (H, W, 3) uint8, one at a time."""
        first, name = clip.start + start, clip.video or clip.name
        last = clip.start + stop
        if isinstance(self.source, Store):
            yield from self.source.read(name, first, last, [self.kind])[self.kind]
        elif isinstance(source := self.source[name], Path):
            yield from video_files.frames(source, start=first, stop=last, fps=_rate(source, self.fps))
        else:
            yield from source[first:last]


def open_side(given: Given, kind: Kind, title: str, *, fps: float | None, cache: Path | None) -> Side:
    """Find the videos of one side and decode each once.

    given     a folder, a video, a clip store (its test clips), an array (N, T, H, W, 3) or {name: (T, H, W, 3)}, uint8
    kind      of a clip store: which of its arrays
    fps       frames a second to which files are resampled; None: every frame
    cache     folder that keeps what was seen of a file, by its name, size and time of change; None: nothing is kept
    raises    Fault naming the file that cannot be read
    """
    if isinstance(given, np.ndarray | Mapping):
        return _of_arrays(given, kind, title)
    if not isinstance(given, str | Path) or not str(given):
        raise Fault(f"{title}: {brief(given)} is {type(given).__name__}; it takes a path, or arrays (T, H, W, 3) uint8")
    path = Path(given).expanduser()
    if not str(path).isprintable() or not title.isprintable():
        raise Fault(f"{brief(str(path))}: characters that cannot be printed; rename it, or give a title: TITLE=PATH")
    if path.suffix == ".zip" and path.is_file():
        if not _is_store(path):
            raise Fault(f"{path}: a zip that is no clip store; unpack it and give the folder")
        return _of_store(Store(path), kind, title)
    files = video_files.find(path)

    seen = progress(files.items(), f"read {path}", unit="video")  # in turn: FFmpeg counts errors of a whole process
    clips = {name: _clip(name, _examine(file, fps, cache)) for name, file in seen}
    return Side(title, str(path), clips, files, kind, fps)


def _examine(file: Path, fps: float | None, cache: Path | None) -> video_files.Video:
    """A file as `video_files.examine` sees it; what is kept of an unchanged file is not decoded again."""
    fps = _rate(file, fps)
    key = hashlib.sha256(json.dumps([str(file.resolve()), stamp(file), fps]).encode()).hexdigest()
    kept = cache / "examined" / f"{key}.json" if cache else None
    if kept and kept.is_file():
        try:
            about = json.loads(kept.read_text())
            about = about | {"path": file, "size": tuple(about["size"]), "notes": tuple(about["notes"])}
            return video_files.Video(**about)
        except (ValueError, TypeError, KeyError, AttributeError):  # cut short, or of another version: looked at again
            kept.unlink(missing_ok=True)
    video = video_files.examine(file, fps=fps)
    if kept:
        write_json(kept, asdict(replace(video, path=Path())) | {"path": str(file)})
    return video


def _rate(file: Path, fps: float | None) -> float | None:
    """The rate to which a file is resampled; pictures and arrays have no times, so all of their frames are taken."""
    return fps if file.suffix.lower() in video_files.FILES and not file.is_dir() else None


def stamp(file: Path) -> list:
    """What tells that a file, or one of a folder's, was changed: names, sizes, times and places on the disk."""
    parts = sorted(file.iterdir()) if file.is_dir() else [file]
    stats = [(part.name, part.stat()) for part in parts]
    return [[name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino] for name, s in stats]


def _clip(name: str, video: video_files.Video) -> Clip:
    return Clip(
        name=name,
        cluster=name.rpartition("/")[0] or name,
        n_frames=video.n_frames,
        size=video.size,
        fps=video.fps,
        codec=video.codec,
        lossy=video.lossy,
        sha256=video.sha256,
        notes=video.notes,
        stamp=json.dumps(stamp(video.path)),
    )


def _is_store(path: Path) -> bool:
    return zipfile.is_zipfile(path) and "index.json" in zipfile.ZipFile(path).namelist()


def _of_store(store: Store, kind: Kind, title: str) -> Side:
    """The test clips of a store; of a run with several training seeds, those of the first."""
    clips = {}
    for key, entry in store.clips.items():
        if entry["split"] == "train" or "seed" in entry:
            continue
        if kind not in entry["arrays"]:
            raise Fault(f"{store.path}: clip {key} has no {kind} frames, but {', '.join(entry['arrays'])}")
        given = entry.get("given", 0)
        clips[key] = Clip(
            name=key,
            cluster=entry.get("cluster", key),
            n_frames=entry["n_frames"],
            size=store.facts.size,
            fps=store.facts.fps,
            codec="clip store",
            lossy="",
            sha256=entry["sha256"],
            notes=(f"begins with {given} real frames",) if given else (),
            n_given=given,
        )
    if not clips:
        raise Fault(f"{store.path}: has no test clips")
    return Side(title, str(store.path), clips, store, kind)


def _of_arrays(given: np.ndarray | Mapping[str, np.ndarray], kind: Kind, title: str) -> Side:
    """Arrays by name; those of one array are numbered."""
    arrays = dict(given) if isinstance(given, Mapping) else {f"{i:05d}": array for i, array in enumerate(given)}
    clips = {}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] != 3:
            what = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise Fault(f"{title}: clip {brief(name)} is {what}; it takes uint8 (T, H, W, 3), time first")
        if not array.size:
            raise Fault(f"{title}: clip {brief(name)} has no frame, or frames without pixels")
        clips[name] = Clip(
            name=name,
            cluster=name,
            n_frames=len(array),
            size=array.shape[1:3],
            fps=None,
            codec="array",
            lossy="",
            sha256=hashlib.sha256(f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes()).hexdigest(),
            notes=(),
        )
    if not clips:
        raise Fault(f"{title}: has no clip")
    return Side(title, title, clips, arrays, kind)
