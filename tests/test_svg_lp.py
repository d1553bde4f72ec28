"""SVG-LP: its terms in closed form, where its randomness comes from, what its predictions depend on, and learning."""

import pytest
import torch
from conftest import facts, sliding_clip
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from v2vbench.clips.tensors import to_tensors
from v2vbench.models import svg_lp
from v2vbench.params import Fault

TINY = dict(n_seen=3, n_filters=4, n_down=3, n_code=8, n_hidden=12, n_noise=2, w_kl=1e-2)


def model(**changes) -> svg_lp.Model:
    torch.manual_seed(0)
    return svg_lp.Model(facts(), **TINY | changes)


def frames(*shape: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.rand(*shape, 3, 32, 64, generator=torch.Generator().manual_seed(seed)) - 1


def predict(net, real, n_future: int, seed: int = 1) -> torch.Tensor:
    return net.predict({"real": real}, n_future, torch.Generator().manual_seed(seed))


def losses(net, real, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    return net.losses({"real": real, "n_warmup": 0})


def test_divergence_of_two_gaussians():
    mean_q, log_var_q, mean_p, log_var_p = torch.randn(4, 5, 7, generator=torch.Generator().manual_seed(0)).double()
    want = kl_divergence(Normal(mean_q, (log_var_q / 2).exp()), Normal(mean_p, (log_var_p / 2).exp()))
    torch.testing.assert_close(svg_lp.kl(mean_q, log_var_q, mean_p, log_var_p), want)
    assert svg_lp.kl(mean_q, log_var_q, mean_q, log_var_q).abs().max() < 1e-15


@pytest.mark.parametrize("size, n_down", [((32, 64), 3), ((64, 64), 4), ((32, 32), 1)])
def test_number_of_parameters(size, n_down):
    """From the formulae of the layers; each of the four gates of an LSTM has two biases."""
    with torch.device("meta"):
        net = svg_lp.Model(facts(size=size), **TINY | dict(n_down=n_down))
    widths = [3] + [4 * 2**i for i in range(n_down)]
    pixels = size[0] * size[1] // 4**n_down
    encoder = sum(16 * a * b + b + 2 * b for a, b in zip(widths, widths[1:])) + widths[-1] * pixels * 8 + 8
    decoder = (8 + 1) * widths[-1] * pixels + 2 * widths[-1]
    decoder += sum(16 * 2 * b * a + a + 2 * a for a, b in zip(widths[1:], widths[2:])) + 16 * 2 * 4 * 3 + 3
    layer = 4 * (12 * 12 + 12 * 12 + 12 + 12)
    predictor = (8 + 2 + 1) * 12 + 2 * layer + (12 + 1) * 8
    gaussian = (8 + 1) * 12 + layer + (12 + 1) * 2 * 2
    assert sum(weight.numel() for weight in net.parameters()) == encoder + decoder + predictor + 2 * gaussian


def test_equal_seeds_give_equal_futures_and_others_others():
    net, real = model(), frames(1, 3)
    first = predict(net, real, 4)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert torch.equal(first, predict(net, real, 4))
    assert torch.equal(before, torch.get_rng_state()), "drew from the global generator"
    other = predict(net, real, 4, seed=2)
    assert all(not torch.equal(first[:, t], other[:, t]) for t in range(4))
    assert first.shape == (1, 4, 3, 32, 64) and first.abs().max() <= 1


def test_each_future_frame_draws_once_and_the_past_draws_nothing():
    net = model(n_seen=5)
    for n_past in (1, 2, 5):
        noise, same = torch.Generator().manual_seed(7), torch.Generator().manual_seed(7)
        net.predict({"real": frames(1, n_past)}, 3, noise)
        for _ in range(3):
            torch.randn(1, 1, 2, generator=same)
        assert torch.equal(noise.get_state(), same.get_state())


def test_a_shorter_future_is_the_start_of_a_longer_one():
    net, real = model(), frames(1, 3)
    assert torch.equal(predict(net, real, 2), predict(net, real, 5)[:, :2])


def test_a_future_depends_on_the_last_n_seen_frames_in_their_order():
    net, real = model(), frames(1, 5)
    assert torch.equal(predict(net, real, 2), predict(net, real[:, 2:], 2))
    assert not torch.equal(predict(net, real[:, [0, 1, 3, 2, 4]], 2), predict(net, real, 2))


def test_without_spread_all_futures_are_the_same():
    """A prior of variance 0 leaves nothing to draw, so the futures are those of its mean."""
    net, real = model(), frames(1, 3)
    with torch.no_grad():
        net.prior.out.bias[2:] = -200
        net.prior.out.weight[2:] = 0
    assert torch.equal(predict(net, real, 4), predict(net, real, 4, seed=2))


def test_prediction_takes_the_steps_of_training_one_by_one(monkeypatch):
    """With no spread anywhere and the posterior in the prior's place, the first future frame is the one of `losses`."""
    net, real, decoded = model(), frames(1, 4), []
    with torch.no_grad():
        for gaussian in (net.prior, net.posterior):
            gaussian.out.weight.zero_()
            gaussian.out.bias.copy_(torch.tensor([0.3, -0.2, -200, -200]))
    monkeypatch.setattr(svg_lp.F, "mse_loss", lambda made, target: decoded.append(made) or made.sum())
    losses(net, real)
    torch.testing.assert_close(predict(net, real[:, :3], 1)[:, 0], decoded[0][-1:], rtol=0, atol=1e-5)


def test_predictions_depend_on_no_other_clip_of_the_batch():
    net, real = model(), frames(2, 3)
    with torch.no_grad():
        net.prior.out.bias[2:] = -200
    for i in range(2):
        torch.testing.assert_close(predict(net, real, 2)[i], predict(net, real[i : i + 1], 2)[0], rtol=0, atol=1e-5)


def test_loss_is_error_and_weighted_divergence():
    net, real = model(), frames(2, 5)
    terms = losses(net, real)
    assert set(terms) == {"G", "G_error", "G_divergence"} and not terms["G_error"].requires_grad
    assert float(terms["G"].detach()) == pytest.approx(float(terms["G_error"] + 1e-2 * terms["G_divergence"]))
    codes = net.encode(real)[0].detach()
    (mean, log_var), (mean_p, log_var_p) = (
        part(sequence)[0].detach().double().chunk(2, -1)
        for part, sequence in ((net.posterior, codes[:, 1:]), (net.prior, codes[:, :-1]))
    )
    want = kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(mean_p, (log_var_p / 2).exp()))
    assert float(terms["G_divergence"]) == pytest.approx(float(want.sum() / 8), rel=1e-4)  # 2 clips of 4 frames


def test_prior_learns_from_the_divergence_alone():
    net, real = model(w_kl=0.0), frames(2, 5)
    terms = losses(net, real)
    assert torch.equal(terms["G"].detach(), terms["G_error"])
    terms["G"].backward()
    assert not any(weight.grad.any() for weight in net.prior.parameters())
    assert all(weight.grad.any() for weight in net.posterior.parameters())


def test_training_draws_from_the_global_generator():
    net, real = model(), frames(2, 5)
    assert torch.equal(losses(net, real)["G"], losses(net, real)["G"])
    assert not torch.equal(losses(net, real)["G"], losses(net, real, seed=1)["G"])


def test_skips_of_later_frames_come_from_the_last_seen_one(monkeypatch):
    net, real, given = model(), frames(1, 6), []
    decode = net.decoder.forward
    monkeypatch.setattr(net.decoder, "forward", lambda code, skips: given.append(skips) or decode(code, skips))
    losses(net, real)
    skips = net.encode(real)[1]
    for layer, skip in zip(given[0], skips):
        assert torch.equal(layer, skip[0, [0, 1, 2, 2, 2]])  # of frames 1 to 5, counted from 0


def test_every_parameter_gets_a_gradient():
    net = model()
    losses(net, frames(2, 6))["G"].backward()
    names = [name for name, weight in net.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not names and sum(map(len, net.parts().values())) == len(list(net.parameters()))


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(n_down=6), "n_down: frames of sliding are 32 x 64, and 64 does not divide"),
        (dict(n_filters=5), "n_filters: 5 channels"),
    ],
)
def test_refuses_what_does_not_divide(changes, message):
    with pytest.raises(Fault, match=message):
        model(**changes)


