"""`v2vbench plan`: memory and arithmetic by hand, against real steps, and what the command says."""

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import facts
from torch import nn

from v2vbench.machine import HERE, Machine
from v2vbench.params import Fault, Schedule, bind
from v2vbench.planning import command, plan
from v2vbench.planning.batches import Shape, batch, longest_warmup
from v2vbench.planning.cards import CARDS, RESERVED, card_of
from v2vbench.planning.fake import fake_cuda
from v2vbench.planning.plan import Planner, frame_bytes, in_pieces, spans, total_flops
from v2vbench.planning.shapes import shape_of
from v2vbench.planning.steps import step_cost, warmup_flops
from v2vbench.planning.tracker import Cost, Tracker
from v2vbench.runner.suites import load_suite

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
SHAPE = Shape(
    facts=facts(size=(64, 64)), arrays=("real", "label", "instance", "flow", "occluded"), longest=20, n_test=(1, 10)
)


def schedule(**changes) -> Schedule:
    line = dict(
        seed=0, steps=10, batch_size=2, n_frames=3, n_warmup=0, double_every=0, single_frames="none", drop_parts=0.0,
        lr=1e-3, lr_d=1e-3, betas=(0.5, 0.999), constant_share=1.0, ema=0.0, precision="32-true", compile=False,
        log_every=1, checkpoint_every=1,
    )  # fmt: skip
    return bind(Schedule, line | changes, "schedule")


class Plain(nn.Module):
    """Two convolutions of 3 x 3 without bias, 3 to 8 to 3 channels, and a squared error."""

    READS = ("real",)

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.Conv2d(8, 3, 3, padding=1, bias=False)

    def parts(self):
        return {"G": list(self.parameters())}

    def losses(self, clip):
        frames = clip["real"].flatten(0, 1)
        return {"G": (self.second(self.first(frames)) - frames).square().mean()}


FRAMES, PX, WEIGHTS = 2 * 3, 64 * 64, 2 * 9 * 3 * 8
FORWARD = 2 * WEIGHTS * PX * FRAMES  # a multiplication and an addition a weight and a pixel


def test_operations_and_weights_of_plain_convolutions_are_those_by_hand():
    with fake_cuda() as cuda:
        cost = step_cost(Plain, schedule(), SHAPE, cuda, n_windows=2, n_warmup=0)
    assert cost.forward == FORWARD
    # backward: once for the weights of both, and for the input of the second alone; frames need no gradient
    assert cost.flops == FORWARD + FORWARD + FORWARD // 2
    assert cost.gradients == 4 * WEIGHTS
    clip = 4 * 3 * PX * FRAMES
    small = 2 * (3 * 4 * WEIGHTS // 2) + 2 * 4  # weights and Adam's two averages, and its counts of steps
    assert clip + small <= cost.resident <= clip + small + 8 * 512  # each storage is rounded up to 512 bytes


def test_the_moving_average_and_the_optimiser_count():
    with fake_cuda() as cuda:
        costs = [
            step_cost(Plain, schedule(ema=ema), SHAPE, cuda, n_windows=1, n_warmup=0).resident for ema in (0.0, 0.9)
        ]
    assert 4 * WEIGHTS <= costs[1] - costs[0] <= 4 * WEIGHTS + 2 * 512


def test_a_batch_is_as_windows_gives_it(store):
    from v2vbench.clips.windows import Windows
    from v2vbench.planning.shapes import Shape

    real = Windows(store, n_frames=4, n_warmup=8, batch_size=2, seed=0, double_every=0, drop_parts=0.0)
    steps = [real.batch(step) for step in range(4)]
    shape = Shape(
        facts=store.facts, arrays=tuple(store.clips[store.split("train")[0]]["arrays"]), longest=12, n_test=None
    )
    planned = schedule(n_frames=4, n_warmup=8)
    assert longest_warmup(planned, shape) == 8 == real.n_warmup
    for given in steps:
        made = batch(planned, shape, Plain2(), n_windows=2, n_warmup=given["n_warmup"])
        assert made.keys() == given.keys()
        for name, value in given.items():
            if torch.is_tensor(value):
                assert (value.shape, value.dtype) == (made[name].shape, made[name].dtype), name


class Plain2(Plain):
    READS = None


LARGE = {  # wide enough in pixels for a gigabyte, and narrow enough in channels for seconds
    "vid2vid": dict(run="vid2vid", narrow=dict(n_filters=16, n_filters_d=16, n_blocks=4), batch=4, frames=9),
    "pix2pixhd": dict(run="pix2pixhd", narrow=dict(n_filters=16, n_filters_d=16, n_blocks=4), batch=12, frames=3),
    "mcnet": dict(run="mcnet", narrow=dict(n_filters=16, n_filters_d=16), batch=3, frames=16),
}


def large(name: str):
    """(make, schedule, shape) of a step of the suite gpu, narrow."""
    params, line = load_suite(ROOT / "suites" / "gpu.yaml"), LARGE[name]
    run = params.run(line["run"])
    shape = shape_of(params, run.dataset, ROOT)
    kind = importlib.import_module(f"v2vbench.models.{run.model}").Model
    make = partial(bind, kind, run.kwargs | line["narrow"], "kwargs", facts=shape.facts)
    planned = replace(
        params.schedules[run.schedule],
        batch_size=line["batch"],
        n_frames=line["frames"],
        n_warmup=0,
        precision="32-true",
    )
    return make, planned, shape


@pytest.mark.slow  # a minute each
@pytest.mark.parametrize("name", LARGE)
def test_memory_is_what_a_process_takes(name):
    """Within 15 % of the resident memory of a real step on the CPU, of a gigabyte or more."""
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).with_name("measured_step.py")), name]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    sizes = json.loads(done.stdout.splitlines()[-1])
    assert sizes["measured"] > 1e9, sizes
    assert sizes["said"] == pytest.approx(sizes["measured"], rel=0.15), sizes


