"""Labels are predicted from past labels alone, warped as the flow says, and learnt on a world of constant motion."""

from typing import Any

import pytest
import torch
from conftest import facts

from v2vbench import params
from v2vbench.clips.store import IGNORE
from v2vbench.clips.tensors import to_tensors
from v2vbench.clips.windows import Windows
from v2vbench.models import _blocks, _composite
from v2vbench.models._blocks import encode
from v2vbench.models.vid2vid_labels import Model, sharper
from v2vbench.params import Fault

KWARGS: dict[str, Any] = dict(
    n_past=2,
    n_filters=8,
    n_down=1,
    n_blocks=2,
    n_scales_spatial=2,
    n_blocks_local=1,
    norm="instance",
    flow_scale=5.0,
    upsample="resize",
    sharpness=2.0,
    w_raw=1.0,
    w_flow=0.3,
    w_warp=1.0,
)
NOISE = torch.Generator()


def build(**changes) -> Model:
    torch.manual_seed(0)
    return params.bind(Model, KWARGS | changes, "vid2vid_labels", facts=facts())


def batch(store, step=0, **changes) -> dict:
    shape = dict(n_frames=6, n_warmup=0, batch_size=2, seed=0, double_every=0, drop_parts=0.0, arrays=Model.READS)
    return Windows(store, **shape | changes).batch(step)


@pytest.fixture
def clip(store):
    return {name: value[None] for name, value in to_tensors(store.read(store.split("seen")[0])).items()}


def force(G, mask, flow):
    """The generator predicts this mask and this flow (px) everywhere, whatever it sees."""
    for layer, values in ((G.mask[0], [mask]), (G.flow[0], [value / G.flow_scale for value in flow])):
        torch.nn.init.zeros_(layer.weight)
        with torch.no_grad():
            layer.bias.copy_(torch.tensor(values))


@pytest.mark.parametrize("n_scales", [1, 2])
def test_with_the_true_flow_and_nothing_painted_the_next_labels_are_the_last_ones_moved(n_scales):
    """In a world that slides by (3, -1) px a frame the prediction is a roll, but for the edge, which is repeated."""
    model = build(n_scales_spatial=n_scales)
    force(model.G[-1], mask=-1e3, flow=(-3.0, 1.0))
    last = torch.randint(0, 3, (1, 1, 8, 16)).repeat_interleave(4, 2).repeat_interleave(4, 3)
    future = model.predict({"source": last.expand(-1, 2, -1, -1)}, 3, NOISE)
    for step, labels in enumerate(future[0], 1):
        expected = last[0, 0].roll((-step, 3 * step), (0, 1))
        assert torch.equal(labels[:-step, 3 * step :], expected[:-step, 3 * step :])


def test_with_all_painted_the_next_labels_are_the_painted_ones():
    model = build()
    force(model.G[-1], mask=1e3, flow=(-3.0, 1.0))
    out = model.rollout(encode({"source": torch.zeros(1, 2, 32, 64)}, facts(), False), 2)[-1]
    assert torch.equal(out["fake"], out["raw"])
    assert torch.allclose(out["raw"].sum(2), torch.ones(1, 2, 32, 64), atol=1e-5) and out["raw"].min() >= 0


def test_probabilities_stay_probabilities(clip):
    labels = encode({"source": clip["source"][:, :2]}, facts(), False)
    for out, size in zip(build().rollout(labels, 4), ((16, 32), (32, 64)), strict=True):
        assert out["fake"].min() >= 0
        assert torch.allclose(out["fake"].sum(2), torch.ones(1, 4, *size), atol=1e-5)


def test_what_is_fed_back_is_sharper_by_a_power(clip):
    """Of all painted labels the second frame's past is the first one, squared and normalised."""
    model, seen = build(n_past=1), []
    force(model.G[-1], mask=1e3, flow=(0.0, 0.0))
    model.G[-1].register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    out = model.rollout(encode({"source": clip["source"][:, :1]}, facts(), False), 2)[-1]
    first = out["fake"][:, 0]
    assert torch.allclose(seen[1], first.square() / first.square().sum(1, keepdim=True), atol=1e-6)
    assert torch.equal(sharper(torch.zeros(1, 3, 2, 2), 2.0), torch.zeros(1, 3, 2, 2))


def test_the_last_n_past_labels_alone_decide(clip):
    """Not the labels before them, and no later ones: those are not in `past`."""
    model, source = build(), clip["source"]
    future = model.predict({"source": source[:, :5]}, 3, NOISE)
    assert future.shape == (1, 3, 32, 64) and future.dtype == torch.int64
    assert torch.equal(future, model.predict({"source": source[:, 3:5]}, 3, NOISE))
    assert not torch.equal(future, model.predict({"source": source[:, 3:5].flip(3)}, 3, NOISE))
    assert model.SEES == ("source",) and model.PREDICTS == "labels"


def test_later_labels_of_a_window_are_targets_only(store, monkeypatch):
    model, clip, seen = build(), batch(store), []
    rollout = model.rollout
    monkeypatch.setattr(model, "rollout", lambda labels, n: seen.append(labels) or rollout(labels, n))
    model.losses(clip)
    assert [labels.shape[1] for labels in seen] == [2]


