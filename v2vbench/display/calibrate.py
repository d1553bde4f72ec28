"""What 06_calibrate shows: damaged clips, how metrics respond to them, and what controls score."""

import numpy as np
from IPython.display import HTML, Image

from v2vbench.clips.damage import damaged
from v2vbench.clips.store import Store
from v2vbench.display.pictures import Line, curves, strip
from v2vbench.display.table import DIRECTIONS, table
from v2vbench.results.calibration import CalibratedGroup, CalibrationScores, DamageKind


def damage(store: Store, result: CalibrationScores, key: str) -> Image:
    """One frame of a clip at the mildest, a middle and the worst level of each ladder that changes frames."""
    seed, rows = result.settings.seed, {}
    frames = _scored_frames(store, result, key)
    t = len(frames) // 2
    for name, ladder in _group_of(store, result, key).ladders.items():
        if ladder.kind != "time":
            levels = [ladder.levels[1], ladder.levels[len(ladder.levels) // 2], ladder.levels[-1]]
            title = f"{name} {', '.join(f'{level:g}' for level in levels)}"
            rows[title] = np.stack([damaged(frames, name, level, key, seed)[t] for level in (0, *levels)])
    return strip(rows, ["untouched", "mild", "middle", "worst"], f"{store.facts.title}, clip {key}, frame {t}")


def wrong_times(store: Store, result: CalibrationScores, key: str, n: int) -> Image:
    """The first `n` frames of a clip, and what is in their place at the worst level of each ladder of whole frames."""
    frames = _scored_frames(store, result, key)
    rows = {"untouched": frames[:n]}
    for name, ladder in _group_of(store, result, key).ladders.items():
        if ladder.kind == "time":
            worst = ladder.levels[-1]
            rows[f"{name} {worst:g}"] = damaged(frames, name, worst, key, result.settings.seed)[:n]
    return strip(rows, [f"frame {t}" for t in range(min(n, len(frames)))], f"{store.facts.title}, clip {key}")


def _scored_frames(store: Store, result: CalibrationScores, key: str) -> np.ndarray:
    return store.read(key, result.skip_frames, arrays=["real"])["real"]


def _group_of(store: Store, result: CalibrationScores, key: str) -> CalibratedGroup:
    return result.groups[store.clips[key]["split"]]


def ladders(result: CalibrationScores, group: str, kind: DamageKind) -> Image | str:
    """Each metric along the ladders of one kind, a line a ladder; levels are numbered, since their units differ."""
    panels = {}
    for label, metric in result.metrics.items():
        for ladder in result.groups[group].ladders.values():
            if ladder.kind == kind and label in ladder.metrics:
                values = ladder.metrics[label].values
                panels.setdefault(metric.title, {})[ladder.title] = Line(range(len(values)), values)
    if not panels:
        return f"No ladder of kind {kind}."
    return curves(panels, "level, 0 is untouched", f"Real clips of {group}, damaged")


def responses(result: CalibrationScores, group: str) -> HTML:
    """What each metric responds to, and on which ladders a worse video does not always score worse."""
    calibrated, rows = result.groups[group], []
    for label, response in calibrated.responses.items():
        odd = [name for name, ladder in calibrated.ladders.items() if not ladder.metrics[label].monotone]
        rows.append(
            {
                "metric": result.metrics[label].title,
                "sees": response.sees,
                "space": response.space,
                "order": response.order,
                "shake": response.shake,
                "monotone": f"{len(calibrated.ladders) - len(odd)} of {len(calibrated.ladders)}",
                "not monotone": ", ".join(odd) or None,
            }
        )
    return table(
        rows,
        f"{group}: the strongest response to a damage of all frames alike (space), to frames in another order (order), "
        "and to a warp that changes from frame to frame beyond one that does not (shake), as shares of the strongest "
        "response to any ladder",
    )


def controls(result: CalibrationScores, group: str) -> HTML:
    """What each metric gives to videos that no method made, and which of these fool it."""
    calibrated, rows = result.groups[group], []
    for label, metric in result.metrics.items():
        if metric.absent:
            continue
        row: dict[str, str | float | None] = {"metric": metric.title, "better": DIRECTIONS[metric.better]}
        for control in calibrated.controls.values():
            row[control.title] = control.scores[label].value if label in control.scores else None
        rows.append(row | {"fooled by": fooled_by(calibrated, label)})
    about = " ".join(f"{control.title.capitalize()}: {control.about}" for control in calibrated.controls.values())
    return table(
        rows,
        f"{group}. {about} A metric is fooled by a video that scores no worse than the worst of three mild damages of "
        "the real one (the mildest blur, noise and warp); a question mark: this may be chance.",
    )


def fooled_by(group: CalibratedGroup, label: str) -> str | None:
    """The controls that fool a metric, with a question mark where the interval does not exclude that they do not."""
    titles = [
        f"{group.controls[fooled.control].title}{'' if fooled.sure else ' (?)'}"
        for fooled in group.fooled.get(label, ())
    ]
    return ", ".join(titles) or None
