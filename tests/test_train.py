"""A killed training resumes and ends with the same bytes as an unbroken one; which weights change, and from which."""

import copy
import dataclasses
import hashlib
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import facts, sliding_clip
from filelock import FileLock
from safetensors.torch import load_file, save_file
from test_models import SMALL, STYLES, build, fine, noise, watch, window

from v2vbench import models, params, progress
from v2vbench.clips.flow import warp
from v2vbench.clips.store import Store, write_store
from v2vbench.clips.tensors import to_pixels, to_tensors
from v2vbench.clips.windows import Windows
from v2vbench.parallel import fixed_threads
from v2vbench.params import Fault, Params, Run, Schedule, TrainedModel
from v2vbench.stages import _fit, _trainer, synthesize, train
from v2vbench.stages._weights import build_model, of_seed, trained_model

LINES = dict(title="x", dataset="sliding", schedule="few", base="none")
TINY = SMALL | {"vid2vid": SMALL["vid2vid"] | dict(n_scales_temporal=1, n_scales=1, n_blocks=1, foreground=[])}
PROTOCOL = params.load(Path(__file__).parents[1] / "params.yaml").protocol


def few(**changes) -> Schedule:
    return Schedule(
        **dict(
            seed=1,
            steps=6,
            batch_size=1,
            n_frames=5,
            n_warmup=2,
            double_every=0,
            single_frames="none",
            drop_parts=0.0,
            compile=False,
            lr=1e-3,
            lr_d=1e-3,
            betas=(0.5, 0.999),
            constant_share=0.5,
            ema=0,
            precision="32-true",
            log_every=2,
            checkpoint_every=2,
        )
        | changes
    )


def project(store_path, root, *, model="vid2vid", first_frames="real", **schedule) -> Params:
    (root / "data").mkdir(exist_ok=True)
    if not (root / "data" / "sliding.zip").exists():
        os.link(store_path, root / "data" / "sliding.zip")
    return Params(
        suite="test",
        about="",
        protocol=PROTOCOL,
        datasets={},
        schedules={"few": few(**schedule)},
        metrics={},
        judges={},
        features={},
        calibration={},
        preference={},
        runs={"x": Run(model=model, first_frames=first_frames, seeds=[0], kwargs=TINY[model], **LINES)},
        predictors={"f": TrainedModel(model="forecast", kwargs=SMALL["forecast"], **LINES)},
        futures={},
        styles={},
        report={},
    )


def result(root, key="x", folder="runs"):
    return [(root / folder / key / name).read_bytes() for name in ("model.safetensors", "curves.csv")]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_two_trainings_are_the_same_bytes(store_path, tmp_path, precision):
    for root in (tmp_path / "a", tmp_path / "b"):
        root.mkdir()
        train.train(project(store_path, root, precision=precision, steps=3), "x", root)
    assert result(tmp_path / "a") == result(tmp_path / "b")


def test_the_first_line_tells_of_a_precision_that_the_cpu_emulates(store_path, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_fit, "slow_precision", lambda precision: f"{precision} is slow")
    train.train(project(store_path, tmp_path, steps=1), "x", tmp_path)
    assert capsys.readouterr().err.startswith("train x: 32-true is slow\n")


def train_until_killed(store_path, root):
    """Ends by itself only where no checkpoint comes."""
    update = _trainer.Trainer.update

    def wait(self, clip):
        while list(root.glob(".cache/runs/*/checkpoint.pt")) and multiprocessing.parent_process().is_alive():
            time.sleep(0.05)
        return update(self, clip)

    _trainer.Trainer.update = wait
    train.train(project(store_path, root), "x", root)


