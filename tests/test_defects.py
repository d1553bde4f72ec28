"""The seven defects that the paper's own code has, each shown to be absent here."""

import ast
import dataclasses
import io
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_models import build, fine, noise, used, watch, window
from test_train import few, kept, project

import v2vbench
from v2vbench.clips.flow import warp
from v2vbench.clips.tensors import to_tensors
from v2vbench.params import Fault
from v2vbench.runner import check
from v2vbench.stages import _trainer, synthesize, train
from v2vbench.stages._weights import build_model, trained_model

SCHEDULE = dict(steps=6, constant_share=0.5)
SHARES = [1, 1, 1, 1, 2 / 3, 1 / 3]


def steps(model, store, n_frames=5):
    """A Trainer, and after each of six steps the learning rates that its optimisers have used and the weights."""
    trainer, seen = _trainer.Trainer(model, few(**SCHEDULE)), []
    for step in range(6):
        trainer.update(trainer.to_device(window(store, n_frames) | {"step": step}))
        rates = {
            name: [group["lr"] for group in optimiser.param_groups] for name, optimiser in trainer.optimisers.items()
        }
        seen.append((rates, {name: value.clone() for name, value in model.state_dict().items()}))
    return trainer, seen


def test_1_the_optimiser_in_use_trains_the_coarser_scales_once_they_are_free(store):
    """And its learning rate decays."""
    model = fine(2, n_frozen_steps=3)
    trainer, seen = steps(model, store)
    held = {id(weight) for group in trainer.optimisers["G"].param_groups for weight in group["params"]}
    assert held == {id(weight) for weight in model.G.parameters()}
    moves = [
        not torch.equal(a["G.0.image.1.0.weight"], b["G.0.image.1.0.weight"]) for (_, a), (_, b) in zip(seen, seen[1:])
    ]
    assert moves == [False, False, True, True, True]
    assert [rates["G"][0] for rates, _ in seen] == pytest.approx([1e-3 * share for share in SHARES])


def test_2_the_learning_rate_of_every_video_discriminator_decays(store):
    _, seen = steps(fine(1, n_scales_temporal=2), store, n_frames=9)
    assert seen[0][0].keys() == {"G", "D_image", "D_video0", "D_video1"}
    for name in seen[0][0]:
        assert [rates[name] for rates, _ in seen] == [[pytest.approx(1e-3 * share)] for share in SHARES], name


def test_3_what_resumes_has_the_optimisers_own_state(store, tmp_path):
    """The checkpoint has Adam's averages for every weight of every part, and the next step is as without the break."""
    trainer, _ = steps(fine(1), store)
    buffer = io.BytesIO()
    torch.save(trainer.state(), buffer)
    (tmp_path / "checkpoint.pt").write_bytes(buffer.getvalue())
    other = _trainer.Trainer(noisy := fine(1), few(**SCHEDULE))
    noisy.load_state_dict(noise(noisy))
    other.load(tmp_path / "checkpoint.pt")
    assert other.step == 6
    for name, optimiser in trainer.optimisers.items():
        mine, theirs = (x.state_dict()["state"] for x in (optimiser, other.optimisers[name]))
        assert len(mine) == len(trainer.parts[name]) and mine.keys() == theirs.keys()
        for number, about in mine.items():
            assert about["step"] == theirs[number]["step"] == 6
            assert all(
                torch.equal(about[key], theirs[number][key]) and about[key].any() for key in ("exp_avg", "exp_avg_sq")
            )
    for each in (trainer, other):
        each.step = 2
        each.update(each.to_device(window(store, 5)))
    assert all(
        torch.equal(value, other.module.state_dict()[name]) for name, value in trainer.module.state_dict().items()
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda own: own.popitem(),
        lambda own: own.update(more=torch.zeros(1)),
        lambda own: own.update({"G.head.0.bias": torch.zeros(1)}),
    ],
    ids=["missing", "left over", "shape"],
)
@pytest.mark.parametrize("load", ["in use", "from a base", "the generator from a base"])
def test_4_weights_that_do_not_fit_are_never_loaded_in_part(store_path, store, tmp_path, load, change):
    p = project(store_path, tmp_path, model="pix2pixhd", first_frames="none")
    weights = build_model(p, "x", store.facts).state_dict()
    if load == "the generator from a base":
        weights = {name: value for name, value in weights.items() if name[:2] == "G."}
    change(weights)
    kept({name: value.contiguous() for name, value in weights.items()}, tmp_path, "x")
    with pytest.raises(Fault, match="does not fit"):
        if load == "in use":
            trained_model(p, "x", tmp_path, store.facts)
        else:
            train.begin(build_model(p, "x", store.facts), tmp_path / "runs/x")


