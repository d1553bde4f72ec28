"""Frames in a NumPy array, read from its file one after the other."""

import math
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from v2vbench.clips.video_files._colours import laid_over_black
from v2vbench.clips.video_files._names import shown
from v2vbench.params import Fault, shorten

WANTED = "a video is (T, H, W, 3), grey (T, H, W) or (T, H, W, 1), with alpha (T, H, W, 4), uint8"
NAMES = ("frames.npy", "video.npy", "arr_0.npy")  # in a .npz that has more arrays than one
BROKEN = (OSError, ValueError, EOFError, SyntaxError, zipfile.BadZipFile)


class Array:
    """The frames of a .npy file, or of one array of a .npz file; nothing is unpickled.

    raises    Fault: no array, no uint8, no shape of a video
    """

    def __init__(self, path: Path):
        self.path, self.name = path, shown(path)
        try:
            with self._opened() as file:
                self.shape, self.by_column, kind = _header(file)
        except BROKEN as error:
            if isinstance(error, Fault):
                raise
            raise Fault(f"{self.name}: no NumPy array ({shorten(error)}); save it again with np.save") from None
        if kind != np.uint8:
            floats = "scale it to 0..255, round it and save it as uint8: the range of floats is not known"
            raise Fault(f"{self.name}: {kind}, not uint8; {floats if kind.kind == 'f' else 'save it as uint8, 0..255'}")
        shape, n = self.shape, len(self.shape)
        if n not in (3, 4) or (n == 4 and shape[-1] not in (1, 3, 4)):
            hint = "; move the channels to the end" if n == 4 and shape[1] in (1, 3, 4) else ""
            raise Fault(f"{self.name}: no video in an array of shape {shape}: {WANTED}{hint}")
        if n == 3 and shape[-1] in (3, 4):
            raise Fault(f"{self.name}: an array of shape {shape} is one picture: {WANTED}")
        if not all(shape):
            raise Fault(f"{self.name}: no frame in an array of shape {shape}: {WANTED}")

    def _opened(self) -> IO[bytes]:
        if self.path.suffix.lower() == ".npy":
            return open(self.path, "rb")
        with zipfile.ZipFile(self.path) as archive:
            names = archive.namelist()
            chosen = names if len(names) == 1 else [name for name in names if name in NAMES]
            if len(chosen) != 1:
                have = shorten(", ".join(name.removesuffix(".npy") for name in names) or "none", 100)
                raise Fault(f"{self.name}: arrays {have}; keep one, or give one of them the name frames")
            return archive.open(chosen[0])

    def frames(self, note: Callable[[str], None], start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 of each frame from `start` to before `stop`; raises Fault where the file is damaged."""
        n, each = self.shape[0], math.prod(self.shape[1:])
        last = n if stop is None else min(stop, n)
        i = start
        try:
            with self._opened() as file:
                _header(file)
                columns = self._columns(file) if self.by_column else None
                if columns is None:
                    file.seek(start * each, 1)
                for i in range(start, last):
                    one = file.read(each) if columns is None else columns[i].tobytes()
                    if len(one) != each:
                        raise Fault(f"{self.name}: cut off: {i} of {n} frames in it; copy it again, or save it again")
                    pixels = np.frombuffer(one, np.uint8).reshape(*self.shape[1:3], -1)
                    yield laid_over_black(np.repeat(pixels, 3, -1) if pixels.shape[-1] == 1 else pixels, note)
                if last == n and file.read(1):
                    raise Fault(f"{self.name}: more bytes than the {n} frames of its header; save it again")
        except BROKEN as error:
            if isinstance(error, Fault):
                raise
            raise Fault(
                f"{self.name}: damaged: reading stops after {i} frames ({shorten(error)}); copy it again"
            ) from None

    def _columns(self, file: IO[bytes]) -> np.ndarray:
        """The whole array, because in the order of Fortran no frame is in one piece."""
        n_bytes = math.prod(self.shape)
        values = np.frombuffer(file.read(n_bytes), np.uint8)
        if len(values) != n_bytes:
            raise Fault(
                f"{self.name}: cut off: {len(values)} of {n_bytes} bytes in it; copy it again, or save it again"
            )
        return values.reshape(self.shape, order="F")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, whether in the order of Fortran, dtype); the file is then at the first value."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)
