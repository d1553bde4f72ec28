"""Two clips, learnt by heart: if a video model cannot do that, nothing it says about more clips means anything."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from v2vbench import params
from v2vbench.clips.store import Store
from v2vbench.clips.tensors import to_tensors
from v2vbench.datasets import freedoom
from v2vbench.metrics import psnr, warp_error
from v2vbench.stages import synthesize, train
from v2vbench.stages._weights import build_model

ROOT = Path(__file__).parents[1]
MINI = params.typed(params.parse(params.read(ROOT / "suites/mini.yaml"), "mini.yaml"), "mini.yaml", ROOT)
GIVEN = 2  # real frames that vid2vid is given, scored for neither


@pytest.fixture(scope="module")
def two_clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    line = {name: value for name, value in MINI.datasets["freedoom"].items() if name != "loader"} | dict(
        size=[32, 64],
        train_maps=["freedoom2:MAP01", "freedoom2:MAP13"],
        unseen_maps=["freedoom2:MAP07"],
        n_train_clips=1,
        n_test_clips=1,
        n_unseen_clips=1,
    )
    params.bind(freedoom.prepare, line, "two", out=folder / "two.zip", name="freedoom", cache=folder)
    return Store(folder / "two.zip")


def learnt(model: str, store, folder: Path) -> tuple[float, float]:
    """PSNR (dB) and warp error of roll-outs over training clips, means over frames, after 350 batches of 18 frames."""
    run = MINI.runs[f"freedoom_{model}"]
    schedule = replace(MINI.schedules["freedoom"], steps=350)
    run = replace(run, schedule="s", kwargs=run.kwargs | dict(w_pixel=10.0))
    project = replace(MINI, runs={"x": run}, schedules={"s": schedule})
    torch.manual_seed(0)
    net = build_model(project, "x", store.facts)
    train.fit(net, schedule, store, "x", folder / f"{model}.pt")
    peaks, errors = [], []
    for name in store.split("train"):
        clip = {key: value[None] for key, value in to_tensors(store.read(name)).items()}
        real, n = clip["real"][0], store.clips[name]["n_frames"]
        fake = synthesize.rollout(net, clip, n, real[: net.n_past])
        peaks.append(psnr.compute(fake[GIVEN:], real[GIVEN:], data_range=2, cap_db=100).mean())
        errors.append(warp_error.compute(fake[GIVEN:], clip["flow"][0, GIVEN:], clip["occluded"][0, GIVEN:]).mean())
    return float(torch.stack(peaks).mean()), float(torch.stack(errors).mean())


@pytest.mark.slow
def test_vid2vid_learns_two_clips_by_heart_and_is_steadier_than_frames_alone(two_clips, tmp_path):
    peak, error = learnt("vid2vid", two_clips, tmp_path)
    _, error_alone = learnt("pix2pixhd", two_clips, tmp_path)
    assert peak > 24 and error < error_alone, (peak, error, error_alone)
