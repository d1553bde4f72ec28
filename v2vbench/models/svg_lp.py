"""SVG-LP (Denton and Fergus, ICML 2018): many futures of a video, each with other noise from a learned prior."""

import torch
from torch import nn
from torch.nn import functional as F

from v2vbench.clips.store import Facts
from v2vbench.models import Predictor
from v2vbench.models._blocks import must_divide
from v2vbench.params import Count, Fault, Weight


def kl(mean_q, log_var_q, mean_p, log_var_p) -> torch.Tensor:
    """Kullback-Leibler divergence of N(mean_q, exp(log_var_q)) from N(mean_p, exp(log_var_p)), nats, elementwise."""
    spread = (log_var_q.exp() + (mean_q - mean_p) ** 2) / log_var_p.exp()
    return (log_var_p - log_var_q + spread - 1) / 2


class Encoder(nn.Module):
    """A frame (N, 3, H, W) to its code (N, n_code) in [-1, 1] and the outputs of its layers, the largest first."""

    def __init__(self, widths: list[int], size: tuple[int, int], n_code: int):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 4, 2, 1), nn.GroupNorm(2, b), nn.LeakyReLU(0.2))
            for a, b in zip([3, *widths], widths)
        )
        self.code = nn.Linear(widths[-1] * size[0] * size[1], n_code)

    def forward(self, x) -> tuple:
        skips = []
        for layer in self.layers:
            skips.append(x := layer(x))
        return self.code(x.flatten(1)).tanh(), skips


class Decoder(nn.Module):
    """A code (N, n_code), and the encoder's outputs for an earlier frame, to a frame (N, 3, H, W) in [-1, 1]."""

    def __init__(self, widths: list[int], size: tuple[int, int], n_code: int):
        super().__init__()
        self.shape = (widths[-1], *size)
        self.code = nn.Linear(n_code, widths[-1] * size[0] * size[1])
        self.start = nn.Sequential(nn.GroupNorm(2, widths[-1]), nn.LeakyReLU(0.2))
        self.layers = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(2 * a, b, 4, 2, 1), nn.GroupNorm(2, b), nn.LeakyReLU(0.2))
            for a, b in zip(widths[:0:-1], widths[-2::-1])
        )
        self.out = nn.ConvTranspose2d(2 * widths[0], 3, 4, 2, 1)

    def forward(self, code, skips):
        x = self.start(self.code(code).unflatten(1, self.shape))
        for layer, skip in zip([*self.layers, self.out], reversed(skips)):
            x = layer(torch.cat([x, skip], 1))
        return x.tanh()


class Recurrent(nn.Module):
    """A linear layer, an LSTM and another linear layer: (B, T, n_in) and a state to (B, T, n_out) and the new state."""

    def __init__(self, n_in: int, n_hidden: int, n_out: int, n_layers: int):
        super().__init__()
        self.embed = nn.Linear(n_in, n_hidden)
        self.lstm = nn.LSTM(n_hidden, n_hidden, n_layers, batch_first=True)
        self.out = nn.Linear(n_hidden, n_out)

    def forward(self, x, state=None) -> tuple:
        x, state = self.lstm(self.embed(x), state)
        return self.out(x), state


