"""Every model, extractor and metric on a GPU that is not there: devices, dtypes, and waits of the host for the device.

Not covered, because it cannot be faked: generators on the GPU (`torch.Generator("cuda")`), the values of `nonzero` and
`unique`, torch.compile with CUDA graphs, memory that cuDNN takes, kernels that one card lacks.
"""

import importlib
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
import torch
from conftest import facts
from torch import nn

from v2vbench import parallel
from v2vbench.machine import Machine
from v2vbench.models import Judge, Predictor, Trainable
from v2vbench.params import Schedule, bind, load
from v2vbench.planning.batches import Shape, arrays
from v2vbench.planning.fake import fake_cuda
from v2vbench.planning.shapes import shape_of
from v2vbench.planning.steps import frame_cost, future_cost, step_cost, vgg19_untrained
from v2vbench.planning.tracker import Tracker
from v2vbench.runner.suites import load_suite
from v2vbench.stages._predict import predicted
from v2vbench.stages._weights import build_model

ROOT = Path(__file__).parents[1]
ARRAYS = ("real", "label", "instance", "flow", "occluded", "depth", "keypoints")
SMALL = Shape(facts=facts(size=(64, 64)), arrays=ARRAYS, longest=20, n_test=(1, 10), n_points=5)
SCHEDULE = dict(
    seed=0, steps=10, batch_size=2, n_frames=9, n_warmup=0, double_every=0, single_frames="none", drop_parts=0.0,
    lr=1e-3, lr_d=1e-3, betas=(0.5, 0.999), constant_share=1.0, ema=0.9, precision="bf16-mixed", compile=False,
    log_every=1, checkpoint_every=1,
)  # fmt: skip
FORECAST = dict(n_filters=4, n_down=2, n_blocks=1, n_seen=4, flow_scale=10.0, w_flow=0.1)
PREDNET = dict(n_channels=[4, 8], layer_loss="Lall", n_seen=4)
MCNET = dict(n_filters=4, n_seen=4, n_future=5, w_image=1.0, w_gdl=1.0, w_adversarial=0.02, n_filters_d=4, n_layers_d=2)
SIMVP = dict(n_seen=4, n_filters=4, n_layers=2, n_filters_translator=8, n_modules=2, groups=2)
SVG_LP = dict(n_seen=4, n_filters=4, n_down=4, n_code=8, n_hidden=8, n_noise=4, w_kl=1e-4)
LABELS = dict(
    n_past=3, n_filters=8, n_down=2, n_blocks=2, n_scales_spatial=2, n_blocks_local=1, norm="instance", flow_scale=10.0,
    upsample="transposed", sharpness=2.0, w_raw=1.0, w_flow=0.1, w_warp=1.0,
)  # fmt: skip
DAMAGE = dict(blur=1.0, noise=12.0, brightness=0.2)
LOCATOR = dict(n_points=5, n_filters=4, n_down=3, spread=2.0, shift=4.0, zoom=0.1) | DAMAGE
SEGMENTER = dict(n_filters=4, n_down=3) | DAMAGE


def kwargs_of(run: str, **changes) -> dict:
    """Those of a run of the suite gpu, narrow."""
    narrow = dict(n_filters=8, n_down=2, n_blocks=2, foreground=["square"], n_filters_d=4, n_layers_d=2)
    known = load_suite(ROOT / "suites" / "gpu.yaml").runs[run].kwargs
    return {name: (narrow | changes).get(name, value) for name, value in known.items()}


MODELS = {
    "vid2vid": ("vid2vid", kwargs_of("vid2vid", n_scales_spatial=2, w_temporal=1, w_mask=1)),
    "vid2vid from nothing": ("vid2vid", kwargs_of("vid2vid", from_nothing=True, n_backprop=2, norm="batch")),
    "pix2pixhd": ("pix2pixhd", kwargs_of("pix2pixhd", n_local=1)),
    "covst": ("covst", kwargs_of("covst")),
    "vid2vid_labels": ("vid2vid_labels", LABELS),
    "forecast": ("forecast", FORECAST),
    "prednet": ("prednet", PREDNET),
    "mcnet": ("mcnet", MCNET),
    "simvp": ("simvp", SIMVP),
    "svg_lp": ("svg_lp", SVG_LP),
    "locator": ("locator", LOCATOR),
    "segmenter": ("segmenter", SEGMENTER),
}
UNTRAINED = ("copy_last", "external", "flow_extrapolation", "true_labels")  # models without parts


