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
from v2vbench.extractors import Extractor, Features
from v2vbench.extractors import _resizes as resizes

VERSION = 1  # of the arithmetic below; a change of it must make every cached feature stale
CHUNK = 64  # frames resized at once: what a long clip may take of memory
RECENT = 4096  # frames a thread whose rows stay in memory while a stage runs: a damage or a control shows them again


class Rows:
    """Extracts the rows of clips. Equal frames go through a network once, and clips of an earlier run not again.

    kinds     lines of `features`, resolved, whose weights are there
    cache     folder of rows under the hash of what they depend on; None: nothing is kept on disk
    """

    def __init__(self, kinds: Iterable[Features], cache: Path | None):
        self.kinds, self.cache, self.lock = list(kinds), cache, threading.Lock()
        self.recent: dict[tuple[str, bytes], np.ndarray] = {}  # rows of single frames, the oldest first
        self.extractors = {kind.base: kind.extractor for kind in self.kinds}
        self.n_recent = RECENT * max(1, len(self.extractors)) * torch.get_num_threads()
        code = f"{VERSION} {resizes.VERSION} {torch.__version__}"
        self.origin = {
            base: f"{code} {base} {extractor.VERSION} {extractor.resize} {extractor.snippet} {_sha256(extractor)}"
            for base, extractor in self.extractors.items()
        }

    def of(self, frames: np.ndarray, keep: bool = True) -> dict[str, np.ndarray]:
        """{label: (n, D)} of one clip, frames (T, H, W, 3) uint8; as the network gives them, of windows float64.

        keep      on disk, where there is a cache
        raises    ValueError for a clip shorter than a window or a snippet
        """
        paths = {base: self._path(base, frames) for base in self.extractors if keep and self.cache}
        rows = {base: cached for base, path in paths.items() if (cached := _read(path)) is not None}
        missing = {base: extractor for base, extractor in self.extractors.items() if base not in rows}
        if of_frames := [base for base in rows if self.extractors[base].snippet is None]:
            keys = _keys(frames)
            self._remember({base: dict(zip(keys, rows[base])) for base in of_frames})
        rows |= self._frames(frames, {base: extractor for base, extractor in missing.items() if not extractor.snippet})
        rows |= _snippets(frames, {base: extractor for base, extractor in missing.items() if extractor.snippet})
        for base in missing.keys() & paths.keys():
            _write(paths[base], rows[base])
        return {
            kind.label: rows[kind.base] if kind.windows is None else window_rows(rows[kind.base], **vars(kind.windows))
            for kind in self.kinds
        }

    def _path(self, base: str, frames: np.ndarray) -> Path:
        """Named by a hash of all that determines the rows: pixels, order and number of frames, weights, code."""
        what = f"{self.origin[base]} {frames.dtype} {frames.shape}".encode()
        return Path(self.cache or "") / hashlib.sha256(what + np.ascontiguousarray(frames).tobytes()).hexdigest()

    def _frames(self, frames: np.ndarray, extractors: dict[str, Extractor]) -> dict[str, np.ndarray]:
        """Rows of single frames; equal frames go through a network once."""
        keys = _keys(frames) if extractors else []
        rows = {base: self._recent_rows(base, keys) for base in extractors}
        first: dict[bytes, int] = {}  # where each frame comes first
        for i, key in enumerate(keys):
            first.setdefault(key, i)
        for policy in {extractor.resize for extractor in extractors.values()}:
            alike = {base: extractor for base, extractor in extractors.items() if extractor.resize == policy}
            new = [i for key, i in first.items() if any(key not in rows[base] for base in alike)]
            for start in range(0, len(new), CHUNK):
                at = new[start : start + CHUNK]
                images = resizes.resize(frames[at], *policy)
                for base, extractor in alike.items():
                    rows[base] |= zip((keys[i] for i in at), extractor.extract(images).numpy())
        self._remember(rows)
        return {base: np.stack([rows[base][key] for key in keys]) for base in extractors}

    def _recent_rows(self, base: str, keys: list[bytes]) -> dict[bytes, np.ndarray]:
        return {key: row for key in keys if (row := self.recent.get((base, key))) is not None}

    def _remember(self, rows: dict[str, dict[bytes, np.ndarray]]) -> None:
        with self.lock:  # clips are scored side by side
            for base, of_base in rows.items():
                self.recent |= {(base, key): row for key, row in of_base.items()}
            for key in list(itertools.islice(self.recent, max(0, len(self.recent) - self.n_recent))):
                del self.recent[key]


def _keys(frames: np.ndarray) -> list[bytes]:
    return [hashlib.sha256(np.ascontiguousarray(frame)).digest() for frame in frames]


def _snippets(frames: np.ndarray, extractors: dict[str, Extractor]) -> dict[str, np.ndarray]:
    """Rows of snippets, whole ones alone: frames after the last one are not used."""
    rows: dict[str, list[np.ndarray]] = {base: [] for base in extractors}
    for policy, snippet in {(extractor.resize, extractor.snippet) for extractor in extractors.values()}:
        n, stride = snippet
        alike = {
            base: extractor
            for base, extractor in extractors.items()
            if (extractor.resize, extractor.snippet) == (policy, snippet)
        }
        if len(frames) < n:
            raise ValueError(f"{len(frames)} frames are fewer than a snippet of {n}")
        starts = range(0, len(frames) - n + 1, stride)
        for first in range(0, len(starts), several := max(1, CHUNK // n)):
            images = torch.stack(
                [resizes.resize(frames[start : start + n], *policy) for start in starts[first : first + several]]
            )
            for base, extractor in alike.items():
                rows[base].append(extractor.extract(images).numpy())
    return {base: np.concatenate(parts) for base, parts in rows.items()}


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


def _sha256(extractor: Extractor) -> str:
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
