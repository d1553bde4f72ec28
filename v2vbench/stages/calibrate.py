"""What a metric's numbers mean: every metric on real clips made worse by known degrees, and on videos that no method made."""

import queue
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch

from v2vbench.clips import controls as undeserved
from v2vbench.clips.controls import CONTROLS, Context
from v2vbench.clips.damage import LADDERS, damaged
from v2vbench.clips.store import Store
from v2vbench.files import write_json
from v2vbench.metrics._sets import one_thread
from v2vbench.parallel import side_by_side
from v2vbench.params import Fault, Natural, Params, Range, bind, brief, check, choose, coerce
from v2vbench.progress import progress
from v2vbench.stages._scorer import Scorer
from v2vbench.statistics.cost import COST
from v2vbench.statistics.equivalents import climb, fooled, unbiased
from v2vbench.statistics.intervals import of_score

KEPT = ("value", "per_clip", "leave_one_out")  # of a metric's summary
UNTOUCHED, OTHER_CLIP = (
    "untouched",
    "other clip",
)  # names of videos that are no ladder's rung; the former is level 0 of every ladder
STORED = (
    "copied",
    "memorised",
    OTHER_CLIP,
)  # real frames of the store, which are shown in the place of more than one clip
PAIR = "warp_space", "warp_space_time"  # alike in single frames
MILD = "blur", "noise", "warp_space_time"  # whose mildest rungs are what a control is held against
HELD = 2**29  # bytes of rows of features that are held at once


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The section `calibration` of params.yaml."""

    seed: Natural  # of what damages draw
    ladders: dict[str, list]  # damages of v2vbench/clips/damage.py: levels from the mildest to the worst
    controls: dict[str, dict]  # controls of v2vbench/clips/controls.py: their settings
    equivalents: list[str]  # ladders in whose levels scores are told, after those that a metric's file names
    seen_from: Annotated[float, Range(0.001, 1)]  # share of a metric's range that counts as a response


def resolve(section: dict, where: str = "calibration") -> Calibration:
    """The section bound and every level and setting checked; raises Fault with the path to the line."""
    own = bind(Calibration, section, where)
    ladders = {
        name: coerce(levels, list[choose(LADDERS, name, f"{where}.ladders").levels], f"{where}.ladders.{name}")
        for name, levels in own.ladders.items()
    }
    for name, levels in ladders.items():
        rising = LADDERS[name].neutral is not None
        if not levels or any(later <= level if rising else later >= level for level, later in zip(levels, levels[1:])):
            raise Fault(f"{where}.ladders.{name}: {brief(levels)} do not lead from mild to worse")
    if lacking := [name for name in MILD if name not in ladders]:
        raise Fault(
            f"{where}.ladders: no {lacking[0]}; controls are held against the mildest rungs of {', '.join(MILD)}"
        )
    for name in own.equivalents:
        choose(ladders, name, f"{where}.equivalents")
    controls = {
        name: check(
            choose(CONTROLS, name, f"{where}.controls").video, settings, f"{where}.controls.{name}", ("clip", "context")
        )
        for name, settings in own.controls.items()
    }
    return Calibration(**vars(own) | {"ladders": ladders, "controls": controls})


def calibrate(params: Params, dataset: str, root: Path) -> dict:
    """Score damaged real clips, and controls, as if methods had made them; writes metrics/calibrate/<dataset>.json.

    Of each test group: all its clips, and of these the frames on which runs are scored. Each of the cores takes the next clip, on one
    thread and with a Scorer of its own, through all damages and controls, so that what is known of its real side is made once.

    root      the project's folder: data/<dataset>.zip is read
    returns   {"metrics": {label: about}, "skip_frames", "groups": {group: {"clips", "clusters", "n_frames": scored of the longest clip,
              "protocols", "equivalents": {label: ladders in order of preference}, "ladders", "mild", "controls", "other_clip", "fooled",
              "sees"}}}; labels without a value are left out.
              Of a ladder {"title", "unit", "kind", "neutral", "levels": [0, ...], "metrics": {label: {"values", one a level as tables have
              them, "per_clip" or "leave_one_out", "monotone", "rho"}}}. Of a control {"title", "about", "feasible", "metrics": {label: a
              score}}; other_clip {"title", "metrics"}, or None where a cluster has one clip alone; mild {label: {ladder: a score}}, of the
              mildest rungs; a score is {"value", "per_clip" or "leave_one_out"} as of a run. fooled: {label: see `equivalents.fooled`}
    raises    Fault naming the line, or the metric and the clip
    """
    settings, scorer, idle = resolve(params.calibration), Scorer(params, dataset, root), queue.SimpleQueue()
    for own in (scorer, *(Scorer(params, dataset, root) for _ in range(torch.get_num_threads() - 1))):
        idle.put(own)
    colours = undeserved.training_colours(scorer.store) if "label_colours" in settings.controls else None
    groups = {
        group: _group(
            scorer, settings, group, _found(scorer, idle, settings, group, colours, f"calibrate {dataset}, {group}")
        )
        for group in scorer.store.facts.groups
    }
    metrics = {label: about | {"absent": scorer.absent.get(label)} for label, about in scorer.about.items()}
    result = {
        "dataset": dataset,
        "groups": groups,
        "metrics": metrics,
        "settings": asdict(settings),
        "skip_frames": params.protocol.skip_frames,
    }
    write_json(root / "metrics" / "calibrate" / f"{dataset}.json", result)
    return result


def _found(
    scorer: Scorer, idle: queue.SimpleQueue, settings: Calibration, group: str, colours: np.ndarray | None, what: str
) -> dict:
    """{(ladder, control or other video, level): {label: a score}} of a group; as many videos a pass over the clips as HELD allows."""
    clips, videos = scorer.store.split(group), _videos(scorer.store, settings, group)
    rows = scorer.side(scorer.read(clips[0]), f"clip {clips[0]}")["rows"]
    at_once = max(1, HELD // (1 + len(clips) * sum(found.nbytes for found in rows.values())))

    def score(clip: str) -> dict:
        own = idle.get()
        try:
            return _clip(own, settings, clip, some, colours)
        finally:
            idle.put(own)

    def summary(video: tuple) -> dict:
        metrics = scorer.summary(
            [own[video] for own in scores], f"group {group}, {_name(*video)}", scorer.clusters(group)
        )
        return {
            label: {key: own[key] for key in KEPT if key in own}
            for label, own in metrics.items()
            if own["value"] is not None
        }

    found = {}
    for start in range(0, len(videos), at_once):
        some = videos[start : start + at_once]
        scores = list(progress(side_by_side(score, clips), what, unit="clip", total=len(clips)))
        found |= zip(some, one_thread(list)(side_by_side(summary, some)))
    return found


def _videos(store: Store, settings: Calibration, group: str) -> list[tuple[str, float | None]]:
    """(name, level) of all that each clip of a group is shown as; without a level a control, or another clip."""
    clips = store.split(group)
    arrays = set.intersection(*(set(store.clips[clip]["arrays"]) for clip in clips))
    rungs = [(name, level) for name, levels in settings.ladders.items() for level in levels]
    controls = [(name, None) for name in settings.controls if undeserved.possible(name, store.facts, arrays)]
    others = [(OTHER_CLIP, None)] if all(len(_peers(store, clip)) > 1 for clip in clips) else []
    return [(UNTOUCHED, 0), *rungs, *controls, *others]


def _peers(store: Store, clip: str) -> list[str]:
    """The clips of a clip's group that are of its cluster, itself among them."""

    def cluster(key: str) -> str:
        return store.clips[key].get("cluster", key)

    return [key for key in store.split(store.clips[clip]["split"]) if cluster(key) == cluster(clip)]


