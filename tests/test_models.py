"""The contract for every model found, gradients that reach what they should, and what each setting of a model does."""

import copy
import dataclasses
import hashlib
from pathlib import Path

import pytest
import torch
from conftest import facts
from test_contracts import kwargs_of_models
from torch import nn
from torch.nn import functional as F

import v2vbench
from v2vbench import find, params
from v2vbench.clips.flow import warp
from v2vbench.clips.store import CHUNK
from v2vbench.clips.tensors import to_tensors
from v2vbench.clips.windows import Windows
from v2vbench.download import weights
from v2vbench.models import Predictor, VideoModel, _blocks, _temporal, is_discriminator
from v2vbench.models import _losses as losses
from v2vbench.models import _styles as styles
from v2vbench.stages import synthesize
from v2vbench.stages._predict import instances

SMALL = {
    "vid2vid": dict(
        n_past=2,
        n_filters=4,
        n_down=2,
        n_blocks=2,
        n_scales_spatial=1,
        n_blocks_local=1,
        n_frozen_steps=0,
        n_backprop=0,
        from_nothing=False,
        instance_edges=True,
        styles="none",
        norm="batch",
        foreground=["square"],
        composition="over",
        with_flow=True,
        flow_scale=20.0,
        resample="bilinear",
        upsample="transposed",
        n_scales=2,
        n_scales_temporal=2,
        condition_video=True,
        n_filters_d=4,
        n_layers_d=2,
        score_raw=True,
        w_feature=10.0,
        w_flow=10.0,
        w_warp=10.0,
        w_temporal=10.0,
        w_mask=0.0,
        w_pixel=1.0,
        w_perceptual=0.0,
        perceptual="none",
    ),
    "pix2pixhd": dict(
        n_filters=4,
        n_down=2,
        n_blocks=1,
        n_local=0,
        n_blocks_local=1,
        instance_edges=True,
        styles="none",
        styles_at="input",
        norm="instance",
        upsample="transposed",
        n_scales=2,
        n_filters_d=4,
        n_layers_d=2,
        w_feature=10.0,
        w_pixel=1.0,
        w_perceptual=0.0,
        perceptual="none",
    ),
    "covst": dict(
        n_filters=4,
        n_down=2,
        n_blocks=1,
        n_local=0,
        n_blocks_local=1,
        instance_edges=True,
        norm="instance",
        upsample="transposed",
        n_filters_mask=4,
        w_coherence=1.0,
        w_occlusion=1.0,
    ),
    "copy_last": {},
    "forecast": dict(n_filters=4, n_down=2, n_blocks=1, n_seen=3, flow_scale=5.0, w_flow=0.1),
    "segmenter": dict(n_filters=4, n_down=2, blur=1.0, noise=8.0, brightness=0.1),
    "locator": dict(
        n_points=2, n_filters=4, n_down=2, spread=2.0, shift=4.0, zoom=0.1, blur=1.0, noise=8.0, brightness=0.1
    ),
}
SMALL |= {
    name: kwargs | {key: n for key, n in (("n_seen", 3), ("n_future", 7)) if key in kwargs}  # windows have 10 frames
    for name, kwargs in kwargs_of_models().items()
    if name not in SMALL
}
NAMES = sorted(path.stem for path in (Path(v2vbench.__file__).parent / "models").glob("[!_]*.py"))
NAMES.remove("external")  # makes no frame without a folder of videos: tests/test_external.py
STYLES = dict(n_features=3, n_filters=4, n_down=1, mixture="gauss", n_components=2, min_px=4, seed=0)
SHAPE = dict(n_frames=10, n_warmup=0, batch_size=2, seed=0, double_every=0, drop_parts=0.0)


def build(name, **changes):
    torch.manual_seed(0)
    return params.bind(find("models", name).Model, SMALL[name] | changes, name, facts=facts())


def fine(n_scales, **changes):
    """vid2vid at n spatial scales, as small as can be."""
    return build(
        "vid2vid", **dict(n_scales_spatial=n_scales, n_filters=8, n_down=1, n_scales=1, n_scales_temporal=1) | changes
    )