def schedule(**changes) -> Schedule:
    return bind(Schedule, SCHEDULE | changes, "schedule")


def maker(name: str):
    model, kwargs = MODELS[name]
    kind = importlib.import_module(f"v2vbench.models.{model}").Model
    return partial(bind, kind, kwargs, "kwargs", facts=SMALL.facts)


def test_every_model_with_parts_is_here():
    files = {path.stem for path in (ROOT / "v2vbench/models").glob("[!_]*.py")}
    assert files == {model for model, _ in MODELS.values()} | set(UNTRAINED)


@pytest.mark.parametrize("precision", ["bf16-mixed", pytest.param("32-true", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", MODELS)
def test_a_training_step_stays_on_the_gpu(name, precision):
    """No mixed device, no content on the host, no wait; losses of float32, so that bfloat16 rounds no sum of terms."""
    made, model = [], maker(name)
    warmup = (
        0 if issubclass(importlib.import_module(f"v2vbench.models.{MODELS[name][0]}").Model, (Predictor, Judge)) else 2
    )

    def make() -> Trainable:
        made.append(model())
        losses = made[0].losses
        made[0].losses = lambda clip: seen.update(losses(clip)) or dict(seen)
        return made[0]

    seen: dict[str, torch.Tensor] = {}
    with fake_cuda() as cuda:
        cost = step_cost(make, schedule(precision=precision), SMALL, cuda, n_windows=2, n_warmup=warmup)
        assert all(weight.device == cuda for weight in made[0].state_dict().values())
        trained = [weight for part in made[0].parts().values() for weight in part]
        assert {weight.grad.device for weight in trained if weight.grad is not None} == {cuda}
    assert {value.dtype for value in seen.values()} == {torch.float32}
    assert {value.device for value in seen.values()} == {cuda}
    assert cost.n_syncs == 0
    assert cost.peak > cost.resident > 0 and cost.flops > cost.forward > 0


@pytest.mark.parametrize("name", MODELS)
def test_a_real_step_asks_for_no_value(name):
    """On the CPU, where what a tensor holds can be seen, and so which way a step goes."""
    cost = step_cost(maker(name), schedule(precision="32-true"), SMALL, torch.device("cpu"), n_windows=1, n_warmup=0)
    assert cost.n_syncs == 0 and cost.flops > 0


@pytest.mark.parametrize("machine", [Machine(micro_batch=1), Machine(recompute=True)])
@pytest.mark.parametrize("name", ["pix2pixhd", "prednet"])
def test_pieces_and_recomputation_stay_on_the_gpu_and_save_memory(name, machine):
    with fake_cuda() as cuda:
        costs = [
            step_cost(maker(name), schedule(), SMALL, cuda, n_windows=4, n_warmup=0, machine=how)
            for how in (Machine(), machine)
        ]
    assert costs[1].peak < costs[0].peak and costs[1].n_syncs == 0
    assert costs[1].flops > costs[0].flops if machine.recompute else costs[1].flops == costs[0].flops


def test_single_frames_stay_on_the_gpu():
    single = dict(steps=2, batch_size=3, blur=3.0, noise=8.0)
    with fake_cuda() as cuda:
        planned = schedule(single_frames=single)
        cost = step_cost(maker("vid2vid"), planned, SMALL, cuda, n_windows=3, n_warmup=0, single=True)
    assert cost.n_syncs == 0 and cost.flops > 0


@pytest.mark.parametrize("name", ["vid2vid", "vid2vid from nothing", "pix2pixhd", "covst"])
def test_a_roll_out_stays_on_the_gpu(name):
    with fake_cuda() as cuda:
        cost = frame_cost(maker(name), SMALL, cuda)
    assert cost.n_syncs == 0 and cost.flops > 0


@pytest.mark.parametrize("name", ["vid2vid_labels", "forecast", "prednet", "mcnet", "simvp", "svg_lp"])
def test_a_prediction_stays_on_the_gpu(name):
    with fake_cuda() as cuda:
        cost = future_cost(maker(name), SMALL, cuda, 4, 3)
    assert cost.n_syncs == 0 and cost.flops > 0


@pytest.mark.parametrize("name", ["prednet", "vid2vid_labels"])
def test_the_tensors_of_future_stay_on_the_gpu(name):
    """`predicted`, up to the instances of predicted labels, which SciPy counts on the host."""
    with fake_cuda() as cuda:
        with cuda:
            predictor, video = maker(name)(), maker("vid2vid")()
            clip = arrays(SMALL, ["real", "label", "instance", "flow", "occluded"], 1, 8)
        with mock.patch("v2vbench.stages._predict.instances", lambda source, things: torch.zeros_like(source)):
            frames, labels = predicted(predictor, video, clip, 4, 4, torch.Generator(), [2])
        assert frames.device == cuda and tuple(frames.shape) == (8, 3, 64, 64)
        assert (labels is None) == (name == "prednet") and (labels is None or labels.device == cuda)


@pytest.mark.parametrize("name", ["locator", "segmenter"])
def test_a_judge_reads_frames_on_the_gpu(name):
    """On this thread: a judge reads in threads of its own, which do not see the fake."""
    with fake_cuda() as cuda, mock.patch.object(parallel, "side_by_side", map), Tracker() as tracker:
        with cuda:
            judge, frames = maker(name)(), torch.rand(5, 3, 64, 64)
        assert judge.predict(frames).device == cuda
    assert not tracker.syncs and tracker.flops > 0


class OnTheHost(nn.Module):
    """A tensor that is made on the CPU in every step."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))

    def parts(self):
        return {"G": [self.weight]}

    def losses(self, clip):
        return {"G": self.weight @ torch.ones(3)}


class Waits(OnTheHost):
    def losses(self, clip):
        return {"G": self.weight.sum() * torch.ones(3).to(self.weight.device).sum() * self.weight[[0, 1]].sum()}


class Asks(OnTheHost):
    def losses(self, clip):
        return {"G": self.weight.sum() * self.weight.max().item()}


def step_of(kind) -> int:
    kind.READS = ("real",)
    with fake_cuda() as cuda:
        return step_cost(kind, schedule(ema=0), SMALL, cuda, n_windows=1, n_warmup=0).n_syncs


def test_the_fake_finds_faults():
    with pytest.raises(RuntimeError, match="two devices, cuda:0 and cpu"):
        step_of(OnTheHost)
    with pytest.raises(RuntimeError, match="_local_scalar_dense"):
        step_of(Asks)
    assert step_of(Waits) == 2  # a blocking copy, and a list as an index


def test_the_fake_leaves_nothing_behind():
    before = torch.Tensor._make_subclass, nn.Module.to
    with pytest.raises(ZeroDivisionError):
        with fake_cuda():
            1 / 0  # noqa: B018
    assert before == (torch.Tensor._make_subclass, nn.Module.to)
    weight = torch.ones(3, requires_grad=True)
    (2 * weight).sum().backward()
    assert weight.grad.tolist() == [2, 2, 2]


def test_a_module_is_not_moved_here():
    net = nn.Linear(2, 2)
    with fake_cuda() as cuda:
        with pytest.raises(RuntimeError, match="cannot be moved to cuda:0"):
            net.to(cuda)


def test_the_perceptual_loss_stays_on_the_gpu():
    from v2vbench.models._losses import Perceptual

    with fake_cuda() as cuda:
        with cuda:
            loss, frames = Perceptual(1.0, vgg19_untrained()), torch.rand(2, 3, 64, 64, requires_grad=True)
        loss(frames, frames.detach()).backward()
        assert frames.grad.device == cuda


def networks() -> dict:
    """{extractor: (how to make its network without weights, settings)}; tfhub's I3D is a file of TorchScript."""
    from torchvision.models.video import r2plus1d_18, s3d

    from v2vbench.extractors import clip_vit, dinov2, i3d, resnext101

    def without_last():
        net = r2plus1d_18(weights=None)
        net.fc = nn.Identity()
        return net

    snippet = dict(n_frames=16, stride=5, px=64, resize="torch-bilinear")
    return {
        "dinov2": (dinov2.Network, {}),
        "clip_vit": (partial(clip_vit.Network, **clip_vit.SIZES), {}),
        "i3d": (partial(i3d.Network, 1e-3), snippet | dict(weights="piergiaj", output="pool")),
        "s3d": (partial(s3d, weights=None), snippet),
        "r2plus1d": (without_last, snippet),
        "resnext101": (
            resnext101.Network,
            dict(input="hara", px=112) | {k: snippet[k] for k in ("n_frames", "stride", "resize")},
        ),
    }


@pytest.mark.parametrize("name", ["dinov2", "clip_vit", "i3d", "s3d", "r2plus1d", "resnext101"])
def test_an_extractor_takes_images_on_a_gpu(name, monkeypatch):
    """With random weights. `evaluate` runs extractors on CPUs, where their rows are the same on every machine."""
    make, settings = networks()[name]
    module = importlib.import_module(f"v2vbench.extractors.{name}")
    monkeypatch.setattr("v2vbench.download.weights.sha256", lambda name: "")
    with fake_cuda() as cuda, mock.patch.object(parallel, "side_by_side", map), Tracker() as tracker:
        with cuda:
            net = make().eval().requires_grad_(False)
            extractor = module.Extractor(**settings)
            shape = (extractor.snippet[0],) if extractor.snippet else ()
            images = torch.rand(2, *shape, 3, *[extractor.resize[1]] * 2) * 255
        monkeypatch.setattr(module, "network", lambda *_: net)
        rows = extractor.extract(images)
        assert rows.device == cuda and rows.dtype == torch.float32 and len(rows) == 2
    assert tracker.flops > 0


ON_THE_CPU = {  # metrics and extractors that compute on the host, and by what
    "ssim": "OpenCV", "ms_ssim": "OpenCV", "tof": "OpenCV", "flow_error": "OpenCV", "track_drift": "OpenCV",
    "track_error": "NumPy", "keypoint_error": "NumPy", "identity": "dlib", "vmaf": "vmaf_torch on frames of 8 bits",
    "frechet": "NumPy", "kernel": "NumPy", "mmd": "NumPy", "segmentation": "a judge in threads of its own",
    "lpips": "a network on the CPU", "tlp": "a network on the CPU", "dists": "a network on the CPU",
}  # fmt: skip
PURE = ("psnr", "warp_error", "flicker", "sharpness_ratio", "motion_ratio")


def test_every_metric_is_pure_torch_or_says_what_it_computes_with():
    files = {path.stem for path in (ROOT / "v2vbench/metrics").glob("[!_]*.py")}
    assert files == set(PURE) | ON_THE_CPU.keys()


@pytest.mark.parametrize("name", PURE)
def test_a_metric_of_pure_torch_computes_on_a_gpu(name):
    from v2vbench.metrics import inputs, resolve

    params = load(ROOT / "params.yaml")
    metric = next(line for line in resolve(params.metrics, params.judges) if line.module.__name__.endswith(f".{name}"))
    with fake_cuda() as cuda:
        with cuda:
            clip = {key: value[0] for key, value in arrays(SMALL, ["real", "fake", "flow", "occluded"], 1, 6).items()}
        values = metric.module.compute(**{key: clip[key] for key in inputs(metric.module.compute)}, **metric.settings)
        assert values.device == cuda and values.dtype == torch.float64


SUITES = {name: load_suite(ROOT / "suites" / f"{name}.yaml") for name in ("gpu", "future_gpu")}
SIZES = [
    (suite, key)
    for suite, params in SUITES.items()
    for key in (*params.judges, *params.runs, *params.predictors)
    if params.schedules[params.run(key).schedule].steps
]


@pytest.mark.slow  # each takes seconds
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("suite, key", SIZES)
def test_a_training_step_at_the_size_of_the_suites(suite, key, precision):
    from dataclasses import replace

    from v2vbench.planning.batches import longest_warmup

    params = SUITES[suite]
    shape = shape_of(params, params.run(key).dataset, ROOT)
    planned = replace(params.schedules[params.run(key).schedule], precision=precision)
    make = partial(build_model, params, key, shape.facts)
    with fake_cuda() as cuda:
        warmup = longest_warmup(planned, shape)
        cost = step_cost(make, planned, shape, cuda, n_windows=planned.batch_size, n_warmup=warmup)
        assert cost.n_syncs == 0 and cost.flops > 0
        if key in params.runs:
            assert frame_cost(make, shape, cuda).n_syncs == 0
        elif key in params.predictors:
            line = params.futures[params.run(key).dataset]
            assert future_cost(make, shape, cuda, line.n_past, line.n_future).n_syncs == 0