def test_killed_training_goes_on_to_the_same_bytes(store_path, tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir(), broken.mkdir()
    train.train(project(store_path, whole), "x", whole)
    project(store_path, broken)
    child = multiprocessing.get_context("spawn").Process(target=train_until_killed, args=(store_path, broken))
    child.start()
    while (
        not (found := list(broken.glob(".cache/runs/*/checkpoint.pt"))) and child.is_alive()
    ):  # however slow the machine
        time.sleep(0.05)
    child.kill()
    child.join()
    assert found and not (broken / "runs").exists()
    state = torch.load(found[0], weights_only=True)
    assert 0 < state["step"] < 6
    assert state["seconds"] > 0
    monkeypatch.setattr(progress, "earlier_s", 0.0)
    train.train(project(store_path, broken), "x", broken)
    assert progress.earlier_s == state["seconds"]
    assert result(broken) == result(whole)
    train.train(project(store_path, broken), "x", broken)  # from the finished weights, which know both sittings
    assert progress.earlier_s > 2 * state["seconds"]
    assert not list(broken.glob(".cache/runs/*/checkpoint.pt"))


def test_finished_weights_are_not_trained_again(store_path, tmp_path, monkeypatch):
    """A stage that runs again because its notebook was edited, or with one more seed, takes what is there."""
    p = project(store_path, tmp_path)
    train.train(p, "x", tmp_path)
    before, trained = result(tmp_path), []
    fit = train.fit
    monkeypatch.setattr(
        train, "fit", lambda model, schedule, *rest: trained.append(schedule.seed) or fit(model, schedule, *rest)
    )
    train.train(p, "x", tmp_path)
    assert result(tmp_path) == before
    assert trained == []
    train.train(dataclasses.replace(p, runs={"x": dataclasses.replace(p.runs["x"], seeds=[0, 3])}), "x", tmp_path)
    assert trained == [p.schedules[p.runs["x"].schedule].seed + 3]
    train.train(
        dataclasses.replace(
            p, runs={"x": dataclasses.replace(p.runs["x"], kwargs=p.runs["x"].kwargs | {"w_pixel": 3.0})}
        ),
        "x",
        tmp_path,
    )
    assert len(trained) == 2


def test_a_broken_file_of_finished_weights_is_refused(store_path, tmp_path):
    p = project(store_path, tmp_path)
    train.train(p, "x", tmp_path)
    (path,) = tmp_path.glob(".cache/runs/*/weights.safetensors")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(Fault, match="weights.safetensors: not whole .*; delete it"):
        train.train(p, "x", tmp_path)


def test_a_broken_checkpoint_is_refused(store_path, tmp_path, monkeypatch):
    p = project(store_path, tmp_path)
    monkeypatch.setenv(progress.STOP_AT, "0")
    with pytest.raises(progress.OutOfTime, match="train x: out of time after step 1 of 6"):
        train.train(p, "x", tmp_path)
    monkeypatch.delenv(progress.STOP_AT)
    (path,) = tmp_path.glob(".cache/runs/*/checkpoint.pt")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(Fault, match="checkpoint.pt: not whole .*; delete it, and the training begins anew"):
        train.train(p, "x", tmp_path)


def test_each_seed_of_a_run_is_a_training_of_its_own(store_path, tmp_path):
    """What a run with seeds 0 and 3 holds of each is what a run with that seed alone holds, and so are the videos."""
    found, videos = {}, {}
    for seeds in ([0, 3], [0], [3]):
        root = tmp_path / "-".join(map(str, seeds))
        root.mkdir()
        p = project(store_path, root, steps=2)
        p = dataclasses.replace(p, runs={"x": dataclasses.replace(p.runs["x"], seeds=seeds)})
        train.train(p, "x", root)
        found[root.name] = load_file(root / "runs/x/model.safetensors")
        synthesize.synthesize(p, "x", root)
        videos[root.name] = Store(root / "runs/x/clips.zip")
    for seed, alone in ((None, "0"), (3, "3")):
        weights = of_seed(found["0-3"], seed)
        assert weights.keys() == found[alone].keys()
        assert all(torch.equal(weights[name], found[alone][name]) for name in weights)
        for clip, about in videos[alone].clips.items():
            both = f"{clip}@{seed}" if seed else clip
            assert (
                videos["0-3"].clips[both]["sha256"] == about["sha256"] and videos["0-3"].clips[both].get("seed") == seed
            )
    assert len(found["0-3"]) == 2 * len(found["0"]) and len(videos["0-3"].clips) == 2 * len(videos["0"].clips)
    assert not all(torch.equal(found["0"][name], found["3"][name]) for name in found["0"])
    assert "seed 3: G" in (tmp_path / "0-3/runs/x/curves.csv").read_text().splitlines()[0]


def test_another_writer_is_refused(store_path, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "WAIT_S", 0.1)
    p = project(store_path, tmp_path)
    store = Store(store_path)
    state = tmp_path / ".cache" / "runs" / train.fingerprint(p, "x", store, None)
    state.mkdir(parents=True)
    with FileLock(state / "lock"), pytest.raises(Fault, match="another process is training it"):
        train.train(p, "x", tmp_path)


def test_a_changed_parameter_is_another_state(store_path, tmp_path):
    store, prints = Store(store_path), set()
    for changes in ({}, dict(lr=2e-3), dict(seed=2), dict(steps=7)):
        p = project(store_path, tmp_path, **changes)
        prints.add(train.fingerprint(p, "x", store, None))
    assert len(prints) == 4


def test_loss_that_is_not_finite_is_named(store_path, tmp_path):
    with pytest.raises(Fault, match=r"runs.x: loss \w+ is (nan|inf) at step \d; lower schedules lr"):
        train.train(project(store_path, tmp_path, lr=1e18), "x", tmp_path)


@pytest.mark.parametrize("step, share", [(0, 1), (5, 1), (75, 0.5), (99, 0.02)])
def test_learning_rate_is_constant_then_linear(step, share):
    assert _trainer.lr_share(step, 100, 0.5) == pytest.approx(share) and _trainer.lr_share(step, 100, 1.0) == 1


def test_every_optimiser_decays(store_path, tmp_path):
    """The reference never decays its video discriminators (a defect)."""
    p = project(store_path, tmp_path)
    store = Store(store_path)
    trainer = _trainer.Trainer(build_model(p, "x", store.facts), p.schedules["few"])
    trainer.step = 5
    trainer.update(
        Windows(store, n_frames=5, n_warmup=0, batch_size=1, seed=0, double_every=0, drop_parts=0.0).batch(0)
    )
    assert {name: optimiser.param_groups[0]["lr"] for name, optimiser in trainer.optimisers.items()} == pytest.approx(
        dict.fromkeys(["G", "D_image", "D_video0"], 1e-3 / 3)
    )


@pytest.mark.parametrize("ema", [0, 0.2])
def test_kept_weights_are_the_moving_average(store_path, tmp_path, ema):
    """Of the generator alone, by the recursion of Polyak's average with a decay that grows from 0.1; resumable."""
    p = project(store_path, tmp_path, ema=ema)
    store, schedule = Store(store_path), p.schedules["few"]
    windows = Windows(store, n_frames=5, n_warmup=0, batch_size=1, seed=0, double_every=0, drop_parts=0.0)

    def trainer():
        torch.manual_seed(0)
        return _trainer.Trainer(build_model(p, "x", store.facts), schedule)

    straight, expected = trainer(), None
    for step in range(4):
        if expected is None:
            expected = [weight.detach().double() for weight in straight.parts["G"]]
        straight.update(windows.batch(step))
        decay = min(ema, (1 + step) / (10 + step))
        expected = [decay * a + (1 - decay) * b.detach() for a, b in zip(expected, straight.parts["G"])]
        if step == 1:
            torch.save(straight.state(), tmp_path / "checkpoint.pt")
    last = [weight.detach().clone() for weight in straight.parts["D_image"]]
    resumed = trainer()
    resumed.load(tmp_path / "checkpoint.pt")
    for step in (2, 3):
        resumed.update(windows.batch(step))
    for one in (straight, resumed):
        one.finish()
        for weight, value in zip(one.parts["G"], expected, strict=True):
            torch.testing.assert_close(weight.detach(), value.float())
        assert all(torch.equal(a, b) for a, b in zip(one.parts["D_image"], last, strict=True))


def test_rollout_sees_no_later_frame_and_says_what_was_given(store_path, tmp_path):
    p = project(store_path, tmp_path, steps=2)
    train.train(p, "x", tmp_path)
    synthesize.synthesize(p, "x", tmp_path)
    made, store = Store(tmp_path / "runs" / "x" / "clips.zip"), Store(store_path)
    assert list(made.clips) == store.split("seen") + store.split("unseen")
    name = store.split("seen")[0]
    fake, real = made.read(name)["fake"], store.read(name)["real"]
    assert made.clips[name]["given"] == 2 and (fake[:2] == real[:2]).all() and (fake[2:] != real[2:]).any()
    model = trained_model(p, "x", tmp_path, store.facts)
    clip = {key: value[None] for key, value in to_tensors(store.read(name)).items()}
    blind = clip | {"real": torch.cat([clip["real"][:, :2], torch.zeros_like(clip["real"][:, 2:])], 1)}
    with fixed_threads():  # as `synthesize` rolls out: more threads round in another way
        assert (to_pixels(synthesize.rollout(model, blind, 12, blind["real"][0, :2])) == fake).all()


def test_faults_of_runs_are_named(store_path, tmp_path):
    p = project(store_path, tmp_path, steps=1, first_frames="none")
    with pytest.raises(Fault, match="no such weights"):
        synthesize.synthesize(p, "x", tmp_path)
    train.train(p, "x", tmp_path)
    with pytest.raises(Fault, match="runs.x.first_frames: vid2vid starts from 2 frames, so it must be real"):
        synthesize.synthesize(p, "x", tmp_path)
    other = dataclasses.replace(
        p, runs={"x": dataclasses.replace(p.runs["x"], kwargs=TINY["vid2vid"] | dict(n_filters=6))}
    )
    with pytest.raises(Fault, match=r"runs/x/model.safetensors: does not fit x \("):
        trained_model(other, "x", tmp_path, Store(store_path).facts)
    with pytest.raises(Fault, match=r"runs.x.kwargs: unknown n_pst; it takes n_past"):
        params.bind(train.parameters.member("models", "vid2vid", "").Model, {"n_pst": 1}, "runs.x.kwargs", facts=None)


def test_copy_last_has_nothing_to_train(store_path, tmp_path):
    p = project(store_path, tmp_path, model="copy_last")
    train.train(p, "x", tmp_path)
    assert load_file(tmp_path / "runs" / "x" / "model.safetensors") == {} and result(tmp_path)[1] == b"step\n"
    synthesize.synthesize(p, "x", tmp_path)
    store, made = Store(store_path), Store(tmp_path / "runs" / "x" / "clips.zip")
    name = store.split("seen")[0]
    assert (made.read(name)["fake"] == store.read(name)["real"][:1]).all()


# What a step moves


def moved(model, store, *, step=0, **schedule) -> set[str]:
    """Names of the weights that one step of the training moves."""
    trainer, before = _trainer.Trainer(model, few(**schedule)), copy.deepcopy(model.state_dict())
    trainer.update(trainer.to_device(window(store, 5) | {"step": step}))
    return {name for name, value in model.state_dict().items() if not torch.equal(value.cpu(), before[name].cpu())}


def convolutions(model, start) -> set[str]:
    """Names of the weights of the convolutions under a name."""
    return {name for name, value in model.state_dict().items() if name.startswith(start) and value.ndim == 4}


HEADS = tuple(f"G.0.{name}." for name in ("paint", "flow", "mask", "paint_front"))


@pytest.mark.parametrize("step, moves", [(0, False), (2, False), (3, True), (9, True)])
def test_coarser_scales_are_frozen_for_so_many_steps(store, step, moves):
    model = fine(2, n_frozen_steps=3)
    now, trunk = (
        moved(model, store, step=step),
        {name for name in convolutions(model, "G.0.") if not name.startswith(HEADS)},
    )
    assert convolutions(model, "G.1.") <= now and not any(name.startswith(HEADS) for name in now)
    assert trunk <= now if moves else not any(name.startswith("G.0.") for name in now)


@pytest.mark.parametrize(
    "name, changes", [("vid2vid", dict(styles=STYLES)), ("pix2pixhd", dict(styles=STYLES, styles_at="bottleneck"))]
)
def test_each_optimiser_moves_its_own_part(store, name, changes):
    model = build(name, **changes | ({"n_scales_temporal": 1} if name == "vid2vid" else {}))
    of_G, of_D = moved(model, store, lr_d=0.0), moved(model, store, lr=0.0)
    assert (
        of_G and all(name.startswith(("G.", "source.E.")) for name in of_G) and convolutions(model, "source.E.") <= of_G
    )
    assert all(name.startswith("D_") for name in of_D) and convolutions(model, "D_") <= of_D


@pytest.mark.parametrize("n_local", [1, 2])
def test_local_enhancers_are_trained(store, n_local):
    model = build("pix2pixhd", n_local=n_local)
    assert convolutions(model, "G.") <= moved(model, store)


@pytest.mark.parametrize("precision, dtype", [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)])
@pytest.mark.parametrize(
    "name, changes",
    [
        ("vid2vid", dict(n_scales_spatial=2, n_down=1, n_scales_temporal=1, styles=STYLES)),
        ("vid2vid", dict(from_nothing=True, n_scales_temporal=1, n_backprop=1)),
        ("covst", {}),
        ("pix2pixhd", dict(styles=STYLES, styles_at="bottleneck")),
        ("pix2pixhd", dict(n_local=1)),
        ("forecast", {}),
    ],
)
def test_convolutions_have_the_schedules_precision(store, name, changes, precision, dtype):
    """And the losses float32."""
    model = build(name, **changes)
    calls = watch(*(layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d)))
    trainer = _trainer.Trainer(model, few(precision=precision))
    update = trainer.module.losses
    seen = []
    trainer.module.losses = lambda clip: seen.append(update(clip)) or seen[0]
    rows = trainer.update(trainer.to_device(window(store, 5)))
    assert {out.dtype for own in calls for _, out in own} == {dtype} and {
        value.dtype for value in seen[0].values()
    } == {torch.float32}
    assert np.isfinite(list(rows.values())).all() and {weight.dtype for weight in model.parameters()} == {torch.float32}


