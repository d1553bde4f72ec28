"""BVI-VFI: videos between whose frames five algorithms made new ones, and how 189 people rated them.

Layout: `<sequence>_<resolution>_<frame rate>_<algorithm>.mp4` anywhere below the folder, references `..._GT.mp4`, as
the authors' page says; and `scores.csv`, which is yours to make from their JSON files. How these are built inside is
not published, and whether a higher number is better differs between the two standards they follow: so they are not
read, rather than read wrongly. scores.csv has a line a rating:

    video     file name of a distorted video, with or without .mp4
    rater     any name of the person; the same one on all lines of theirs
    score     a number, higher is better: of differences `reference - video` the negative

or, where single ratings are not at hand, a line a video:

    video     as above
    mean      of its ratings, higher is better
    deviation standard deviation of single ratings
    raters    how many
"""

import csv
import math
from collections.abc import Iterator
from functools import partial
from itertools import combinations
from pathlib import Path

from scipy.special import ndtr

from v2vbench.clips.video_files import frames
from v2vbench.params import Fault, brief
from v2vbench.people.published import Footage, VotedPair

TITLE = "BVI-VFI"
LICENCE = "academic use only; all rights remain with the University of Bristol"
CITATION = (
    "Danier, Zhang & Bull 2023, BVI-VFI: A Video Quality Database for Video Frame Interpolation, IEEE Transactions on "
    "Image Processing"
)
PAGE = "https://github.com/danier97/BVI-VFI-database"
URLS: dict[str, str] = {}
ACCESS = f"its authors send the address to those who fill in the form at {PAGE}; give the folder it was unpacked to"
SPLIT = "Left out in turn are sequences, with all their frame rates, and algorithms."
TABLE, REFERENCE = "scores.csv", "GT"
RATINGS, MEANS = ("video", "rater", "score"), ("video", "mean", "deviation", "raters")
NAMES = "<sequence>_<resolution>_<frame rate>_<algorithm>.mp4"

Raters = dict[str, float]  # {rater: score of a video}
Mean = tuple[float, float, int]  # mean, deviation of single ratings, raters


def subsets(folder: Path) -> list[str]:
    """Resolutions of the videos in a folder."""
    return sorted({resolution for _, resolution, _, _ in _videos(folder)})


def pairs(folder: Path, subset: str) -> Iterator[VotedPair]:
    """Two algorithms on one sequence at one frame rate: who of those that rated both rated which one higher."""
    videos = _videos(folder)
    scores = _scores(folder / TABLE, {path.stem for name, path in videos.items() if name[3] != REFERENCE})
    made: dict[tuple[str, str, str], dict[str, Path]] = {}
    for (sequence, resolution, rate, algorithm), path in videos.items():
        if resolution == subset:
            made.setdefault((sequence, resolution, rate), {})[algorithm] = path
    for name, by_algorithm in sorted(made.items()):
        if REFERENCE not in by_algorithm:
            raise Fault(
                f"{folder}: no {'_'.join(name)}_{REFERENCE}.mp4, beside {next(iter(by_algorithm.values())).name}"
            )
        rated = [algorithm for algorithm in sorted(by_algorithm) if by_algorithm[algorithm].stem in scores]
        for first, second in combinations(rated, 2):
            a, b = by_algorithm[first], by_algorithm[second]
            votes_a, votes = _votes(scores[a.stem], scores[b.stem])
            if votes:
                yield VotedPair(
                    reference=_footage(folder, by_algorithm[REFERENCE]),
                    a=_footage(folder, a),
                    b=_footage(folder, b),
                    source=name[0],
                    algorithms=(first, second),
                    votes_a=votes_a,
                    votes=votes,
                    subset=subset,
                )


def _videos(folder: Path) -> dict[tuple[str, str, str, str], Path]:
    """{(sequence, resolution, frame rate, algorithm): file}; raises Fault for a name of another form."""
    videos: dict[tuple[str, str, str, str], Path] = {}
    for path in sorted(Path(folder).glob("**/*.mp4")):
        parts = path.stem.rsplit("_", 3)
        if len(parts) < 4 or not all(parts):
            raise Fault(f"{path}: not named {NAMES}, as BVI-VFI's videos are; move it elsewhere")
        name = (parts[0], parts[1], parts[2], parts[3])
        if name in videos:
            raise Fault(f"{path}: there is another {path.name}, {videos[name]}; remove one")
        videos[name] = path
    if not videos:
        raise Fault(f"{folder}: no video named {NAMES} in it; {ACCESS}")
    return videos


def _footage(folder: Path, path: Path) -> Footage:
    return Footage(key=path.relative_to(folder).as_posix(), path=path, read=partial(frames, path))


def _votes(a: Raters | Mean, b: Raters | Mean) -> tuple[float, float]:
    """Votes for the first of two videos, and votes.

    Of raters who rated both, each votes for the one that he rated higher. Of means, the share is the chance that a
    normal rating of the one is higher than an independent one of the other; as many voted as rated the less rated one.
    """
    if isinstance(a, dict) and isinstance(b, dict):
        both = [rater for rater in a if rater in b]
        return sum(_higher(a[rater], b[rater]) for rater in both), len(both)
    assert isinstance(a, tuple) and isinstance(b, tuple)
    error, n = math.hypot(a[1], b[1]), min(a[2], b[2])
    share = float(ndtr((a[0] - b[0]) / error)) if error else _higher(a[0], b[0])
    return n * share, n


def _higher(a: float, b: float) -> float:
    return 1.0 if a > b else 0.0 if a < b else 0.5


def _scores(path: Path, known: set[str]) -> dict[str, Raters] | dict[str, Mean]:
    """{stem of a video: what raters said}; raises Fault naming the line that is wrong."""
    if not path.is_file():
        raise Fault(f"{path}: missing; docs/published_votes.md says how to make it from the authors' scores")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            header, *lines = csv.reader(file)
    except (OSError, ValueError, csv.Error) as error:
        raise Fault(f"{path}: not a table of comma-separated values ({error})") from None
    if sorted(header) not in (sorted(RATINGS), sorted(MEANS)):
        raise Fault(f"{path}: has columns {brief(header)}; it takes {', '.join(RATINGS)}, or {', '.join(MEANS)}")
    ratings: dict[str, Raters] = {}
    means: dict[str, Mean] = {}
    for number, cells in enumerate(lines, 2):
        where = f"{path}, line {number}"
        if len(cells) != len(header):
            raise Fault(f"{where}: {len(cells)} cells, and {len(header)} columns")
        line = dict(zip(header, cells))
        video = line["video"].removesuffix(".mp4")
        if video not in known:
            raise Fault(f"{where}: no distorted video {brief(line['video'])} in the folder")
        if "rater" in line:
            if line["rater"] in ratings.setdefault(video, {}):
                raise Fault(f"{where}: {brief(line['rater'])} rated {video} before; keep one rating")
            ratings[video][line["rater"]] = _number(line["score"], f"{where}: score")
        else:
            if video in means:
                raise Fault(f"{where}: {video} was there before; keep one line")
            mean, deviation, raters = (_number(line[name], f"{where}: {name}") for name in MEANS[1:])
            if deviation < 0 or raters < 1 or raters % 1:
                raise Fault(f"{where}: deviation is at least 0, and raters a whole number of at least 1")
            means[video] = mean, deviation, int(raters)
    return ratings or means


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Fault(f"{where}: {brief(text)} is no number")
    return value
