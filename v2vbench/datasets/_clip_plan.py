"""Which frames of a user's videos become clips of which split, and why every other frame becomes none."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from v2vbench.datasets._shots import Shots
from v2vbench.params import Fault

FEWEST_VIDEOS = 3  # that are split as wholes; fewer are split by time
SHORT, BETWEEN, STILL, GAP, BEYOND = (
    "shot or its rest too short for a clip",
    "between two clips",
    "nothing moves",
    "gap between training and test",
    "beyond the number of clips wanted",
)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Consecutive frames of one shot that become a clip."""

    video: str
    split: str  # train or test
    shot: int  # number in the video
    first: int  # frame of the video


@dataclass(kw_only=True)
class Plan:
    """The clips of all videos, in order of video and time, and the frames that are in none."""

    by_time: bool  # training and test are parts of the same videos
    n_frames: int  # per clip
    pieces: list[Piece] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)  # {reason: frames}

    def drop(self, reason: str, n_frames: int) -> None:
        """Count frames that are in no clip."""
        if n_frames:
            self.dropped[reason] = self.dropped.get(reason, 0) + n_frames


def plan(
    videos: dict[str, Shots],
    *,
    n_frames: int,
    stride: int,
    n_train: int,
    n_test: int,
    test_share: float,
    gap: int,
    still: float,
    seed: int,
) -> Plan:
    """Cut clips that cross no shot, and split them: whole videos where at least three have clips, else each by time.

    videos        {name: its shots}
    n_frames      per clip
    stride        frames from the start of a clip to that of the next one in a shot
    n_train       clips at most, as many from each video as it has, spread evenly in it; n_test: the same
    test_share    of the videos with clips, or of the frames of each video
    gap           frames between training and test of a video that is split by time
    still         mean change from frame to frame, in grey levels, below which nothing moves in a clip
    seed          of the choice of videos for testing
    returns       a plan in which every frame of the videos is in a clip or dropped
    raises        Fault if a split has no clip
    """

    def moving(name: str, spans: list[tuple[int, int, int]], of: Plan, split: str) -> list[Piece]:
        pieces = [Piece(video=name, split=split, shot=k, first=t) for k, t in _starts(spans, n_frames, stride, of)]
        moves = [videos[name].change[p.first + 1 : p.first + n_frames].mean() >= still for p in pieces]
        of.drop(STILL, n_frames * moves.count(False))
        return [piece for piece, good in zip(pieces, moves) if good]

    whole = Plan(by_time=False, n_frames=n_frames)
    pieces = {name: moving(name, _within(shots, 0, shots.n_frames), whole, "") for name, shots in videos.items()}
    usable = sorted(name for name in pieces if pieces[name])
    if len(usable) >= FEWEST_VIDEOS:
        made, n = whole, len(usable)
        few = 2 if n > FEWEST_VIDEOS else 1  # distances between sets need two videos
        for_test = np.random.default_rng(seed).permutation(usable)[: min(max(round(test_share * n), few), n - 1)]
        chosen = {"train": set(usable) - {*for_test.tolist()}, "test": {*for_test.tolist()}}
        parts = {split: {name: pieces[name] for name in sorted(names)} for split, names in chosen.items()}
    else:
        made, parts = Plan(by_time=True, n_frames=n_frames), {"train": {}, "test": {}}
        for name, shots in videos.items():
            n_last = max(0, round(test_share * (shots.n_frames - gap)))
            middle = max(0, shots.n_frames - gap - n_last)  # where training ends
            parts["train"][name] = moving(name, _within(shots, 0, middle), made, "train")
            parts["test"][name] = moving(name, _within(shots, shots.n_frames - n_last, shots.n_frames), made, "test")
            made.drop(GAP, shots.n_frames - middle - n_last)
    for split, most in (("train", n_train), ("test", n_test)):
        n_cut = sum(map(len, parts[split].values()))
        if not n_cut:
            longest = max(stop - start for shots in videos.values() for start, stop in shots.spans)
            between = f", and {gap} frames of each video are a gap" if made.by_time else ""
            raise Fault(
                f"no clip of {n_frames} moving frames for {'training' if split == 'train' else 'testing'}: the longest "
                f"shot has {longest} frames{between}; give longer or more videos, or lower n_frames"
            )
        kept = [piece for group in _spread(list(parts[split].values()), most) for piece in group]
        made.drop(BEYOND, n_frames * (n_cut - len(kept)))
        made.pieces += [replace(piece, split=split) for piece in kept]
    order = {name: i for i, name in enumerate(videos)}
    made.pieces.sort(key=lambda piece: (order[piece.video], piece.first))
    check_counts(made, videos)
    return made


def check_counts(made: Plan, videos: dict[str, Shots]) -> None:
    """Every frame of the videos is in a clip or dropped for one reason; raises AssertionError."""
    n_in, n_clips = sum(shots.n_frames for shots in videos.values()), made.n_frames * len(made.pieces)
    n_dropped = sum(made.dropped.values())
    assert n_in == n_clips + n_dropped, f"{n_in} frames in, {n_clips} in clips and {n_dropped} dropped"


def _within(shots: Shots, start: int, stop: int) -> list[tuple[int, int, int]]:
    """(number, start, stop) of the part of each shot that lies in the frames start..stop-1."""
    cut = [(k, max(a, start), min(b, stop)) for k, (a, b) in enumerate(shots.spans)]
    return [(k, a, b) for k, a, b in cut if a < b]


def _starts(spans: list[tuple[int, int, int]], n_frames: int, stride: int, of: Plan) -> Iterator[tuple[int, int]]:
    """(number of the shot, first frame) of every clip in the spans; frames in no clip are dropped from the plan."""
    for k, start, stop in spans:
        n = max(0, (stop - start - n_frames) // stride + 1)
        between = max(0, n - 1) * (stride - n_frames)
        of.drop(BETWEEN, between)
        of.drop(SHORT, stop - start - n * n_frames - between)
        yield from ((k, start + i * stride) for i in range(n))


def _spread(groups: list[list[Piece]], most: int) -> list[list[Piece]]:
    """At most `most` pieces: equally many of each group as far as it has them, spread evenly over the group."""
    n = [0] * len(groups)
    for _ in range(min(most, sum(map(len, groups)))):
        n[min((i for i in range(len(groups)) if n[i] < len(groups[i])), key=lambda i: n[i])] += 1
    return [[g[i] for i in np.linspace(0, len(g) - 1, k).round().astype(int)] for g, k in zip(groups, n) if k]