@pytest.mark.slow  # minutes of compiling
@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"
)  # torch's own, of itself
@pytest.mark.parametrize("model", ["vid2vid", "pix2pixhd"])
def test_compiled_networks_train_under_the_same_names(store_path, tmp_path, model):
    """The same losses but for last digits, and weights that a model which is not compiled takes."""
    curves = []
    for root, compiled in ((tmp_path / "a", True), (tmp_path / "b", False)):
        root.mkdir()
        p = project(store_path, root, model=model, steps=2, log_every=1, compile=compiled)
        train.train(p, "x", root)
        trained_model(p, "x", root, Store(store_path).facts)
        assert not any("_orig_mod" in name for name in load_file(root / "runs" / "x" / "model.safetensors"))
        curves.append(np.loadtxt(root / "runs" / "x" / "curves.csv", delimiter=",", skiprows=1))
    np.testing.assert_allclose(curves[0][0], curves[1][0], rtol=1e-4)
    np.testing.assert_allclose(
        curves[0][1], curves[1][1], rtol=0.1
    )  # Adam's first step is a sign, of tiny gradients too


# What a run starts from


def kept(weights, root, key):
    """Weights where a finished run leaves them."""
    path = root / "runs" / key / "model.safetensors"
    path.parent.mkdir(parents=True)
    save_file(weights, path)
    return path


