"""Reads chunks of zarr arrays straight from a zip file of stored entries; any number of threads may read at once."""

import json
import os
import struct
import weakref
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numcodecs import blosc  # pyright: ignore[reportAttributeAccessIssue] - compiled

HEADER = struct.Struct("<4s5H3I2H")  # before each entry of a zip file; its name and an extra field follow
ZIP64 = struct.Struct("<HHQQ")  # the extra field of an entry whose sizes do not fit in the header
FULL = 0xFFFFFFFF  # in place of a size that is in the extra field
PEEK = 128  # bytes that hold most headers and names
blosc.use_threads = False  # each thread that reads decodes for itself, the main thread too


class Entry(NamedTuple):
    """Where the content of an entry is in the file."""

    start: int
    size: int
    crc: int


class Place(NamedTuple):
    """Where the entries of a clip are: one after the other, its arrays and their chunks in the order of writing."""

    start: int  # of the first entry's header in the file
    n_entries: int
    crc: int  # of their names, sizes and checksums


def places(entries: Iterable[tuple[str, int, int, int]]) -> list[Place]:
    """The place of each clip in a store.

    entries    (name, position of its header, size, crc) of all entries in the order of the file; those of clip 3 are
               named 00003/...
    raises     ValueError if clips are mixed up
    """
    result, current = [], ""
    for name, start, size, crc in entries:
        folder, slash, rest = name.partition("/")
        if not slash or not folder.isdecimal():
            continue
        if folder != current:
            if int(folder) != len(result):
                raise ValueError(f"clip {folder} is not in its place")
            current = folder
            result.append(Place(start, 0, 0))
        place = result[-1]
        result[-1] = Place(place.start, place.n_entries + 1, _checksum(place.crc, rest, size, crc))
    return result


def _checksum(so_far: int, name: str, size: int, crc: int) -> int:
    return zlib.crc32(f"{name} {size} {crc}\n".encode(), so_far)


class Archive:
    """A zip file of stored entries, read at given places without its directory; open until the object is gone."""

    def __init__(self, descriptor: int):
        """Read from a copy of `descriptor`, which stays open when the original is closed."""
        self._file = os.dup(descriptor)
        weakref.finalize(self, os.close, self._file)

    def entry(self, start: int) -> tuple[str, Entry, int]:
        """Name and content of the entry whose header is at `start`, and the position after it.

        raises    BadZipFile if there is no such header
        """
        head = os.pread(self._file, PEEK, start)
        if len(head) < HEADER.size or not head.startswith(b"PK\3\4"):
            raise zipfile.BadZipFile(f"no entry at byte {start}")
        _, _, _, method, _, _, crc, packed, size, n_name, n_extra = HEADER.unpack_from(head)
        body = HEADER.size + n_name + n_extra
        if body > len(head):
            head = self._bytes(start, body)
        if FULL in (packed, size):
            _, _, size, packed = ZIP64.unpack_from(head, HEADER.size + n_name)
        name = head[HEADER.size : HEADER.size + n_name].decode()
        if method != zipfile.ZIP_STORED or packed != size:
            raise zipfile.BadZipFile(f"{name} is compressed")
        return name, Entry(start + body, size, crc), start + body + size

    def content(self, entry: Entry) -> bytes:
        """The content of an entry; raises BadZipFile if its checksum is wrong."""
        content = self._bytes(entry.start, entry.size)
        if zlib.crc32(content) != entry.crc:
            raise zipfile.BadZipFile(f"bad checksum of the {entry.size} bytes from byte {entry.start}")
        return content

    def clip(self, place: Place) -> "ClipArrays":
        """The arrays of the clip at `place`; raises BadZipFile if other entries are there."""
        entries, position, crc = {}, place.start, 0
        for _ in range(place.n_entries):
            name, entry, position = self.entry(position)
            name = name.partition("/")[2]
            entries[name], crc = entry, _checksum(crc, name, entry.size, entry.crc)
        if crc != place.crc:
            raise zipfile.BadZipFile(f"other entries than were written from byte {place.start}")
        return ClipArrays(self, entries)

    def _bytes(self, start: int, size: int) -> bytes:
        content = os.pread(self._file, size, start)
        while 0 < len(content) < size:  # the system reads 2 GB at a time
            more = os.pread(self._file, size - len(content), start + len(content))
            if not more:
                break
            content += more
        if len(content) < size:
            raise zipfile.BadZipFile(f"the file ends before byte {start + size}")
        return content


class Layout(NamedTuple):
    """Of an array, as its zarr.json has it."""

    shape: tuple[int, ...]
    dtype: np.dtype
    n: int  # frames per chunk
    empty: float  # value of chunks that were not written


@dataclass
class ClipArrays:
    """The arrays of one clip."""

    archive: Archive
    entries: dict[str, Entry]  # by name within the clip
    _layouts: dict[str, Layout] = field(default_factory=dict)

    @cached_property
    def names(self) -> list[str]:
        """Of the arrays, sorted."""
        return sorted(name.removesuffix("/zarr.json") for name in self.entries if name.endswith("/zarr.json"))

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """Frames start..stop of an array.

        raises    KeyError if there is no such array; BadZipFile, ValueError or RuntimeError if it is damaged
        """
        layout = self._layout(name)
        shape, n = layout.shape, layout.n
        start, stop, _ = slice(start, stop).indices(shape[0])
        frames = np.empty((max(stop - start, 0), *shape[1:]), layout.dtype)
        if not frames.size:
            return frames
        for chunk in range(start // n, -(-stop // n)):
            first, last = max(start, chunk * n), min(stop, chunk * n + n)
            part = frames[first - start : last - start]
            entry = self.entries.get(f"{name}/c/{chunk}{'/0' * (len(shape) - 1)}")
            if entry is None:
                part[...] = layout.empty
            elif len(part) == n:
                _decode(self.archive.content(entry), part)
            else:
                whole = np.empty((n, *shape[1:]), layout.dtype)
                _decode(self.archive.content(entry), whole)
                part[...] = whole[first - chunk * n : last - chunk * n]
        return frames

    def _layout(self, name: str) -> Layout:
        if name not in self._layouts:
            about = json.loads(self.archive.content(self.entries[f"{name}/zarr.json"]))
            shape, chunk = tuple(about["shape"]), tuple(about["chunk_grid"]["configuration"]["chunk_shape"])
            codecs = [codec["name"] for codec in about["codecs"]]
            if codecs != ["bytes", "blosc"] or chunk[1:] != shape[1:]:
                raise ValueError(f"chunks of {chunk} with codecs {', '.join(codecs)}; a clip store has others")
            dtype = np.dtype(about["data_type"]).newbyteorder("<")
            self._layouts[name] = Layout(shape, dtype, chunk[0], about["fill_value"])
        return self._layouts[name]


def _decode(content: bytes, to: np.ndarray) -> None:
    """Decompress a chunk into an array, with the interpreter lock released."""
    if int.from_bytes(content[4:8], "little") != to.nbytes:  # as Blosc's header has it
        raise ValueError(f"a chunk of other than {to.nbytes} bytes")
    blosc.decompress(content, to)