def test_5_a_warp_by_nothing_is_the_image():
    """Corners map to corners (align_corners): the reference code under a current torch is off by 0.83 on this ramp."""
    ramp, still = torch.arange(16.0).view(1, 1, 4, 4), torch.zeros(1, 2, 4, 4)
    assert (warp(ramp, still) - ramp).abs().max() < 1e-5
    assert torch.equal(warp(ramp, still)[..., [0, -1], :][..., [0, -1]], ramp[..., [0, -1], :][..., [0, -1]])


def test_5_what_is_kept_holds_no_pickles(store_path, store, tmp_path):
    """Weights are safetensors, a checkpoint loads with weights alone, and nothing here asks for more."""
    p = project(store_path, tmp_path, steps=1)
    train.train(p, "x", tmp_path)
    assert load_file(tmp_path / "runs" / "x" / "model.safetensors")
    torch.save(_trainer.Trainer(build("vid2vid"), few()).state(), tmp_path / "checkpoint.pt")
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 0
    for path in Path(v2vbench.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            assert not {"pickle", "scipy.misc"} & {*names, getattr(node, "module", None)}, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "load":
                asked = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
                assert not asked.get("allow_pickle")
                assert ast.unparse(node.func) != "torch.load" or asked.get("weights_only") is True, path


@pytest.mark.parametrize("n_warmup", [0, 2])
def test_6_frames_without_a_warp_are_the_same_in_training_and_in_use(store, n_warmup):
    """The first frame of the clip alone, wherever the chunk that has a gradient begins."""
    model, clip, flags = fine(1, from_nothing=True), window(store, 4, n_warmup), []
    (calls,) = watch(model.G[0])
    for make in (model.losses, lambda clip: used(model, clip)):
        make(clip)
        flags.append([args[4] for args, _ in calls])
        calls.clear()
    assert flags[0] == flags[1] == [True] + [False] * (3 + n_warmup)


def test_7_a_base_is_called_by_one_name_wherever_it_is_meant(store_path, store, tmp_path):
    """The reference's single-GPU scripts train label2city_256 and then load label2city_256_g1; here that is a Fault."""
    p = project(store_path, tmp_path, steps=0)
    primary = ["psnr", "ssim", "warp_error"]
    p = dataclasses.replace(
        p,
        datasets={"sliding": {}},
        predictors={},
        metrics=dict.fromkeys(primary),
        protocol=dataclasses.replace(p.protocol, primary=primary),
    )
    coarse = p.runs["x"]

    def chain(base):
        finer = dataclasses.replace(coarse, base=base, kwargs=coarse.kwargs | dict(n_scales_spatial=2))
        return dataclasses.replace(p, runs={"label2city_256": coarse, "label2city_512": finer})

    with pytest.raises(
        Fault, match="runs.label2city_512.base: no 'label2city_256_g1'; there are label2city_256, label2city_512"
    ):
        check.check_references(chain("label2city_256_g1"), "params.yaml")
    right = chain("label2city_256")
    check.check_references(right, "params.yaml")
    for key in right.runs:
        train.train(right, key, tmp_path)
    clip = {name: value[None] for name, value in to_tensors(store.read("slide-4")).items()}
    model = trained_model(right, "label2city_512", tmp_path, store.facts)
    assert synthesize.rollout(model, clip, 4, clip["real"][0, :2]).isfinite().all()