def test_refuses_windows_that_do_not_fit():
    net = model()
    with pytest.raises(Fault, match="n_warmup"):
        net.losses({"real": frames(1, 6), "n_warmup": 1})
    with pytest.raises(Fault, match="n_frames: a window of 3"):
        net.losses({"real": frames(1, 3), "n_warmup": 0})


def test_learns_how_a_world_slides():
    """Against a yardstick from outside: the frame before, repeated. The texture is blurred, which keeps its motion."""
    clips = torch.stack([to_tensors(sliding_clip(i, 6))["real"] for i in range(3)])
    clips = 2 * F.avg_pool2d(clips.flatten(0, 1), 5, 1, 2, count_include_pad=False).unflatten(0, (3, 6))
    net = model(n_filters=8, n_down=2)
    optimiser, errors = torch.optim.Adam(net.parameters(), lr=1e-2), []
    for step in range(80):
        optimiser.zero_grad()
        terms = losses(net, clips[:, step % 3 : step % 3 + 4], step)
        terms["G"].backward()
        optimiser.step()
        errors.append(float(terms["G_error"]))
    repeated = ((clips[:, :-1] - clips[:, 1:]) / 2).square().mean()
    assert errors[-1] < 0.5 * errors[0] and errors[-1] < 0.7 * float(repeated)