def test_a_base_that_is_missing_or_cut_short_is_a_fault(tmp_path):
    with pytest.raises(
        Fault, match=r"runs/base/model.safetensors: no such weights to start from; `dvc repro` trains them"
    ):
        train.begin(fine(1), tmp_path / "runs/base")
    path = kept(fine(1).state_dict(), tmp_path, "base")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Fault, match=r"runs/base/model.safetensors: does not fit: "):
        train.begin(fine(1), tmp_path / "runs/base")


@pytest.mark.parametrize(
    "model",
    [fine(1), fine(2), build("pix2pixhd"), build("pix2pixhd", n_local=1), build("covst"), build("forecast")],
    ids=["vid2vid", "finer", "pix2pixhd", "local", "covst", "forecast"],
)
@pytest.mark.parametrize("base", [fine(1, n_filters=4), build("pix2pixhd", n_filters=8)], ids=["vid2vid", "pix2pixhd"])
def test_a_base_that_does_not_fit_is_a_fault(tmp_path, base, model):
    kept(base.state_dict(), tmp_path, "base")
    with pytest.raises(Fault, match=r"runs/base/model.safetensors: does not fit: \S") as fault:
        train.begin(model, tmp_path / "runs/base")
    assert "\n" not in str(fault.value) and len(str(fault.value)) < 500


