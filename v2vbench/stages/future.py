"""Future prediction: the source is withheld, its labels are forecast, and the video model paints the forecast."""

from pathlib import Path

import numpy as np
import torch

from v2vbench.clips.store import Store, facts_of_run, write_store
from v2vbench.clips.tensors import to_pixels, to_tensors
from v2vbench.files import write_json
from v2vbench.models import copy_last, forecast
from v2vbench.parallel import fixed_threads
from v2vbench.params import Fault, Params, choose
from v2vbench.progress import progress
from v2vbench.stages._scorer import Scorer
from v2vbench.stages._weights import trained_model
from v2vbench.stages.synthesize import rollout
from v2vbench.statistics.intervals import interval, of_clips

FLOOR, CEILING = "copy last frame", "true labels, then video"  # what a forecast must pass, and what it cannot


def futures(
    clip: dict, forecaster, video, n_past: int, horizon: int, things: list[int], title: str
) -> tuple[dict, torch.Tensor]:
    """The next `horizon` frames by each method, from the source and the frames of the first `n_past`.

    clip       real (1, T, 3, H, W) in [-1, 1], source and instance (1, T, H, W); only CEILING looks at later sources
    things     labels that make instances
    returns    {method title: (n_past + horizon, 3, H, W)}, the first n_past real; and the labels, (n_past + horizon, H, W)
    """
    n, first = n_past + horizon, clip["real"][0, :n_past]
    seen = {name: value[:, :n_past] for name, value in clip.items()}
    ahead = forecaster.forecast(seen["source"], horizon)
    foreseen = {"real": seen["real"], "source": torch.cat([seen["source"], ahead], 1)}
    if "instance" in clip:
        foreseen["instance"] = torch.cat([seen["instance"], forecast.instances(ahead, things)], 1)
    return {
        title: rollout(video, foreseen, n, first),
        CEILING: rollout(video, clip, n, first),
        FLOOR: rollout(copy_last.Model(None), seen | {"source": foreseen["source"]}, n, first),
    }, foreseen["source"][0]


@fixed_threads()
def predict(params: Params, key: str, root: Path) -> Path:
    """Score prediction `key` on every test clip; writes metrics/future/<key>.json and runs/<key>/clips.zip.

    The store holds the predicted frames and labels. Curves are means over clips with Student intervals by cluster, one value a step.
    raises    Fault where a clip is shorter than n_past + horizon, or the runs belong to another data set
    """
    line = choose(params.predictions, key, "predictions")
    for role in ("labels", "video"):
        if params.run(getattr(line, role)).dataset != line.dataset:
            raise Fault(
                f"predictions.{key}.{role}: {getattr(line, role)} is trained on {params.run(getattr(line, role)).dataset}, "
                f"not on {line.dataset}"
            )
    scorer = Scorer(params, line.dataset, root)
    store, metrics = scorer.store, [m for m in scorer.present if m.kind == "clip" and "keypoints" not in m.inputs]
    video, forecaster = (trained_model(params, name, root, store.facts) for name in (line.video, line.labels))
    if video.n_past > line.n_past:
        raise Fault(f"predictions.{key}.n_past: {line.video} needs {video.n_past} frames, not {line.n_past}")
    ids = [clip for group in store.facts.groups for clip in store.split(group)]
    n, things, scores, shown = line.n_past + line.horizon, _things(store), {}, []
    for name in progress(ids, f"future {key}", unit="clip"):
        if store.clips[name]["n_frames"] < n:
            raise Fault(
                f"predictions.{key}.horizon: clip {name} has {store.clips[name]['n_frames']} frames, "
                f"fewer than n_past + horizon = {n}"
            )
        arrays = store.read(name, 0, n, [a for a in store.clips[name]["arrays"] if a not in ("depth", "keypoints")])
        clip = {array: value[None] for array, value in to_tensors(arrays).items()}
        frames, labels = futures(clip, forecaster, video, line.n_past, line.horizon, things, line.title)
        for method, fake in frames.items():
            scored = {array: value[0, line.n_past - 1 :] for array, value in clip.items()} | {
                "fake": fake[line.n_past - 1 :]
            }
            for metric in metrics:
                values = scorer.values(metric, scored, f"clip {name} of {key}")
                scores.setdefault(metric.label, {}).setdefault(method, {})[name] = values[-line.horizon :].tolist()
        about = {field: store.clips[name][field] for field in ("id", "split", "licence", "origin")} | {
            "given": line.n_past
        }
        shown.append((about, {"fake": to_pixels(frames[line.title]), "label": labels.byte().numpy()}))
    write_store(root / "runs" / key / "clips.zip", facts_of_run(store.facts, key, line.title), shown)
    groups = {}
    for group in store.facts.groups:
        own, clusters, found = store.split(group), scorer.clusters(group), {}
        for label, methods in scores.items():
            found[label] = scorer.about[label] | {
                "methods": {
                    method: _curve([values[clip] for clip in own], clusters, params.protocol.confidence)
                    for method, values in methods.items()
                }
            }
        groups[group] = {"clips": own, "clusters": clusters, "metrics": found}
    out = root / "metrics" / "future" / f"{key}.json"
    write_json(
        out,
        {
            "prediction": key,
            "title": line.title,
            "dataset": line.dataset,
            "n_past": line.n_past,
            "horizon": line.horizon,
            "fps": store.facts.fps,
            "groups": groups,
        },
    )
    return out


def _things(store: Store) -> list[int]:
    """Labels that are instances in the training clips."""
    found = set()
    for name in store.split("train"):
        arrays = store.read(name, arrays=[a for a in ("label", "instance") if a in store.clips[name]["arrays"]])
        if "instance" in arrays:
            found |= set(np.unique(arrays["label"][arrays["instance"] > 0]).tolist())
    return sorted(found - {255})


def _curve(per_clip: list[list[float]], clusters: list[str], confidence: float) -> dict:
    """Mean over clips at each step with a Student interval by cluster; None where there is one cluster alone."""
    values = np.array(per_clip)  # (N, horizon)
    steps = [interval(of_clips(step, clusters), confidence) for step in values.T]
    low, high = ([step[end] for step in steps] if len(set(clusters)) > 1 else None for end in ("low", "high"))
    return {"curve": values.mean(0).tolist(), "low": low, "high": high, "per_clip": per_clip}
