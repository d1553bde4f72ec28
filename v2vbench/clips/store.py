"""The clip store: a zip file of zarr arrays for each data set, written once, read window by window, lossless."""

import hashlib
import json
import os
import threading
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from v2vbench.clips._archive import Archive, ClipArrays, Place, places
from v2vbench.clips._arrays import BATCH, CHUNK, KINDS, Frames, check, digest, put
from v2vbench.clips._shards import Clips, Columns, append
from v2vbench.params import Fault

__all__ = ["BATCH", "CHUNK", "EXACT", "IGNORE", "KINDS", "Facts", "Frames", "Store", "digest", "write_store"]
IGNORE = 255  # the label of a pixel that has none
EXACT = "exact"  # flow that is known from how the frames were made
SHARD = 1000  # clips in one zip file; more are written as shards, see docs/clip_store.md
ENTRIES = 2**17  # of clips that are read, whose places a store remembers: about 35 MB
Pair = tuple[dict, dict[str, np.ndarray | Frames]]


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


def write_store(path: Path, facts: Facts, clips: Iterable[Pair]) -> None:
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
    partial, shard = (path.with_name(path.name + suffix) for suffix in (".partial", ".shard.partial"))
    partial.unlink(missing_ok=True)
    shard.unlink(missing_ok=True)
    following = iter(clips)
    part = _write_small(partial, facts, following)
    if not part.entries:
        raise Fault(f"{path}: no clips to write")
    if part.next:
        os.replace(partial, shard)
        with open(partial, "wb") as file:
            _write_shards(file, shard, facts, part, following)
        shard.unlink()
    with open(partial, "rb") as written:
        os.fsync(written.fileno())
    os.replace(partial, path)


@dataclass(frozen=True)
class _Written:
    """A small store that was written."""

    entries: list[dict]  # of index.json
    places: list[Place]
    page: int  # position of the header of index.json
    next: Pair | None  # the clip that was one too many


def _write_small(path: Path, facts: Facts, clips: Iterator[Pair], first: Pair | None = None) -> _Written:
    """Write `first` and at most SHARD clips in all to one zip file; it has no index.json if the next one is wrong."""
    entries, further = [], None
    with zipfile.ZipFile(path, "w") as file:
        put(file, "", {}, (("v2vbench", "clip store"),))
        for number in count():
            pair = first if first and not number else next(clips, None)
            if pair is None:
                break
            if number == SHARD:
                further = pair
                break
            clip, arrays = pair
            clip = {"cluster": clip["id"]} | dict(clip, n_frames=len(arrays.get("real", arrays.get("fake", ()))))
            sha256 = put(file, f"{number:05d}/", check(clip, arrays, facts.groups, facts.size))
            entries.append(clip | {"arrays": sorted(arrays), "sha256": sha256})
        if not entries:
            return _Written([], [], 0, None)
        index = zipfile.ZipInfo("index.json")
        file.writestr(index, json.dumps({"facts": asdict(facts), "clips": entries}, sort_keys=True))
        return _Written(entries, _places(file), index.header_offset, further)


def _write_shards(file: BinaryIO, shard: Path, facts: Facts, part: _Written, clips: Iterator[Pair]) -> None:
    """Write a zip file of small stores, the first of which is in `shard`; each of the others is there in turn."""
    columns, sha = Columns(), hashlib.sha256()
    with zipfile.ZipFile(file, "w") as outer:
        for number in count():
            append(outer, number, shard)
            columns.add(part.entries, part.places, part.page)
            _identify(sha, part.entries)
            if part.next is None:
                break
            part = _write_small(shard, facts, clips, part.next)
        about = {"facts": asdict(facts), "sha256": sha.hexdigest()} | columns.content()
        outer.writestr(zipfile.ZipInfo("index.json"), json.dumps(about, sort_keys=True))


def _places(file: zipfile.ZipFile) -> list[Place]:
    return places((entry.filename, entry.header_offset, entry.file_size, entry.CRC) for entry in file.infolist())


def _identify(sha, entries: Iterable[Mapping[str, Any]]) -> None:
    for entry in entries:
        sha.update(json.dumps([entry["id"], entry["split"], entry["sha256"]]).encode() + b"\n")


