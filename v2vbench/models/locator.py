"""A judge that locates the keypoints in a frame: a small U-Net that the suite trains on real training frames."""

import torch
from torch.nn import functional as F

from v2vbench.clips.augment import disturb
from v2vbench.clips.store import Facts, Store
from v2vbench.models import Judge
from v2vbench.models._blocks import must_divide
from v2vbench.models._unet import UNet
from v2vbench.parallel import passes
from v2vbench.params import Count, Fault, Share, Weight

BATCH = 4  # frames per forward pass


def visible(points: torch.Tensor) -> torch.Tensor:
    """Which of the data set's keypoints (..., P, D) are annotated, (..., P) bool.

    Those whose x and y are finite and, if D is 3, whose confidence is above 0.
    """
    finite = points[..., :2].isfinite().all(-1)
    return finite & (points[..., 2] > 0) if points.shape[-1] > 2 else finite


class Model(Judge):
    """Frames to keypoints: each is the mean of a heat map, which is trained to be a Gaussian around the point.

    n_points                   keypoints of a frame in the data set
    n_filters                  channels of the first layer; doubled with every halving of the size
    n_down                     how often the size is halved
    spread                     sigma of that Gaussian, px
    shift, zoom                augmentation: largest shift of a training frame, px, and largest change of its scale
    blur, noise, brightness    augmentation: see clips.augment
    prior                      buffer: the mean position of each point in the training clips
    """

    READS = ("real", "keypoints")

    def __init__(
        self,
        facts: Facts,
        *,
        n_points: Count,
        n_filters: Count,
        n_down: Count,
        spread: Weight,
        shift: Weight,
        zoom: Share,
        blur: Weight,
        noise: Weight,
        brightness: Weight,
    ):
        super().__init__()
        must_divide(facts, 2**n_down, "locator")
        self.name, self.n_points, self.spread, self.shift, self.zoom = facts.name, n_points, spread, shift, zoom
        self.disturbances = dict(blur=blur, noise=noise, brightness=brightness)
        self.net = UNet(n_points, n_filters, n_down)
        self.register_buffer("prior", torch.full((n_points, 2), torch.nan))

    def parts(self) -> dict:
        """{part: its parameters}."""
        return {"G": list(self.net.parameters())}

    def losses(self, clip: dict) -> dict:
        """Cross-entropy of heat maps, nats per point, and the distance in px; points not annotated are left out."""
        frames, points = clip["real"].flatten(0, 1), clip["keypoints"].flatten(0, 1)
        self._fits(points)
        present, step = visible(points), clip["step"]
        frames, points = self._move(disturb(frames, step, **self.disturbances), points[..., :2], step)
        H, W = frames.shape[-2:]
        present = present & ((points >= 0) & (points <= _corner(points, H, W))).all(-1)
        heat = self.net(frames).float()
        x, y = centres(heat)
        target = torch.einsum("bpy,bpx->bpyx", *(self._bell(points[..., i], at) for i, at in ((1, y), (0, x))))
        entropy = -(target * heat.flatten(2).log_softmax(-1).view_as(heat)).sum((2, 3))  # (B, P)
        apart = (mean_place(heat) - points).norm(dim=-1).detach()
        entropy, apart = (value.where(present, 0).sum() / present.sum().clamp_min(1) for value in (entropy, apart))
        return {"G": entropy, "G_px": apart}

    def _fits(self, points) -> None:
        if points.shape[-2] != self.n_points:
            raise Fault(f"n_points: {self.n_points}, and {self.name} has {points.shape[-2]} keypoints a frame")

    def _bell(self, place: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        """A Gaussian around each position (B, P), over cells at (n,): (B, P, n), which sums to 1 over the cells."""
        return (-((at - place.nan_to_num()[..., None]) ** 2) / (2 * self.spread**2)).softmax(-1)

    def _move(self, frames: torch.Tensor, points: torch.Tensor, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames (B, 3, H, W) and points (B, P, 2), randomly shifted and scaled about the centre; edges repeated."""
        chance = 2 * torch.rand(len(frames), 3, generator=torch.Generator().manual_seed(step)) - 1
        chance = chance.to(frames.device, non_blocking=True)
        by, scale = self.shift * chance[:, None, :2], 1 + self.zoom * chance[:, 2, None, None]
        last = _corner(frames, *frames.shape[-2:])
        y, x = (torch.arange(n, device=frames.device) for n in frames.shape[-2:])
        to = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).flatten(0, 1)  # (H W, 2) px
        grid = 2 * ((to - last / 2 - by) / scale + last / 2) / last - 1  # (B, H W, 2)
        moved = F.grid_sample(frames, grid.unflatten(1, frames.shape[-2:]), padding_mode="border", align_corners=True)
        return moved, (points - last / 2) * scale + last / 2 + by

    def finish(self, store: Store) -> None:
        """Set `prior`: the mean of each point over all training frames, or the frame's centre for a point in none."""
        points = torch.cat(
            [torch.from_numpy(store.read(clip, arrays=["keypoints"])["keypoints"]) for clip in store.split("train")]
        )
        present, H, W = visible(points)[..., None], *store.facts.size
        mean = points[..., :2].double().where(present, 0).sum(0) / present.sum(0).clamp_min(1)
        self.prior.copy_(mean.where(present.any(0), mean.new_tensor([(W - 1) / 2, (H - 1) / 2])))

    def predict(self, frames: torch.Tensor) -> torch.Tensor:
        """(T, 3, H, W) in [-1, 1] to points (T, P, 2), px (x, y), the same for any batch and any number of cores."""
        return passes(lambda batch: mean_place(self.net(batch).float()), frames.float(), BATCH)


def _corner(like: torch.Tensor, H: int, W: int) -> torch.Tensor:
    """The position (x, y) of the last pixel, in px, on a tensor's device, without waiting for it."""
    return torch.tensor([W - 1, H - 1]).to(like, non_blocking=True)


def centres(heat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The x of each column and the y of each row of a heat map, in px of the frame, which is twice as large."""
    x, y = (2 * torch.arange(heat.shape[i], device=heat.device) + 0.5 for i in (-1, -2))
    return x, y


def mean_place(heat: torch.Tensor) -> torch.Tensor:
    """The mean of each heat map (B, P, H / 2, W / 2), unnormalised, in px of the frame: (B, P, 2)."""
    share, (x, y) = heat.flatten(2).softmax(-1).view_as(heat), centres(heat)
    return torch.stack([(share.sum(2) * x).sum(-1), (share.sum(3) * y).sum(-1)], -1)
