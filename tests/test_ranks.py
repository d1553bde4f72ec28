"""Several processes train as one does; one that dies or hangs is named; another number of processes goes on."""

import json
import os
import re
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from conftest import facts, sliding_clip
from ruamel.yaml import YAML
from test_models import build
from test_train import TINY, few

from v2vbench.clips.store import Store, write_store
from v2vbench.clips.windows import Windows
from v2vbench.machine import Machine, load_machine
from v2vbench.params import Fault, SingleFrames, load
from v2vbench.results.runs import RunScores
from v2vbench.stages import _group, _trainer, train
from v2vbench.stages.evaluate import evaluate
from v2vbench.stages.synthesize import synthesize

TINY_SUITE = Path(__file__).parent / "tiny.yaml"
STEPS = 20
EXACT = {"vid2vid": {"norm": "instance_affine"}}  # the statistics of norm: batch are of the windows of one process


@pytest.fixture
def project(store_path, tmp_path, monkeypatch):
    """A function: a project on disk that trains one run on the sliding clips, in a new folder, which is entered."""

    def make(name: str, machine: str = "", model: str = "vid2vid", **schedule) -> Path:
        root = tmp_path / name
        (root / "data").mkdir(parents=True)
        os.link(store_path, root / "data/freedoom.zip")
        lines = YAML(typ="safe").load(TINY_SUITE.read_text())
        line = dict(title="x", dataset="freedoom", model=model, schedule="few", base="none", first_frames="real")
        lines["schedules"]["few"] = few(
            **(dict(steps=STEPS, batch_size=6, n_warmup=0, log_every=1) | schedule)
        ).__dict__
        lines |= {
            "runs": {"x": line | {"seeds": [0], "kwargs": TINY[model] | EXACT.get(model, {})}},
            "predictors": {},
            "futures": {},
        }
        lines |= {"judges": {}, "metrics": {"psnr": lines["metrics"]["psnr"]}, "styles": {}}
        with open(root / "params.yaml", "w") as file:
            YAML(typ="safe").dump(lines, file)
        (root / "machine.yaml").write_text(machine)
        return root

    return make


def trained(root: Path) -> list[dict[str, float]]:
    """Train the run of a project; returns the rows of its learning curves, with all digits."""
    train.train(load(root / "params.yaml"), "x", root)
    (path,) = root.glob(".cache/runs/*/weights.safetensors")
    return train.finished(path.parent)[1]


def differs(rows: list[dict], others: list[dict]) -> float:
    """The largest difference of a loss, relative to the largest value that it takes."""
    assert [row["step"] for row in rows] == [row["step"] for row in others] and len(rows) == STEPS
    largest = {name: max(abs(row[name]) for row in others) for name in others[0]}
    return max(abs(row[name] - other[name]) / largest[name] for row, other in zip(rows, others) for name in row)


# Adam's first steps follow the sign of a gradient, also where it is nothing but rounding. vid2vid with 4 filters
# magnifies that by 100 a step, at whatever learning rate moves its weights: so it is compared where they hardly move.
@pytest.mark.parametrize(
    "n, model, lr",
    [
        (2, "pix2pixhd", 1e-5),
        pytest.param(3, "pix2pixhd", 1e-5, marks=pytest.mark.slow),
        pytest.param(2, "vid2vid", 1e-9, marks=pytest.mark.slow),
        pytest.param(3, "vid2vid", 1e-9, marks=pytest.mark.slow),
    ],
)
def test_several_processes_train_as_one(project, n, model, lr):
    alone, together = (trained(project(f"of {count}", f"devices: {count}", model, lr=lr, lr_d=lr)) for count in (1, n))
    assert differs(together, alone) < 1e-6


@pytest.fixture
def float64(monkeypatch):
    """Networks compute in float64, in which rounding is too small to be magnified by them into a difference."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("model", ["vid2vid", "pix2pixhd", "prednet", "svg_lp", "forecast"])
def test_gradients_of_micro_batches_are_those_of_the_batch(store, model, float64):
    """All that a step does with them follows: so 8 devices' schedule runs on one."""
    changes, found = dict(norm="instance_affine", n_scales_temporal=1) if model == "vid2vid" else {}, {}
    for micro_batch in ("all", 1):
        torch.set_default_dtype(torch.float32)  # equal weights to begin with
        network = build(model, **changes).double()
        torch.set_default_dtype(torch.float64)
        trainer = _trainer.Trainer(network, few(batch_size=4), machine=Machine(micro_batch=micro_batch))
        windows = Windows(store, n_frames=5, n_warmup=0, batch_size=4, seed=0, double_every=0, drop_parts=0.0)
        torch.manual_seed(0)
        batch = windows.batch(3)
        trainer.update({key: value.double() if is_float(value) else value for key, value in batch.items()})
        ((_, losses),) = trainer.read_losses()
        found[micro_batch] = losses, {name: weight.grad for name, weight in trainer.module.named_parameters()}
    (losses, gradients), (others, theirs) = found.values()
    assert losses == pytest.approx(others, rel=1e-6 if model != "svg_lp" else 0.2)
    if model == "svg_lp":  # its noise is drawn window by window then
        return
    largest = max(float(gradient.abs().max()) for gradient in gradients.values() if gradient is not None)
    for name, gradient in gradients.items():
        if gradient is not None:
            torch.testing.assert_close(gradient, theirs[name], rtol=1e-6, atol=1e-9 * largest)