def _name(name: str, level: float | None) -> str:
    return name if level is None else f"{name} {level:g}"


def _clip(scorer: Scorer, settings: Calibration, clip: str, videos: list[tuple], colours: np.ndarray | None) -> dict:
    """{video: what `Scorer.clip` says} of one clip shown as each of `videos`, its real side made once."""
    arrays = scorer.read(clip)
    side = scorer.side(arrays, f"clip {clip}")
    return {
        video: scorer.clip(
            arrays | {"fake": fake}, f"clip {clip}, {_name(*video)}", real=False, keep=video[0] in STORED, side=side
        )
        for video, fake in zip(videos, _shown(scorer, settings, clip, arrays["real"], videos, colours))
    }


def _shown(
    scorer: Scorer, settings: Calibration, clip: str, real: np.ndarray, videos: list[tuple], colours
) -> Iterator[np.ndarray]:
    """One clip as each of `videos`, of the frames that are scored; of controls whole clips are made, as runs' are."""
    store, skip = scorer.store, scorer.params.protocol.skip_frames
    context, whole = Context(store, clip, skip, colours), None
    for name, level in videos:
        if level is not None:
            yield damaged(real, name, level, clip, settings.seed)
        elif name == OTHER_CLIP:
            yield undeserved.another(context, _peers(store, clip))[skip:]
        else:
            whole = whole or store.read(
                clip, arrays=[a for a in ("real", "label", "flow") if a in store.clips[clip]["arrays"]]
            )
            yield CONTROLS[name].video(whole, context, **settings.controls[name])[skip:]