@pytest.mark.parametrize("name", [pytest.param("vid2vid", marks=pytest.mark.slow), "pix2pixhd", "mcnet"])
def test_memory_and_operations_are_those_of_real_tensors(name):
    """The same tracker on real tensors of small frames."""
    make, planned, shape = large(name)
    planned = replace(planned, batch_size=1, n_frames=planned.n_frames)
    shape = replace(shape, facts=replace(shape.facts, size=(32, 64)))
    params = load_suite(ROOT / "suites" / "gpu.yaml")
    run = params.run(LARGE[name]["run"])
    kind = importlib.import_module(f"v2vbench.models.{run.model}").Model
    kwargs = run.kwargs | LARGE[name]["narrow"] | {"n_filters": 8, "n_filters_d": 8}
    make = partial(bind, kind, kwargs, "kwargs", facts=shape.facts)
    real = step_cost(make, planned, shape, CPU, n_windows=1, n_warmup=0)
    with fake_cuda() as cuda:
        fake = step_cost(make, planned, shape, cuda, n_windows=1, n_warmup=0)
    assert fake.flops == real.flops and fake.forward == real.forward
    assert fake.resident == pytest.approx(real.resident, rel=0.01)
    assert fake.peak == pytest.approx(real.peak, rel=0.05)


def test_the_tracker_counts_what_is_alive():
    with Tracker("cpu") as tracker:
        one = torch.zeros(1024, 1024)
        two = one + one
        view = two[:10]
        del one, two
        assert tracker.live == 4 * 2**20 and tracker.peak == 8 * 2**20
        del view
    assert tracker.live == 0


def test_operations_of_warm_up_frames():
    """Those of a roll-out of one frame more: by hand, of a model that generates a frame by one convolution."""

    class Rolls(Plain):
        def losses(self, clip):
            n = clip["n_warmup"]
            with torch.no_grad():
                for t in range(n):
                    self.second(self.first(clip["real"][:, t]))
            return super().losses({"real": clip["real"][:, n:]})

    with fake_cuda() as cuda:
        one = step_cost(Rolls, schedule(), SHAPE, cuda, n_windows=1, n_warmup=0)
        assert warmup_flops(Rolls, schedule(), SHAPE, cuda, one.forward) == 2 * WEIGHTS * PX


