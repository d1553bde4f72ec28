"""A training that was killed goes on and ends where an unbroken one does, to the last byte."""
import dataclasses
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file
from test_models import SMALL

from v2vbench import clips, params, synthesize, train
from v2vbench.params import Fault, Forecast, Params, Run, Schedule

LINES = dict(title="x", dataset="sliding", schedule="few", base="none")
TINY = SMALL | {"vid2vid": SMALL["vid2vid"] | dict(n_scales_temporal=1, n_scales=1, n_blocks=1, foreground=[])}
PROTOCOL = params.load(Path(__file__).parents[1] / "params.yaml").protocol


def project(store_path, root, *, model="vid2vid", first_frames="real", **schedule) -> Params:
    (root / "data").mkdir(exist_ok=True)
    if not (root / "data" / "sliding.zip").exists():
        os.link(store_path, root / "data" / "sliding.zip")
    few = Schedule(**dict(seed=1, steps=6, batch_size=1, n_frames=5, n_warmup=2, double_every=0, drop_parts=0.0, compile=False, lr=1e-3,
                          lr_d=1e-3, betas=(0.5, 0.999), constant_share=0.5, precision="32-true",
                          log_every=2, checkpoint_every=2) | schedule)
    return Params(suite="test", about="", protocol=PROTOCOL, datasets={}, schedules={"few": few}, metrics={},
                  preference=[], runs={"x": Run(model=model, first_frames=first_frames, kwargs=TINY[model], **LINES)},
                  forecasts={"f": Forecast(model="forecast", kwargs=SMALL["forecast"], **LINES)}, predictions={}, report={})


def result(root, key="x"):
    return [(root / "runs" / key / name).read_bytes() for name in ("model.safetensors", "curves.csv")]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_two_trainings_are_the_same_bytes(store_path, tmp_path, precision):
    for root in (tmp_path / "a", tmp_path / "b"):
        root.mkdir()
        train.train(project(store_path, root, precision=precision, steps=3), "x", root)
    assert result(tmp_path / "a") == result(tmp_path / "b")


def slow_train(store_path, root):
    p = project(store_path, root)
    update = train.Trainer.update
    train.Trainer.update = lambda self, clip: (time.sleep(0.3), update(self, clip))[1]
    train.train(p, "x", root)


