"""Prediction looks at nothing after n_past, and its floor and ceiling are what they say."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_train import project

from v2vbench import params
from v2vbench.clips.store import Store
from v2vbench.clips.tensors import to_tensors
from v2vbench.files import rounded
from v2vbench.params import Fault, Prediction
from v2vbench.results.future import FutureScores
from v2vbench.stages import future, train
from v2vbench.stages._weights import trained_model

LINE = Prediction(title="forecast", dataset="sliding", labels="f", video="x", n_past=4, horizon=3)


@pytest.fixture(scope="module")
def trained(store_path, tmp_path_factory):
    root = tmp_path_factory.mktemp("future")
    p = replace(
        project(store_path, root, steps=1, n_warmup=0),
        metrics={"psnr": PSNR, "warp_error": {}},
        predictions={"ahead": LINE},
    )
    for key in ("x", "f"):
        train.train(p, key, root)
    return p, root


PSNR = params.load(params.root() / "params.yaml").metrics["psnr"]


def test_nothing_later_is_seen(trained):
    p, root = trained
    store = Store(root / "data" / "sliding.zip")
    video, forecaster = (trained_model(p, key, root, store.facts) for key in ("x", "f"))
    clip = {name: value[None, :7] for name, value in to_tensors(store.read(store.split("seen")[0])).items()}
    blind = {name: torch.cat([value[:, :4], torch.zeros_like(value[:, 4:])], 1) for name, value in clip.items()}
    (frames, labels), (same, _) = (future.futures(c, forecaster, video, 4, 3, [2], "forecast") for c in (clip, blind))
    assert torch.equal(frames["forecast"], same["forecast"])
    assert not torch.equal(frames[future.CEILING], same[future.CEILING])
    assert labels.shape == (7, 32, 64)
    assert torch.equal(labels[:4], clip["source"][0, :4])
    assert all(torch.equal(fake[:4], clip["real"][0, :4]) for fake in frames.values())
    assert torch.equal(frames[future.FLOOR][4:], clip["real"][0, 3:4].expand(3, -1, -1, -1))


def test_curves_and_clips(trained):
    p, root = trained
    result, made = future.predict(p, "ahead", root), Store(root / "runs" / "ahead" / "clips.zip")
    assert made.clips["slide-4"]["given"] == 4
    assert set(made.read("slide-4")) == {"fake", "label"}
    group = result.groups["seen"]
    assert set(group.curves) == set(result.metrics) == {"psnr", "warp_error"}
    for methods in group.curves.values():
        assert set(methods) == {"forecast", future.FLOOR, future.CEILING}
        for method in methods.values():
            assert len(method.curve) == len(method.per_clip) == 3
            assert all(low <= value <= high for low, value, high in zip(method.low, method.curve, method.high))
    frozen = group.curves["psnr"][future.FLOOR].per_clip[0]
    real = Store(root / "data" / "sliding.zip").read("slide-4")["real"] / 255
    assert frozen == pytest.approx([-10 * np.log10(np.mean((real[3] - real[t]) ** 2)) for t in (4, 5, 6)], rel=1e-5)


def test_equal_results_are_equal_bytes(trained):
    p, root = trained
    result = future.predict(p, "ahead", root)
    paths = FutureScores.path(root, "ahead"), root / "metrics/horizon/ahead.csv"
    before = [path.read_bytes() for path in paths]
    result.save(root / "again.json")
    assert (root / "again.json").read_bytes() == before[0]
    future.predict(p, "ahead", root)
    assert [path.read_bytes() for path in paths] == before


def test_the_table_of_horizons(trained):
    p, root = trained
    result = future.predict(p, "ahead", root)
    with open(root / "metrics/horizon/ahead.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["steps_ahead", "group", "metric", "method", "value", "low", "high"]
    curve = result.groups["seen"].curves["psnr"]["forecast"]
    some = [row for row in rows if (row["group"], row["metric"], row["method"]) == ("seen", "psnr", "forecast")]
    assert [int(row["steps_ahead"]) for row in some] == [1, 2, 3]
    assert [float(row["value"]) for row in some] == rounded(curve.curve)
    assert [float(row["low"]) for row in some] == rounded(curve.low)


class OnDevice:
    """A tensor of which it is noted that it was brought back to the CPU."""

    def __init__(self, tensor):
        self.tensor, self.brought_back = tensor, False

    def cpu(self):
        self.brought_back = True
        return self.tensor


def test_models_and_clips_are_on_the_gpu_and_metrics_on_the_cpu(trained, monkeypatch):
    p, root = trained
    gpu, outputs, moved = torch.device("meta"), [], []

    def futures(clip, forecaster, video, n_past, horizon, things, title):
        moved.append({value.device for value in clip.values()})
        moved.append({value.device for model in (forecaster, video) for value in model.state_dict().values()})
        frames = {title: OnDevice(torch.zeros(7, 3, 32, 64)), future.FLOOR: OnDevice(torch.zeros(7, 3, 32, 64))}
        labels = OnDevice(torch.zeros(7, 32, 64))
        outputs.extend([*frames.values(), labels])
        return frames, labels

    monkeypatch.setattr(future, "_device", lambda: gpu)
    monkeypatch.setattr(future, "futures", futures)
    future.predict(p, "ahead", root)
    assert moved == [{gpu}, {gpu}] * 6  # of 3 clips of two groups
    assert all(output.brought_back for output in outputs)


@pytest.mark.parametrize(
    "changes, says", [(dict(horizon=9), "horizon: clip slide-4 has 12 frames"), (dict(n_past=1), "n_past: x needs 2")]
)
def test_faults_are_named(trained, changes, says):
    p, root = trained
    with pytest.raises(Fault, match=says):
        future.predict(replace(p, predictions={"ahead": replace(LINE, **changes)}), "ahead", root)
