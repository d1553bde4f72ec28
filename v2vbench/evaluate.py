"""Every metric of params.yaml on one run's clips: a value a clip is kept of each, and no clip is left out."""
import inspect
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from v2vbench import clips
from v2vbench.features import frame_features, window_features
from v2vbench.files import write_json
from v2vbench.params import Fault, Params, Protocol, check, choose, member
from v2vbench.progress import progress

SET_INPUTS = ("fake_features", "real_features", "clips")
ARRAYS = {"source": ("label", "maps"), "flow": ("flow",), "occluded": ("occluded",)}      # inputs: arrays of the store


@dataclass(frozen=True)
class Metric:
    """One line of `metrics`, resolved."""
    label: str
    module: object
    inputs: tuple[str, ...]      # of compute: those of a clip, or SET_INPUTS
    settings: dict               # compute's keyword-only arguments

    @property
    def kind(self) -> str:
        return "set" if self.inputs == SET_INPUTS else "clip"

    def about(self, protocol: Protocol) -> dict:
        """kind, title, unit, better and the protocol id, with this line's numbers in it."""
        rows = f"{protocol.feature_px}px-squash:bilinear-antialias:pool1280:{self.settings.get('features')}"
        if self.settings.get("features") == "windows":
            rows += f"{protocol.window_frames}-stride{protocol.window_stride}:mean+{protocol.change_weight:g}change"
        names = self.settings | {"rows": rows}
        return {"kind": self.kind, "title": self.module.TITLE.format(**names), "unit": self.module.UNIT,
                "better": self.module.BETTER, "protocol": self.module.PROTOCOL.format(**names)}


def resolve(lines: dict) -> list[Metric]:
    """The lines of `metrics` of params.yaml, bound to their files; raises Fault with the path to the line."""
    metrics = []
    for label, line in lines.items():
        where, own = f"metrics.{label}", {} if line is None else line
        file = own.get("metric", label) if isinstance(own, dict) else label
        module = member("metrics", file, where)
        parameters = inspect.signature(module.compute).parameters.items()
        inputs = tuple(name for name, p in parameters if p.kind is not p.KEYWORD_ONLY)
        own = {k: v for k, v in own.items() if k != "metric"} if isinstance(own, dict) else own
        metrics.append(Metric(label, module, inputs, check(module.compute, own, where, given=inputs)))
    return metrics


def score_clip(clip: dict[str, torch.Tensor], lines: dict, where: str = "clip") -> dict[str, torch.Tensor]:
    """Each per-clip metric of `lines` on one clip, {label: a value a frame (T,) or a pair of frames (T-1,)}.

    clip      fake, real and what else the metrics name, without the batch axis
    lines     `metrics` of params.yaml
    where     the clip's name, for messages
    raises    Fault naming the metric and the clip where an input is missing or a value is not finite
    """
    return {metric.label: _score(metric, clip, where) for metric in resolve(lines) if metric.kind == "clip"}


def _score(metric: Metric, clip: dict[str, torch.Tensor], where: str) -> torch.Tensor:
    if missing := [name for name in metric.inputs if name not in clip]:
        raise Fault(f"metrics.{metric.label}: {where} has no {' and no '.join(missing)}; take the metric out")
    try:
        values = metric.module.compute(**{name: clip[name] for name in metric.inputs}, **metric.settings)
    except ValueError as error:
        raise Fault(f"metrics.{metric.label}: {where}: {error}") from None
    if bad := [i for i, value in enumerate(values.tolist()) if not np.isfinite(value)]:
        raise Fault(f"metrics.{metric.label}: {where}: {values[bad[0]]} as value {bad[0]} of {len(values)}; "
                    "docs/protocols.md says what the metric needs")
    return values


def evaluate(params: Params, run: str, root: Path) -> dict:
    """Score run `run` on every test clip of its data set, one clip in memory at a time; writes metrics/runs/<run>.json.

    root      the project's folder: data/<dataset>.zip and runs/<run>/clips.zip are read, .cache/features is kept
    raises    Fault naming the clip that is missing, of another length or size, or has no finite value
    """
    line = choose(params.runs, run, "runs")
    store = clips.Store(root / "data" / f"{line.dataset}.zip")
    fakes = clips.Store(root / "runs" / run / "clips.zip")
    metrics, given = resolve(params.metrics), _same_clips(store, fakes, params.protocol)
    wanted = {array for metric in metrics for name in metric.inputs for array in ARRAYS.get(name, ())} | {"real"}
    kinds = {metric.settings["features"] for metric in metrics if metric.kind == "set"}
    scores, cache = {}, root / ".cache" / "features"
    ids = [clip for group in store.facts.groups for clip in store.split(group)]
    for clip in progress(ids, f"evaluate {run}", unit="clip"):
        arrays = store.read(clip, arrays=sorted(wanted & set(store.clips[clip]["arrays"])))
        arrays = arrays | fakes.read(clip, arrays=["fake"])
        arrays = {name: array[params.protocol.skip_frames:] for name, array in arrays.items()}
        scores[clip] = _clip(arrays, metrics, kinds, params.protocol, cache, f"clip {clip} of {run}")
    groups = {}
    for group in store.facts.groups:
        own, where = [scores[clip] for clip in store.split(group)], f"group {group} of {run}"
        groups[group] = {"clips": store.split(group), "metrics": {
            metric.label: metric.about(params.protocol) | _summary(metric, own, where) for metric in metrics}}
    result = {"run": run, "title": line.title, "dataset": line.dataset, "model": line.model, "groups": groups,
              "first_frames": f"{given} real frame{'s' if given > 1 else ''}" if given else "none",
              "skip_frames": params.protocol.skip_frames}
    write_json(root / "metrics" / "runs" / f"{run}.json", result)
    return result


