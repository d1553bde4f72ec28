"""PredNet against its equations in NumPy, its loss against its own predictions, and that it learns."""

import numpy as np
import pytest
import torch
from conftest import facts, sliding_clip
from scipy.signal import correlate2d
from torch.nn import functional as F

from v2vbench.models import prednet
from v2vbench.models._recurrent import ConvLSTMCell
from v2vbench.params import Fault, bind

KWARGS = dict(n_channels=[4, 6], layer_loss="L0", n_seen=3)
NOISE = torch.Generator()


def model(seed=0, size=(32, 64), **changes) -> prednet.Model:
    torch.manual_seed(seed)
    return bind(prednet.Model, KWARGS | changes, "predictors.prednet.kwargs", facts=facts(size=size))


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
    """Random biases: those of an untrained model are 0, which would hide a bias in the wrong place."""
    with torch.no_grad():
        for name, value in net.named_parameters():
            if name.endswith("bias"):
                value.uniform_(-0.5, 0.5)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def conv(x, layer):
    """Cross-correlation with zero borders, from SciPy: (C, H, W) to (D, H, W)."""
    weight, bias = (value.detach().double().numpy() for value in (layer.weight, layer.bias))
    return np.stack([sum(correlate2d(a, k, "same") for a, k in zip(x, w)) + b for w, b in zip(weight, bias)])


