"""Results of runs and calibrations that no stage made, to test what reads them."""

import numpy as np

from v2vbench.results.calibration import CalibratedGroup, Climb, Control, Fooled, Ladder, Response
from v2vbench.results.metric import Interval, MetricInfo, Score
from v2vbench.results.runs import RunScore, ScoredGroup


def metric_info(label, better="lower", kind="clip", heading="realism", **more) -> MetricInfo:
    facts = {"title": label, "unit": "", "protocol": f"{label}/1:x", "no_verdict": None, "absent": None}
    return MetricInfo(better=better, kind=kind, heading=heading, **facts | more)


def clip_score(per_clip) -> Score:
    values = [float(value) for value in per_clip]
    return Score(value=float(np.mean(values)), per_clip=values, leave_one_out=None)


def set_score(value, leave_one_out=()) -> Score:
    return Score(value=float(value), per_clip=None, leave_one_out=[float(one) for one in leave_one_out])


def run_score(fake: Score | None, **more) -> RunScore:
    rest = dict.fromkeys(("real", "floor", "curve", "drift", "size", "note"))
    return RunScore(fake=fake, **rest | more)


def scored_group(clips, scores, clusters=None, n_frames=3, seeds=None) -> ScoredGroup:
    """`scores` {label: RunScore}; without clusters each clip is like no other."""
    alike = list(clips) if clusters is None else list(clusters)
    return ScoredGroup(clips=list(clips), clusters=alike, n_frames=n_frames, scores=scores, seeds=seeds or {})


def climb(per_clip, values=None, monotone=True) -> Climb:
    """`per_clip` (levels, clips)."""
    rows = [[float(value) for value in row] for row in per_clip]
    means = [float(np.mean(row)) for row in rows] if values is None else list(values)
    return Climb(values=means, per_clip=rows, leave_one_out=None, monotone=monotone, rho=1.0)


def ladder(kind, levels, metrics, title="damage", unit="{} px", neutral=0) -> Ladder:
    """`metrics` {label: Climb}."""
    return Ladder(title=title, unit=unit, kind=kind, neutral=neutral, levels=list(levels), metrics=metrics)


def control(title, feasible, scores=None, about="What it shows.") -> Control:
    return Control(title=title, about=about, feasible=feasible, scores=scores or {})


def fooled_by(*controls) -> list[Fooled]:
    nothing = Interval(value=0.0, low=-1.0, high=0.0)
    return [Fooled(control=name, against="blur", difference=nothing, sure=True) for name in controls]


def response(sees="space") -> Response:
    return Response(space=1.0, order=0.0, shake=0.0, time=0.0, sees=sees)


def calibrated_group(clips, ladders, clusters=None, **more) -> CalibratedGroup:
    alike = list(clips) if clusters is None else list(clusters)
    rest = {"mild": {}, "controls": {}, "other_clip": None, "preferred": {}, "fooled": {}, "responses": {}}
    return CalibratedGroup(clips=list(clips), clusters=alike, n_frames=3, ladders=ladders, **rest | more)