def _same_clips(store: clips.Store, fakes: clips.Store, protocol: Protocol) -> int:
    """Hold a run's clips against the data set's; returns the number of real frames the run was given in each."""
    def refuse(what: str):
        raise Fault(f"{fakes.path}: {what}; synthesize the run again")

    if store.facts.size != fakes.facts.size:
        refuse(f"frames of {fakes.facts.size} px, where {store.path.name} has {store.facts.size}")
    wanted, given = {}, set()
    for group in store.facts.groups:
        if not store.split(group):
            raise Fault(f"{store.path}: test group {group} has no clips; prepare the data set again")
        wanted |= {clip: store.clips[clip] for clip in store.split(group)}
    if extra := sorted(fakes.clips.keys() - wanted.keys()):
        refuse(f"clip {extra[0]} is no test clip of {store.path.name}")
    for clip, real in wanted.items():
        if clip not in fakes.clips:
            refuse(f"clip {clip} is missing")
        fake = fakes.clips[clip]
        for field in ("n_frames", "split"):
            if fake[field] != real[field]:
                refuse(f"clip {clip} has {field} {fake[field]}, where {store.path.name} has {real[field]}")
        if fake.get("real_sha256", real["sha256"]) != real["sha256"]:
            refuse(f"clip {clip} was made from another clip {clip} than that of {store.path.name}")
        if real["n_frames"] < protocol.skip_frames + 2:
            raise Fault(f"{store.path}: clip {clip} has {real['n_frames']} frames; with protocol.skip_frames "
                        f"{protocol.skip_frames} it takes {protocol.skip_frames + 2}")
        given.add(fake["given"])
    if len(given) > 1 or max(given) > protocol.skip_frames:
        raise Fault(f"{fakes.path}: clips start with {' or '.join(map(str, sorted(given)))} real frames; it takes one "
                    f"number, at most protocol.skip_frames, {protocol.skip_frames}: real frames are not scored")
    return given.pop()


def _clip(arrays: dict, metrics: list[Metric], kinds: set[str], protocol: Protocol, cache: Path, where: str) -> dict:
    """All that is kept of one clip: {"fake" and "real": {label: values, ("rows", kind of features): rows}}."""
    clip, result = clips.tensors(arrays), {"fake": {}, "real": {}}
    for metric in metrics:
        if metric.kind == "clip":
            result["fake"][metric.label] = _score(metric, clip, where).double().numpy()
            if "real" not in metric.inputs:
                itself = clip | {"fake": clip["real"]}
                result["real"][metric.label] = _score(metric, itself, f"the real {where}").double().numpy()
    for name, folder in (("fake", None), ("real", cache)) if kinds else ():
        frames = frame_features(arrays[name], protocol.feature_px, folder)
        if "windows" in kinds:
            if len(frames) < protocol.window_frames:
                raise Fault(f"{where}: {len(frames)} frames, below protocol.window_frames, {protocol.window_frames}")
            result[name]["rows", "windows"] = _ordered(window_features(
                frames, protocol.window_frames, protocol.window_stride, protocol.change_weight))
        result[name]["rows", "frames"] = _ordered(frames.astype(np.float64))
    return result


def _ordered(rows: np.ndarray) -> np.ndarray:
    """A set has no order: with sorted rows, the same frames in another order give the same value to the bit."""
    return rows[np.lexsort(rows.T)]


def _summary(metric: Metric, scores: list[dict], where: str) -> dict:
    """A metric on the clips of one group."""
    if metric.kind == "set":
        return _set_summary(metric, scores, where)
    own = _over_clips([score["fake"][metric.label] for score in scores])
    if "real" in metric.inputs:
        return own
    real = _over_clips([score["real"][metric.label] for score in scores])
    return own | {"real": {"value": real["value"], "per_clip": real["per_clip"]}}


def _over_clips(values: list[np.ndarray]) -> dict:
    """The mean of each clip, their mean, and the mean over clips at each frame, of the clips that have that frame."""
    curve = np.full((len(values), max(map(len, values))), np.nan)
    for row, clip in zip(curve, values):
        row[:len(clip)] = clip
    per_clip = [float(clip.mean()) for clip in values]
    return {"value": float(np.mean(per_clip)), "per_clip": per_clip, "curve": np.nanmean(curve, 0).tolist()}


def _set_summary(metric: Metric, scores: list[dict], where: str) -> dict:
    """The distance of all clips' rows, and without each clip in turn; None where so few clips have none."""
    kind, n_clips, module = metric.settings["features"], len(scores), metric.module
    fake, real = (np.concatenate([score[name]["rows", kind] for score in scores]) for name in ("fake", "real"))
    owner = np.repeat(np.arange(n_clips), [len(score["fake"]["rows", kind]) for score in scores])
    about = {"n": len(fake), "n_clips": n_clips, "rank": min(len(fake) - 1, fake.shape[1])}

    def distance(keep):
        value = module.compute(fake[keep], real[keep], owner[keep], **metric.settings)
        if not np.isfinite(value):
            raise Fault(f"metrics.{metric.label}: {where}: {value} from {int(keep.sum())} rows of {kind}")
        return value

    if n_clips < module.MIN_CLIPS or len(owner) < module.MIN_ROWS:
        note = f"{len(owner)} rows of {n_clips} clips; it takes {module.MIN_ROWS} rows of {module.MIN_CLIPS} clips"
        return about | {"value": None, "leave_one_out": [], "note": note}
    without = [owner != clip for clip in range(n_clips)]
    enough = n_clips > module.MIN_CLIPS and min(keep.sum() for keep in without) >= module.MIN_ROWS
    replicates = [distance(keep) for keep in without] if enough else []
    return about | {"value": distance(owner >= 0), "leave_one_out": replicates}