class Store:
    """A store opened for reading, by any number of threads.

    facts     Facts
    clips     {id: clip}: split, n_frames, arrays, sha256, origin, ...; of a store of shards they are read when they are
              asked for, and `brief` and `split` read none
    raises    Fault if the file is missing, truncated or no store
    """

    clips: Mapping[str, dict[str, Any]]

    def __init__(self, path: Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise Fault(f"{self.path}: no such clip store; `dvc repro` makes it")
        try:
            with open(self.path, "rb") as content, zipfile.ZipFile(content) as file:
                if first := file.infolist() and file.infolist()[0].header_offset:  # of a shard: the rest was cut off
                    raise zipfile.BadZipFile(f"the store that ends it begins at byte {first}")
                about = json.loads(file.read("index.json"))
                self._archive = Archive(content.fileno())
                if "columns" in about:
                    starts = {entry.filename: entry.header_offset for entry in file.infolist()}
                    self.clips = Clips(self.path, self._archive, about, starts)
                    self.sha256 = about["sha256"]
                else:
                    self._small = _places(file)
                    self.clips = {clip["id"]: clip | {"number": i} for i, clip in enumerate(about["clips"])}
        except (zipfile.BadZipFile, KeyError, OSError, ValueError, RuntimeError, EOFError, zlib.error) as error:
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
        self._open: OrderedDict[int, ClipArrays] = OrderedDict()
        self._n_entries, self._lock = 0, threading.Lock()

    @cached_property
    def sha256(self) -> str:
        """Of the ids, splits and arrays of all clips in order: what a training depends on; not of facts and origins."""
        sha = hashlib.sha256()
        _identify(sha, self.clips.values())
        return sha.hexdigest()

    def split(self, name: str) -> list[str]:
        """Ids of the clips of a split, in the order they were written."""
        if isinstance(self.clips, Clips):
            return self.clips.of_split(name)
        return [key for key, clip in self.clips.items() if clip["split"] == name]

    def brief(self, clip: str) -> dict[str, Any]:
        """Number, split, n_frames, cluster and names of arrays of a clip, among others; never read from the file."""
        return self.clips.brief(clip) if isinstance(self.clips, Clips) else self.clips[clip]

    def read(self, clip: str, start: int = 0, stop: int | None = None, arrays: Iterable[str] | None = None) -> dict:
        """Frames start..stop of a clip as numpy arrays, {name: (T, ...)}; flow and occluded have T-1."""
        about = self.brief(clip)
        end: int = about["n_frames"] if stop is None else stop
        return {name: self._array(about, name, start, end) for name in arrays or about["arrays"]}

    def _array(self, about: dict, name: str, start: int, stop: int) -> np.ndarray:
        try:
            return self._arrays(about["number"]).read(name, start, stop - 1 if KINDS[name][1][0] == "t" else stop)
        except (KeyError, ValueError, RuntimeError, IndexError, OSError, zipfile.BadZipFile) as error:
            raise Fault(
                f"{self.path}: clip {about['id']}, {name}: {error}; delete the file and run `dvc repro`"
            ) from None

    def _arrays(self, number: int) -> ClipArrays:
        """The arrays of a clip; those read last are remembered."""
        with self._lock:
            if found := self._open.get(number):
                self._open.move_to_end(number)
                return found
        place = self.clips.place(number) if isinstance(self.clips, Clips) else self._small[number]
        arrays = self._archive.clip(place)
        with self._lock:
            if number not in self._open:
                self._n_entries += len(arrays.entries)
            self._open[number] = arrays
            while self._n_entries > ENTRIES and len(self._open) > 1:
                self._n_entries -= len(self._open.popitem(last=False)[1].entries)
        return arrays

    def stream(self, clip: str, arrays: Iterable[str] | None = None, n: int = CHUNK) -> Iterator[tuple[int, dict]]:
        """A clip in pieces (start, {name: (n, ...)}), which together are the result of `read`; the last may be shorter.

        n         frames per piece; with a multiple of CHUNK every chunk is decoded once. In the last piece, flow and
                  occluded have one frame fewer
        raises    Fault if an array cannot be read
        """
        arrays, end = list(arrays or self.brief(clip)["arrays"]), self.brief(clip)["n_frames"]
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
        if isinstance(self.clips, Clips):
            sha = hashlib.sha256()
            _identify(sha, self.clips.values())
            if sha.hexdigest() != self.sha256:
                raise Fault(f"{self.path}: its clips are not those written; delete the file and run `dvc repro`")
