"""Prediction looks at nothing after n_past, and its floor and ceiling are what they say."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_train import project

from v2vbench import params
from v2vbench.clips.store import Store
from v2vbench.clips.tensors import to_tensors
from v2vbench.params import Fault, Prediction
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
    assert torch.equal(frames["forecast"], same["forecast"]) and not torch.equal(
        frames[future.CEILING], same[future.CEILING]
    )
    assert labels.shape == (7, 32, 64) and torch.equal(labels[:4], clip["source"][0, :4])
    assert all(torch.equal(fake[:4], clip["real"][0, :4]) for fake in frames.values())
    assert torch.equal(frames[future.FLOOR][4:], clip["real"][0, 3:4].expand(3, -1, -1, -1))


def test_curves_and_clips(trained):
    p, root = trained
    path = future.predict(p, "ahead", root)
    result, made = json.loads(path.read_text()), Store(root / "runs" / "ahead" / "clips.zip")
    assert made.clips["slide-4"]["given"] == 4 and set(made.read("slide-4")) == {"fake", "label"}
    for metric in result["groups"]["seen"]["metrics"].values():
        assert set(metric["methods"]) == {"forecast", future.FLOOR, future.CEILING}
        for method in metric["methods"].values():
            assert len(method["curve"]) == 3 and len(method["per_clip"]) == 3
            assert all(low <= value <= high for low, value, high in zip(method["low"], method["curve"], method["high"]))
    frozen = result["groups"]["seen"]["metrics"]["psnr"]["methods"][future.FLOOR]["per_clip"][0]
    real = Store(root / "data" / "sliding.zip").read("slide-4")["real"] / 255
    assert frozen == pytest.approx([-10 * np.log10(np.mean((real[3] - real[t]) ** 2)) for t in (4, 5, 6)], rel=1e-5)
    before = path.read_bytes()
    future.predict(p, "ahead", root)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "changes, says", [(dict(horizon=9), "horizon: clip slide-4 has 12 frames"), (dict(n_past=1), "n_past: x needs 2")]
)
def test_faults_are_named(trained, changes, says):
    p, root = trained
    with pytest.raises(Fault, match=says):
        future.predict(replace(p, predictions={"ahead": replace(LINE, **changes)}), "ahead", root)
