"""The arrays of a clip on their way to a file: checked, digested, and written as a zarr group, a batch at a time."""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import zarr
from numcodecs import blosc  # pyright: ignore[reportAttributeAccessIssue] - compiled
from zarr.codecs import BloscCodec
from zarr.storage import MemoryStore

from v2vbench.params import Fault

CHUNK = 8  # frames per chunk, the unit of decoding; see docs/clip_store.md
BATCH = 2 * CHUNK  # frames in memory when writing, whose chunks are compressed in parallel
COMPRESSOR, LEVEL = "zstd", 3
LARGE = 2**16  # bytes of a chunk, from which on threads are worth their start
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


def check(
    clip: dict, arrays: dict[str, np.ndarray | Frames], groups: Iterable[str], size: tuple[int, int]
) -> dict[str, np.ndarray | Frames]:
    """The arrays after a check; Frames are wrapped so that each piece is checked as it is read.

    groups    test groups of the data set
    size      H, W of its frames in pixels
    raises    Fault for whole arrays at once, for pieces when they are read
    """
    where, n, checked = f"clip {clip['id']}", clip["n_frames"], {}
    if clip["split"] not in ("train", *groups):
        raise Fault(f"{where}: split {clip['split']!r} is not train or one of {', '.join(groups)}")
    for name, array in arrays.items():
        if name not in KINDS:
            raise Fault(f"{where}: unknown array {name!r}; there are {', '.join(KINDS)}")
        dtype, axes = KINDS[name]
        want = [n if a == "T" else n - 1 if a == "t" else int(a) if a.isdigit() else None for a in axes]
        if "H" in axes:
            want[1:3] = size
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


def put(
    file: zipfile.ZipFile,
    prefix: str,
    arrays: dict[str, np.ndarray | Frames],
    attributes: tuple[tuple[str, str], ...] = (),
) -> str:
    """Add one zarr group, a batch at a time, and return its digest: arrays by name, chunks by time, then the metadata.

    zarr makes the metadata, and chunks are compressed as zarr does it, in the same bytes: a group made with zarr takes
    ten times as long where clips are tiny, and its ZipStore writes the time of day into its entries.

    attributes    (name, text) of the group
    """
    sha = hashlib.sha256()
    for name in sorted(arrays):
        shape = ()
        for number, batch in enumerate(_batches(name, arrays[name], sha)):
            shape, ends = batch.shape[1:], f"{'/0' * (batch.ndim - 1)}"
            chunks = [_padded(batch[first : first + CHUNK]) for first in range(0, len(batch), CHUNK)]
            for i, content in enumerate(_side_by_side(chunks)):
                if content is not None:
                    _add(file, f"{prefix}{name}/c/{number * BATCH // CHUNK + i}{ends}", content)
        dtype = KINDS[name][0]
        _add(file, f"{prefix}{name}/zarr.json", _array_metadata((len(arrays[name]), *shape), dtype))
    _add(file, f"{prefix}zarr.json", _group_metadata(attributes))
    return sha.hexdigest()


def _add(file: zipfile.ZipFile, name: str, content: bytes) -> None:
    file.writestr(zipfile.ZipInfo(name), content)  # dated 1980, so that equal content is equal bytes


def _padded(frames: np.ndarray) -> np.ndarray:
    """A whole chunk, with zeros after the last frame."""
    if len(frames) == CHUNK:
        return frames
    chunk = np.zeros((CHUNK, *frames.shape[1:]), frames.dtype)
    chunk[: len(frames)] = frames
    return chunk


def _side_by_side(chunks: list[np.ndarray]) -> Iterable[bytes | None]:
    """The compressed chunks of a batch; large ones are compressed at the same time."""
    if len(chunks) < 2 or chunks[0].nbytes < LARGE:
        return map(_compressed, chunks)
    with ThreadPoolExecutor(len(chunks)) as pool:
        return list(pool.map(_compressed, chunks))


def _compressed(chunk: np.ndarray) -> bytes | None:
    """None where all bits are zero: such chunks are not written."""
    if not chunk.view(np.uint8).any():
        return None
    shuffle = blosc.BITSHUFFLE if chunk.itemsize > 1 else blosc.NOSHUFFLE
    return blosc.compress(chunk, COMPRESSOR.encode(), LEVEL, shuffle, 0)


@lru_cache(maxsize=1024)
def _array_metadata(shape: tuple[int, ...], dtype: str) -> bytes:
    """What zarr writes as the zarr.json of an array."""
    shuffle = "bitshuffle" if np.dtype(dtype).itemsize > 1 else "noshuffle"
    entries, codec = {}, BloscCodec(cname=COMPRESSOR, clevel=LEVEL, shuffle=shuffle)
    zarr.create_array(MemoryStore(entries), shape=shape, dtype=dtype, chunks=(CHUNK, *shape[1:]), compressors=codec)
    return entries["zarr.json"].to_bytes()


@lru_cache
def _group_metadata(attributes: tuple[tuple[str, str], ...]) -> bytes:
    entries = {}
    zarr.open_group(MemoryStore(entries), mode="w", attributes=dict(attributes))
    return entries["zarr.json"].to_bytes()
