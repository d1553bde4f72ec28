"""MCnet (Villegas et al., ICLR 2017): encodes motion and content apart, and decodes the next frame from both."""

from functools import reduce
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from v2vbench.clips.store import Facts
from v2vbench.models import Predictor
from v2vbench.models._blocks import PatchDiscriminator, initialise, must_divide
from v2vbench.models._recurrent import ConvLSTMCell, State
from v2vbench.params import Count, Fault, Weight

LUMA = 0.299, 0.587, 0.114  # of red, green, blue


def difference(frames: torch.Tensor) -> torch.Tensor:
    """Changes in brightness from frame to frame, as in the authors' code.

    frames     (B, T, 3, H, W) in [-1, 1]
    returns    (B, T - 1, 1, H, W) in [-1, 1]
    """
    luma = torch.tensor(LUMA, dtype=frames.dtype).to(frames.device, non_blocking=True)
    weights = luma.view(3, 1, 1) / 2
    return (frames.diff(dim=1) * weights).sum(2, keepdim=True)  # exactly 0 where nothing changes


def gradient_difference(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """L_gdl with lambda 1: L1 between the sizes of differences of neighbouring pixels, across plus down.

    fake, real    (..., H, W) in [0, 1]
    """
    across, down = (F.l1_loss(fake.diff(dim=side).abs(), real.diff(dim=side).abs()) for side in (-1, -2))
    return across + down


def cross_entropy(logits: torch.Tensor, target: float) -> torch.Tensor:
    """Binary cross-entropy of a discriminator's outputs, unbounded; target 1 = real, 0 = fake."""
    return F.binary_cross_entropy_with_logits(logits.float(), torch.full_like(logits, target, dtype=torch.float32))


def convs(*widths: int) -> nn.Sequential:
    """3 x 3 convolutions, each with ReLU, that keep the size."""
    layers = [(nn.Conv2d(a, b, 3, padding=1), nn.ReLU()) for a, b in pairwise(widths)]
    return nn.Sequential(*(module for pair in layers for module in pair))


def encode(blocks: nn.ModuleList, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """(B, C, H, W) to features at 1/8 of the size, and those of each scale before its pooling, the full size first."""
    scales = []
    for block in blocks:
        scales.append(block(x))
        x = F.max_pool2d(scales[-1], 2)
    return x, scales


def unpool(x: torch.Tensor) -> torch.Tensor:
    """Twice the size: each value at the upper left of its 2 x 2 pixels, 0 at the others (Dosovitskiy et al. 2015)."""
    doubled = x.new_zeros(*x.shape[:-2], 2 * x.shape[-2], 2 * x.shape[-1])
    doubled[..., ::2, ::2] = x
    return doubled


class Generator(nn.Module):
    """The next frame from the last one and the motion of the frames before it (section 3).

    The layers are those of the authors' code, except that those of the motion encoder have no bias: while frames do not
    change, their motion features are exactly 0.
    """

    def __init__(self, n_filters: int):
        super().__init__()
        n = [n_filters, 2 * n_filters, 4 * n_filters]
        self.motion = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, kernel, padding=kernel // 2, bias=False), nn.ReLU())
            for a, b, kernel in zip([1, *n], n, (5, 5, 7))
        )
        self.cell = ConvLSTMCell(n[2], n[2], 3, bias=False, forget_bias=1.0)
        self.content = nn.ModuleList([convs(3, n[0], n[0]), convs(n[0], n[1], n[1]), convs(n[1], n[2], n[2], n[2])])
        self.combine = convs(2 * n[2], n[2], n[1], n[2])
        self.residuals = nn.ModuleList(nn.Sequential(*convs(2 * a, a), nn.Conv2d(a, a, 3, padding=1)) for a in n)
        self.decode = nn.ModuleList(
            [
                nn.Sequential(*convs(n[0], n[0]), nn.Conv2d(n[0], 3, 3, padding=1), nn.Tanh()),
                convs(n[1], n[1], n[0]),
                convs(n[2], n[2], n[2], n[1]),
            ]
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def move(self, change: torch.Tensor, state: State | None) -> tuple[list[torch.Tensor], State]:
        """Motion features of each scale from a change (B, 1, H, W), the full size first, and the new state."""
        x, scales = encode(self.motion, change)
        h, after = self.cell(x, state)
        return [*scales, h], after

    def draw(self, motion: list[torch.Tensor], frame: torch.Tensor) -> torch.Tensor:
        """The frame after `frame` (B, 3, H, W), same shape."""
        content, scales = encode(self.content, frame)
        x = self.combine(torch.cat([motion[-1], content], 1))
        for moving, still, residual, decode in [*zip(motion, scales, self.residuals, self.decode)][::-1]:
            x = decode(F.relu(unpool(x) + residual(torch.cat([moving, still], 1))))
        return x

    def forward(self, past: torch.Tensor, n_future: int) -> torch.Tensor:
        """past (B, T, 3, H, W) in [-1, 1] to the n_future frames after it, (B, n_future, 3, H, W) in [-1, 1]."""
        if past.shape[1] == 1:
            past = past.expand(-1, 2, -1, -1, -1)  # one frame shows no motion
        state, motion, frames = None, [], [past[:, -1]]
        for change in difference(past).unbind(1):
            motion, state = self.move(change, state)
        for t in range(n_future):
            if t:
                motion, state = self.move(difference(torch.stack(frames[-2:], 1))[:, 0], state)
            frames.append(self.draw(motion, frames[-1]))
        return torch.stack(frames[1:], 1)


class Model(Predictor):
    """Generator, and a discriminator that sees a whole window: the real past and the real or predicted future.

    n_filters        of the first layers; 64 in the paper, with 14.1 M parameters of the generator (counted)
    n_seen           frames that are read in training
    n_future         frames that are then predicted; the schedule's n_frames is n_seen + n_future
    w_image          weight of the squared error L_p, p = 2, of frames in [-1, 1]; 1 in the paper
    w_gdl            weight of L_gdl, of frames in [0, 1] as in the authors' code; 1 in the paper
    w_adversarial    weight of L_GAN, the binary cross-entropy; 0.02 in the paper
    n_filters_d      of the discriminator's first layer; 64 in the paper
    n_layers_d       further layers of the discriminator; one output per patch, where the paper has one per video, so
                     that its size does not depend on the frame's. It learns at every step: the authors pause a part
                     that is far ahead
    """

    READS = ("real",)

    def __init__(
        self,
        facts: Facts,
        *,
        n_filters: Count,
        n_seen: Count,
        n_future: Count,
        w_image: Weight,
        w_gdl: Weight,
        w_adversarial: Weight,
        n_filters_d: Count,
        n_layers_d: Count,
    ):
        super().__init__()
        must_divide(facts, 8, "mcnet halves the size 3 times")
        self.n_seen, self.n_future = n_seen, n_future
        self.w_image, self.w_gdl, self.w_adversarial = w_image, w_gdl, w_adversarial
        self.G = Generator(n_filters)
        self.D_video = PatchDiscriminator(3 * (n_seen + n_future), n_filters_d, n_layers_d, "batch")
        self.D_video.apply(initialise)

    def parts(self) -> dict:
        """{part: its parameters}; each part has a separate optimiser."""
        return {"G": list(self.G.parameters()), "D_video": list(self.D_video.parameters())}

    def losses(self, clip: dict) -> dict:
        """The loss of every part on one batch of windows (L_img, L_GAN, L_disc), and the generator's terms detached."""
        if clip["n_warmup"]:
            raise Fault("n_warmup: MCnet reads real frames, so its schedule must have 0")
        past, future = clip["real"].split([self.n_seen, clip["real"].shape[1] - self.n_seen], 1)
        if future.shape[1] != self.n_future:
            raise Fault(
                f"n_frames: a window must have n_seen + n_future = {self.n_seen + self.n_future} frames, "
                f"not {clip['real'].shape[1]}"
            )
        fake = self.G(past, self.n_future)
        pred_real = self.D_video(torch.cat([past, future], 1).flatten(1, 2))[-1]
        pred_fake = self.D_video(torch.cat([past, fake], 1).flatten(1, 2))[-1]
        terms = {
            "image": self.w_image * F.mse_loss(fake.float(), future),
            "gdl": self.w_gdl * gradient_difference(fake.float() / 2, future / 2),
            "gan": self.w_adversarial * cross_entropy(pred_fake, 1),
        }
        return {
            "G": reduce(torch.add, terms.values()),
            "D_video": cross_entropy(pred_real, 1) + cross_entropy(pred_fake, 0),
        } | {f"G_{name}": term.detach() for name, term in terms.items()}

    @torch.inference_mode()
    def predict(self, past: dict, n_future: int, noise: torch.Generator) -> torch.Tensor:
        """The frames after past["real"] (1, n_past, 3, H, W) in [-1, 1], (1, n_future, 3, H, W) in [-1, 1]."""
        return self.G(past["real"], n_future)
