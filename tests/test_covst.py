"""COVST in closed form where its mask is forced, learns to be coherent, and needs what it says it needs."""

import copy
from functools import partial

import pytest
import torch
from test_models import SHAPE, SMALL, build, used, window
from test_train import few

from v2vbench import params
from v2vbench.clips.flow import warp
from v2vbench.clips.tensors import to_tensors
from v2vbench.clips.windows import Windows
from v2vbench.models import _losses as losses
from v2vbench.stages import _trainer, synthesize

SAME = {name: value for name, value in SMALL["covst"].items() if name in SMALL["pix2pixhd"]}


def pair(gain=20, **changes):
    """A pix2pixHD, with `gain` painting in full range before it is trained, and a COVST that starts from it."""
    base, model = (
        build("pix2pixhd", **SAME | {name: value for name, value in changes.items() if name in SAME}),
        build("covst", **changes),
    )
    with torch.no_grad():
        base.G.head[0].weight.mul_(gain)
    model.begin(base.state_dict())
    return base, model


def force(model, keep):
    """The mask net says one thing everywhere."""
    torch.nn.init.zeros_(model.mask[-2].weight)
    torch.nn.init.constant_(model.mask[-2].bias, 100.0 if keep else -100.0)


def made(model, clip):
    """The video (1, T, 3, H, W) frame by frame, not rounded."""
    frames, memory = [], {}
    for t in range(clip["source"].shape[1]):
        seen = {name: clip[name][:, t : t + 1] for name in ("source", "instance")}
        seen |= {name: clip[name][:, t - 1 : t] for name in ("flow", "occluded")} if t else {}
        frames.append(model.generate(seen, clip["real"][:, :0], memory))
    return torch.stack(frames, 1).detach()


@pytest.fixture
def clip(store):
    return window(store, 6)


def test_with_no_motion_and_all_kept_the_video_freezes(clip):
    base, model = pair()
    force(model, keep=True)
    alone, still = (
        used(base, clip),
        made(model, clip | {name: torch.zeros_like(clip[name]) for name in ("flow", "occluded")}),
    )
    assert torch.allclose(still, alone[:, :1].expand_as(still), atol=1e-3)
    assert (alone[:, 1:] - alone[:, :-1]).abs().mean() > 0.05 and clip["flow"].abs().max() >= 1


@pytest.mark.parametrize("how", ["all is occluded", "nothing is kept"])
@pytest.mark.parametrize("n_local", [0, 1])
def test_where_nothing_is_carried_each_frame_is_pix2pixhds(clip, n_local, how):
    base, model = pair(n_local=n_local)
    if how == "all is occluded":
        clip["occluded"] = torch.ones_like(clip["occluded"])
    else:
        force(model, keep=False)
    assert torch.allclose(made(model, clip), used(base, clip), atol=1e-5)
    force(model, keep=True)
    assert torch.allclose(made(model, clip), used(base, clip), atol=1e-5) == (how == "all is occluded")


def test_features_move_by_the_flow_and_not_where_one_of_their_pixels_is_occluded():
    """At a quarter of the size, 4 px are one feature; the frame's own stands where the flow cannot be trusted."""
    _, model = pair()
    force(model, keep=True)
    deep, before = torch.rand(2, 1, 16, 8, 16)
    flow, occluded = torch.tensor([4.0, -8.0]).view(1, 2, 1, 1).expand(1, 2, 32, 64), torch.zeros(1, 1, 32, 64)
    occluded[0, 0, 13, 22] = 1
    blend = model.blend(deep, before, flow, occluded).detach()
    moved = before[:, :, (torch.arange(8) - 2).clamp(0, 7)][..., (torch.arange(16) + 1).clamp(0, 15)]
    assert torch.equal(blend[..., 3, 5], deep[..., 3, 5])
    moved[..., 3, 5] = deep[..., 3, 5]
    assert torch.allclose(blend, moved, atol=1e-4)


@pytest.mark.parametrize("n_warmup", [0, 3])
def test_the_loss_is_that_of_the_video_made_in_use(store, n_warmup):
    """L1 to the warped last frame where visible, to pix2pixHD's frame where occluded; warm-up frames do not count."""
    (base, model), clip = pair(w_coherence=2.0, w_occlusion=3.0), window(store, 4, n_warmup)
    video, alone, steps = made(model, clip), used(base, clip), range(n_warmup + 1, n_warmup + 4)
    visible = 1 - clip["occluded"]
    coherence = (
        sum(
            ((video[:, t] - warp(video[:, t - 1], clip["flow"][:, t - 1])).abs() * visible[:, t - 1]).mean()
            for t in steps
        )
        / 3
    )
    occlusion = sum(((video[:, t] - alone[:, t]).abs() * (1 - visible[:, t - 1])).mean() for t in steps) / 3
    terms = model.losses(clip)
    assert torch.allclose(terms["G_coherence"], 2 * coherence, rtol=1e-3) and coherence > 0
    assert torch.allclose(terms["G_occlusion"], 3 * occlusion, rtol=1e-3) and occlusion > 0
    assert torch.allclose(terms["G"], terms["G_coherence"] + terms["G_occlusion"])


