"""Every predictor of a data set continues the test clips; what it predicted is kept by content."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOperatorIssue=false

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from v2vbench.clips.store import IGNORE, Store, facts_of_run, write_store
from v2vbench.clips.tensors import to_pixels, to_tensors
from v2vbench.closure import digests
from v2vbench.params import Fault, Future, Params
from v2vbench.progress import progress
from v2vbench.stages._ranks import default_device
from v2vbench.stages._weights import trained_model
from v2vbench.stages.synthesize import rollout


@dataclass(frozen=True)
class Task:
    """What is predicted: a line of `futures`, with what its stage has at hand."""

    params: Params
    dataset: str
    line: Future
    store: Store
    root: Path

    @property
    def n_frames(self) -> int:
        """Of a clip, the past and the future."""
        return self.line.n_past + self.line.n_future

    @property
    def clips(self) -> list[str]:
        return [clip for group in self.store.facts.groups for clip in self.store.split(group)]

    @property
    def predictors(self) -> list[str]:
        return [key for key, line in self.params.predictors.items() if line.dataset == self.dataset]


def predict_all(task: Task) -> dict[str, Store]:
    """{predictor: the store of its predictions}; what .cache/futures has is not predicted again."""
    folder, stores = task.root / "futures" / task.dataset, {}
    shutil.rmtree(folder, ignore_errors=True)  # of predictors that params.yaml no longer names
    folder.mkdir(parents=True)
    for key in task.predictors:
        kept = task.root / ".cache" / "futures" / f"{_fingerprint(task, key)}.zip"
        if not kept.is_file():
            _predict(task, key, kept)
        shutil.copyfile(kept, folder / f"{key}.zip")
        stores[key] = Store(folder / f"{key}.zip")
    return stores


def _fingerprint(task: Task, key: str) -> str:
    """A hash of all that determines what predictor `key` predicts."""
    params, line = task.params, task.line
    predictor = params.predictors[key]
    video = params.runs[line.video] if line.video != "none" else None
    files = ["stages/_predict.py", f"models/{predictor.model}.py", *([f"models/{video.model}.py"] if video else [])]
    weights = [_sha256(task.root / params.folder(key)), _sha256(task.root / "runs" / line.video) if video else None]
    content = [
        predictor.title,
        predictor.model,
        predictor.kwargs,
        [video.model, video.kwargs] if video else None,
        [line.n_past, line.n_future, line.n_samples, line.seed],
        weights,
        [task.store.clips[clip]["sha256"] for clip in task.clips],
        torch.__version__,
        digests(files),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _sha256(folder: Path) -> str:
    path = folder / "model.safetensors"
    if not path.is_file():
        raise Fault(f"{path}: no such weights; `dvc repro` trains them")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _predict(task: Task, key: str, path: Path) -> None:
    """Write the predictions of one predictor to `path`: of each clip and sample the past and the predicted frames."""
    params, line, store = task.params, task.line, task.store
    device = default_device()
    predictor, video = trained_model(params, key, task.root, store.facts).to(device), None
    if predictor.PREDICTS == "labels":
        video = trained_model(params, line.video, task.root, store.facts).to(device)
        if video.n_past > line.n_past:
            raise Fault(f"futures.{task.dataset}.n_past: {line.video} needs {video.n_past} frames, not {line.n_past}")
    things = _things(store) if video else []

    def made():
        for clip in progress(task.clips, f"predict {key}", unit="clip"):
            given = {name: value.to(device) for name, value in _read(task, clip).items()}
            for sample in range(line.n_samples if predictor.STOCHASTIC else 1):
                noise = torch.Generator(device).manual_seed(_seed(line.seed, clip, sample))
                frames, labels = predicted(predictor, video, given, line.n_past, line.n_future, noise, things)
                about = {field: store.clips[clip][field] for field in ("id", "split", "cluster", "licence", "origin")}
                about |= {"given": line.n_past, "real_sha256": store.clips[clip]["sha256"], "sample": sample}
                arrays = {"fake": to_pixels(frames)}
                if labels is not None:
                    arrays["label"] = labels.cpu().byte().numpy()
                yield about | ({"id": f"{clip}@{sample}"} if sample else {}), arrays

    write_store(path, facts_of_run(store.facts, key, params.predictors[key].title), made())


def predicted(
    predictor, video, clip: dict, n_past: int, n_future: int, noise: torch.Generator, things: list[int]
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The past and the predicted future of one clip.

    video      makes frames from labels, where the predictor predicts these
    clip       (1, T, ...), T at least n_past + n_future: real in [-1, 1], source, instance, flow, occluded. Only a
               CEILING is given more of it than the first n_past frames
    things     labels that have instances
    returns    frames (n_past + n_future, 3, H, W), of which the first n_past are real; labels of the same frames, or
               None
    """

    def first(n: int) -> dict:
        return {name: value[:, : n - (name in ("flow", "occluded"))] for name, value in clip.items()}

    past = first(n_past)
    seen = first(n_past + n_future) if predictor.CEILING else past
    if missing := [name for name in predictor.SEES if name not in seen]:
        raise Fault(
            f"{type(predictor).__module__.rsplit('.', 1)[-1]} needs {' and '.join(missing)}; there is none here"
        )
    out = predictor.predict({name: seen[name] for name in predictor.SEES}, n_future, noise)
    if predictor.PREDICTS == "frames":
        return torch.cat([past["real"], out], 1)[0].float().clamp(-1, 1), None
    foreseen = {"source": torch.cat([past["source"], out], 1)}
    if "instance" in clip:
        foreseen["instance"] = torch.cat([past["instance"], instances(out, things)], 1)
        if predictor.CEILING:
            foreseen["instance"] = first(n_past + n_future)["instance"]
    return rollout(video, foreseen, n_past + n_future, past["real"][0]), foreseen["source"][0]


def instances(source: torch.Tensor, things: list[int]) -> torch.Tensor:
    """Instances of predicted labels: connected regions of the labels in `things`, numbered from 1 in each frame.

    source     (1, T, H, W) label ids
    returns    (1, T, H, W) int64; 0 where the label is not in `things`
    """
    result = torch.zeros_like(source)
    for t, frame in enumerate(source[0].cpu().numpy()):
        number = 0
        for thing in things:
            regions, n = ndimage.label(frame == thing)  # pyright: ignore[reportGeneralTypeIssues] - returns a pair
            result[0, t] += torch.from_numpy(regions + number * (regions > 0)).to(result)
            number += n
    return result


def _things(store: Store) -> list[int]:
    """Labels that are instances in the training clips."""
    things: set[int] = set()
    for name in store.split("train"):
        arrays = store.read(name, arrays=[a for a in ("label", "instance") if a in store.clips[name]["arrays"]])
        if "instance" in arrays:
            things |= set(np.unique(arrays["label"][arrays["instance"] > 0]).tolist())
    return sorted(things - {IGNORE})


def _read(task: Task, clip: str) -> dict[str, torch.Tensor]:
    """The past and the future of a clip, (1, T, ...)."""
    names = [name for name in task.store.clips[clip]["arrays"] if name not in ("depth", "keypoints")]
    arrays = task.store.read(clip, 0, task.n_frames, names)
    return {array: value[None] for array, value in to_tensors(arrays).items()}


def _seed(seed: int, clip: str, sample: int) -> int:
    """Of the draws of one sample, whatever other clips and samples there are."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{clip}/{sample}".encode()).digest()[:7], "big")