def test_killed_training_goes_on_to_the_same_bytes(store_path, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir(), broken.mkdir()
    train.train(project(store_path, whole), "x", whole)
    project(store_path, broken)
    child = multiprocessing.get_context("spawn").Process(target=slow_train, args=(store_path, broken))
    child.start()
    deadline = time.monotonic() + 90
    while not (found := list(broken.glob(".cache/runs/*/checkpoint.pt"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert found and not (broken / "runs").exists()
    assert 0 < torch.load(found[0], weights_only=True)["step"] < 6
    train.train(project(store_path, broken), "x", broken)
    assert result(broken) == result(whole) and not list(broken.glob(".cache/runs/*"))


def test_another_writer_is_refused(store_path, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "WAIT_S", 0.1)
    p = project(store_path, tmp_path)
    store = clips.Store(store_path)
    state = tmp_path / ".cache" / "runs" / train.fingerprint(p, "x", store, train.build(p, "x", store.facts), None)
    state.mkdir(parents=True)
    with FileLock(state / "lock"), pytest.raises(Fault, match="another process is training it"):
        train.train(p, "x", tmp_path)


def test_a_changed_parameter_is_another_state(store_path, tmp_path):
    store, prints = clips.Store(store_path), set()
    for changes in ({}, dict(lr=2e-3), dict(seed=2), dict(steps=7)):
        p = project(store_path, tmp_path, **changes)
        prints.add(train.fingerprint(p, "x", store, train.build(p, "x", store.facts), None))
    assert len(prints) == 4


def test_loss_that_is_not_finite_is_named(store_path, tmp_path):
    with pytest.raises(Fault, match=r"runs.x: loss \w+ is (nan|inf) at step \d; lower schedules lr"):
        train.train(project(store_path, tmp_path, lr=1e18), "x", tmp_path)


@pytest.mark.parametrize("step, share", [(0, 1), (5, 1), (75, 0.5), (99, 0.02)])
def test_learning_rate_is_constant_then_linear(step, share):
    assert train.lr_share(step, 100, 0.5) == pytest.approx(share) and train.lr_share(step, 100, 1.0) == 1


def test_every_optimiser_decays(store_path, tmp_path):
    """The reference never decays its video discriminators (a defect)."""
    p = project(store_path, tmp_path)
    store = clips.Store(store_path)
    trainer = train.Trainer(train.build(p, "x", store.facts), p.schedules["few"])
    trainer.step = 5
    trainer.update(clips.Windows(store, n_frames=5, n_warmup=0, batch_size=1, seed=0, double_every=0, drop_parts=0.0).batch(0))
    assert {name: optimiser.param_groups[0]["lr"] for name, optimiser in trainer.optimisers.items()} == pytest.approx(
        dict.fromkeys(["G", "D_image", "D_video0"], 1e-3 / 3))


def test_rollout_sees_no_later_frame_and_says_what_was_given(store_path, tmp_path):
    p = project(store_path, tmp_path, steps=2)
    train.train(p, "x", tmp_path)
    synthesize.synthesize(p, "x", tmp_path)
    made, store = clips.Store(tmp_path / "runs" / "x" / "clips.zip"), clips.Store(store_path)
    assert list(made.clips) == store.split("seen") + store.split("unseen")
    name = store.split("seen")[0]
    fake, real = made.read(name)["fake"], store.read(name)["real"]
    assert made.clips[name]["given"] == 2 and (fake[:2] == real[:2]).all() and (fake[2:] != real[2:]).any()
    model = train.trained(p, "x", tmp_path, store.facts)
    clip = {key: value[None] for key, value in clips.tensors(store.read(name)).items()}
    blind = clip | {"real": torch.cat([clip["real"][:, :2], torch.zeros_like(clip["real"][:, 2:])], 1)}
    assert (clips.pixels(synthesize.rollout(model, blind, 12, blind["real"][0, :2])) == fake).all()


def test_faults_of_runs_are_named(store_path, tmp_path):
    p = project(store_path, tmp_path, steps=1, first_frames="none")
    with pytest.raises(Fault, match="no such weights"):
        synthesize.synthesize(p, "x", tmp_path)
    train.train(p, "x", tmp_path)
    with pytest.raises(Fault, match="runs.x.first_frames: vid2vid starts from 2 frames, so it must be real"):
        synthesize.synthesize(p, "x", tmp_path)
    other = dataclasses.replace(p, runs={"x": dataclasses.replace(p.runs["x"], kwargs=TINY["vid2vid"] | dict(n_filters=6))})
    with pytest.raises(Fault, match="does not fit runs.x"):
        train.trained(other, "x", tmp_path, clips.Store(store_path).facts)
    with pytest.raises(Fault, match=r"runs.x.kwargs: unknown n_pst; it takes n_past"):
        params.bind(train.parameters.member("models", "vid2vid", "").Model, {"n_pst": 1}, "runs.x.kwargs", facts=None)


def test_copy_last_has_nothing_to_train(store_path, tmp_path):
    p = project(store_path, tmp_path, model="copy_last")
    train.train(p, "x", tmp_path)
    assert load_file(tmp_path / "runs" / "x" / "model.safetensors") == {} and result(tmp_path)[1] == b"step\n"
    synthesize.synthesize(p, "x", tmp_path)
    store, made = clips.Store(store_path), clips.Store(tmp_path / "runs" / "x" / "clips.zip")
    name = store.split("seen")[0]
    assert (made.read(name)["fake"] == store.read(name)["real"][:1]).all()