def test_the_mask_net_alone_moves(store):
    _, model = pair()
    before = copy.deepcopy(model.state_dict())
    trainer = _trainer.Trainer(model, few())
    trainer.update(trainer.to_device(window(store, 4)))
    assert {name for name, value in model.state_dict().items() if not torch.equal(value.cpu(), before[name])} == {
        name for name in before if name.startswith("mask.")
    }


def noisy(clip, share, seed):
    """The clip with so many of its labels drawn anew in each frame: a source that flickers."""
    rng = torch.Generator().manual_seed(seed)
    anew = torch.randint(0, 2, clip["source"].shape, generator=rng)
    return clip | {"source": torch.where(torch.rand(anew.shape, generator=rng) < share, anew, clip["source"])}


@pytest.mark.parametrize("n_down, share, falls_to", [(2, 0.0, 0.97), (0, 0.1, 0.5)])
def test_a_short_training_makes_it_steadier_than_pix2pixhd(store, n_down, share, falls_to):
    """On held-out clips, with the same generator weights; most if the source flickers and features can be warped."""
    base, model = pair(gain=1, n_down=n_down)
    windows = Windows(store, **SHAPE | dict(n_frames=4))
    held = noisy(Windows(store, **SHAPE | dict(seed=9)).batch(0), share, 99)

    def warp_error(maker):
        errors = []
        for name in store.split("seen"):
            clip = noisy({key: value[None] for key, value in to_tensors(store.read(name)).items()}, share, 77)
            video = maker(clip)[0]
            errors.append(losses.temporal_warp(video[1:], video[:-1], clip["flow"][0], 1 - clip["occluded"][0]).item())
        return sum(errors) / len(errors)

    loss, alone, untrained = (
        model.losses(held)["G"].item(),
        warp_error(partial(used, base)),
        warp_error(partial(made, model)),
    )
    trainer = _trainer.Trainer(model, few(steps=30, lr=1e-2, constant_share=1.0))
    for step in range(30):
        trainer.update(trainer.to_device(noisy(windows.batch(step), share, step)))
    model.to("cpu")
    trained = warp_error(partial(made, model))
    assert model.losses(held)["G"].item() < falls_to * loss and trained < falls_to * min(alone, untrained)


def test_without_the_datas_flow_no_video_is_made(clip):
    _, model = pair()
    whole = {name: value for name, value in clip.items() if torch.is_tensor(value)}
    empty = clip["real"][0, :0]
    assert synthesize.rollout(model, whole, 6, empty).shape == (6, 3, 32, 64)
    for name in ("flow", "occluded"):
        without = {other: value for other, value in whole.items() if other != name}
        with pytest.raises(params.Fault, match=f"covst needs the data set's {name}, and this one has none"):
            synthesize.rollout(model, without, 6, empty)
        with pytest.raises(params.Fault, match=f"covst needs the data set's {name}, and this one has none"):
            model.losses({other: value for other, value in clip.items() if other != name})


def test_a_window_of_one_frame_has_nothing_to_be_coherent_with(store):
    _, model = pair()
    with pytest.raises(params.Fault, match="n_frames: a window of 1 leaves nothing"):
        model.losses(window(store, 1))


def test_it_begins_with_pix2pixhds_generator_and_nothing_less():
    base, model = build("pix2pixhd", **SAME), build("covst")
    before = copy.deepcopy(model.state_dict())
    weights = {name: torch.randn_like(value) for name, value in base.state_dict().items()}
    model.begin(weights)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name] if name.startswith("mask.") else weights[name]), name
    model.begin({name: value for name, value in weights.items() if name.startswith("G.")})  # no discriminator is needed
    for change, says in (
        (lambda own: own.pop("G.head.0.bias"), 'Missing key.*"head.0.bias"'),
        (lambda own: own.update({"G.extra": torch.zeros(1)}), 'Unexpected key.*"extra"'),
        (lambda own: own.update({"G.head.0.bias": torch.zeros(4)}), "size mismatch for head.0.bias"),
    ):
        own = dict(weights)
        change(own)
        with pytest.raises(RuntimeError, match=says):
            model.begin(own)