def watch(*nets):
    """For each net a list that fills with (args, outputs), call by call."""
    calls = [[] for _ in nets]
    for net, own in zip(nets, calls):
        net.register_forward_hook(lambda _, args, out, own=own: own.append((args, copy.copy(out))))
    return calls


def window(store, n_frames, n_warmup=0):
    """A batch of one window with just so many frames of warm-up."""
    windows = Windows(store, **SHAPE | dict(n_frames=n_frames, n_warmup=n_warmup, batch_size=1))
    return next(clip for clip in map(windows.batch, range(200)) if clip["n_warmup"] == n_warmup)


@torch.no_grad()
def used(model, clip):
    """The video (1, T, 3, H, W) as in synthesis, `generate` called frame by frame, but without rounding to 8 bits."""
    video, memory = clip["real"][:, : 0 if model.from_nothing else model.n_past], {}
    for t in range(video.shape[1], clip["real"].shape[1]):
        start = max(0, t - model.n_past)
        frame = model.generate(
            {name: clip[name][:, start : t + 1] for name in ("source", "instance")}, video[:, start:], memory
        )
        video = torch.cat([video, frame[:, None]], 1)
    return video


@pytest.fixture
def clip(store):
    return Windows(store, **SHAPE).batch(0)


@pytest.mark.parametrize("name", NAMES)
def test_contract(name, clip):
    model = build(name)
    assert model.__doc__
    parts = model.parts()
    held = {id(p) for part in parts.values() for p in part}
    assert held == {id(p) for p in model.parameters() if p.requires_grad} and len(held) == sum(
        len(part) for part in parts.values()
    )
    if parts:
        n = clip["real"].shape[:2]
        losses = model.losses(
            clip | {"label": clip["source"], "keypoints": torch.tensor([[20.0, 9.0], [31.0, 16.0]]).expand(*n, 2, 2)}
        )
        assert all(losses[part].ndim == 0 and losses[part].isfinite() for part in parts)
        assert not any(value.requires_grad for term, value in losses.items() if term not in parts)
    if isinstance(model, VideoModel):
        n = model.n_past
        one = {key: value[:1, : n + 1] for key, value in clip.items() if key in ("source", "instance", *model.NEEDS)}
        frame = model.generate(one, clip["real"][:1, :n], {})
        assert frame.shape == (1, 3, *facts().size) and frame.abs().max() <= 1
    if isinstance(model, Predictor):
        keeps_the_contract(model, clip)