@pytest.mark.parametrize("name", ["vid2vid", "pix2pixhd", "forecast"])
def test_a_base_is_taken_whole_and_known_by_its_bytes(tmp_path, name):
    base, model = noise(build(name)), build(name)
    path = kept(base, tmp_path, "base")
    assert train.begin(model, tmp_path / "runs/base") == hashlib.sha256(path.read_bytes()).hexdigest()
    assert all(torch.equal(value, base[name]) for name, value in model.state_dict().items())


def test_pix2pixhd_takes_a_generator_without_a_discriminator():
    base, model = noise(build("pix2pixhd")), build("pix2pixhd")
    before = copy.deepcopy(model.state_dict())
    model.begin({name: value for name, value in base.items() if name[:2] == "G."})
    assert all(
        torch.equal(value, base[name] if name[:2] == "G." else before[name])
        for name, value in model.state_dict().items()
    )
    for change in (
        lambda own: own.pop("G.head.0.bias"),
        lambda own: own.update({"G.extra": torch.zeros(1)}),
        lambda own: own.pop("D_image.scales.0.layers.0.0.bias"),
    ):
        own = dict(base)
        change(own)
        with pytest.raises(RuntimeError, match="G.head.0.bias|G.extra|D_image.scales.0.layers.0.0.bias"):
            model.begin(own)


