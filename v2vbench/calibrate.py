"""What a metric's numbers mean: every metric on real clips made worse by known degrees, and on videos that cheat."""
import inspect
import queue
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch

from v2vbench.clips import Store
from v2vbench.damage import CHEATS, LADDERS, damaged
from v2vbench.equivalents import climb
from v2vbench.evaluate import Scorer
from v2vbench.files import write_json
from v2vbench.intervals import spread
from v2vbench.metrics import COST
from v2vbench.params import Count, Fault, Natural, Params, Range, bind, brief, check, choose, coerce
from v2vbench.passes import side_by_side
from v2vbench.progress import progress

KEPT = ("value", "per_clip", "leave_one_out")      # of a metric's summary
UNTOUCHED = "untouched"                            # level 0 of every ladder
PAIR = "warp_space", "warp_space_time"             # alike in single frames


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The section `calibration` of params.yaml."""
    seed: Natural                              # of what damages draw
    n_frames: Count                            # scored frames of a clip, at most, that are damaged; cheats have them all
    ladders: dict[str, list]                   # damages of v2vbench/damage.py: levels from the mildest to the worst
    cheats: dict[str, dict]                    # cheats of v2vbench/damage.py: their settings
    equivalents: list[str]                     # ladders in whose levels scores are told, the first that a metric climbs
    seen_from: Annotated[float, Range(0.001, 1)]       # share of a metric's range that counts as a response


def resolve(section: dict, where: str = "calibration") -> Calibration:
    """The section bound and every level and setting checked; raises Fault with the path to the line."""
    own = bind(Calibration, section, where)
    ladders = {name: coerce(levels, list[choose(LADDERS, name, f"{where}.ladders").levels], f"{where}.ladders.{name}")
               for name, levels in own.ladders.items()}
    for name, levels in ladders.items():
        rising = LADDERS[name].neutral is not None
        if not levels or any(later <= level if rising else later >= level for level, later in zip(levels, levels[1:])):
            raise Fault(f"{where}.ladders.{name}: {brief(levels)} do not lead from mild to worse")
    for name in own.equivalents:
        choose(ladders, name, f"{where}.equivalents")
    cheats = {name: check(choose(CHEATS, name, f"{where}.cheats").video, settings, f"{where}.cheats.{name}", given=("real", "other"))
              for name, settings in own.cheats.items()}
    return Calibration(**vars(own) | {"ladders": ladders, "cheats": cheats})


def calibrate(params: Params, dataset: str, root: Path) -> dict:
    """Score damaged real clips, and cheats, as if methods had made them; writes metrics/calibrate/<dataset>.json.

    Of each test group: all its clips. Ladders see `n_frames` of the frames that are scored, cheats see whole clips as runs do, so that
    their values stand in the same table. Each of the cores takes the next level of a ladder, on one thread and with a Scorer of its own,
    and holds one clip of it and the scores of the others.

    root      the project's folder: data/<dataset>.zip is read
    returns   {"metrics": {label: about}, "groups": {group: {"clips", "n_frames", "protocols", "equivalents", "ladders", "cheats",
              "sees"}}}; of a ladder {"title", "unit", "kind", "neutral", "levels": [0, ...], "metrics": {label: {"values", one a level,
              "per_clip" or "leave_one_out", "monotone", "rho"}}}; labels without a value are left out
    raises    Fault naming the line, or the metric and the clip
    """
    settings, scorer, idle = resolve(params.calibration), Scorer(params, dataset, root), queue.SimpleQueue()
    for own in (scorer, *(Scorer(params, dataset, root) for _ in range(torch.get_num_threads() - 1))):
        idle.put(own)
    names = sorted(settings.ladders, key=lambda name: LADDERS[name].kind != "time")         # those first while their frames are remembered
    rungs = [(name, level) for name in names for level in settings.ladders[name]]
    sets = [(UNTOUCHED, 0), *rungs, *((name, None) for name in settings.cheats)]
    jobs = [(group, *job) for group in scorer.store.facts.groups for job in sets]

    def score(job: tuple) -> dict:
        own = idle.get()
        try:
            return _summary(own, settings, *job)
        finally:
            idle.put(own)

    found = dict(zip(jobs, progress(side_by_side(score, jobs), f"calibrate {dataset}", unit="video set", total=len(jobs)), strict=True))
    groups = {group: _group(scorer, settings, group, found) for group in scorer.store.facts.groups}
    metrics = {label: about | {"absent": scorer.absent.get(label)} for label, about in scorer.about.items()}
    result = {"dataset": dataset, "groups": groups, "metrics": metrics, "settings": asdict(settings)}
    write_json(root / "metrics" / "calibrate" / f"{dataset}.json", result)
    return result


def _summary(scorer: Scorer, settings: Calibration, group: str, name: str, level: float | None) -> dict:
    """{label: {"value", ...}} of a group's clips at one level of a ladder, or, without a level, of a cheat."""
    scores = []
    for clip in scorer.store.split(group):
        if level is None:
            arrays, where = scorer.read(clip), f"clip {clip}, {name}"
            fake = cheat(scorer.store, clip, name, settings.cheats[name])[scorer.params.protocol.skip_frames:]
        else:
            arrays, where = scorer.read(clip, settings.n_frames), f"clip {clip}, {name} {level:g}"
            fake = damaged(arrays["real"], name, level, clip, settings.seed)
        scores.append(scorer.clip(arrays | {"fake": fake}, where, real=False, keep=False))
    summary = scorer.summary(scores, f"group {group}, {name}")
    return {label: {key: metric[key] for key in KEPT if key in metric} for label, metric in summary.items() if metric["value"] is not None}