def keeps_the_contract(model, clip):
    """Futures of 1 and of 3 frames after 6, of the right shape and range; equal seeds give equal ones."""
    for n_future in (1, 3):
        n = 6 + (n_future if model.CEILING else 0)
        seen = {name: clip[name][:1, : n - (name in ("flow", "occluded"))] for name in model.SEES}
        before = {name: value.clone() for name, value in seen.items()}
        first, again, other = (
            model.predict(dict(seen), n_future, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
        )
        assert torch.equal(first, again) and (model.STOCHASTIC or torch.equal(first, other))
        assert all(torch.equal(value, before[name]) for name, value in seen.items())
        assert not first.requires_grad
        if model.PREDICTS == "labels":
            assert first.shape == (1, n_future, *facts().size) and not first.is_floating_point()
            assert 0 <= first.min() and first.max() < len(facts().label_names)
        else:
            assert first.shape == (1, n_future, 3, *facts().size) and first.isfinite().all() and first.abs().max() <= 1


def test_the_last_frame_held_and_the_labels_given_are_just_that(store):
    clip = {name: value[None] for name, value in to_tensors(store.read(store.split("seen")[0])).items()}
    noise = torch.Generator()
    held = build("copy_last").predict({"real": clip["real"][:, :4]}, 5, noise)
    assert held.shape[1] == 5 and all(torch.equal(held[:, t], clip["real"][:, 3]) for t in range(5))
    assert not torch.equal(clip["real"][:, 2], clip["real"][:, 3])  # the last one, and no other
    given = build("true_labels").predict({"source": clip["source"][:, :9]}, 5, noise)
    assert torch.equal(given, clip["source"][:, 4:9])
    assert (given[:, 1:] != given[:, :-1]).any()  # which is no held label
    for name in ("true_labels", "forecast"):
        with pytest.raises(params.Fault, match=f"{name} .*labels, and the source of sliding is maps"):
            params.bind(find("models", name).Model, SMALL[name], name, facts=facts(source="maps"))


def test_names_of_discriminators():
    names = {
        "D.0.weight": 1,
        "D_image.a": 1,
        "D_video0.b": 1,
        "D": 1,
        "Deep.a": 0,
        "G.D.a": 0,
        "G.D_image.b": 0,
        "d": 0,
    }
    assert {name: int(is_discriminator(name)) for name in names} == names


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
    picks = _temporal.triplets(out["fake"].shape[1], 1)
    seen = _temporal.stack(out["fake"], clip["flow"][:, model.n_past :], model.flow_scale, picks)
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
    windows, model = (
        Windows(store, n_frames=5, n_warmup=6, batch_size=1, seed=0, double_every=0, drop_parts=0.0),
        build("vid2vid"),
    )
    clip = next(clip for clip in map(windows.batch, range(20)) if clip["n_warmup"] == 4)
    whole = model.rollout(clip, [clip["real"][:, :2]])["fake"]
    later, pasts = model.warm_up(clip)
    assert later["real"].shape[1] == 5 and later["flow"].shape[1] == 4 and not pasts[0].requires_grad
    assert torch.allclose(model.rollout(later, pasts)["fake"], whole[:, -3:], atol=1e-5)


def test_blend_is_equation_4(clip):
    model = build("vid2vid", foreground=[])
    out = model.rollout(clip, [clip["real"][:, :2]])
    warped = warp(out["past"].flatten(0, 1), out["flow"].flatten(0, 1))
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


@pytest.mark.parametrize(
    "n, scale, windows",
    [(4, 0, [[1, 2, 3]]), (6, 0, [[3, 4, 5], [0, 1, 2]]), (8, 1, [[1, 4, 7]]), (6, 1, []), (19, 2, [[0, 9, 18]])],
)
def test_triplets(n, scale, windows):
    assert _temporal.triplets(n, scale) == windows


def test_composed_flow_is_the_sum_of_a_constant_motion():
    flow = torch.tensor([1.5, -2.0]).view(1, 1, 2, 1, 1).expand(1, 5, 2, 8, 8)
    assert torch.allclose(_temporal.compose(flow, 1, 4), 3 * flow[:, 0])


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
            {
                key: value[:, : 5 if key in ("real", "source", "instance") else 4]
                for key, value in clip.items()
                if torch.is_tensor(value)
            }
            | {"n_warmup": 0, "step": 0}
        )
    with pytest.raises(params.Fault, match="instance_edges: false"):
        build("pix2pixhd").losses({key: value for key, value in clip.items() if key != "instance"})


def test_forecast_learns_a_constant_motion(store):
    """On the sliding world the next labels follow from two frames; a trained net beats copying the last ones."""
    model, windows = (
        build("forecast"),
        Windows(store, n_frames=6, n_warmup=0, batch_size=4, seed=0, double_every=0, drop_parts=0.0),
    )
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(60):
        optimiser.zero_grad()
        model.losses(windows.batch(step))["G"].backward()
        optimiser.step()
    right = copied = 0.0
    for name in store.split("seen"):
        source = to_tensors(store.read(name, arrays=["label"]))["source"][None]
        right += (model.predict({"source": source[:, :6]}, 3, torch.Generator()) == source[:, 6:9]).float().mean() / 3
        copied += (source[:, 5:6] == source[:, 6:9]).float().mean() / 3
    assert right > copied + 0.02, (right, copied)


