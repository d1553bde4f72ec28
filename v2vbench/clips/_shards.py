"""Stores of many clips: a zip file of small stores, with what is needed of every clip in columns beside them."""

import json
import shutil
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from v2vbench.clips._archive import Archive, Place
from v2vbench.params import Fault

PAGES = 4  # shards whose full entries are kept in memory, at most
COPY = 2**20  # bytes at a time


class Columns:
    """What is needed of every clip, gathered while a store is written: about 0.4 kB a clip."""

    def __init__(self):
        self.columns: dict[str, list] = {
            name: [] for name in ("id", "n_frames", "split", "cluster", "arrays", *Place._fields)
        }
        self.names: dict[str, dict[str, int]] = {"split": {}, "arrays": {}}  # {column: {text: its number in it}}
        self.pages: list[int] = []
        self.n_per_shard = 0  # of all but the last, which may have fewer
        self._ids: set[str] = set()

    def add(self, entries: list[dict], places: list[Place], page: int) -> None:
        """Add the clips of a shard, whose index.json has its header at `page` in the shard.

        raises    Fault if an id is there twice
        """
        for entry, place in zip(entries, places, strict=True):
            if entry["id"] in self._ids:
                raise Fault(f"clip {entry['id']}: another clip has this id")
            self._ids.add(entry["id"])
            row = {name: entry[name] for name in ("id", "n_frames")} | place._asdict()
            row["cluster"] = None if entry["cluster"] == entry["id"] else entry["cluster"]
            for name, text in (("split", entry["split"]), ("arrays", " ".join(entry["arrays"]))):
                row[name] = self.names[name].setdefault(text, len(self.names[name]))
            for name, value in row.items():
                self.columns[name].append(value)
        self.pages.append(page)
        self.n_per_shard = max(self.n_per_shard, len(entries))

    def content(self) -> dict:
        """As JSON."""
        return {
            "columns": self.columns,
            "pages": self.pages,
            "n_per_shard": self.n_per_shard,
            "splits": list(self.names["split"]),
            "arrays": [text.split() for text in self.names["arrays"]],
        }


def shard_name(number: int) -> str:
    return f"shards/{number:05d}.zip"


def append(outer: zipfile.ZipFile, number: int, shard: Path) -> None:
    """Copy a small store into the file as shard `number`."""
    with outer.open(zipfile.ZipInfo(shard_name(number)), "w", force_zip64=True) as to, open(shard, "rb") as file:
        shutil.copyfileobj(file, to, COPY)


class Clips(Mapping[str, dict[str, Any]]):
    """{id: entry} of a store of shards: ids and `brief` are in memory, entries are read a shard at a time."""

    def __init__(self, path: Path, archive: Archive, about: dict, starts: dict[str, int]):
        """Take the columns of index.json.

        starts    {entry of the file: position of its header}
        raises    KeyError or ValueError if shards or columns are missing
        """
        columns = about["columns"]
        self._path, self._archive, self._pages = path, archive, about["pages"]
        self._shards = [archive.entry(starts[shard_name(number)])[1].start for number in range(len(self._pages))]
        self._n, self._splits, self._arrays = about["n_per_shard"], about["splits"], about["arrays"]
        self._number = {key: number for number, key in enumerate(columns["id"])}
        self._n_frames, self._split, self._array_set, *places = (
            np.array(columns[name], np.int64) for name in ("n_frames", "split", "arrays", *Place._fields)
        )
        self._cluster, self._places = columns["cluster"], np.stack(places)
        if len({len(self._number), self._places.shape[1], *map(len, columns.values())}) > 1:
            raise ValueError("columns of different lengths")
        self._read: OrderedDict[int, list[dict]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._number)

    def __iter__(self) -> Iterator[str]:
        return iter(self._number)

    def __contains__(self, clip: object) -> bool:
        return clip in self._number

    def __getitem__(self, clip: str) -> dict[str, Any]:
        number = self._number[clip]
        return self._page(number // self._n)[number % self._n] | {"number": number}

    def brief(self, clip: str) -> dict[str, Any]:
        """Number, split, n_frames, cluster and names of arrays of a clip, without its entry."""
        number = self._number[clip]
        return {
            "id": clip,
            "number": number,
            "split": self._splits[self._split[number]],
            "n_frames": int(self._n_frames[number]),
            "cluster": self._cluster[number] or clip,
            "arrays": self._arrays[self._array_set[number]],
        }

    def of_split(self, name: str) -> list[str]:
        """Ids of the clips of a split, in order."""
        if name not in self._splits:
            return []
        code, ids = self._splits.index(name), list(self._number)
        return [ids[number] for number in np.flatnonzero(self._split == code)]

    def place(self, number: int) -> Place:
        """Where the entries of a clip are in the file."""
        start, n_entries, crc = map(int, self._places[:, number])
        return Place(self._shards[number // self._n] + start, n_entries, crc)

    def _page(self, shard: int) -> list[dict]:
        """The entries of a shard's clips."""
        with self._lock:
            if shard not in self._read:
                try:
                    _, entry, _ = self._archive.entry(self._shards[shard] + self._pages[shard])
                    self._read[shard] = json.loads(self._archive.content(entry))["clips"]
                except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
                    raise Fault(
                        f"{self._path}: {shard_name(shard)}, index.json: {error}; delete the file and run `dvc repro`"
                    ) from None
                while len(self._read) > PAGES:
                    self._read.popitem(last=False)
            self._read.move_to_end(shard)
            return self._read[shard]
