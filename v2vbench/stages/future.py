"""Future prediction: labels of future frames are forecast, and the video model generates frames from the forecast."""

from pathlib import Path

import numpy as np
import torch

from v2vbench.clips.store import IGNORE, Store, facts_of_run, write_store
from v2vbench.clips.tensors import to_pixels, to_tensors
from v2vbench.models import copy_last, forecast
from v2vbench.parallel import fixed_threads
from v2vbench.params import Fault, Params, Prediction, choose
from v2vbench.progress import progress
from v2vbench.results.future import FutureScores, HorizonCurve, PredictedGroup
from v2vbench.results.record import write_csv
from v2vbench.stages._scorer import Scorer
from v2vbench.stages._weights import trained_model
from v2vbench.stages.synthesize import rollout
from v2vbench.statistics.intervals import interval, of_clips

FLOOR, CEILING = "copy last frame", "true labels, then video"  # lower and upper bound of a forecast


def futures(
    clip: dict, forecaster, video, n_past: int, horizon: int, things: list[int], title: str
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The next `horizon` frames by each method, from the source and frames of the first `n_past`; all on one device.

    clip       real (1, T, 3, H, W) in [-1, 1], source and instance (1, T, H, W); only CEILING reads later sources
    things     labels that have instances
    returns    {method title: (n_past + horizon, 3, H, W)}, of which the first n_past are real; and the labels
               (n_past + horizon, H, W)
    """
    n, first = n_past + horizon, clip["real"][0, :n_past]
    past = {name: value[:, :n_past] for name, value in clip.items()}
    ahead = forecaster.forecast(past["source"], horizon)
    foreseen = {"real": past["real"], "source": torch.cat([past["source"], ahead], 1)}
    if "instance" in clip:
        foreseen["instance"] = torch.cat([past["instance"], forecast.instances(ahead, things)], 1)
    floor = copy_last.Model(None)  # pyright: ignore[reportArgumentType]  it needs no facts
    return {
        title: rollout(video, foreseen, n, first),
        CEILING: rollout(video, clip, n, first),
        FLOOR: rollout(floor, past | {"source": foreseen["source"]}, n, first),
    }, foreseen["source"][0]


@fixed_threads()
def predict(params: Params, key: str, root: Path) -> FutureScores:
    """Score prediction `key` on every test clip.

    Curves are means over clips with Student intervals by cluster, one value per step. Models run on the GPU if there is
    one, metrics on the CPU.

    writes    metrics/future/<key>.json; runs/<key>/clips.zip, the predicted frames and labels; for DVC's plots
              metrics/horizon/<key>.csv
    raises    Fault if a clip is shorter than n_past + horizon, or the runs belong to another data set
    """
    line = choose(params.predictions, key, "predictions")
    for role in ("labels", "video"):
        if (other := params.run(getattr(line, role)).dataset) != line.dataset:
            raise Fault(f"predictions.{key}.{role}: {getattr(line, role)} is trained on {other}, not on {line.dataset}")
    scorer = Scorer(params, line.dataset, root)
    store, n = scorer.store, line.n_past + line.horizon
    metrics = [metric for metric in scorer.present if metric.kind == "clip" and "keypoints" not in metric.inputs]
    device = _device()
    video, forecaster = (
        trained_model(params, name, root, store.facts).to(device) for name in (line.video, line.labels)
    )
    if video.n_past > line.n_past:
        raise Fault(f"predictions.{key}.n_past: {line.video} needs {video.n_past} frames, not {line.n_past}")
    ids = [clip for group in store.facts.groups for clip in store.split(group)]
    things, scores, made = _things(store), {}, []
    for name in progress(ids, f"future {key}", unit="clip"):
        clip = _read(store, name, n, f"predictions.{key}.horizon")
        on_device = {array: value.to(device) for array, value in clip.items()}
        frames, labels = futures(on_device, forecaster, video, line.n_past, line.horizon, things, line.title)
        frames = {method: fake.cpu() for method, fake in frames.items()}
        scored = {array: value[0, line.n_past - 1 :] for array, value in clip.items()}
        for method, fake in frames.items():
            for metric in metrics:
                values = scorer.values(metric, scored | {"fake": fake[line.n_past - 1 :]}, f"clip {name} of {key}")
                scores[metric.label, method, name] = values[-line.horizon :].tolist()
        about = {field: store.clips[name][field] for field in ("id", "split", "licence", "origin")}
        arrays = {"fake": to_pixels(frames[line.title]), "label": labels.cpu().byte().numpy()}
        made.append((about | {"given": line.n_past}, arrays))
    write_store(root / "runs" / key / "clips.zip", facts_of_run(store.facts, key, line.title), made)
    result = _result(params, key, line, scorer, [metric.label for metric in metrics], scores)
    result.save(FutureScores.path(root, key))
    write_csv(root / "metrics" / "horizon" / f"{key}.csv", result.frame())
    return result


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _read(store: Store, name: str, n: int, where: str) -> dict[str, torch.Tensor]:
    """The first n frames of a clip, (1, T, ...); raises Fault if it is shorter."""
    if store.clips[name]["n_frames"] < n:
        n_frames = store.clips[name]["n_frames"]
        raise Fault(f"{where}: clip {name} has {n_frames} frames, fewer than n_past + horizon = {n}")
    arrays = store.read(name, 0, n, [a for a in store.clips[name]["arrays"] if a not in ("depth", "keypoints")])
    return {array: value[None] for array, value in to_tensors(arrays).items()}


def _result(
    params: Params,
    key: str,
    line: Prediction,
    scorer: Scorer,
    labels: list[str],
    scores: dict[tuple[str, str, str], list[float]],
) -> FutureScores:
    """The curves of each group, metric and method; `scores` is {(label, method, clip): a value per step}."""
    store, groups = scorer.store, {}
    methods = list(dict.fromkeys(method for _, method, _ in scores))
    for group in store.facts.groups:
        clips, clusters = store.split(group), scorer.clusters(group)
        curves = {}
        for label in labels:
            per_clip = {method: [scores[label, method, clip] for clip in clips] for method in methods}
            curves[label] = {
                method: _curve(values, clusters, params.protocol.confidence) for method, values in per_clip.items()
            }
        groups[group] = PredictedGroup(clips=clips, clusters=clusters, curves=curves)
    return FutureScores(
        prediction=key,
        title=line.title,
        dataset=line.dataset,
        n_past=line.n_past,
        horizon=line.horizon,
        fps=store.facts.fps,
        metrics={label: scorer.info[label] for label in labels},
        groups=groups,
    )


def _things(store: Store) -> list[int]:
    """Labels that are instances in the training clips."""
    things: set[int] = set()
    for name in store.split("train"):
        arrays = store.read(name, arrays=[a for a in ("label", "instance") if a in store.clips[name]["arrays"]])
        if "instance" in arrays:
            things |= set(np.unique(arrays["label"][arrays["instance"] > 0]).tolist())
    return sorted(things - {IGNORE})


def _curve(per_clip: list[list[float]], clusters: list[str], confidence: float) -> HorizonCurve:
    """Mean over clips at each step with a Student interval by cluster; no interval if there is only one cluster."""
    values = np.array(per_clip)  # (N, horizon)
    steps = [interval(of_clips(step.tolist(), clusters), confidence) for step in values.T]
    low = [step.low for step in steps if step.low is not None]
    high = [step.high for step in steps if step.high is not None]
    return HorizonCurve(curve=values.mean(0).tolist(), low=low or None, high=high or None, per_clip=per_clip)