def is_float(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def test_a_batch_that_devices_cannot_share_is_refused(project):
    for machine, message in (
        ("devices: 4", r"4 devices cannot share a step.s batch of 6 equally \(schedules.few.batch_size\)"),
        ("micro_batch: 4", "micro_batch 4 does not divide the 6 windows"),
        ("devices: two", "machine.yaml.devices: 'two' is not"),
        ("device: 2", "machine.yaml: unknown device; it takes devices, nodes"),
        ("- devices", "machine.yaml: expected lines such as"),
    ):
        with pytest.raises(Fault, match=message):
            trained(project(machine, machine))


def test_lines_of_the_environment_go_first(tmp_path, monkeypatch):
    (tmp_path / "machine.yaml").write_text("devices: 2\nworkers: 1\n")
    monkeypatch.setenv("V2VBENCH_DEVICES", "3")
    assert load_machine(tmp_path) == Machine(devices=3, workers=1)
    monkeypatch.setenv("V2VBENCH_DEVICES", "three")
    with pytest.raises(Fault, match="^V2VBENCH_DEVICES: 'three' is not 'auto' or int from 1 to inf$"):
        load_machine(tmp_path)


@pytest.mark.parametrize("text", ["", "# devices: 8\n", "slurm:\n#  partition: gpu\n"])
def test_a_file_of_comments_is_none(tmp_path, text):
    (tmp_path / "machine.yaml").write_text(text)
    assert load_machine(tmp_path) == Machine()


def test_processes_started_by_hand_that_cannot_share_a_batch_are_refused(project, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("V2VBENCH_PULSES", "")  # set: params are not checked again
    with pytest.raises(Fault, match=r"3 processes cannot share the 4 windows of a step equally \(schedules.few"):
        _group._work("train", "x", project("by hand", batch_size=4))


def test_gpus_are_shared_as_the_batch_allows(monkeypatch):
    for n_gpus, batch_size, nodes, expected in ((8, 8, 1, 8), (8, 6, 1, 6), (8, 1, 1, 1), (0, 4, 1, 1), (8, 16, 2, 8)):
        monkeypatch.setattr(torch.cuda, "device_count", lambda n_gpus=n_gpus: n_gpus)
        assert train.n_processes(Machine(nodes=nodes), few(batch_size=batch_size), "") == expected


class Training(threading.Thread):
    """A training in a thread; `fault` is what it raised, and `seconds` how long it went on after `hurt`."""

    def __init__(self, root: Path):
        super().__init__()
        self.root, self.fault, self.ended = root, "", 0.0
        self.start()

    def run(self) -> None:
        try:
            trained(self.root)
        except Fault as fault:
            self.fault = str(fault)
        self.ended = time.monotonic()

    def hurt(self, rank: int, signum: int, step: int = 2) -> float:
        """Send a signal to a rank once a checkpoint is there and it is at `step` or later; returns the time."""
        path = self.root / f".cache/ranks/train-x/{rank}"
        while self.is_alive():
            if list(self.root.glob(".cache/runs/*/checkpoint.pt")) and path.is_file():
                os.kill(json.loads(path.read_text())["pid"], signum)
                return time.monotonic()
            time.sleep(0.02)
        raise AssertionError(self.fault or "it ended before a checkpoint")


def no_children() -> bool:
    """Whether no process of a training is left."""
    return not [p for p in psutil.Process().children(recursive=True) if "train" in p.cmdline() and p.is_running()]


@pytest.mark.slow
def test_a_killed_process_ends_all_and_another_number_goes_on(project, capfd):
    root = project("killed", "devices: 2", steps=200, checkpoint_every=1)
    training = Training(root)
    hurt = training.hurt(1, signal.SIGKILL)
    training.join()
    assert training.ended - hurt < 60 and no_children()
    assert training.fault == (
        "train x: rank 1 of 2 was killed by SIGKILL, out of memory?; "
        "run it again, and it goes on from its last checkpoint"
    )
    (path,) = root.glob(".cache/runs/*/checkpoint.pt")
    state = torch.load(path, weights_only=True)
    assert 0 < state["step"] < 200 and len(state["rng"]) == 2
    (root / "machine.yaml").write_text("devices: 3")
    capfd.readouterr()
    rows = trained(root)
    assert f"train x: going on from step {state['step']} of 200" in capfd.readouterr().err
    assert [row["step"] for row in rows] == list(range(1, 201)) and rows[: len(state["rows"])] == state["rows"]


@pytest.mark.slow
def test_a_process_that_hangs_is_named(project):
    root = project("hangs", "devices: 2\npatience_s: 15", steps=4000, checkpoint_every=1)
    training = Training(root)
    training.hurt(1, signal.SIGSTOP)
    training.join()
    assert re.fullmatch(
        r"train x: no process went on for 15 s \(patience_s of machine.yaml\): rank 1 [a-z]+ .*; all were ended; "
        "run it again, and it goes on from its last checkpoint",
        training.fault,
    )
    assert no_children()


def test_a_fault_of_one_process_is_that_of_the_stage(project):
    with pytest.raises(Fault, match=r"^train x: rank \d of 2: runs.x: loss \w+ is (nan|inf) at step \d+; lower"):
        trained(project("nan", "devices: 2", lr=1e18))
    assert no_children()


@pytest.mark.parametrize("n", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_processes_share_clips_and_give_the_same_scores(tiny_project, tmp_path, n):
    """Of every metric, also of sets: gathered, not averaged; and the same videos, byte for byte."""
    root = tmp_path / "project"
    shutil.copytree(tiny_project, root)
    params, run = load(root / "params.yaml"), "vid2vid"
    files = [RunScores.path(root, run), root / f"metrics/frames/{run}.csv", root / f"runs/{run}/clips.zip"]
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    shutil.rmtree(root / ".cache")
    (root / "machine.yaml").write_text(f"devices: {n}")
    synthesize(params, run, root)
    assert {path.name for path in (root / f".cache/ranks/synthesize-{run}").iterdir()} >= set(map(str, range(n)))
    result = evaluate(params, run, root)
    assert [file.read_bytes() for file in files] == before
    assert result == RunScores.load(files[0])


@pytest.mark.parametrize("single", ["none", SingleFrames(steps=2, batch_size=6, blur=1, noise=4)])
def test_shares_of_all_ranks_are_the_batch(tmp_path, single):
    path, names = tmp_path / "maps.zip", ("a", "b", "c")
    about = facts(source="maps", label_names=names, label_colours=((0, 0, 0),) * 3, droppable=("a", "c"))
    maps = np.random.default_rng(0).integers(0, 256, (12, *about.size, 3), np.uint8)
    clip = {name: value for name, value in sliding_clip(0, 12).items() if name in ("real", "flow", "occluded")}
    write_store(path, about, [({"id": "one", "split": "train"}, clip | {"maps": maps})])
    shape = dict(n_frames=4, n_warmup=3, batch_size=6, seed=5, double_every=0, drop_parts=0.5, n_past=2)

    def batches(share):
        windows = Windows(Store(path), **shape, single_frames=single, share=share)
        return [windows.batch(step) for step in range(4)]

    shares = [batches((rank, 3)) for rank in range(3)]
    for whole, *parts in zip(batches((0, 1)), *shares):
        for name, value in whole.items():
            if torch.is_tensor(value):
                assert all(torch.equal(part[name], value[rank::3]) for rank, part in enumerate(parts))
            else:
                assert {part[name] for part in parts} == {value}


def test_batches_read_ahead_are_those_read_in_turn_and_a_fault_comes_in_its_place():
    def read(step):
        time.sleep(0.002 * (step % 3))
        if step == 7:
            raise Fault("step 7")
        return {"x": torch.tensor([step])}

    for n_workers in (0, 1, 3):
        seen = []
        with pytest.raises(Fault, match="step 7"):
            for batch in _trainer.read_ahead(read, range(10), n_workers, pin=False):
                seen.append(int(batch["x"]))
        assert seen == list(range(7)) and not [t for t in threading.enumerate() if t.name.startswith("read")]


@pytest.mark.parametrize("model", ["vid2vid", "pix2pixhd"])
def test_recomputed_activations_give_the_same_weights(store, model):
    """And fewer numbers are kept for the backward pass."""
    weights, kept = [], []
    for recompute in (False, True):
        trainer = _trainer.Trainer(build(model), few(), machine=Machine(recompute=recompute))
        windows = Windows(store, n_frames=9, n_warmup=0, batch_size=1, seed=0, double_every=0, drop_parts=0.0)
        saved = {}
        with torch.autograd.graph.saved_tensors_hooks(lambda x, saved=saved: saved.setdefault(id(x), x), lambda x: x):
            trainer.module.losses(windows.batch(0))
        kept.append(sum(x.numel() for x in saved.values()))
        for step in range(2):
            trainer.update(windows.batch(step))
        weights.append({name: value.clone() for name, value in trainer.module.state_dict().items()})
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert kept[1] < 0.5 * kept[0]