def test_every_parameter_learns(store):
    model = build()
    loss = model.losses(batch(store))
    loss["G"].backward()
    assert {id(weight) for weight in model.parts()["G"]} == {id(weight) for weight in model.parameters()}
    # a bias before an instance norm is subtracted again, so its gradient may be 0
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())
    assert [
        name for name, weight in model.named_parameters() if name.endswith("weight") and not weight.grad.any()
    ] == []
    terms = [value for name, value in loss.items() if name != "G"]
    assert float(sum(terms)) == pytest.approx(loss["G"].item(), rel=1e-5)


def test_losses_are_what_their_formulas_say():
    """Zero flow repeats label 0; occluded and ignored pixels do not count; a coarser scale has smaller motion."""
    model = build(w_flow=2.0, w_raw=0.5, w_warp=4.0)
    for G in model.G:
        force(G, mask=-1e3, flow=(0.0, 0.0))
    source = torch.zeros(1, 3, 32, 64, dtype=torch.int64)
    source[0, 2, :, :32], source[0, 2, :8] = 1, IGNORE
    flow, occluded = torch.full((1, 2, 2, 32, 64), 3.0), torch.zeros(1, 2, 1, 32, 64)
    occluded[..., 16:, :] = 1
    terms = model.losses(dict(source=source, flow=flow, occluded=occluded, n_warmup=0, single=False))
    certain = -float(torch.tensor(1e-6).log())  # half of the labelled pixels are no longer label 0, for certain
    assert float(terms["G_entropy"]) == pytest.approx(certain / 2, rel=0.02)  # coarser labels are mixed at borders
    assert float(terms["G_raw"]) == pytest.approx(0.5 * torch.tensor(3.0).log().item(), rel=0.05)  # untrained
    shares = [float(_blocks.half(1 - occluded[0]).mean()), 0.5]  # visible
    expected = 2 * (1.5 * shares[0] + 3 * shares[1]) / 2
    assert float(terms["G_flow"]) == pytest.approx(expected, rel=1e-4)
    changed = 4 * (8 * 64 + 8 * 32 * 2) / (3 * 32 * 64)  # one channel where now ignored, two where 0 became 1
    assert float(terms["G_warp"]) == pytest.approx(changed, rel=0.1)


def test_a_loss_reaches_back_one_frame(clip):
    """Past frame 0 matters to the second predicted frame only through the first one."""
    labels = encode({"source": clip["source"][:, :1]}, facts(), False).requires_grad_()
    for out in build(n_past=1).rollout(labels, 2):
        first, second = (
            torch.autograd.grad(out["fake"][:, t].square().sum(), labels, retain_graph=True)[0] for t in (0, 1)
        )
        assert first.any() and not second.any()


def test_constant_motion_is_learnt(store):
    """After a short training labels are better than the last ones, copied: on clips never trained on, rolled out."""
    model = build()
    optimiser = torch.optim.Adam(model.parts()["G"], lr=3e-3)
    for step in range(70):
        optimiser.zero_grad()
        model.losses(batch(store, step, batch_size=1))["G"].backward()
        optimiser.step()
    wrong, wrong_copied = [], []
    for key in store.split("unseen"):
        source = to_tensors(store.read(key))["source"][None]
        future = source[:, 4:9]
        wrong.append((model.predict({"source": source[:, :4]}, 5, NOISE) != future).float().mean())
        wrong_copied.append((source[:, 3:4] != future).float().mean())
    assert sum(wrong) < 0.6 * sum(wrong_copied), (wrong, wrong_copied)


def test_faults_are_named(store):
    with pytest.raises(Fault, match="predicts labels, and the source of sliding is maps"):
        params.bind(Model, KWARGS, "vid2vid_labels", facts=facts(source="maps"))
    with pytest.raises(Fault, match="n_down .* does not divide"):
        build(n_down=6)
    with pytest.raises(Fault, match="n_filters: 9 cannot be halved"):
        build(n_filters=9)
    clip = batch(store)
    with pytest.raises(Fault, match="n_warmup"):
        build().losses(clip | {"n_warmup": 2})
    with pytest.raises(Fault, match="n_frames: a window of 6 leaves nothing to predict after n_past = 6"):
        build(n_past=6).losses(clip)
    with pytest.raises(Fault, match="n_past: vid2vid_labels needs 2 past frames, and there are 1"):
        build().predict({"source": clip["source"][:1, :1]}, 1, NOISE)


def test_a_generator_with_a_source_keeps_the_names_of_its_weights():
    """Weights on disk have them; without a source only those of its encoder are missing."""
    shape: dict[str, Any] = dict(n_past=2, n_filters=4, n_filters_front=0, n_down=1, n_blocks_in=1, n_blocks=1)
    shape |= dict(n_blocks_front=0, norm="instance", with_flow=True, flow_scale=5.0, composition="over")
    shape |= dict(resample="bilinear", upsample="resize", coarsest=True)
    names = [set(_composite.Generator(n_source, **shape).state_dict()) for n_source in (3, 0)]
    assert {name.split(".")[0] for name in names[0]} == {
        *("down_source", "down_past", "image", "paint", "motion", "flow", "mask")
    }
    assert names[1] == {name for name in names[0] if not name.startswith("down_source")}
    labels = _composite.Generator(0, **shape, n_labels=5)
    assert labels.paint[0].out_channels == 5 and labels.down_past[0][0].in_channels == 10