def cheat(store: Store, clip: str, name: str, settings: dict) -> np.ndarray:
    """A cheat's video of one test clip, uint8 (T, H, W, 3).

    The other clip, of which some take frames, is the next of its group, or the training clip of its number; a group of one has no next.
    """
    peers, training = store.split(store.clips[clip]["split"]), store.split("train")
    at, alone = peers.index(clip), CHEATS[name].other == "train" or len(peers) == 1
    real, other = (store.read(key, arrays=["real"])["real"] for key in (
        clip, training[at % len(training)] if alone else peers[(at + 1) % len(peers)]))
    return CHEATS[name].video(real, other, **settings)


def _group(scorer: Scorer, settings: Calibration, group: str, found: dict) -> dict:
    """What the jobs of one group found, by ladder and by cheat."""
    better, untouched = {label: about["better"] for label, about in scorer.about.items()}, found[group, UNTOUCHED, 0]
    ladders, cheats = {}, {}
    for name, levels in settings.ladders.items():
        metrics = {}
        for label in untouched:
            rungs = [untouched[label], *(found[group, name, level][label] for level in levels)]
            values = [shown(rung) for rung in rungs]
            metrics[label] = {"values": values} | climb(values, better[label], settings.seen_from) | {
                key: [rung[key] for rung in rungs] for key in KEPT[1:] if key in rungs[0]}
        about = {key: getattr(LADDERS[name], key) for key in ("title", "unit", "kind", "neutral")}
        ladders[name] = about | {"levels": [0, *levels], "metrics": metrics}
    for name, own in settings.cheats.items():
        about = CHEATS[name]
        cheats[name] = {"title": about.title.format(**own), "about": inspect.getdoc(about.video), "metrics": {
            label: rung | {"value": shown(rung)} for label, rung in found[group, name, None].items()}}
    clips = scorer.store.split(group)
    longest = max(scorer.store.clips[clip]["n_frames"] for clip in clips) - scorer.params.protocol.skip_frames
    return {"clips": clips, "n_frames": min(settings.n_frames, longest), "equivalents": settings.equivalents, "ladders": ladders,
            "cheats": cheats, "protocols": {label: about["protocol"] for label, about in scorer.about.items()},
            "sees": {label: sees(ladders, label, better[label], settings.seen_from) for label in untouched}}


def shown(score: dict) -> float:
    """A value as tables have those of methods: of a set distance the jackknife's, freed of its first-order bias."""
    return float(spread(score["value"], np.array(score["leave_one_out"]))[0]) if score.get("leave_one_out") else score["value"]


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
    space = max((float(moves[name].max()) / full for name, ladder in ladders.items() if ladder["kind"] == "space"), default=None)
    order = float(moves["shuffle"].max()) / full if "shuffle" in moves else None
    steady, shaken = (ladders.get(name, {}).get("levels") for name in PAIR)
    shake = max(0.0, float((moves[PAIR[1]] - moves[PAIR[0]]).max()) / full) if steady and steady == shaken else None
    time = None if None in (order, shake) else min(order, shake)
    seen = None if None in (space, time) else (space >= seen_from, time >= seen_from)
    word = seen and {(True, True): "both", (True, False): "space", (False, True): "time", (False, False): "neither"}[seen]
    return {"space": space, "time": time, "order": order, "shake": shake, "word": word}
