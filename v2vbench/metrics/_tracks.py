"""Points of a grid, followed back in time along a flow: what `track_error` and `track_drift` measure on."""

from collections.abc import Iterator

import torch


def grid(size: tuple[int, int], stride_px: int) -> torch.Tensor:
    """Points `stride_px` apart in both directions, in the middle of their squares, (P, 2) float64: x, y in px."""
    y, x = (torch.arange(min(stride_px // 2, side - 1), side, stride_px).double() for side in size)
    return torch.stack([part.flatten() for part in torch.meshgrid(x, y, indexing="xy")], -1)


def sample(images: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Images (S, C, H, W) at points (S, P, 2), x and y in px, bilinear, edges repeated: (S, P, C) float64.

    Not grid_sample, whose positions are shares of the frame: at whole pixels this gives the pixel to the bit.
    """
    last = points.new_tensor([images.shape[-1] - 1, images.shape[-2] - 1])
    points = torch.minimum(points.clamp_min(0), last)
    low, which, total = points.floor(), torch.arange(len(images))[:, None], 0.0
    for step in ((0, 0), (0, 1), (1, 0), (1, 1)):
        corner = low + points.new_tensor(step)
        x, y = torch.minimum(corner, last).long().unbind(-1)  # (S, P) each
        total = total + (1 - (corner - points).abs()).prod(-1, keepdim=True) * images[which, :, y, x]
    return total


def follow(
    flow: torch.Tensor, occluded: torch.Tensor | None, n_frames: int, stride_px: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Where the grid's points of every frame were k frames before; yields frames t = k to T - 1 for each k from 1.

    flow          (T-1, 2, H, W) px, from frame t back to t-1, sampled bilinearly where a point has come to lie between
                  pixels
    occluded      (T-1, 1, H, W): a track ends where a pixel around it is 1, and where its flow leaves the frame; None:
                  nowhere
    n_frames      of a track at most, the one it starts in among them
    stride_px     of the grid
    returns       points (T-k, P, 2) in frames 0 to T-1-k, visible (T-k, P) bool
    """
    n, (H, W) = len(flow) + 1, flow.shape[-2:]
    start = grid((H, W), stride_px)
    points, visible = start.expand(n, -1, -1), torch.ones(n, len(start), dtype=torch.bool)
    for k in range(1, min(n_frames, n)):
        points, visible = points[1:], visible[1:]
        moved = points + sample(flow[: n - k], points)
        if occluded is not None:
            inside = ((moved >= 0) & (moved <= moved.new_tensor([W - 1, H - 1]))).all(-1)
            visible = visible & inside & (sample(occluded[: n - k], points)[..., 0] == 0)
        points = moved
        yield points, visible


def mean_of_seen(total: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """total (T, P) / count (T, P), where count is not 0, and the mean over these points at frames 1 to T - 1, (T-1,).

    raises    ValueError naming a frame none of whose points can be followed
    """
    seen = count[1:] > 0
    if (lost := ~seen.any(1)).any():
        raise ValueError(f"no point of frame {int(lost.nonzero()[0]) + 1} can be followed to the frame before")
    return (total[1:] / count[1:]).where(seen, 0).sum(1) / seen.sum(1)