def _group(scorer: Scorer, settings: Calibration, group: str, found: dict) -> dict:
    """What was found of one group, by ladder and by control."""
    better, untouched = {label: about["better"] for label, about in scorer.about.items()}, found[UNTOUCHED, 0]
    ladders, clusters, store = {}, scorer.clusters(group), scorer.store
    for name, levels in settings.ladders.items():
        metrics = {}
        for label in untouched:
            rungs = [untouched[label], *(found[name, level][label] for level in levels)]
            values = [unbiased(of_score(rung, clusters)) for rung in rungs]
            metrics[label] = (
                {"values": values}
                | climb(values, better[label], settings.seen_from)
                | {key: [rung[key] for rung in rungs] for key in KEPT[1:] if key in rungs[0]}
            )
        about = {key: getattr(LADDERS[name], key) for key in ("title", "unit", "kind", "neutral")}
        ladders[name] = about | {"levels": [0, *levels], "metrics": metrics}
    controls = {
        name: {
            "title": CONTROLS[name].title.format(**own),
            "about": CONTROLS[name].about,
            "feasible": CONTROLS[name].feasible,
            "metrics": found[name, None],
        }
        for name, own in settings.controls.items()
        if (name, None) in found
    }
    mild = {label: {name: found[name, settings.ladders[name][0]][label] for name in MILD} for label in untouched}
    other = {
        "title": f"another clip of this {getattr(store.facts, 'cluster', 'clip')}",
        "metrics": found.get((OTHER_CLIP, None)),
    }
    clips = store.split(group)
    preferred = {
        metric.label: list(
            dict.fromkeys(name for name in (*metric.get("LADDERS"), *settings.equivalents) if name in ladders)
        )
        for metric in scorer.metrics
        if metric.label in untouched
    }
    return {
        "clips": clips,
        "clusters": clusters,
        "ladders": ladders,
        "controls": controls,
        "mild": mild,
        "equivalents": preferred,
        "n_frames": max(store.clips[clip]["n_frames"] for clip in clips) - scorer.params.protocol.skip_frames,
        "other_clip": other if other["metrics"] else None,
        "protocols": {label: about["protocol"] for label, about in scorer.about.items()},
        "fooled": {
            label: fooled(
                {name: own["metrics"][label] for name, own in controls.items() if label in own["metrics"]},
                mild[label],
                clusters,
                better[label],
                scorer.params.protocol.confidence,
            )
            for label in untouched
        },
        "sees": {label: sees(ladders, label, better[label], settings.seen_from) for label in untouched},
    }


def sees(ladders: dict, label: str, better: str, seen_from: float) -> dict:
    """Whether a metric sees what frames look like, and whether it sees time.

    With c the cost at a level of a ladder and c0 that of the untouched video, a response is |c - c0| as a share of the largest over all
    ladders. Then
        space = the largest response to a ladder of kind "space", which spoils all frames alike,
        order = the largest response to `shuffle`, whose frames are all there, in another order,
        shake = the largest excess of the response to `warp_space_time` over that to `warp_space` at the same rung: single frames are as
                bad, and alone the former's damage changes from frame to frame,
        time  = min(order, shake).
    Order alone would call PSNR temporal, since a frame out of place is not the frame it is held against; shake alone would call so
    a distance between sets that merely sees a richer mixture of damages. A set of single frames has order 0 to the bit.

    seen_from    share from which on a response counts
    returns      {"space", "time", "order", "shake", "word": space, time, both or neither}; None where ladders lack
    """
    costs = {name: COST[better](np.array(ladder["metrics"][label]["values"])) for name, ladder in ladders.items()}
    moves = {name: np.abs(cost - cost[0]) for name, cost in costs.items()}
    full = max((float(move.max()) for move in moves.values()), default=0) or 1.0
    space = max(
        (float(moves[name].max()) / full for name, ladder in ladders.items() if ladder["kind"] == "space"), default=None
    )
    order = float(moves["shuffle"].max()) / full if "shuffle" in moves else None
    steady, shaken = (ladders.get(name, {}).get("levels") for name in PAIR)
    shake = max(0.0, float((moves[PAIR[1]] - moves[PAIR[0]]).max()) / full) if steady and steady == shaken else None
    time = None if None in (order, shake) else min(order, shake)
    seen = None if None in (space, time) else (space >= seen_from, time >= seen_from)
    word = (
        seen and {(True, True): "both", (True, False): "space", (False, True): "time", (False, False): "neither"}[seen]
    )
    return {"space": space, "time": time, "order": order, "shake": shake, "word": word}