@pytest.mark.parametrize("double_every, steps", [(0, 10), (3, 10), (3, 4), (20, 10)])
def test_spans_are_the_longest_windows_of_each_step(double_every, steps):
    planned = schedule(n_frames=3, double_every=double_every, steps=steps)
    longest = {step: length for start, stop, length in spans(planned, 9) for step in range(start, stop)}
    assert longest == {step: min(12, 3 * 2 ** (step // double_every)) if double_every else 12 for step in range(steps)}


def test_operations_of_a_training():
    assert total_flops(schedule(steps=10, batch_size=2), 5.0, 1.0, 0) == 10 * 2 * 5
    assert total_flops(schedule(steps=10, batch_size=2), 5.0, 1.0, 4) == 10 * 2 * (5 + 4 / 2)
    single = schedule(steps=10, single_frames=dict(steps=4, batch_size=7, blur=1.0, noise=1.0))
    assert total_flops(single, 5.0, 1.0, 0) == 6 * 2 * 5


def test_pieces_keep_gradients_and_the_whole_batch():
    one, whole = Cost(100, 200, 0, 0, gradients=30), Cost(130, 500, 0, 0, gradients=30)
    assert in_pieces(one, whole, 1, 4) == 200 + 30 + 3 * 10
    assert in_pieces(one, whole, 2, 4) == 300 + 30 + 2 * 10


def test_pieces_by_the_rule_are_pieces_that_run():
    def cost(n, machine=HERE):
        with fake_cuda() as cuda:
            return step_cost(Plain, schedule(), SHAPE, cuda, n_windows=n, n_warmup=0, machine=machine)

    said, is_ = in_pieces(cost(1), cost(4), 2, 4), cost(4, Machine(micro_batch=2)).peak
    assert said == pytest.approx(is_, rel=0.05)


def planner(monkeypatch, gb: float, devices: int = 1, **changes) -> Planner:
    """Of one training of Plain on a made-up card."""
    monkeypatch.setattr(plan, "build_model", lambda params, key, facts: Plain())
    params = load_suite(ROOT / "suites" / "gpu.yaml")
    run = replace(params.runs["pix2pixhd"], kwargs={})
    lines = dict(runs={"one": run}, predictors={}, judges={}, futures={})
    lines["schedules"] = params.schedules | {run.schedule: schedule(**changes)}
    card = replace(CARDS["h100"], memory_gb=gb + RESERVED / 1e9)
    made = Planner(replace(params, **lines), ROOT, card, devices=devices, utilisation=0.5)
    monkeypatch.setattr(made, "_shape", lambda dataset: SHAPE)
    return made


def train_line(made: Planner):
    return next(line for line in made.lines() if line.stage == "train")


def test_a_training_fits_in_pieces_or_says_what_would(monkeypatch):
    fits = train_line(planner(monkeypatch, 80, batch_size=8))
    assert fits.micro == (8, 8) and fits.note == "" and fits.memory < 80e9
    pieces = train_line(planner(monkeypatch, 0.6 * fits.memory / 1e9, batch_size=8))
    assert pieces.micro[0] in (1, 2, 4) and pieces.note == f"set micro_batch: {pieces.micro[0]} in machine.yaml"
    assert pieces.memory <= 0.6 * fits.memory and pieces.flops == fits.flops
    nothing = train_line(planner(monkeypatch, 1e-4, batch_size=8))
    assert nothing.note.startswith("does not fit, even with micro_batch: 1, recompute: true")


def test_hours_are_operations_by_the_rate(monkeypatch):
    line = train_line(planner(monkeypatch, 80, batch_size=2, steps=10))
    assert line.flops == 10 * (FORWARD + FORWARD + FORWARD // 2)
    assert line.hours == pytest.approx(line.flops / (67e12 * 0.5) / 3600)
    two = train_line(planner(monkeypatch, 80, devices=3, batch_size=2, steps=10))
    assert two.devices == 2 and two.micro == (1, 1) and two.flops == line.flops
    assert two.hours == pytest.approx(line.hours / 2)


def test_a_data_set_that_only_its_data_tell_has_a_line_that_says_so():
    params = load_suite(ROOT / "suites" / "own.yaml")
    with pytest.raises(Fault, match="only its data tell"):
        shape_of(params, next(iter(params.datasets)), Path("nowhere"))


def test_the_facts_of_a_store_are_taken(store_path, tmp_path):
    params = load_suite(ROOT / "suites" / "own.yaml")
    key = next(iter(params.datasets))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"{key}.zip").write_bytes(store_path.read_bytes())
    with pytest.raises(Fault, match="its frames are"):
        shape_of(params, key, tmp_path)
    sized = replace(params, datasets={key: params.datasets[key] | {"size": [32, 64]}})
    shape = shape_of(sized, key, tmp_path)
    assert shape.n_test == (6, 72) and shape.longest == 12 and len(shape.facts.label_names) == 3


@pytest.mark.parametrize("suite", ["mini", "gpu", "future_gpu", "carphone", "kitti_step", "moving_digits"])
def test_shapes_are_known_without_data(suite):
    params = load_suite(ROOT / "suites" / f"{suite}.yaml")
    for key, line in params.datasets.items():
        shape = shape_of(params, key, Path("nowhere"))
        assert list(shape.facts.size) == list(line["size"]) and "real" in shape.arrays and frame_bytes(shape) > 0


def run(*words: str, folder: Path = ROOT) -> None:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers(dest="verb"))
    command.run(parser.parse_args(["plan", *words]), folder)


@pytest.mark.parametrize(
    "words, said",
    [
        (["gpu", "--gpu", "abacus"], "--gpu abacus: no such card; there are h200, h100, a100-80"),
        (["nowhere"], "plan: no suite 'nowhere' in suites; there are ablations, carphone"),
        (["gpu", "--devices", "0"], "--devices 0: at least 1"),
        (["gpu", "--utilisation", "0"], "--utilisation 0: a share of the card's peak"),
        (["gpu", "--utilisation", "30"], "--utilisation 30: a share of the card's peak"),
    ],
)
def test_wrong_arguments_are_one_line(words, said):
    with pytest.raises(Fault, match=re.escape(said)) as caught:
        run(*words)
    assert "\n" not in str(caught.value)


def test_cards_have_rates_in_order():
    for card in CARDS.values():
        assert (card.bf16 or 1e9) > (card.tf32 or 0) and card.tflops("32-true") == card.fp32
        assert card.room < card.memory_gb * 1e9
    assert card_of("t4").tflops("bf16-mixed") == 8.1


def test_the_command_prints_a_line_for_each_stage(tmp_path, capsys):
    (tmp_path / "suites").mkdir()
    text = (ROOT / "tests" / "tiny.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text)
    run("--gpu", "t4", folder=tmp_path)
    shown = capsys.readouterr().out
    params = load_suite(tmp_path / "params.yaml")
    for key in params.runs:
        assert f"synthesize {key}" in shown and f"evaluate {key}" in shown
    assert "on T4, at 30 % of its peak" in shown and "in all" in shown and "not computed" not in shown
