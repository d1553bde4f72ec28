"""MCnet: closed forms of its losses, what still frames do to its motion, and that it learns."""

import math

import numpy as np
import pytest
import torch
from conftest import facts, sliding_clip
from torch.nn import functional as F

from v2vbench.models import mcnet
from v2vbench.params import Fault, bind

KWARGS = dict(
    n_filters=4, n_seen=3, n_future=2, w_image=1.0, w_gdl=1.0, w_adversarial=0.02, n_filters_d=4, n_layers_d=2
)
NOISE = torch.Generator()


def model(seed=0, size=(32, 64), **changes) -> mcnet.Model:
    torch.manual_seed(seed)
    return bind(mcnet.Model, KWARGS | changes, "predictors.mcnet.kwargs", facts=facts(size=size))


def video(seed: int, n_clips: int, n_frames: int, size=(32, 64)) -> torch.Tensor:
    return torch.rand(n_clips, n_frames, 3, *size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def batch(real: torch.Tensor) -> dict:
    return {"real": real, "n_warmup": 0, "step": 0, "single": False}


def sliding() -> torch.Tensor:
    """Four clips of the sliding world at half the size, blurred so that neighbouring pixels are alike."""
    frames = np.stack([sliding_clip(seed, 12)["real"] for seed in range(4)])
    frames = torch.from_numpy(frames).flatten(0, 1).permute(0, 3, 1, 2) / 127.5 - 1
    blurred = 4 * F.avg_pool2d(frames, 9, 2, 4, count_include_pad=False)
    return blurred.clamp(-1, 1).unflatten(0, (4, 12))


def windows(clips: torch.Tensor, n_frames: int, step: int) -> dict:
    rng = np.random.default_rng(step)
    starts = rng.integers(12 - n_frames + 1, size=4)
    return batch(torch.stack([clips[i, at : at + n_frames] for i, at in zip(rng.integers(4, size=4), starts)]))


def shake(net: torch.nn.Module) -> None:
    """Random biases: those of an untrained model are 0, which would hide a bias in the motion."""
    with torch.no_grad():
        for name, value in net.named_parameters():
            if name.endswith("bias"):
                value.uniform_(-0.2, 0.2)


def test_gradient_difference_is_that_of_numpy():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 2, 3, 3, 5, 7))
    across = abs(abs(np.diff(a, axis=-1)) - abs(np.diff(b, axis=-1))).mean()
    down = abs(abs(np.diff(a, axis=-2)) - abs(np.diff(b, axis=-2))).mean()
    a, b = torch.from_numpy(a), torch.from_numpy(b)
    assert mcnet.gradient_difference(a, b).item() == pytest.approx(across + down, rel=1e-12)
    assert mcnet.gradient_difference(a, a + 0.25).item() == pytest.approx(0, abs=1e-12)
    ramp = torch.arange(7.0).expand(2, 3, 5, 7)
    assert mcnet.gradient_difference(ramp, 0 * ramp).item() == 1
    assert mcnet.gradient_difference(ramp, -ramp).item() == 0  # sizes alone


def test_the_loss_is_of_what_is_predicted_from_the_past_alone():
    net, real = model(), video(1, 1, 5)
    fake, future = (x.double().numpy() for x in (net.predict({"real": real[:, :3]}, 2, NOISE), real[:, 3:]))
    losses = net.losses(batch(real))
    assert losses["G_image"].item() == pytest.approx(((fake - future) ** 2).mean(), rel=1e-5)
    gdl = [abs(abs(np.diff(fake, axis=i)) - abs(np.diff(future, axis=i))).mean() / 2 for i in (-1, -2)]
    assert losses["G_gdl"].item() == pytest.approx(sum(gdl), rel=1e-5)
    assert losses["G"].item() == pytest.approx(sum(losses[f"G_{x}"].item() for x in ("image", "gdl", "gan")), rel=1e-5)


def test_a_discriminator_that_knows_nothing_has_the_loss_of_a_coin():
    net = model()
    with torch.no_grad():
        for value in net.parts()["D_video"]:
            value.zero_()
    losses = net.losses(batch(video(2, 2, 5)))
    assert losses["D_video"].item() == pytest.approx(2 * math.log(2), rel=1e-6)
    assert losses["G_gan"].item() == pytest.approx(0.02 * math.log(2), rel=1e-6)


def test_the_discriminator_sees_past_and_future():
    net, seen = model(), []
    net.D_video.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    real = video(3, 2, 5)
    net.losses(batch(real))
    real_window, fake_window = (x.unflatten(1, (5, 3)) for x in seen)
    assert torch.equal(real_window, real) and torch.equal(fake_window[:, :3], real[:, :3])
    assert torch.equal(fake_window[:, 3:], net.G(real[:, :3], 2))


def test_changes_in_brightness():
    frames = torch.zeros(1, 4, 3, 2, 2)
    frames[:, 1, 0], frames[:, 2:, 1] = 1, -1
    assert mcnet.difference(frames)[0, :, 0, 0, 0].tolist() == pytest.approx([0.1495, -0.1495 - 0.2935, 0])
    still = video(4, 2, 1).expand(-1, 5, -1, -1, -1)
    assert not mcnet.difference(still).any()