def test_a_run_trains_from_its_base(store_path, tmp_path):
    """The coarser run's generator is the finer run's coarsest scale; another base is another state to resume."""
    p, store = project(store_path, tmp_path, steps=0), Store(store_path)
    finer = TINY["vid2vid"] | dict(n_scales_spatial=2)
    p = dataclasses.replace(p, runs=p.runs | {"y": dataclasses.replace(p.runs["x"], base="x", kwargs=finer)})
    with pytest.raises(Fault, match="runs/x/model.safetensors: no such weights to start from"):
        train.train(p, "y", tmp_path)
    train.train(p, "x", tmp_path)
    train.train(p, "y", tmp_path)
    x, y = (load_file(tmp_path / "runs" / key / "model.safetensors") for key in "xy")
    assert all(torch.equal(value, y[name]) for name, value in x.items() if name[:2] == "G.") and any(
        name[:4] == "G.1." for name in y
    )
    assert train.fingerprint(p, "y", store, "one") != train.fingerprint(p, "y", store, "two")


def test_a_predictor_trains_in_its_own_folder_and_from_another_one(store_path, tmp_path):
    """Its base is a predictor: a run of the same key is not it, and runs/ stays as it was."""
    p = project(store_path, tmp_path, steps=0)
    p = dataclasses.replace(
        p, predictors=p.predictors | {"g": dataclasses.replace(p.predictors["f"], base="f", kwargs=SMALL["forecast"])}
    )
    kept(build("forecast").state_dict(), tmp_path, "f")
    with pytest.raises(Fault, match="predictors/f/model.safetensors: no such weights to start from"):
        train.train(p, "g", tmp_path)
    before = result_of_folder(tmp_path / "runs")
    train.train(p, "f", tmp_path)
    weights = noise(build("forecast"))
    save_file(weights, tmp_path / "predictors/f/model.safetensors")
    train.train(p, "g", tmp_path)
    own = load_file(tmp_path / "predictors/g/model.safetensors")
    assert own.keys() == weights.keys() and all(torch.equal(value, own[name]) for name, value in weights.items())
    model = trained_model(p, "g", tmp_path, Store(store_path).facts)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert result_of_folder(tmp_path / "runs") == before
    assert result(tmp_path, "g", "predictors")[1] == b"step\n"


