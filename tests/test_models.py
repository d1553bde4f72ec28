"""The contract for every model found, gradients that reach what they should, and losses equal to the paper's own code."""
from pathlib import Path

import pytest
import torch
from conftest import facts

import v2vbench
from v2vbench import clips, find, params
from v2vbench.models import _blocks, forecast, vid2vid

SMALL = {
    "vid2vid": dict(n_past=2, n_filters=4, n_down=2, n_blocks=2, n_scales_spatial=1, n_blocks_local=1, n_frozen_steps=0, n_backprop=0,
                    from_nothing=False, instance_edges=True, styles="none", norm="batch", foreground=["square"], composition="over",
                    with_flow=True, flow_scale=20.0, resample="bilinear", n_scales=2, n_scales_temporal=2, condition_video=True,
                    n_filters_d=4, n_layers_d=2, score_raw=True, w_feature=10.0, w_flow=10.0, w_warp=10.0, w_temporal=10.0, w_mask=0.0,
                    w_pixel=1.0, w_perceptual=0.0, perceptual="none"),
    "pix2pixhd": dict(n_filters=4, n_down=2, n_blocks=1, n_local=0, n_blocks_local=1, instance_edges=True, styles="none",
                      styles_at="input", norm="instance", n_scales=2, n_filters_d=4, n_layers_d=2, w_feature=10.0, w_pixel=1.0,
                      w_perceptual=0.0, perceptual="none"),
    "covst": dict(n_filters=4, n_down=2, n_blocks=1, n_local=0, n_blocks_local=1, instance_edges=True, norm="instance",
                  n_filters_mask=4, w_coherence=1.0, w_occlusion=1.0),
    "copy_last": {},
    "forecast": dict(n_filters=4, n_down=2, n_blocks=1, n_seen=3, flow_scale=5.0, w_flow=0.1),
}
NAMES = sorted(path.stem for path in (Path(v2vbench.__file__).parent / "models").glob("[!_]*.py"))
SHAPE = dict(n_frames=10, n_warmup=0, batch_size=2, seed=0, double_every=0, drop_parts=0.0)


def build(name, **changes):
    torch.manual_seed(0)
    return params.bind(find("models", name).Model, SMALL[name] | changes, name, facts=facts())


@pytest.fixture
def clip(store):
    return clips.Windows(store, **SHAPE).batch(0)


@pytest.mark.parametrize("name", NAMES)
def test_contract(name, clip):
    model = build(name)
    assert find("models", name).__doc__ and model.__doc__
    parts = model.parts()
    held = {id(p) for part in parts.values() for p in part}
    assert held == {id(p) for p in model.parameters() if p.requires_grad} and len(held) == sum(len(part) for part in parts.values())
    if parts:
        losses = model.losses(clip)
        assert all(losses[part].ndim == 0 and losses[part].isfinite() for part in parts)
        assert not any(value.requires_grad for term, value in losses.items() if term not in parts)
    if getattr(find("models", name), "MAKES_VIDEO", True):
        n = model.n_past
        one = {key: value[:1, :n + 1] for key, value in clip.items() if key in ("source", "instance", *getattr(model, "NEEDS", ()))}
        frame = model.generate(one, clip["real"][:1, :n], {})
        assert frame.shape == (1, 3, *facts().size) and frame.abs().max() <= 1


@pytest.mark.parametrize("name", ["vid2vid", "pix2pixhd"])
def test_each_loss_moves_its_own_part(name, clip):
    model = build(name)
    losses, parts = model.losses(clip), model.parts()
    for part, owned in parts.items():
        model.zero_grad(set_to_none=True)
        losses[part].backward(inputs=owned, retain_graph=True)
        moved = {id(p) for p in model.parameters() if p.grad is not None}
        assert moved == {id(p) for p in owned}, part
        assert all(p.grad.isfinite().all() for p in owned)


def test_video_discriminator_reaches_flow_and_mask(clip):
    model = build("vid2vid", w_feature=0.0, w_flow=0.0, w_warp=0.0, w_temporal=0.0, w_pixel=0.0)
    out = model.rollout(clip, [clip["real"][:, :2]])
    picks = vid2vid.triplets(out["fake"].shape[1], 1)
    seen = torch.cat([model._triplet(out["fake"], clip["flow"][:, model.n_past - 1:], pick) for pick in picks])
    model.D_video[1](seen)[0][-1].sum().backward()
    assert model.G[0].flow[0].weight.grad.abs().sum() > 0 and model.G[0].mask[0].weight.grad.abs().sum() > 0


def test_past_gives_no_gradient(clip):
    """Frame t is painted from detached frames, so its loss cannot reach an earlier frame's forward pass (section 4)."""
    out = build("vid2vid").rollout(clip, [clip["real"][:, :2]])
    assert not out["past"].requires_grad
    grads = torch.autograd.grad(out["fake"][:, -1].sum(), out["fake"], allow_unused=True)[0]
    assert grads[:, :-1].abs().max() == 0 and grads[:, -1].min() == 1