def test_still_frames_have_no_motion_at_any_scale():
    net = model().G
    shake(net)
    state = None
    for _ in range(3):
        motion, state = net.move(torch.zeros(1, 1, 32, 64), state)
        assert [tuple(x.shape[1:]) for x in motion] == [(4, 32, 64), (8, 16, 32), (16, 8, 16), (16, 4, 8)]
        assert not any(x.any() for x in [*motion, *state])


def test_after_still_frames_only_the_last_one_counts():
    """However long the view stood still, the prediction is the same to the bit; where it moved, it is another one."""
    net = model()
    shake(net)
    frame = video(5, 1, 1)
    after = [net.predict({"real": frame.expand(-1, n, -1, -1, -1)}, 3, NOISE) for n in (1, 2, 5)]
    assert torch.equal(after[0], after[1]) and torch.equal(after[1], after[2])
    moved = torch.cat([video(6, 1, 1), frame], 1)
    assert not torch.equal(net.predict({"real": moved}, 3, NOISE), after[0])
    assert not torch.equal(net.predict({"real": video(6, 1, 1)}, 3, NOISE), after[0])


def test_predictions_stand_for_frames_that_were_not_read():
    """Two frames in one go are the frames of two calls, the second with the first prediction in its past."""
    net, past = model(), video(7, 1, 3)
    shake(net)
    both = net.predict({"real": past}, 2, NOISE)
    again = net.predict({"real": torch.cat([past, both[:, :1]], 1)}, 1, NOISE)
    np.testing.assert_allclose(both[:, 1:], again, atol=1e-6)


def test_unpooling_leaves_holes():
    x = torch.arange(12.0).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(mcnet.unpool(x), np.kron(x.numpy(), [[1, 0], [0, 0]]))


def test_a_clip_leaves_no_state_behind():
    net = model()
    one, other = ({"real": video(seed, 1, 4)} for seed in (8, 9))
    alone = net.predict(other, 3, NOISE)
    net.predict(one, 3, NOISE)
    assert torch.equal(net.predict(other, 3, NOISE), alone)


def test_shapes_and_ranges():
    for n_past, n_future in ((1, 1), (2, 7)):
        frames = model().predict({"real": video(10, 1, n_past)}, n_future, NOISE)
        assert frames.shape == (1, n_future, 3, 32, 64) and frames.abs().max() <= 1


def test_parameters_at_the_papers_size():
    """By hand, in units of the 64 filters: weights grow with their square, biases and the outer layers with them."""
    with torch.device("meta"):
        net = model(n_filters=64)
    motion, memory = 5**2 * 2 + 7**2 * 8, 3**2 * 8 * 16
    content = 9 * (1 + 2 + 4 + 8 + 2 * 16)
    combine, residuals = 9 * (8 * 4 + 4 * 2 + 2 * 4), 9 * (2 + 1) * (1 + 4 + 16)
    decode = 9 * (1 + 4 + 2 + 2 * 16 + 8)
    linear = (25 + 27 + 27) + (2 * 1 + 2 * 2 + 3 * 4) + (4 + 2 + 4) + 2 * (1 + 2 + 4) + (1 + 2 + 1 + 2 * 4 + 2)
    squared = motion + memory + content + combine + residuals + decode
    assert sum(value.numel() for value in net.parts()["G"]) == 64**2 * squared + 64 * linear + 3 == 14094787


def test_every_parameter_is_trained_by_the_loss_of_its_part():
    net = model()
    parts, names = net.parts(), {id(value): name for name, value in net.named_parameters()}
    assert sorted(id(value) for part in parts.values() for value in part) == sorted(names)
    losses = net.losses(batch(video(11, 2, 5)))
    for part, values in parts.items():
        gradients = torch.autograd.grad(losses[part], values, retain_graph=True)
        assert [names[id(value)] for value, gradient in zip(values, gradients) if not gradient.any()] == []
    blind = model(w_adversarial=0.0).losses(batch(video(11, 2, 5)))
    assert blind["G"].item() == pytest.approx((losses["G_image"] + losses["G_gdl"]).item(), rel=1e-5)


def test_it_learns_what_moves():
    """After a few seconds its squared error is well below that of the mean of all frames, which is learned first."""
    clips = sliding()
    net, history = model(size=(16, 32), n_filters=8, n_seen=4), []
    parts = net.parts()
    optimisers = {name: torch.optim.Adam(part, lr=5e-3) for name, part in parts.items()}
    for step in range(60):
        losses = net.losses(windows(clips, 6, step))
        for name, optimiser in optimisers.items():
            optimiser.zero_grad()
            losses[name].backward(inputs=parts[name], retain_graph=name == "G")
        for optimiser in optimisers.values():
            optimiser.step()
        history.append(losses["G_image"].item())
    assert np.mean(history[-10:]) < 0.65 * (clips - clips.mean((0, 1, 3, 4), keepdim=True)).square().mean().item()


def test_what_does_not_fit_is_refused():
    with pytest.raises(Fault, match="frames of sliding are 32 x 60, and 8 does not divide both sides"):
        model(size=(32, 60))
    with pytest.raises(Fault, match="a window must have n_seen . n_future = 5 frames, not 4"):
        model().losses(batch(video(12, 1, 4)))
    with pytest.raises(Fault, match="n_warmup"):
        model().losses(batch(video(12, 1, 5)) | {"n_warmup": 1})