def result_of_folder(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Pair(models.Trainable):
    """A generator, discriminators whose names are D and D_late, and a part whose name only begins like theirs."""

    def __init__(self):
        super().__init__()
        self.G, self.D, self.D_late, self.Deep = (torch.nn.Linear(2, 2) for _ in range(4))

    def parts(self):
        return {"G": [*self.G.parameters(), *self.Deep.parameters()], "D": list(self.D.parameters())}


def test_any_model_takes_a_generator_and_begins_with_new_discriminators():
    """Those of D and D_*, and no other part: what is missing of the rest, or half a discriminator, is refused."""
    base, model = noise(Pair()), Pair()
    before = copy.deepcopy(model.state_dict())
    fresh = ("D.", "D_late.")
    model.begin({name: value for name, value in base.items() if not name.startswith(fresh)})
    assert {name for name, value in model.state_dict().items() if torch.equal(value, before[name])} == {
        f"{part}{what}" for part in fresh for what in ("weight", "bias")
    }
    assert all(torch.equal(model.state_dict()[name], base[name]) for name in base if not name.startswith(fresh))
    model.begin(base)
    assert all(torch.equal(value, base[name]) for name, value in model.state_dict().items())
    for gone in ("Deep.bias", "G.weight", "D.bias"):
        with pytest.raises(RuntimeError, match=f'Missing key.*"{gone}"'):
            Pair().begin({name: value for name, value in base.items() if name != gone})
    with pytest.raises(RuntimeError, match='Missing key.*"Deep.weight"'):
        Pair().begin({name: value for name, value in base.items() if not name.startswith((*fresh, "Deep."))})


# Windows


@pytest.mark.parametrize(
    "double_every, longest", [(0, {0: 12, 9: 12}), (2, {0: 3, 1: 3, 2: 6, 3: 6, 4: 12, 9: 12, 10**6: 12})]
)
def test_windows_double(store, double_every, longest):
    """At every step windows of n_frames and up to as many as are due are drawn, and the losses see n_frames of each."""
    for step, most in longest.items():
        lengths = set()
        for seed in range(60):
            windows = Windows(
                store, n_frames=3, n_warmup=20, batch_size=1, seed=seed, double_every=double_every, drop_parts=0.0
            )
            windows.arrays = ["occluded"]
            clip = windows.batch(step)
            assert clip["step"] == step and clip["occluded"].shape[1] + 1 - clip["n_warmup"] == 3
            lengths.add(clip["occluded"].shape[1] + 1)
        assert (min(lengths), max(lengths)) == (3, most)


def test_first_steps_are_of_single_frames(store):
    shape = dict(n_frames=5, n_warmup=4, batch_size=2, seed=0, double_every=0, drop_parts=0.0)
    single = params.SingleFrames(steps=3, batch_size=6, blur=2, noise=8)
    windows, later = Windows(store, single_frames=single, n_past=2, **shape), Windows(store, **shape)
    sharp = Windows(store, single_frames=dataclasses.replace(single, blur=0, noise=0), n_past=2, **shape)
    for step in range(3):
        clip, undamaged = windows.batch(step), sharp.batch(step)
        assert clip["single"] and clip["n_warmup"] == 0
        assert clip["real"].shape[:2] == (6, 3) and clip["past"].shape[:2] == (6, 2)
        assert torch.equal(clip["real"], undamaged["real"])
        assert torch.allclose(undamaged["past"], undamaged["real"][:, :2], atol=1e-6)
        change = (clip["past"] - clip["real"][:, :2]).abs().mean((2, 3, 4))
        assert (change > 0).all() and change.std(0).min() > change.std(1).max()  # of the clip, not of the frame
    clip, other = windows.batch(3), later.batch(3)
    assert not clip["single"]
    assert all(torch.equal(clip[name], other[name]) for name in ("real", "flow")) and clip["real"].shape[0] == 2


def test_a_damaged_past_is_seen_and_nothing_is_held_against_it(store_path, tmp_path):
    """The frame is made from the damaged past; the temporal term compares it with the real one."""
    p, store = project(store_path, tmp_path), Store(store_path)
    torch.manual_seed(0)
    model = build_model(p, "x", store.facts)
    single = params.SingleFrames(steps=1, batch_size=2, blur=2, noise=8)
    shape = dict(n_frames=5, n_warmup=2, batch_size=1, seed=1, double_every=0, drop_parts=0.0)
    clip = Windows(store, single_frames=single, n_past=2, **shape).batch(0)
    real = clip["real"][:, :2]
    with fixed_threads():
        later, pasts = model.warm_up(clip)
        made, terms = model.rollout(later, pasts)["fake"][:, 0], model.losses(clip)
        undamaged = model.losses(clip | {"past": real})
        without = model.losses({name: value for name, value in clip.items() if name != "past"})
    assert torch.equal(pasts[-1], clip["past"]) and not torch.equal(clip["past"], real)
    assert torch.equal(undamaged["G"], without["G"]) and not torch.equal(terms["G"], without["G"])
    away = (made - warp(real[:, 1], clip["flow"][:, 1])).abs() * (1 - clip["occluded"][:, 1])
    assert terms["G_temporal"] == pytest.approx(TINY["vid2vid"]["w_temporal"] * float(away.detach().mean()), rel=1e-5)


def test_steps_on_single_frames_leave_the_video_discriminator(store_path, tmp_path):
    single = params.SingleFrames(steps=2, batch_size=3, blur=1, noise=4)
    p = project(store_path, tmp_path, steps=3, single_frames=single, log_every=1, checkpoint_every=1)
    schedule, store = p.schedules["few"], Store(store_path)
    torch.manual_seed(schedule.seed)
    trainer = _trainer.Trainer(build_model(p, "x", store.facts), schedule)
    windows = Windows(
        store,
        n_frames=5,
        n_warmup=2,
        batch_size=1,
        seed=1,
        double_every=0,
        drop_parts=0.0,
        single_frames=single,
        n_past=2,
    )
    for step in range(3):
        before = {name: [weight.detach().clone() for weight in part] for name, part in trainer.parts.items()}
        with fixed_threads():
            trainer.update(windows.batch(step))
        changed = {
            name: any(not torch.equal(a, b) for a, b in zip(before[name], part)) for name, part in trainer.parts.items()
        }
        assert changed == {"G": True, "D_image": True, "D_video0": step == 2}
    train.train(p, "x", tmp_path)
    kept = load_file(tmp_path / "runs/x/model.safetensors")
    assert all(torch.equal(value, kept[name]) for name, value in trainer.module.state_dict().items())
    head, *rows = [line.split(",") for line in (tmp_path / "runs/x/curves.csv").read_text().splitlines()]
    assert [row[head.index("D_video0")] != "" for row in rows] == [False, False, True]
    assert all(row[head.index("G")] for row in rows)


@pytest.fixture
def drawings(tmp_path):
    """A store of maps of three channels, of which the first and last may be blanked; none is 0 anywhere."""
    about = facts(source="maps", droppable=("even", "square"))

    def clip(seed):
        arrays = {name: array for name, array in sliding_clip(seed, 6).items() if name in ("real", "flow", "occluded")}
        return arrays | {"maps": np.random.default_rng(seed).integers(1, 256, (6, *about.size, 3)).astype(np.uint8)}

    write_store(
        tmp_path / "drawings.zip",
        about,
        ((dict(id=f"c{i}", split="train", origin="", licence=""), clip(i)) for i in range(3)),
    )
    return Store(tmp_path / "drawings.zip")


def test_dropped_parts_are_blank_for_a_whole_window(drawings):
    shape = dict(n_frames=3, n_warmup=2, batch_size=8, double_every=0)
    windows, whole = (
        Windows(drawings, seed=0, drop_parts=0.3, **shape),
        Windows(drawings, seed=0, drop_parts=0.0, **shape),
    )
    blank = []
    for step in range(40):
        clip, other = windows.batch(step), whole.batch(step)
        assert all(torch.equal(clip[name], other[name]) for name in ("real", "flow", "occluded"))
        blank.append((clip["source"] == 0).flatten(3).any(-1))  # (8, T, 3)
        kept = ~blank[-1][..., None, None]
        assert torch.equal(clip["source"], other["source"] * kept) and (other["source"] > 0).all()
        assert torch.equal(blank[-1], blank[-1][:, :1].expand_as(blank[-1])) and not blank[-1][:, :, 1].any()
    drawn = torch.stack([window[:, 0] for window in blank])[..., [0, 2]].float()  # (40, 8, 2)
    assert (drawn.mean((0, 1)) - 0.3).abs().max() < 4 * (0.3 * 0.7 / 320) ** 0.5
    assert (
        0 < (drawn[..., 0] != drawn[..., 1]).float().mean() and len({tuple(x.flatten().tolist()) for x in drawn}) == 40
    )
    assert torch.equal(windows.batch(7)["source"], windows.batch(7)["source"])
    other = Windows(drawings, seed=1, drop_parts=0.3, **shape)
    assert not torch.equal((other.batch(7)["source"] == 0).any(1), (windows.batch(7)["source"] == 0).any(1))
