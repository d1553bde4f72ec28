"""The clip store: a zip file of zarr arrays for each data set, written once, read window by window, lossless."""

import hashlib
import json
import os
import threading
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import zarr
from zarr.codecs import BloscCodec
from zarr.storage import MemoryStore, ZipStore

from v2vbench.params import Fault

CHUNK = 8  # frames per chunk, the unit of decoding; see docs/clip_store.md
IGNORE = 255  # the label of a pixel that has none
EXACT = "exact"  # flow that is known from how the frames were made
BATCH = 2 * CHUNK  # frames in memory when writing: zarr encodes chunks in parallel
KINDS = {  # array: dtype on disk, axes; T is one less for arrays between two frames
    "real": ("uint8", "THW3"),
    "fake": ("uint8", "THW3"),
    "label": ("uint8", "THW"),
    "maps": ("uint8", "THWC"),
    "instance": ("uint16", "THW"),
    "depth": ("float16", "THW"),
    "flow": ("float16", "tHW2"),
    "occluded": ("uint8", "tHW"),
    "keypoints": ("float32", "TPD"),
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What models and tables need to know of a data set; stored in the clip store."""

    name: str  # key of its line in params.yaml
    title: str
    about: str  # one sentence for the report
    standing: Literal["benchmark", "sanity"]  # a sanity check is never a ranking
    fps: float
    source: Literal["labels", "maps", "none"]  # none: clips have frames alone, for future prediction
    label_names: tuple[str, ...]  # of the labels, or of the channels of the maps
    label_colours: tuple[tuple[int, int, int], ...]  # RGB 0..255, one each
    groups: dict[str, str]  # {test group: title}; a clip's split is "train" or a test group
    origin: str
    licence: str
    size: tuple[int, int]  # H, W in pixels
    droppable: tuple[str, ...] = ()  # channels of the maps that training may blank, see drop_parts of a schedule
    cluster: str = "clip"  # what clips of one cluster share: map, video, person; "clip": each clip is a cluster
    flow: str = EXACT  # how the clips' flow is known: exact, or the estimator that made it


def facts_of_run(facts: Facts, key: str, title: str) -> Facts:
    """The facts of the store that run `key` writes."""
    return replace(facts, name=key, title=f"{title} on {facts.title}")


@dataclass(frozen=True)
class Frames:
    """An array that does not fit in memory, to be written piece by piece.

    n        frames in total
    parts    arrays (t, ...) in order of time, of any lengths t ≥ 1, n frames together. Read once; each is copied before
             the next is requested, so a generator may reuse one buffer
    """

    n: int
    parts: Iterable[np.ndarray]

    def __len__(self) -> int:
        return self.n


def _check(clip: dict, arrays: dict[str, np.ndarray | Frames], facts: Facts) -> dict[str, np.ndarray | Frames]:
    """The arrays after a check; Frames are wrapped so that each piece is checked as it is read.

    raises    Fault for whole arrays at once, for pieces when they are read
    """
    where, n, checked = f"clip {clip['id']}", clip["n_frames"], {}
    if clip["split"] not in ("train", *facts.groups):
        raise Fault(f"{where}: split {clip['split']!r} is not train or one of {', '.join(facts.groups)}")
    for name, array in arrays.items():
        if name not in KINDS:
            raise Fault(f"{where}: unknown array {name!r}; there are {', '.join(KINDS)}")
        dtype, axes = KINDS[name]
        want = [n if a == "T" else n - 1 if a == "t" else int(a) if a.isdigit() else None for a in axes]
        if "H" in axes:
            want[1:3] = facts.size
        checked[name] = array
        if not isinstance(array, Frames):
            _fit(f"{where}: {name}", array, dtype, want)
        elif len(array) != want[0]:
            raise Fault(f"{where}: {name} has {len(array)} frames, expected {want[0]}")
        else:
            checked[name] = replace(array, parts=_fitting(f"{where}: {name}", array, dtype, want))
    return checked


def _fit(what: str, array: np.ndarray, dtype: str, want: list[int | None]) -> None:
    if array.dtype != dtype or array.ndim != len(want) or any(w not in (None, s) for w, s in zip(want, array.shape)):
        raise Fault(f"{what} is {array.dtype} {tuple(array.shape)}, expected {dtype} {tuple(want)}")


def _fitting(what: str, array: Frames, dtype: str, want: list[int | None]) -> Iterator[np.ndarray]:
    """The pieces of an array, after a check of their dtype, shape and total number of frames.

    want    expected shape; None: any, but the same in all pieces
    """
    n_checked, want = 0, [None, *want[1:]]
    for part in array.parts:
        _fit(f"{what}, from frame {n_checked},", part, dtype, want)
        n_checked, want = n_checked + len(part), [None, *part.shape[1:]]
        if n_checked > len(array):
            raise Fault(f"{what} has more frames than the {len(array)} promised")
        yield part
    if n_checked < len(array):
        raise Fault(f"{what} has {n_checked} frames, not the {len(array)} promised")
    if not n_checked:  # flow of a clip with one frame
        yield np.empty([size or 0 for size in want], dtype)


def _batches(name: str, array: np.ndarray | Frames, sha) -> Iterator[np.ndarray]:
    """The array in batches of BATCH frames, the last shorter, all in the same buffer; `sha` is updated with each."""
    batch, filled = None, 0
    for part in array.parts if isinstance(array, Frames) else (array,):
        if batch is None:
            batch = np.empty((BATCH, *part.shape[1:]), part.dtype)
            sha.update(f"{name} {part.dtype} {(len(array), *part.shape[1:])}".encode())
        while len(part):
            piece, part = part[: BATCH - filled], part[BATCH - filled :]
            batch[filled : filled + len(piece)] = piece
            filled += len(piece)
            if filled == BATCH:
                sha.update(batch)
                yield batch
                filled = 0
    if batch is None:
        raise Fault(f"{name} has no piece to tell its shape by")
    if filled or not len(array):
        sha.update(batch[:filled])
        yield batch[:filled]


def digest(arrays: dict[str, np.ndarray | Frames]) -> str:
    """sha256 of a clip's arrays: names, dtypes, shapes and bytes."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        for _ in _batches(name, arrays[name], sha):
            pass
    return sha.hexdigest()


def write_store(path: Path, facts: Facts, clips: Iterable[tuple[dict, dict[str, np.ndarray | Frames]]]) -> None:
    """Write a store; it appears at `path` whole or not at all. Arrays and Frames of equal content give equal bytes.

    facts     of the data set
    clips     pairs (clip, arrays). clip: `id`, `split`, `cluster` if clips are alike (default: the id), and any other
              fields, as JSON. arrays: as in KINDS, or Frames if they do not fit in memory; then at most BATCH frames
              and one piece are in memory. The Frames of a clip are read one after the other, sorted by name, so two of
              them cannot share one pass over a source
    raises    Fault naming the clip and array that are wrong; any error that the pieces of Frames raise
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    index = []
    with zipfile.ZipFile(partial, "w") as file:
        _put(file, "", {}, zarr_attributes={"v2vbench": "clip store"})
        for number, (clip, arrays) in enumerate(clips):
            clip = {"cluster": clip["id"]} | dict(clip, n_frames=len(arrays.get("real", arrays.get("fake", ()))))
            sha256 = _put(file, f"{number:05d}/", _check(clip, arrays, facts))
            index.append(clip | {"arrays": sorted(arrays), "sha256": sha256})
        if not index:
            raise Fault(f"{path}: no clips to write")
        file.writestr(
            zipfile.ZipInfo("index.json"), json.dumps({"facts": asdict(facts), "clips": index}, sort_keys=True)
        )
    with open(partial, "rb") as written:
        os.fsync(written.fileno())
    os.replace(partial, path)


def _put(
    file: zipfile.ZipFile, prefix: str, arrays: dict[str, np.ndarray | Frames], zarr_attributes: dict | None = None
) -> str:
    """Add one zarr group, a batch at a time, and return its digest: arrays by name, chunks by time, then the metadata.

    Goes through memory, since zarr's ZipStore writes the time of day into its entries and equal content must give equal
    bytes.
    """
    entries, sha = {}, hashlib.sha256()
    group = zarr.open_group(MemoryStore(entries), mode="w", attributes=zarr_attributes or {})

    def move(start: str) -> None:
        for key in sorted(
            (key for key in entries if key.startswith(start)), key=lambda key: (len(key), key)
        ):  # c/2 before c/10
            file.writestr(zipfile.ZipInfo(prefix + key), entries.pop(key).to_bytes())

    for name in sorted(arrays):
        for number, batch in enumerate(_batches(name, arrays[name], sha)):
            if not number:
                size, shuffle = batch.shape[1:], "bitshuffle" if batch.dtype.itemsize > 1 else "noshuffle"
                array = group.create_array(
                    name,
                    shape=(len(arrays[name]), *size),
                    dtype=batch.dtype,
                    chunks=(CHUNK, *size),
                    compressors=BloscCodec(cname="zstd", clevel=3, shuffle=shuffle),
                )
            array[number * BATCH : number * BATCH + len(batch)] = batch
            move(f"{name}/c/")
        move(f"{name}/zarr.json")
    move("zarr.json")
    return sha.hexdigest()


class Store:
    """A store opened for reading.

    facts     Facts
    clips     {id: clip}: split, n_frames, arrays, sha256, origin, ...
    raises    Fault if the file is missing, truncated or no store
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise Fault(f"{self.path}: no such clip store; `dvc repro` makes it")
        try:
            with zipfile.ZipFile(self.path) as file:
                about = json.loads(file.read("index.json"))
            self._group = zarr.open_group(ZipStore(self.path, mode="r"), mode="r")
        except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
            raise Fault(f"{self.path}: not a whole clip store ({error}); delete it and run `dvc repro`") from None
        facts = about["facts"]
        self.facts = Facts(
            **facts
            | {
                k: tuple(map(tuple, facts[k])) if k == "label_colours" else tuple(facts[k])
                for k in ("label_names", "label_colours", "size", "droppable")
                if k in facts
            }
        )
        self.clips = {clip["id"]: clip | {"number": i} for i, clip in enumerate(about["clips"])}
        self._open, self._lock = {}, threading.Lock()

    def split(self, name: str) -> list[str]:
        """Ids of the clips of a split, in the order they were written."""
        return [key for key, clip in self.clips.items() if clip["split"] == name]

    def read(self, clip: str, start: int = 0, stop: int | None = None, arrays: Iterable[str] | None = None) -> dict:
        """Frames start..stop of a clip as numpy arrays, {name: (T, ...)}; flow and occluded have T-1."""
        end: int = self.clips[clip]["n_frames"] if stop is None else stop
        with self._lock:  # one file, read by several threads
            names = arrays or self.clips[clip]["arrays"]
            return {name: self._array(clip, name, start, end) for name in names}

    def _array(self, clip: str, name: str, start: int, stop: int) -> np.ndarray:
        key = f"{self.clips[clip]['number']:05d}/{name}"
        try:
            if key not in self._open:
                self._open[key] = self._group[key]
            return self._open[key][start : stop - 1 if KINDS[name][1][0] == "t" else stop]
        except (KeyError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
            raise Fault(f"{self.path}: clip {clip}, {name}: {error}; delete the file and run `dvc repro`") from None

    def stream(self, clip: str, arrays: Iterable[str] | None = None, n: int = CHUNK) -> Iterator[tuple[int, dict]]:
        """A clip in pieces (start, {name: (n, ...)}), which together are the result of `read`; the last may be shorter.

        n         frames per piece; with a multiple of CHUNK every chunk is decoded once. In the last piece, flow and
                  occluded have one frame fewer
        raises    Fault if an array cannot be read
        """
        arrays, end = list(arrays or self.clips[clip]["arrays"]), self.clips[clip]["n_frames"]
        for start in range(0, max(end, 1), n):
            yield (
                start,
                {
                    name: self.read(clip, start, min(start + n + (KINDS[name][1][0] == "t"), end), [name])[name]
                    for name in arrays
                },
            )

    def verify(self) -> None:
        """Compare the sha256 of every clip with the recorded one; raises Fault naming the first altered clip."""
        for key, clip in self.clips.items():
            parts = {
                name: (array for _, part in self.stream(key, [name]) for array in part.values())
                for name in clip["arrays"]
            }
            if (
                digest({name: Frames(clip["n_frames"] - (KINDS[name][1][0] == "t"), parts[name]) for name in parts})
                != clip["sha256"]
            ):
                raise Fault(f"{self.path}: clip {key} is not what was written; delete the file and run `dvc repro`")