def test_forecast_goes_on_from_its_own_labels(store):
    """A longer future begins with the shorter one, and a past of another order gives another future."""
    model = build("forecast")
    source = to_tensors(store.read(store.split("seen")[0], arrays=["label"]))["source"][None]
    long, short = (model.predict({"source": source[:, :6]}, n, torch.Generator()) for n in (5, 2))
    assert torch.equal(long[:, :2], short)
    turned = torch.cat([source[:, :6].flip(-1)[:, :5], source[:, 5:6]], 1)
    assert not torch.equal(model.predict({"source": turned}, 5, torch.Generator()), long)


def test_instances_of_predicted_labels_are_connected_regions():
    """Numbered from 1 in each frame anew; a label that has no instances has 0."""
    source = torch.tensor([[[[1, 1, 0, 2], [0, 0, 0, 2], [1, 0, 2, 0]], [[3, 0, 0, 0], [3, 0, 2, 2], [0, 0, 0, 0]]]])
    regions = [[[1, 1, 0, 3], [0, 0, 0, 3], [2, 0, 4, 0]], [[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]]]
    assert instances(source, [1, 2]).tolist() == [regions]


# vid2vid, coarse to fine


@pytest.mark.parametrize("n_scales", [2, 3])
def test_each_scale_goes_on_from_its_own_frames(clip, n_scales):
    model = fine(n_scales)
    scales = watch(*model.G)
    with torch.no_grad():
        model.losses(clip)
    for scale, calls in enumerate(scales):
        pasts, fakes = [args[1] for args, _ in calls], [out["fake"] for _, out in calls]
        assert len(calls) == 8 and fakes[0].shape[-2:] == tuple(
            side // 2 ** (n_scales - 1 - scale) for side in facts().size
        )
        assert all(
            torch.equal(later, torch.cat([past[:, 3:], fake], 1)) for past, fake, later in zip(pasts, fakes, pasts[1:])
        )
        real = _blocks.pyramid(clip["real"][:, :2], n_scales)[scale]
        assert torch.equal(pasts[0], real.flatten(1, 2))
    for coarse, finer in zip(scales, scales[1:]):  # it is not the finer frame made smaller
        assert (_blocks.half(finer[0][1]["fake"]) - coarse[0][1]["fake"]).abs().mean() > 0.01


@pytest.mark.parametrize("n_scales", [1, 2, 3])
def test_the_flow_unit_doubles_with_the_size(clip, n_scales):
    model = fine(n_scales)
    for G in model.G:
        nn.init.zeros_(G.flow[0].weight)
        nn.init.constant_(G.flow[0].bias, 0.1)
    scales = watch(*model.G)
    with torch.no_grad():
        model.losses(clip)
    for scale, calls in enumerate(scales):
        assert torch.allclose(calls[0][1]["flow"], torch.tensor(20 * 2.0**scale * 0.1))


@pytest.mark.parametrize(
    "part, at_once",
    [
        ("down_source", True),
        ("down_past", True),
        ("image", True),
        ("motion", True),
        ("front", True),
        ("paint", False),
        ("flow", False),
        ("mask", False),
        ("paint_front", False),
    ],
)
def test_features_of_the_coarser_scale_reach_the_finer(store, part, at_once):
    """A changed trunk changes the finer frame; a changed head only what the coarser scale carries to the next."""
    model, clip = fine(2), window(store, 4)
    before = used(model, clip)
    convolutions = [
        layer for layer in getattr(model.G[0], part).modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
    ]
    with torch.no_grad():
        convolutions[-1].weight.add_(0.1 * torch.randn_like(convolutions[-1].weight))
    after = used(model, clip)
    assert torch.equal(before[:, 2], after[:, 2]) != at_once and not torch.equal(before[:, 3], after[:, 3])


@pytest.mark.parametrize("n_scales", [2, 3])
def test_coarser_heads_get_no_gradient_and_trunks_do(clip, n_scales):
    """The losses are on the finest scale alone."""
    model = fine(n_scales)
    model.losses(clip)["G"].backward()
    for scale, G in enumerate(model.G):
        for name, weight in G.named_parameters():
            is_head = name.split(".")[0] in ("paint", "flow", "mask", "paint_front")
            if is_head and scale < n_scales - 1:
                assert weight.grad is None, name
            elif weight.ndim == 4:
                assert weight.grad.abs().max() > 0, name


