"""What a metric's numbers mean: every metric on real clips with damage of known levels, and on controls."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from v2vbench.clips import controls
from v2vbench.clips.controls import CONTROLS, Context
from v2vbench.clips.damage import LADDERS, damaged
from v2vbench.clips.store import Store
from v2vbench.parallel import side_by_side
from v2vbench.params import Fault, Params, bind, brief, check, choose, coerce
from v2vbench.progress import progress
from v2vbench.results.calibration import (
    CalibratedGroup,
    CalibrationScores,
    CalibrationSettings,
    Climb,
    Control,
    Ladder,
    OtherClip,
)
from v2vbench.results.metric import Better, Score
from v2vbench.stages._scorer import ClipScores, Scorer
from v2vbench.stages._summaries import summaries
from v2vbench.statistics.equivalents import climb, fooled
from v2vbench.statistics.intervals import of_score, unbiased
from v2vbench.statistics.response import response

Video = tuple[str, float | None]  # what replaces each clip: (ladder, level); (control, None) or (another clip, None)
Scores = dict[Video, dict[str, Score]]  # of one group, by video and label

UNTOUCHED, OTHER_CLIP = (
    "untouched",
    "other clip",
)  # videos that are no rung of a ladder; the first is level 0 of every ladder
STORED = ("copied", "memorised", OTHER_CLIP)  # real frames of the store, each used in place of several clips
MILD = "blur", "noise", "warp_space_time"  # ladders whose mildest rungs controls are compared with
HELD = 2**29  # bytes of feature rows in memory at once


def resolve(section: dict, where: str = "calibration") -> CalibrationSettings:
    """The settings, after a check of every level and setting; raises Fault with the path to the line."""
    settings = bind(CalibrationSettings, section, where)
    ladders: dict[str, Any] = {
        name: coerce(levels, list[choose(LADDERS, name, f"{where}.ladders").levels], f"{where}.ladders.{name}")
        for name, levels in settings.ladders.items()
    }
    for name, levels in ladders.items():
        rising = LADDERS[name].neutral is not None
        if not levels or any(later <= level if rising else later >= level for level, later in zip(levels, levels[1:])):
            raise Fault(f"{where}.ladders.{name}: {brief(levels)} do not lead from mild to worse")
    if lacking := [name for name in MILD if name not in ladders]:
        raise Fault(
            f"{where}.ladders: no {lacking[0]}; controls are compared with the mildest rungs of {', '.join(MILD)}"
        )
    for name in settings.equivalents:
        choose(ladders, name, f"{where}.equivalents")
    checked = {
        name: check(
            choose(CONTROLS, name, f"{where}.controls").video, kwargs, f"{where}.controls.{name}", ("clip", "context")
        )
        for name, kwargs in settings.controls.items()
    }
    return CalibrationSettings(**vars(settings) | {"ladders": ladders, "controls": checked})


def calibrate(params: Params, dataset: str, root: Path) -> CalibrationScores:
    """Score damaged real clips and controls as if they were a method's video; writes metrics/calibrate/<dataset>.json.

    Uses all clips of each test group, and the same frames on which runs are scored. Each core takes one clip at a time,
    on one thread, through all damages and controls, so that its real side is computed once. Metrics without a value are
    left out.

    root      the project's folder: data/<dataset>.zip is read
    raises    Fault naming the line, or the metric and the clip
    """
    settings, scorer = resolve(params.calibration), Scorer.of_project(params, dataset, root)
    colours = controls.training_colours(scorer.store) if "label_colours" in settings.controls else None
    groups = {
        group: calibrated_group(scorer, settings, group, f"calibrate {dataset}, {group}", colours)
        for group in scorer.store.facts.groups
    }
    result = CalibrationScores(
        dataset=dataset, skip_frames=params.protocol.skip_frames, settings=settings, metrics=scorer.info, groups=groups
    )
    result.save(CalibrationScores.path(root, dataset))
    return result


def calibrated_group(
    scorer: Scorer, settings: CalibrationSettings, group: str, what: str, colours: np.ndarray | None = None
) -> CalibratedGroup:
    """The calibration of one test group.

    what       names the task in its progress
    colours    from `controls.training_colours`; None if no control needs them
    """
    return _group(scorer, settings, group, _score_videos(scorer, settings, group, colours, what))


def _score_videos(
    scorer: Scorer, settings: CalibrationSettings, group: str, colours: np.ndarray | None, what: str
) -> Scores:
    """Every metric on every video of a group; each pass over the clips takes as many videos as HELD allows."""
    clips, videos = scorer.store.split(group), _videos(scorer.store, settings, group)
    rows = scorer.real_side(scorer.read(clips[0]), f"clip {clips[0]}").rows
    at_once = max(1, HELD // (1 + len(clips) * sum(some.nbytes for some in rows.values())))
    scores: Scores = {}
    for start in range(0, len(videos), at_once):
        part = videos[start : start + at_once]

        def score(clip: str, part: list[Video] = part) -> dict[Video, ClipScores]:
            return _score_clip(scorer, settings, clip, part, colours)

        by_clip = list(progress(side_by_side(score, clips), what, unit="clip", total=len(clips)))

        def summary(video: Video, by_clip: list[dict[Video, ClipScores]] = by_clip) -> dict[str, Score]:
            where = f"group {group}, {_name(video)}"
            metrics = summaries(scorer, [of_clip[video] for of_clip in by_clip], scorer.clusters(group), where)
            return {label: metric.fake for label, metric in metrics.items() if metric.fake}

        scores |= dict(zip(part, list(side_by_side(summary, part))))
    return scores


def _videos(store: Store, settings: CalibrationSettings, group: str) -> list[Video]:
    """The videos that replace each clip of a group."""
    clips = store.split(group)
    arrays = set.intersection(*(set(store.brief(clip)["arrays"]) for clip in clips))
    rungs = [(name, level) for name, levels in settings.ladders.items() for level in levels]
    possible = [(name, None) for name in settings.controls if controls.possible(name, store.facts, sorted(arrays))]
    others = [(OTHER_CLIP, None)] if all(len(_peers(store, clip)) > 1 for clip in clips) else []
    return [(UNTOUCHED, 0), *rungs, *possible, *others]


def _peers(store: Store, clip: str) -> list[str]:
    """The clips of the same group and cluster as `clip`, including `clip`."""

    def cluster(key: str) -> str:
        return store.brief(key).get("cluster", key)

    return [key for key in store.split(store.brief(clip)["split"]) if cluster(key) == cluster(clip)]


def _name(video: Video) -> str:
    name, level = video
    return name if level is None else f"{name} {level:g}"


def _score_clip(
    scorer: Scorer, settings: CalibrationSettings, clip: str, videos: list[Video], colours: np.ndarray | None
) -> dict[Video, ClipScores]:
    """The scores of each of `videos` in place of one clip, whose real side is computed once."""
    arrays = scorer.read(clip)
    side = scorer.real_side(arrays, f"clip {clip}")
    return {
        video: scorer.score(
            arrays | {"fake": fake}, f"clip {clip}, {_name(video)}", real=False, keep=video[0] in STORED, side=side
        )
        for video, fake in zip(videos, _shown(scorer, settings, clip, arrays["real"], videos, colours))
    }


def _shown(
    scorer: Scorer,
    settings: CalibrationSettings,
    clip: str,
    real: np.ndarray,
    videos: list[Video],
    colours: np.ndarray | None,
) -> Iterator[np.ndarray]:
    """The scored frames of each of `videos` in place of one clip; controls are made for whole clips, as runs are."""
    store, skip = scorer.store, scorer.params.protocol.skip_frames
    context, whole = Context(store, clip, skip, colours), None
    for name, level in videos:
        if level is not None:
            yield damaged(real, name, level, clip, settings.seed)
        elif name == OTHER_CLIP:
            yield controls.another(context, _peers(store, clip))[skip:]
        else:
            whole = whole or store.read(
                clip, arrays=[a for a in ("real", "label", "flow") if a in store.brief(clip)["arrays"]]
            )
            yield CONTROLS[name].video(whole, context, **settings.controls[name])[skip:]


def _group(scorer: Scorer, settings: CalibrationSettings, group: str, scores: Scores) -> CalibratedGroup:
    """The scores of one group by ladder and by control."""
    clusters, confidence, store = scorer.clusters(group), scorer.params.protocol.confidence, scorer.store
    labels = list(scores[UNTOUCHED, 0])
    better: dict[str, Better] = {label: scorer.info[label].better for label in labels}
    ladders = {name: _ladder(name, settings, scores, clusters, better) for name in settings.ladders}
    made = {name: _control(name, settings, scores[name, None]) for name in settings.controls if (name, None) in scores}
    mild = {label: {name: scores[name, settings.ladders[name][0]][label] for name in MILD} for label in labels}
    other, cluster = scores.get((OTHER_CLIP, None)), getattr(store.facts, "cluster", "clip")
    preferred = {}
    for metric in scorer.metrics:
        if metric.label in labels:
            names = dict.fromkeys((*metric.get("LADDERS"), *settings.equivalents))
            preferred[metric.label] = [name for name in names if name in ladders]
    return CalibratedGroup(
        clips=store.split(group),
        clusters=clusters,
        n_frames=scorer.n_frames(group),
        ladders=ladders,
        mild=mild,
        controls=made,
        other_clip=OtherClip(title=f"another clip of this {cluster}", scores=other) if other else None,
        preferred=preferred,
        fooled={
            label: fooled(
                {name: control.scores[label] for name, control in made.items() if label in control.scores},
                mild[label],
                clusters,
                better[label],
                confidence,
            )
            for label in labels
        },
        responses={label: response(ladders, label, better[label], settings.seen_from) for label in labels},
    )


def _ladder(
    name: str, settings: CalibrationSettings, scores: Scores, clusters: list[str], better: dict[str, Better]
) -> Ladder:
    """One damage: every metric at level 0 and at each level."""
    damage, levels, metrics = LADDERS[name], settings.ladders[name], {}
    for label in better:
        rungs = [scores[UNTOUCHED, 0][label], *(scores[name, level][label] for level in levels)]
        values = [unbiased(of_score(rung, clusters)) for rung in rungs]
        monotone, rho = climb(values, better[label], settings.seen_from)
        of_clips = [rung.per_clip for rung in rungs if rung.per_clip is not None]
        without = [rung.leave_one_out for rung in rungs if rung.leave_one_out is not None]
        metrics[label] = Climb(
            values=values, per_clip=of_clips or None, leave_one_out=without or None, monotone=monotone, rho=rho
        )
    return Ladder(
        title=damage.title,
        unit=damage.unit,
        kind=damage.kind,
        neutral=damage.neutral,
        levels=[0, *levels],
        metrics=metrics,
    )


def _control(name: str, settings: CalibrationSettings, scores: dict[str, Score]) -> Control:
    control = CONTROLS[name]
    title = control.title.format(**settings.controls[name])
    return Control(title=title, about=control.about, feasible=control.feasible, scores=scores)
