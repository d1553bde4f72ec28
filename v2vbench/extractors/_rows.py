"""The rows that set metrics compare: what pretrained networks see in frames, snippets and windows, kept by content."""

import hashlib
import itertools
import os
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from v2vbench.download import weights
from v2vbench.extractors import Features
from v2vbench.extractors import _resizes as resizes

VERSION = 1  # of the arithmetic below; a change of it must make every cached feature stale
CHUNK = 64  # frames resized at once: what a long clip may take of memory
RECENT = 4096  # frames a thread whose rows are remembered while a stage runs: a damage or a control shows them again


class Rows:
    """Extracts the rows of clips; equal frames are looked at once, and clips that were seen in an earlier run not again.

    kinds     lines of `features`, resolved, whose weights are there
    cache     folder of rows kept by content; None keeps nothing on disk
    """

    def __init__(self, kinds: Iterable[Features], cache: Path | None):
        self.kinds, self.cache, self.recent, self.lock = list(kinds), cache, {}, threading.Lock()
        self.bases = {kind.base: kind.extractor for kind in self.kinds}
        self.n_recent = RECENT * max(1, len(self.bases)) * torch.get_num_threads()
        code = f"{VERSION} {resizes.VERSION} {torch.__version__}"
        self.made_by = {
            base: f"{code} {base} {own.VERSION} {own.resize} {own.snippet} {_sha256(own)}"
            for base, own in self.bases.items()
        }

    def of(self, frames: np.ndarray, keep: bool = True) -> dict[str, np.ndarray]:
        """{label: (n, D)} of one clip, frames (T, H, W, 3) uint8; as the network gives them, of windows float64.

        keep      on disk, where there is a cache
        raises    ValueError for a clip shorter than a window or a snippet
        """
        paths = {base: self._path(base, frames) for base in self.bases if keep and self.cache}
        found = {base: rows for base, path in paths.items() if (rows := _read(path)) is not None}
        missing = {base: own for base, own in self.bases.items() if base not in found}
        if known := [base for base in found if self.bases[base].snippet is None]:
            keys = _keys(frames)
            self._remember({base: dict(zip(keys, found[base])) for base in known})
        found |= self._frames(frames, {base: own for base, own in missing.items() if own.snippet is None})
        found |= _snippets(frames, {base: own for base, own in missing.items() if own.snippet})
        for base in missing.keys() & paths.keys():
            _write(paths[base], found[base])
        return {
            kind.label: found[kind.base]
            if kind.windows is None
            else window_rows(found[kind.base], **vars(kind.windows))
            for kind in self.kinds
        }

    def _path(self, base: str, frames: np.ndarray) -> Path:
        """Under the hash of all that determines the rows: a pixel, the order or the number of frames, the weights, the code."""
        what = f"{self.made_by[base]} {frames.dtype} {frames.shape}".encode()
        return Path(self.cache) / hashlib.sha256(what + np.ascontiguousarray(frames).tobytes()).hexdigest()

    def _frames(self, frames: np.ndarray, wanted: dict) -> dict[str, np.ndarray]:
        """Rows of single frames, of equal ones once."""
        keys = _keys(frames) if wanted else []
        held = {
            base: {key: row for key in keys if (row := self.recent.get((base, key))) is not None} for base in wanted
        }
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        for policy in {own.resize for own in wanted.values()}:
            users = {base: own for base, own in wanted.items() if own.resize == policy}
            new = sorted(i for key, i in first.items() if any(key not in held[base] for base in users))
            for start in range(0, len(new), CHUNK):
                at = new[start : start + CHUNK]
                images = resizes.resize(frames[at], *policy)
                for base, own in users.items():
                    held[base] |= zip((keys[i] for i in at), own.extract(images).numpy())
        self._remember(held)
        return {base: np.stack([held[base][key] for key in keys]) for base in wanted}

    def _remember(self, held: dict[str, dict]) -> None:
        with self.lock:  # clips are looked at side by side
            for base, rows in held.items():
                self.recent |= {(base, key): row for key, row in rows.items()}
            for key in list(itertools.islice(self.recent, max(0, len(self.recent) - self.n_recent))):
                del self.recent[key]


def _keys(frames: np.ndarray) -> list[bytes]:
    return [hashlib.sha256(np.ascontiguousarray(frame)).digest() for frame in frames]


def _snippets(frames: np.ndarray, wanted: dict) -> dict[str, np.ndarray]:
    """Rows of snippets, whole ones alone: frames after the last one are not seen."""
    found = {base: [] for base in wanted}
    for policy, (n, stride) in {(own.resize, own.snippet) for own in wanted.values()}:
        if len(frames) < n:
            raise ValueError(f"{len(frames)} frames are fewer than a snippet of {n}")
        starts = range(0, len(frames) - n + 1, stride)
        for first in range(0, len(starts), several := max(1, CHUNK // n)):
            images = torch.stack(
                [resizes.resize(frames[start : start + n], *policy) for start in starts[first : first + several]]
            )
            for base, own in wanted.items():
                if (own.resize, own.snippet) == (policy, (n, stride)):
                    found[base].append(own.extract(images).numpy())
    return {base: np.concatenate(rows) for base, rows in found.items()}


def window_rows(rows: np.ndarray, *, n_frames: int, stride: int, change_weight: float) -> np.ndarray:
    """What windows of a clip look like and how they change: mean of the rows, mean absolute difference of neighbours.

    rows             (T, D) of frames, in order of time
    n_frames         rows a window
    stride           rows between windows; one more window ends at the last row where the others do not
    change_weight    of the second half
    returns          (n, 2 D) float64
    raises           ValueError where the clip is shorter than a window
    """
    if len(rows) < n_frames:
        raise ValueError(f"{len(rows)} frames are fewer than a window of {n_frames}")
    last = len(rows) - n_frames
    starts = sorted({*range(0, last + 1, stride), last})
    windows = np.stack([rows[start : start + n_frames] for start in starts]).astype(np.float64)  # (n, n_frames, D)
    return np.concatenate([windows.mean(1), change_weight * np.abs(np.diff(windows, axis=1)).mean(1)], 1)


def _sha256(extractor) -> str:
    return " ".join(map(weights.sha256, extractor.weights)) or extractor.weights_sha256


def _read(path: Path) -> np.ndarray | None:
    """Rows as written, or None where there are none or the file was cut short or altered: they are made anew then."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        return None
    n, size = (int.from_bytes(content[start : start + 4], "little") for start in (32, 36))
    return np.frombuffer(content[40:], f"<f{size}").reshape(n, -1).copy()


def _write(path: Path, rows: np.ndarray) -> None:
    body = len(rows).to_bytes(4, "little") + rows.dtype.itemsize.to_bytes(4, "little") + rows.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file:
        file.write(hashlib.sha256(body).digest() + body)
    os.replace(file.name, path)  # whole, whoever else writes the same