def by_hand(net: prednet.Model, frames: np.ndarray, n_steps: int) -> tuple[list, list]:
    """The paper's eq. 1-4 in float64 for (T, 3, H, W) in [0, 1]: predictions, and errors of each layer, per step."""
    shapes = [(n, frames.shape[2] // 2**layer, frames.shape[3] // 2**layer) for layer, n in enumerate(net.widths)]
    r, c = [np.zeros(s) for s in shapes], [np.zeros(s) for s in shapes]
    e = [np.zeros((2 * s[0], *s[1:])) for s in shapes]
    predictions, history = [], []
    for t in range(n_steps):
        for layer in (2, 1, 0):
            up = [] if layer == 2 else [np.kron(r[layer + 1], np.ones((1, 2, 2)))]
            gates = conv(np.concatenate([e[layer], *up, r[layer]]), net.represent[layer].gates)
            i, f, o, g = np.split(gates, 4)
            c[layer] = sigmoid(f) * c[layer] + sigmoid(i) * np.tanh(g)
            r[layer] = sigmoid(o) * np.tanh(c[layer])
        a, e = frames[t] if t < len(frames) else predictions[-1], []
        for layer in range(3):
            guess = np.maximum(conv(r[layer], net.predictions[layer]), 0)
            if layer == 0:
                guess = np.minimum(guess, 1)
                predictions.append(guess)
            e.append(np.concatenate([np.maximum(a - guess, 0), np.maximum(guess - a, 0)]))
            if layer < 2:
                rectified = np.maximum(conv(e[layer], net.targets[layer]), 0)
                d, h, w = rectified.shape
                a = rectified.reshape(d, h // 2, 2, w // 2, 2).max((2, 4))
        history.append(e)
    return predictions, history


def test_the_cell_is_the_lstm_of_each_pixel_where_kernels_have_one():
    torch.manual_seed(0)
    cell = ConvLSTMCell(2, 3, 1, forget_bias=1.0)
    xs = torch.randn(4, 1, 2, 3, 5)
    state = None
    for x in xs:
        h, state = cell(x, state)
    weight, bias = cell.gates.weight[:, :, 0, 0].detach().double().numpy(), cell.gates.bias.detach().double().numpy()
    for y, x in np.ndindex(3, 5):
        hidden, memory = np.zeros(3), np.zeros(3)
        for value in xs[:, 0, :, y, x].double().numpy():
            i, f, o, g = np.split(weight @ np.concatenate([value, hidden]) + bias, 4)
            memory = sigmoid(f + 1) * memory + sigmoid(i) * np.tanh(g)
            hidden = sigmoid(o) * np.tanh(memory)
        np.testing.assert_allclose(h[0, :, y, x].detach(), hidden, atol=1e-6)
        np.testing.assert_allclose(state[1][0, :, y, x].detach(), memory, atol=1e-6)


def test_predictions_errors_and_losses_are_those_of_the_equations():
    net = model(size=(8, 12), layer_loss="Lall")
    shake(net)
    real = video(1, 1, 6, (8, 12))
    frames = (real[0].double().numpy() + 1) / 2
    expected, errors = by_hand(net, frames[:3], 6)
    predictions, history = net.unroll((real[:, :3] + 1) / 2, 6)
    for t in range(6):
        np.testing.assert_allclose(predictions[t][0].detach(), expected[t], atol=1e-5)
        for layer in range(3):
            np.testing.assert_allclose(history[t][layer][0].detach(), errors[t][layer], atol=1e-5)
    of_frames = np.mean([abs(expected[t] - frames[t]).mean() / 2 for t in range(1, 6)])
    of_layers = 0.1 * sum(errors[t][layer].mean() for t in (1, 2) for layer in (1, 2)) / 5
    losses = net.losses(batch(real))
    assert losses["G_frames"].item() == pytest.approx(of_frames, rel=1e-5)
    assert losses["G_layers"].item() == pytest.approx(of_layers, rel=1e-5)
    assert losses["G"].item() == pytest.approx(of_frames + of_layers, rel=1e-5)
    assert errors[2][0].mean() == pytest.approx(abs(expected[2] - frames[2]).mean() / 2)  # E_0 is half of L1


def test_the_first_error_is_the_frame_itself():
    net = model()
    frames = (video(2, 2, 1) + 1) / 2
    predictions, history = net.unroll(frames, 1)
    assert not predictions[0].any()
    assert torch.equal(history[0][0], torch.cat([frames[:, 0], torch.zeros_like(frames[:, 0])], 1))


def test_no_prediction_is_brighter_than_white():
    net = model()
    with torch.no_grad():
        net.predictions[0].bias += 5
    assert (net.predict({"real": video(2, 1, 2)}, 3, NOISE) == 1).all()


@pytest.mark.parametrize("n_seen", [1, 3, 6, 9])
def test_the_loss_is_of_predictions_that_saw_no_later_frame(n_seen):
    """`predict` is given the past alone, and the loss equals half of L1 to what it returns, in [0, 1]."""
    net = model(n_seen=n_seen)
    shake(net)
    real = video(3, 1, 6)
    last = min(n_seen, 5)  # real frames before the predictions in one go
    predictions = [net.predict({"real": real[:, :t]}, 1, NOISE) for t in range(1, last)]
    predicted = torch.cat([*predictions, net.predict({"real": real[:, :last]}, 6 - last, NOISE)], 1)
    expected = abs(predicted.double().numpy() - real[:, 1:].double().numpy()).mean() / 4
    assert net.losses(batch(real))["G"].item() == pytest.approx(expected, rel=1e-5)


def test_a_clip_leaves_no_state_behind():
    net = model()
    one, other = ({"real": video(seed, 1, 4)} for seed in (4, 5))
    alone = net.predict(other, 3, NOISE)
    net.predict(one, 3, NOISE)
    assert torch.equal(net.predict(other, 3, NOISE), alone)
    assert not torch.equal(net.predict(one, 3, NOISE), alone)


def test_shapes_and_ranges():
    for n_past, n_future in ((1, 1), (2, 7)):
        frames = model().predict({"real": video(6, 1, n_past)}, n_future, NOISE)
        assert frames.shape == (1, n_future, 3, 32, 64) and frames.abs().max() <= 1


def test_parameters_at_the_papers_size():
    """By hand: four gates, a prediction and a target of each layer, 3 x 3 weights per pair of channels and a bias."""
    with torch.device("meta"):
        net = model(n_channels=[48, 96, 192])
    n = [3, 48, 96, 192]
    gates = sum(4 * a * (9 * (2 * a + a + above) + 1) for a, above in zip(n, [48, 96, 192, 0]))
    predictions = sum(a * (9 * a + 1) for a in n)
    targets = sum(above * (9 * 2 * a + 1) for a, above in zip(n, n[1:]))
    count = sum(value.numel() for value in net.parts()["G"])
    assert count == gates + predictions + targets == 6915948
    assert round(count / 1e6, 1) == 6.9  # as published


@pytest.mark.parametrize("layer_loss", ["L0", "Lall"])
def test_every_parameter_is_trained(layer_loss):
    net = model(layer_loss=layer_loss)
    shake(net)
    assert {id(value) for value in net.parts()["G"]} == {id(value) for value in net.parameters()}
    net.losses(batch(video(7, 2, 6)))["G"].backward()
    assert [name for name, value in net.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_it_learns_what_moves():
    """After a few seconds its errors are well below those of the mean of all frames, which is learned first."""
    clips = sliding()
    net, history = model(size=(16, 32), n_channels=[8, 16], n_seen=5), []
    optimiser = torch.optim.Adam(net.parts()["G"], lr=1e-2)
    for step in range(60):
        loss = net.losses(windows(clips, 7, step))["G"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(loss.item())
    assert np.mean(history[-10:]) < 0.75 * (clips - clips.mean((0, 1, 3, 4), keepdim=True)).abs().mean().item() / 4


def test_what_does_not_fit_is_refused():
    with pytest.raises(Fault, match="n_channels: frames of sliding are 32 x 64, and 64 does not divide both sides"):
        model(n_channels=[1] * 6)
    with pytest.raises(Fault, match="layer_loss: 'L2' is not one of 'L0', 'Lall'"):
        model(layer_loss="L2")
    with pytest.raises(Fault, match=r"n_channels\[1\]: 0 is out of range"):
        model(n_channels=[4, 0])
    with pytest.raises(Fault, match="a window of 1 leaves nothing to predict"):
        model().losses(batch(video(8, 1, 1)))
    with pytest.raises(Fault, match="n_warmup"):
        model().losses(batch(video(8, 1, 4)) | {"n_warmup": 1})