class Model(Predictor):
    """Each frame is decoded from the code of the frame before it and from noise z.

    The noise of a frame is Gaussian. In training it comes from the posterior, an LSTM that reads that frame too. The
    prior, an LSTM that reads only the frames before it, is trained to agree, and replaces the posterior in prediction.
    While `predict` reads the past it uses the mean of the posterior, as each next frame is known: only the future is
    random. The authors' code draws from the posterior there.

    Other than in that code the norm is GroupNorm, not batch norm, so no clip depends on another one of its batch; and
    skips come from the last seen frame, as the paper says, not from the one before it.

    For SM-MNIST the paper sets n_filters 64, n_down 4, n_code 128, n_hidden 256, n_noise 10, w_kl 1e-4.

    n_seen       frames whose own features are the skips to the next frame; later frames get those of frame n_seen.
                 `predict` reads that many
    n_filters    channels of the first layer, at half the size; doubled with every halving
    n_down       how often the size is halved before the code; 4 x 4 pixels remain in the paper
    n_code       numbers of a frame's code h (g_dim)
    n_hidden     of each LSTM layer; the frame predictor has two, posterior and prior have one
    n_noise      numbers of a frame's noise z
    w_kl         weight of the divergence of the posterior from the prior (beta)
    """

    READS = ("real",)
    STOCHASTIC = True

    def __init__(
        self,
        facts: Facts,
        *,
        n_seen: Count,
        n_filters: Count,
        n_down: Count,
        n_code: Count,
        n_hidden: Count,
        n_noise: Count,
        w_kl: Weight,
    ):
        super().__init__()
        must_divide(facts, 2**n_down, "n_down")
        if n_filters % 2:
            raise Fault(f"n_filters: {n_filters} channels do not make two groups of equal size")
        self.n_seen, self.w_kl = n_seen, w_kl
        widths = [n_filters * 2**i for i in range(n_down)]
        size = facts.size[0] // 2**n_down, facts.size[1] // 2**n_down
        self.encoder = Encoder(widths, size, n_code)
        self.decoder = Decoder(widths, size, n_code)
        self.predictor = Recurrent(n_code + n_noise, n_hidden, n_code, 2)
        self.posterior = Recurrent(n_code, n_hidden, 2 * n_noise, 1)
        self.prior = Recurrent(n_code, n_hidden, 2 * n_noise, 1)

    def parts(self) -> dict:
        """{part: its parameters}."""
        return {"G": list(self.parameters())}

    def encode(self, frames: torch.Tensor) -> tuple:
        """(B, T, 3, H, W) to codes (B, T, n_code) and skips (B, T, C, h, w) from half the size down."""
        codes, skips = self.encoder(frames.flatten(0, 1))
        return codes.unflatten(0, frames.shape[:2]), [skip.unflatten(0, frames.shape[:2]) for skip in skips]

    def losses(self, clip: dict) -> dict:
        """The negative lower bound (eq. 3) of all frames after the first, each given the real frames before it.

        The squared error is a mean over pixels on a scale from 0 to 1, the divergence is in nats per frame.
        """
        if clip["n_warmup"]:
            raise Fault("n_warmup: svg_lp reads real frames, so its schedule must have 0")
        real = clip["real"]
        if real.shape[1] <= self.n_seen:
            raise Fault(f"n_frames: a window of {real.shape[1]} leaves nothing to predict after n_seen = {self.n_seen}")
        codes, skips = self.encode(real)
        mean, log_var = self.posterior(codes[:, 1:])[0].float().chunk(2, -1)
        mean_prior, log_var_prior = self.prior(codes[:, :-1])[0].float().chunk(2, -1)
        z = mean + (log_var / 2).exp() * torch.randn_like(mean)
        predicted = self.predictor(torch.cat([codes[:, :-1], z], -1))[0].tanh()
        last = torch.arange(real.shape[1] - 1, device=real.device).clamp(max=self.n_seen - 1)  # the skips of each frame
        frames = self.decoder(predicted.flatten(0, 1), [skip[:, last].flatten(0, 1) for skip in skips])
        error = F.mse_loss(frames.float(), real[:, 1:].flatten(0, 1)) / 4
        divergence = kl(mean, log_var, mean_prior, log_var_prior).sum(-1).mean()
        return {"G": error + self.w_kl * divergence, "G_error": error.detach(), "G_divergence": divergence.detach()}

    @torch.inference_mode()
    def predict(self, past: dict, n_future: int, noise: torch.Generator) -> torch.Tensor:
        """The last n_seen frames of `past` to (1, n_future, 3, H, W) in [-1, 1]; each frame draws z once from `noise`.

        A prediction is encoded and read like a real frame.
        """
        codes, skips = self.encode(past["real"][:, -self.n_seen :])
        skips, state, state_prior, frames = [skip[:, -1] for skip in skips], None, None, []
        code = codes[:, -1:]
        if codes.shape[1] > 1:
            z = self.posterior(codes[:, 1:])[0].chunk(2, -1)[0]
            state, state_prior = self.predictor(torch.cat([codes[:, :-1], z], -1))[1], self.prior(codes[:, :-1])[1]
        for _ in range(n_future):
            normal, state_prior = self.prior(code, state_prior)
            mean, log_var = normal.chunk(2, -1)
            z = mean + (log_var / 2).exp() * torch.randn(mean.shape, generator=noise, device=mean.device)
            predicted, state = self.predictor(torch.cat([code, z], -1), state)
            frames.append(self.decoder(predicted[:, 0].tanh(), skips))
            code = self.encoder(frames[-1])[0][:, None]
        return torch.stack(frames, 1)
