"""Metrics on published videos that were voted on: each video once, kept under its content, in bounded memory."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch

from v2vbench.clips.tensors import to_tensors
from v2vbench.closure import digests
from v2vbench.download import weights
from v2vbench.metrics import Metric
from v2vbench.parallel import side_by_side
from v2vbench.params import Fault, Params
from v2vbench.people.published import Footage, VotedPair
from v2vbench.progress import progress, say
from v2vbench.runner.digests import scoring

N_FRAMES, MOST_PIXELS = 16, 1 << 25  # of a part that is scored at once, at most
AT_ONCE = 256  # videos whose scores may wait for those before them

Key = tuple[str, str]  # of a reference and of a video


@dataclass(frozen=True)
class Scored:
    """One video against its reference."""

    size: tuple[int, int]  # H, W in px
    values: dict[str, float]  # by label
    failures: dict[str, str]  # by label: why there is no value


def keys(pair: VotedPair) -> tuple[Key, Key]:
    """What a and b are found by among the scores."""
    return (pair.reference.key, pair.a.key), (pair.reference.key, pair.b.key)


def frames_at_once(size: tuple[int, int]) -> int:
    """Frames of a part of a video: as many as memory allows, and at least 2, since some metrics compare neighbours."""
    return max(2, min(N_FRAMES, MOST_PIXELS // (size[0] * size[1])))


def score(metrics: Iterable[Metric], reference: Footage, video: Footage) -> Scored:
    """A video against its reference: the mean over parts of `frames_at_once` frames that follow each other.

    Frames at the end that fill no part are left out, unless there are no others. A metric has no value where it has
    none on one of the parts.

    raises    Fault naming the file that is damaged, or of another size or length than the reference
    """
    values: dict[str, list[float]] = {}
    failures: dict[str, str] = {}
    size = None
    for real, fake in _parts(reference, video):
        size = real.shape[1:3]
        clip = to_tensors({"real": real, "fake": fake})
        for metric in metrics:
            if metric.label not in failures:
                try:
                    of_frames = metric.compute(clip, video.key).double()
                    values.setdefault(metric.label, []).append(float(of_frames.mean()))
                except Fault as fault:
                    failures[metric.label] = str(fault).removeprefix(f"metrics.{metric.label}: {video.key}: ")
    if size is None:
        raise Fault(f"{video.path}: has no frame")
    means = {label: float(np.mean(some)) for label, some in values.items() if label not in failures}
    return Scored((int(size[0]), int(size[1])), means, failures)


def _parts(reference: Footage, video: Footage) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Parts of both videos, (T, H, W, 3) uint8 each."""
    real, fake, n, whole = [], [], N_FRAMES, False
    frames = (reference.read(), video.read())
    while True:
        one, two = (next(some, None) for some in frames)
        if one is None and two is None:
            break
        if one is None or two is None:
            raise Fault(f"{video.path}: has another number of frames than its reference, {reference.path}")
        if one.shape != two.shape:
            sizes = f"{two.shape[1]}x{two.shape[0]} px, and its reference {one.shape[1]}x{one.shape[0]}"
            raise Fault(f"{video.path}: is {sizes}; give the set as it was published")
        if not real:
            n = frames_at_once(one.shape[:2])
        real.append(one)
        fake.append(two)
        if len(real) == n:
            yield np.stack(real), np.stack(fake)
            real, fake, whole = [], [], True
    if real and not whole:
        yield np.stack(real), np.stack(fake)


class Hashes:
    """sha256 of each file, read once."""

    def __init__(self):
        self.known: dict[Path, str] = {}

    def __call__(self, footage: Footage) -> str:
        if footage.path not in self.known:
            self.known[footage.path] = footage.sha256
        return self.known[footage.path]


def scores(
    name: str, metrics: list[Metric], params: Params, pairs: list[VotedPair], hashes: Hashes, root: Path
) -> dict[Key, Scored]:
    """{(key of the reference, key of a video): its scores}; each video is scored once, and kept under its content."""
    wanted: dict[Key, tuple[Footage, Footage]] = {}
    for pair in pairs:
        wanted |= zip(keys(pair), ((pair.reference, pair.a), (pair.reference, pair.b)))
    kept = _Kept(root / ".cache" / "published" / f"{name}-{_origin(metrics, params)}.jsonl")
    scored: dict[Key, Scored] = {}

    def one(key: Key) -> tuple[Key, str, Scored]:
        reference, video = wanted[key]
        content = f"{hashes(reference)} {hashes(video)}"
        return key, content, kept.known.get(content) or score(metrics, reference, video)

    left = iter(wanted)
    parts = iter(lambda: list(islice(left, AT_ONCE)), [])
    rounds = chain.from_iterable(side_by_side(one, some) for some in parts)
    with kept:
        for key, content, result in progress(rounds, f"score {name}", unit="video", total=len(wanted)):
            kept.add(content, result)
            scored[key] = result
    return scored


def _origin(metrics: list[Metric], params: Params) -> str:
    """A hash of what scores depend on beside the videos."""
    files, lines = scoring(params, [metric.label for metric in metrics])
    needed = sorted({name for metric in metrics for name in metric.weights})
    content = [
        digests([*files, "clips/tensors.py", "clips/video_files/__init__.py"]),
        lines,
        {name: weights.sha256(name) for name in needed},
        [N_FRAMES, MOST_PIXELS],
        torch.__version__,
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


class _Kept:
    """Scores in a file, a line each, under the sha256 of both videos: what is there is not scored again.

    A line that was cut short, as by a kill, is made anew.
    """

    def __init__(self, path: Path):
        self.path, self.known = path, {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    content, size, values, failures = json.loads(line)
                    self.known[content] = Scored((size[0], size[1]), values, failures)
                except (ValueError, TypeError, IndexError):
                    say(f"{path.name}: a line that was cut short is made anew")

    def __enter__(self) -> "_Kept":
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = open(self.path, "a", encoding="utf-8")
            if self.path.stat().st_size:
                self.file.write("\n")  # after a line that was cut short
        except OSError as error:
            raise Fault(f"{self.path}: {error.strerror or error}; repair the folder and run again") from None
        return self

    def __exit__(self, *error) -> None:
        self.file.close()

    def add(self, content: str, scored: Scored) -> None:
        if content not in self.known:
            self.known[content] = scored
            self.file.write(json.dumps([content, scored.size, scored.values, scored.failures]) + "\n")
            self.file.flush()