@pytest.mark.parametrize("from_nothing", [False, True])
@pytest.mark.parametrize("n_scales", [1, 2, 3])
def test_frame_by_frame_is_the_rollout(store, n_scales, from_nothing):
    model, clip = fine(n_scales, from_nothing=from_nothing), window(store, 6)
    led = model.lead(clip) if from_nothing else clip
    first = led["real"][:, :2] * (not from_nothing)
    with torch.no_grad():
        whole = model.rollout(led, _blocks.pyramid(first, n_scales), first=from_nothing)
        video = used(model, clip)
    assert torch.allclose(video[:, 0 if from_nothing else 2 :], whole["fake"], atol=1e-5)
    assert [past.shape[-1] for past in whole["pasts"]] == [64 // 2**i for i in reversed(range(n_scales))]


@pytest.mark.parametrize("n_backprop", [0, 1, 2])
def test_gradients_reach_back_over_chunks(store, n_backprop):
    """Frames in chunks of n_backprop + 1, each reaching the earlier ones of its own chunk and no others."""
    model, clip = fine(1, n_backprop=n_backprop), window(store, 8)
    (calls,) = watch(model.G[0])
    model.rollout(clip, [clip["real"][:, :2]])
    fakes = [out["fake"] for _, out in calls]
    for t in range(1, 6):
        grads = torch.autograd.grad(fakes[t].square().sum(), fakes[:t], allow_unused=True, retain_graph=True)
        reached = [i for i, grad in enumerate(grads) if grad is not None and grad.abs().max() > 0]
        assert reached == list(range(t // (n_backprop + 1) * (n_backprop + 1), t))


@pytest.mark.parametrize("condition_video, n_channels", [(True, 13), (False, 9)])
def test_an_unconditional_video_discriminator_sees_frames_alone(store, condition_video, n_channels):
    model, clip = fine(1, condition_video=condition_video), window(store, 6)
    (calls,) = watch(model.D_video[0])
    with torch.no_grad():
        plain, moved = (model.losses(clip | {"flow": flow})["D_video0"] for flow in (clip["flow"], clip["flow"] + 3))
    assert {args[0].shape[1] for args, _ in calls} == {n_channels} and (plain != moved) == condition_video


# vid2vid from nothing


@pytest.mark.parametrize("n_warmup", [0, 3])
@pytest.mark.parametrize("n_scales", [1, 2])
def test_from_nothing_paints_in_training_what_it_paints_in_use(store, n_scales, n_warmup):
    """The first frame alone is raw, whether the losses see it or it lies in the warm-up."""
    model, clip = fine(n_scales, from_nothing=True), window(store, 4, n_warmup)
    (calls,) = watch(model.G[-1])
    with torch.no_grad():
        model.losses(clip)
    args, painted = zip(*calls)
    assert [raw_only for *_, raw_only in args] == [True] + [False] * (n_warmup + 3) and not args[0][1].any()
    assert [torch.equal(out["fake"], out["raw"]) for out in painted] == [True] + [False] * (n_warmup + 3)
    with torch.no_grad():
        assert torch.allclose(torch.stack([out["fake"] for out in painted], 1), used(model, clip), atol=1e-5)


@pytest.mark.parametrize("from_nothing", [False, True])
def test_the_masks_loss_is_its_mean_where_the_past_shows_the_frame(store, from_nothing):
    model, clip = fine(1, w_mask=2.0, from_nothing=from_nothing), window(store, 6)
    nn.init.zeros_(model.G[0].mask[0].weight)  # so that the mask is 1/2
    with torch.no_grad():
        terms = model.losses(clip)
        without = fine(1, from_nothing=from_nothing).losses(clip)
    visible, n_painted = (1 - clip["occluded"][:, 0 if from_nothing else 1 :]).sum(), 6 if from_nothing else 4
    assert torch.allclose(terms["G_mask"], 2 * 0.5 * visible / (n_painted * 32 * 64)) and "G_mask" not in without


# What a model starts from


def noise(model):
    return {name: torch.randn_like(value) for name, value in model.state_dict().items()}


@pytest.mark.parametrize(
    "n_scales, taken, takes",
    [
        (1, lambda name: True, lambda name: True),
        (2, lambda name: True, lambda name: True),
        (2, lambda name: name[:2] != "D_", lambda name: name[:2] != "D_"),
        (1, lambda name: True, lambda name: name[:4] == "G.0." or name[:6] == "source"),
        (1, lambda name: name[:2] != "D_", lambda name: name[:4] == "G.0." or name[:6] == "source"),
    ],
    ids=["all", "all of two scales", "generators", "coarser", "coarser generators"],
)
def test_vid2vid_begins_with_what_a_base_has(n_scales, taken, takes, request):
    """All weights; or generators and encoder; or those of the coarser scale, as discriminators need another size."""
    model = fine(2 if "coarser" in request.node.callspec.id else n_scales, styles=STYLES)
    base = noise(fine(n_scales, styles=STYLES))
    before = copy.deepcopy(model.state_dict())
    model.begin({name: value for name, value in base.items() if taken(name)})
    for name, value in model.state_dict().items():
        assert torch.equal(value, base[name] if takes(name) else before[name]), name


@pytest.mark.parametrize(
    "n_base, n_own, change, says",
    [
        (1, 1, lambda own: own.pop("G.0.paint.0.weight"), '"G.0.paint.0.weight"'),
        (1, 1, lambda own: own.pop("D_image.scales.0.layers.0.0.bias"), '"D_image.scales.0.layers.0.0.bias"'),
        (1, 1, lambda own: own.update({"G.0.extra": torch.zeros(1)}), '"G.0.extra"'),
        (1, 1, lambda own: own.update({"G.0.paint.0.bias": torch.zeros(4)}), "size mismatch for G.0.paint.0.bias"),
        (1, 1, lambda own: [own.pop(name) for name in list(own) if name[0] == "G"], "G.0.* is missing, and .* more"),
        (1, 1, lambda own: [own.clear(), own.update(build("pix2pixhd").state_dict())], "G.0.* is missing, and .* more"),
        (2, 1, lambda own: None, "G.1.* is left over, and .* more"),
        (1, 2, lambda own: own.pop("G.0.paint.0.weight"), "G.0.paint.0.weight is missing, and 0 more"),
        (1, 2, lambda own: own.update({"G.0.extra": torch.zeros(1)}), "G.0.extra is left over, and 0 more"),
        (1, 2, lambda own: own.update({"G.0.paint.0.bias": torch.zeros(4)}), "size mismatch for G.0.paint.0.bias"),
    ],
)
def test_a_base_that_does_not_fit_is_refused(n_base, n_own, change, says):
    base = noise(fine(n_base))
    change(base)
    with pytest.raises(RuntimeError, match=says):
        fine(n_own).begin(base)


# pix2pixHD


@pytest.mark.parametrize("n_local", [1, 2])
def test_local_enhancers_look_again_at_twice_the_size(clip, n_local):
    model = build("pix2pixhd", n_local=n_local)
    coarse, *downs = watch(model.G.coarse.down, *model.G.downs)
    model.losses(clip)["G"].backward()
    assert [calls[0][0][0].shape[-1] for calls in (coarse, *downs)] == [
        64 // 2**i for i in reversed(range(n_local + 1))
    ]
    assert all(weight.grad.abs().max() > 0 for weight in model.G.parameters() if weight.ndim == 4)
    x, other = torch.rand(2, 1, model.source.n_channels, 32, 64)
    with torch.no_grad():
        assert torch.equal(model.G(x), model.G.paint(model.G.deep(x), x))
        assert not torch.equal(model.G(x), model.G.paint(model.G.deep(x), other))


STYLED = [
    ("pix2pixhd", dict(styles_at="input")),
    ("pix2pixhd", dict(styles_at="bottleneck")),
    ("pix2pixhd", dict(n_local=1)),
    ("vid2vid", dict(n_scales_spatial=2)),
]


@pytest.mark.parametrize("name, changes", STYLED)
def test_styles_are_for_the_generator_alone(clip, name, changes):
    """The encoder learns from the generator's loss; the discriminator sees what it sees without styles."""
    model = build(name, styles=STYLES, **changes)
    (calls,) = watch(model.D_image)
    model.losses(clip)["G"].backward()
    plain = _blocks.encode(clip, facts(), True)[:, model.n_past :].flatten(0, 1)
    assert all(x.shape[1] == plain.shape[1] + 3 and torch.equal(x[:, :-3], plain) for (x,), _ in calls)
    assert all(weight.grad.abs().max() > 0 for weight in model.source.parameters() if weight.ndim == 4)


@pytest.mark.parametrize("name, changes", STYLED)
def test_styles_are_drawn_by_a_seed_and_held_over_the_clip(store, name, changes):
    model, clip = build(name, styles=STYLES, **changes), {"real": torch.zeros(1, 5, 3, 32, 64)}
    clip |= {
        key: value[None, :5] for key, value in to_tensors(store.read("slide-5", 0, 5, ["label", "instance"])).items()
    }

    def video(*seed):
        return synthesize.rollout(model, clip, 5, clip["real"][0, : model.n_past], *seed)

    assert torch.equal(video(1), video(2))  # not fitted: nothing to draw from
    model.finish(store)
    assert (
        torch.equal(video(1), video(1))
        and not torch.equal(video(1), video(2))
        and torch.equal(video(), video(STYLES["seed"]))
    )
    memory, ids = {}, styles.regions(clip["source"], clip["instance"])
    painted = torch.cat(
        [model.source({key: clip[key][:, t : t + 1] for key in ("source", "instance")}, memory)[1] for t in range(5)], 1
    )
    vectors = [painted.movedim(2, -1)[ids == region].unique(dim=0) for region in ids.unique()]
    assert [len(vector) for vector in vectors] == [1] * 3 and len(torch.cat(vectors).unique(dim=0)) == 3


def test_mixtures_are_those_of_the_training_clips(store):
    """A fitted mixture's mean is the mean of what was encoded; long clips are encoded in pieces."""
    source = build("pix2pixhd", styles=STYLES).source
    (calls,) = watch(source.E)
    source.fit(store)
    assert max(len(args[0]) for args, _ in calls) <= CHUNK and sum(len(args[0]) for args, _ in calls) == 4 * 12
    found = {}
    for name in store.split("train"):
        clip = {key: value[None] for key, value in to_tensors(store.read(name)).items()}
        encoded = source.encoded(clip["real"], styles.regions(clip["source"], clip["instance"])).detach()
        for label in range(3):
            for t in range(12):
                at = clip["source"][0, t] == label
                found.setdefault(label, []).append(encoded[0, t, :, at].mean(1))
    for label, vectors in found.items():
        assert torch.allclose(source.weights[label] @ source.means[label], torch.stack(vectors).mean(0), atol=1e-3)
        assert source.weights[label].sum().item() == pytest.approx(1) and source.factors[label].abs().max() > 0


# The perceptual term


def test_perceptual_is_its_formula_with_hooks():
    """relu1_1, relu2_1, .. relu5_1: the first of each block between the poolings."""
    from torchvision.models import vgg19

    torch.manual_seed(0)
    net, outputs, pooled = vgg19().features, {}, True
    firsts = []
    for layer in net:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
            firsts += [layer] * pooled
            pooled = False
        pooled = pooled or isinstance(layer, nn.MaxPool2d)
    for number, layer in enumerate(firsts, 1):
        layer.register_forward_hook(lambda _, args, out, number=number: outputs.update({number: out}))
    fake, real = (torch.rand(2, 2, 3, 32, 32) * 2 - 1).requires_grad_()
    features = []
    for x in (fake, real):
        net(x)
        features.append(dict(outputs))
    shares = {1: 1 / 32, 2: 1 / 16, 3: 1 / 8, 4: 1 / 4, 5: 1.0}
    expected = 10 * sum(
        share * (features[0][number] - features[1][number]).abs().mean() for number, share in shares.items()
    )
    term = losses.Perceptual(10, net)(fake, real)
    assert len(firsts) == 5 and torch.allclose(term, expected, rtol=1e-5) and term > 0.1
    for_fake, for_real = torch.autograd.grad(term, [fake, real], allow_unused=True)
    assert for_fake.abs().max() > 0
    assert for_real is None


def as_is(weight):
    """The term with a net that changes nothing: so many times an L1."""
    return losses.Perceptual(weight, nn.Sequential(*(nn.Identity() for _ in range(30))))


@pytest.mark.parametrize("width, n_halved", [(1024, 0), (1026, 1), (2048, 1), (2052, 2)])
def test_wide_frames_are_halved_for_the_perceptual_term(width, n_halved):
    fake, real = torch.rand(2, 1, 3, 4, width)
    a, b = (F.avg_pool2d(x, 2**n_halved) for x in (fake, real))
    assert torch.allclose(as_is(2.0)(fake, real), 2 * (1 / 32 + 1 / 16 + 1 / 8 + 1 / 4 + 1) * F.l1_loss(a, b))


@pytest.mark.parametrize("name", ["pix2pixhd", "vid2vid"])
def test_the_perceptual_term_is_part_of_the_objective_and_no_part_of_the_model(monkeypatch, clip, name):
    monkeypatch.setattr(
        find("models", name), "perceptual_loss", lambda kind, weight: as_is(weight) if kind == "vgg19" else None
    )
    model, without = build(name, perceptual="vgg19", w_perceptual=3.0, w_pixel=2.0), build(name, w_pixel=2.0)
    with torch.no_grad():
        terms, others = model.losses(clip), without.losses(clip)
    assert torch.allclose(terms["G_perceptual"], terms["G_pixel"] * 3 / 2 * sum(losses.LAYERS.values()))
    assert torch.allclose(terms["G"], others["G"] + terms["G_perceptual"])
    assert model.state_dict().keys() == without.state_dict().keys()


def test_weights_of_the_perceptual_net_are_the_listed_file_of_its_name(tmp_path, monkeypatch, clip):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(inplace=True))

    monkeypatch.setattr("torchvision.models.vgg19", Net)
    for variable in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.delenv("V2VBENCH_WEIGHTS", raising=False)
    path = tmp_path / "hub" / "checkpoints" / "vgg19-dcbb9e9d.pth"
    (tmp_path / "params.yaml").touch()
    monkeypatch.chdir(tmp_path)
    absent = f"perceptual: weights absent: vgg19.*{path.name}.*fetch weights.*perceptual: none"
    with pytest.raises(params.Fault, match=absent):
        build("pix2pixhd", perceptual="vgg19").losses(clip)
    path.parent.mkdir(parents=True)
    other = Net()
    torch.save(other.state_dict(), path)
    with pytest.raises(params.Fault, match=f"perceptual: {path}: not the file its name says"):
        losses.vgg19_features()
    entry = dataclasses.replace(weights.TABLE["vgg19"], sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setitem(weights.TABLE, "vgg19", entry)
    with pytest.raises(params.Fault, match="perceptual: weights not listed: vgg19, here but not in weights.json"):
        losses.vgg19_features()
    weights.write_manifest(tmp_path)
    features = losses.vgg19_features()
    assert torch.equal(features[0].weight, other.features[0].weight)
    assert not features[0].weight.requires_grad
    assert not features[1].inplace


def test_only_training_needs_the_perceptual_net(clip):
    model = build("pix2pixhd", perceptual="vgg19")
    assert (
        model.generate({"source": clip["source"][:1, :1], "instance": clip["instance"][:1, :1]}, None, {})
        .isfinite()
        .all()
    )
    assert losses.perceptual_loss("none", 1.0) is None