def test_warm_up_is_the_start_of_one_long_rollout(store):
    """Frames painted after a warm-up equal those of one roll-out over the whole window."""
    windows, model = clips.Windows(store, n_frames=5, n_warmup=6, batch_size=1, seed=0, double_every=0, drop_parts=0.0), build("vid2vid")
    clip = next(clip for clip in map(windows.batch, range(20)) if clip["n_warmup"] == 4)
    whole = model.rollout(clip, [clip["real"][:, :2]])["fake"]
    later, pasts = model.warm_up(clip)
    assert later["real"].shape[1] == 5 and later["flow"].shape[1] == 4 and not pasts[0].requires_grad
    assert torch.allclose(model.rollout(later, pasts)["fake"], whole[:, -3:], atol=1e-5)


def test_blend_is_equation_4(clip):
    model = build("vid2vid", foreground=[])
    out = model.rollout(clip, [clip["real"][:, :2]])
    warped = v2vbench.flow.warp(out["past"].flatten(0, 1), out["flow"].flatten(0, 1))
    mask, raw = out["mask"].flatten(0, 1), out["raw"].flatten(0, 1)
    assert torch.allclose(out["fake"].flatten(0, 1), mask * raw + (1 - mask) * warped, atol=1e-6)
    assert 0 <= mask.min() and mask.max() <= 1


@pytest.mark.parametrize("composition", ["over", "inside"])
def test_foreground_is_painted_from_labels_alone(clip, composition):
    """Another past changes nothing on the foreground where it is laid over the blend; inside the blend it does."""
    model = build("vid2vid", composition=composition)
    source = _blocks.encode(clip, facts(), True)[:, :3]
    first, second = (model.step([source], [past])[0] for past in (clip["real"][:, :2], clip["real"][:, 4:6]))
    front = source[:, -1, 2:3] > 0
    assert front.any() and not torch.equal(first["fake"] * ~front, second["fake"] * ~front)
    assert torch.equal(first["raw"] * front, second["raw"] * front)
    assert torch.equal(first["fake"] * front, second["fake"] * front) == (composition == "over")


def test_without_flow_every_frame_is_raw(clip):
    out = build("vid2vid", with_flow=False).rollout(clip, [clip["real"][:, :2]])
    assert "flow" not in out and torch.equal(out["fake"], out["raw"])


@pytest.mark.parametrize("n, scale, windows", [(4, 0, [[1, 2, 3]]), (6, 0, [[3, 4, 5], [0, 1, 2]]), (8, 1, [[1, 4, 7]]), (6, 1, []),
                                               (19, 2, [[0, 9, 18]])])
def test_triplets(n, scale, windows):
    assert vid2vid.triplets(n, scale) == windows


def test_composed_flow_is_the_sum_of_a_constant_motion():
    flow = torch.tensor([1.5, -2.0]).view(1, 1, 2, 1, 1).expand(1, 5, 2, 8, 8)
    assert torch.allclose(vid2vid.compose(flow, 1, 4), 3 * flow[:, 0])


def test_edges_and_one_hot():
    instance = torch.zeros(1, 1, 4, 4, dtype=torch.long)
    instance[..., 2:] = 7
    assert _blocks.edges(instance)[0, 0].tolist() == [[0, 1, 1, 0]] * 4
    source = torch.tensor([[[[0, 2], [255, 1]]]])
    assert _blocks.encode({"source": source}, facts(), False)[0, 0].sum(0).tolist() == [[1, 1], [0, 1]]


def test_faults_are_named(clip):
    with pytest.raises(params.Fault, match="foreground: no label monster in sliding; there are even, odd, square"):
        build("vid2vid", foreground=["monster"])
    with pytest.raises(params.Fault, match="n_frames: 2 is too short|leaves nothing"):
        build("vid2vid").losses({key: value[:, :2] if torch.is_tensor(value) else 0 for key, value in clip.items()})
    with pytest.raises(params.Fault, match="too short for 2 temporal scales"):
        build("vid2vid").losses(
            {key: value[:, :5 if key in ("real", "source", "instance") else 4] for key, value in clip.items() if torch.is_tensor(value)}
            | {"n_warmup": 0, "step": 0})
    with pytest.raises(params.Fault, match="instance_edges: false"):
        build("pix2pixhd").losses({key: value for key, value in clip.items() if key != "instance"})


def test_forecast_learns_a_constant_motion(store):
    """On the sliding world the next labels follow from two frames; a trained net beats copying the last ones."""
    model, windows = build("forecast"), clips.Windows(store, n_frames=6, n_warmup=0, batch_size=4, seed=0, double_every=0, drop_parts=0.0)
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(60):
        optimiser.zero_grad()
        model.losses(windows.batch(step))["G"].backward()
        optimiser.step()
    right = copied = 0.0
    for name in store.split("seen"):
        source = clips.tensors(store.read(name, arrays=["label"]))["source"][None]
        right += (model.forecast(source[:, :6], 3) == source[:, 6:9]).float().mean() / 3
        copied += (source[:, 5:6] == source[:, 6:9]).float().mean() / 3
    assert right > copied + 0.02, (right, copied)


def test_forecast_instances_are_connected_regions():
    source = torch.tensor([[[[1, 1, 0, 2], [0, 0, 0, 2], [1, 0, 2, 0]]]])
    assert forecast.instances(source, [1, 2]).tolist() == [[[[1, 1, 0, 3], [0, 0, 0, 3], [2, 0, 4, 0]]]]
