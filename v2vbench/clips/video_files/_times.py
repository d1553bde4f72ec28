"""Time stamps of frames: how even they are, and frames at a constant rate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av

from v2vbench.clips.video_files._facts import Facts
from v2vbench.params import Fault

SLACK_S = Fraction(1, 1000)  # time stamps in units this short are rounded, so that a frame may be a unit late
UNEVEN_S, UNEVEN = 0.002, 0.05  # gaps are uneven if they differ by more, and by more than this share of their mean


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A decoded frame, its time stamp and how long it is shown, in s."""

    frame: av.VideoFrame
    time: Fraction | None
    length: Fraction  # 0: not stated


def oddity(times: Sequence[Fraction]) -> str:
    """What is odd about the time stamps of consecutive frames, or ""."""
    gaps = [float(b - a) for a, b in zip(times, times[1:])]
    if gaps and min(gaps) < 0:
        return "time stamps go back"
    if gaps and max(gaps) - min(gaps) > max(UNEVEN_S, UNEVEN * sum(gaps) / len(gaps)):
        return "variable frame rate"
    return ""


def average(facts: Facts) -> float | None:
    """Frames per second by the time stamps, or by the header where there are none."""
    times = [time for time in facts.times if time is not None]
    if len(times) == facts.n_frames > 1 and times[-1] > times[0]:
        return float((len(times) - 1) / (times[-1] - times[0]))
    return float(facts.rate) if facts.rate else None


def at_rate(name: str, timed: Iterator[Timed], fps: float, facts: Facts) -> Iterator[av.VideoFrame]:
    """The last frame shown at each multiple of 1/fps seconds after the first frame, until the last one ends.

    raises    Fault: a frame without a time stamp, or with one before the last frame's
    """
    step = 1 / Fraction(fps).limit_denominator(1001)
    n, last, start, before, end, slack = 0, None, Fraction(0), Fraction(0), Fraction(0), Fraction(0)
    for one in timed:
        if one.time is None:
            raise Fault(f"{name}: frame {facts.n_frames - 1} has no time stamp; leave fps out, or encode it again")
        if last is None:
            start = before = one.time
            slack = facts.unit if facts.unit <= SLACK_S else Fraction(0)  # known from the first frame on
        if one.time < before:
            raise Fault(f"{name}: time stamps go back at frame {facts.n_frames - 1}; leave fps out, or encode it again")
        while last is not None and n * step < one.time - start - slack:
            yield last
            n += 1
        end = one.time - start + (one.length or one.time - before or (1 / facts.rate if facts.rate else step))
        last, before = one.frame, one.time
    while last is not None and n * step < end - slack:
        yield last
        n += 1
