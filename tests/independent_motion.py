"""Metrics of motion written anew from their formulas on 8-bit frames, as `independent_metrics` has the others.

OpenCV is used for its two flow estimators alone.
"""

from functools import cache, lru_cache

import cv2
import numpy as np
from scipy import ndimage

FIXED_POINT = np.array([9798, 19235, 3735])  # luma's weights in units of 2^-15, as OpenCV's 8-bit grey has them


def sample(image, x, y):
    """(H, W) or (H, W, C) read at the places x, y, of any one shape, bilinear, edges repeated."""
    planes = image[..., None] if image.ndim == 2 else image
    read = np.stack(
        [
            ndimage.map_coordinates(planes[..., c].astype(float), [y, x], order=1, mode="nearest")
            for c in range(planes.shape[-1])
        ],
        -1,
    )
    return read[..., 0] if image.ndim == 2 else read


def warp_error(fake, real, arrays, line):
    """Lai et al. 2018: mean over visible pixels and channels of (frame t - frame t-1 at x + flow)^2, on [0, 1]."""
    y, x = np.mgrid[: fake.shape[1], : fake.shape[2]].astype(float)
    values = []
    for before, after, flow, occluded in zip(
        fake / 255, fake[1:] / 255, arrays["flow"].astype(float), arrays["occluded"]
    ):
        apart = (after - sample(before, x + flow[..., 0], y + flow[..., 1])) ** 2
        values.append(apart[occluded == 0].mean())
    return np.array(values)


def grey(frame):
    """8-bit luma of an 8-bit frame, in the fixed point of OpenCV's conversion."""
    return ((frame.astype(np.int64) @ FIXED_POINT + 2**14) >> 15).astype(np.uint8)


def tof(fake, real, arrays, line):
    """Chu et al. 2020, eq. 6, as their code has it: mean length of the difference of Farneback's flows."""

    def motion(frames):
        greys = [grey(frame) for frame in frames]
        return [
            cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 3, 15, 3, 5, 1.2, 0).astype(float)
            for a, b in zip(greys, greys[1:])
        ]

    return np.array([np.hypot(*np.moveaxis(a - b, -1, 0)).mean() for a, b in zip(motion(fake), motion(real))])


@cache
def doubling(n):
    """(2n, n): cubic convolution to twice the size (Keys 1981, with OpenCV's a = -0.75), edges repeated."""

    def kernel(t):
        t, a = abs(t), -0.75
        return (a + 2) * t**3 - (a + 3) * t**2 + 1 if t <= 1 else a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a

    weights = np.zeros((2 * n, n))
    for i in range(2 * n):
        place = (i + 0.5) / 2 - 0.5
        for j in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            weights[i, min(max(j, 0), n - 1)] += kernel(place - j)
    return weights


def doubled(frame):
    """A frame at twice its size, rounded to 8 bits."""
    rows, columns = doubling(frame.shape[0]), doubling(frame.shape[1])
    return (
        np.rint(np.einsum("yh,hwc,xw->yxc", rows, frame.astype(float), columns, optimize=True))
        .clip(0, 255)
        .astype(np.uint8)
    )


def estimated_flow(previous, current):
    """DIS (Kroeger et al. 2016, medium) from `current` back to `previous` at twice the size, halved; (H, W, 2) px."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    large = dis.calc(grey(doubled(current)), grey(doubled(previous)), None).astype(float)
    return (large[::2, ::2] + large[1::2, ::2] + large[::2, 1::2] + large[1::2, 1::2]) / 8


def flows(frames):
    """Estimated flow of each frame back to the one before, (T-1, H, W, 2) px; two metrics ask for the same."""
    return estimated_flows(frames.tobytes(), frames.shape)


@lru_cache(maxsize=8)
def estimated_flows(content, shape):
    frames = np.frombuffer(content, np.uint8).reshape(shape)
    return np.stack([estimated_flow(before, after) for before, after in zip(frames, frames[1:])])


def flow_error(fake, real, arrays, line):
    """Mean distance of the estimated flow from the store's over the visible pixels, px."""
    values = []
    for seen, flow, occluded in zip(flows(fake), arrays["flow"].astype(float), arrays["occluded"]):
        values.append(np.hypot(*np.moveaxis(seen - flow, -1, 0))[occluded == 0].mean())
    return np.array(values)


def corners(x, y, shape):
    """The pixels around a place, [((row, column), weight)] of those that count, edges repeated."""
    height, width = shape
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    column, row = int(x), int(y)
    found = []
    for i, share_y in ((row, row + 1 - y), (row + 1, y - row)):
        for j, share_x in ((column, column + 1 - x), (column + 1, x - column)):
            if share_x * share_y > 0:
                found.append(((i, j), share_x * share_y))
    return found


def tracks(flow, line, occluded=None):
    """{(t, point): [(x, y), ...]}: where a grid's points of frame t stood 1, 2, ... frames before; the grid.

    flow        (T-1, H, W, 2), back from each frame, read bilinearly
    occluded    a track ends where a pixel that counts is hidden, and where it leaves the frame; None: none ends
    """
    height, width = flow.shape[1:3]
    down, across = (range(min(line["stride_px"] // 2, side - 1), side, line["stride_px"]) for side in (height, width))
    starts, found = [(float(x), float(y)) for y in down for x in across], {}
    for t in range(1, len(flow) + 1):
        for point, (x, y) in enumerate(starts):
            found[t, point] = []
            for k in range(1, min(line["n_frames"] - 1, t) + 1):
                around = corners(x, y, (height, width))
                hidden = occluded is not None and any(occluded[t - k][place] for place, _ in around)
                dx, dy = sum(weight * flow[t - k][place] for place, weight in around)
                x, y = x + dx, y + dy
                if hidden or occluded is not None and not (0 <= x <= width - 1 and 0 <= y <= height - 1):
                    break
                found[t, point].append((x, y))
    return found, starts


def mean_of_tracks(values, n):
    """Means at frames 1 to n - 1 of {(t, point): a track's value}."""
    return np.array([np.mean([value for (t, _), value in values.items() if t == frame]) for frame in range(1, n)])


def track_error(fake, real, arrays, line):
    """sqrt((N + noise^2) / (D + noise^2)) of each track: how far its colours are off, and four beside."""
    found, starts = tracks(arrays["flow"].astype(float), line, arrays["occluded"])
    places = [[] for _ in fake]  # in each frame: (t, point, x, y)
    for (t, point), track in found.items():
        for k, (x, y) in enumerate(track, 1):
            places[t - k].append((t, point, x, y))
    squares, apart = {}, line["apart_px"]  # {(t, point): [(on the track, mean of the four beside)]}
    for frame, own in zip(fake, places):
        if not own:
            continue
        x, y = np.array([place[2:] for place in own]).T
        points = [fake[t, int(starts[point][1]), int(starts[point][0])].astype(float) for t, point, _, _ in own]
        on, *beside = (
            ((sample(frame, x + dx, y + dy) - points) ** 2).mean(1)
            for dx, dy in ((0, 0), (apart, 0), (-apart, 0), (0, apart), (0, -apart))
        )
        for (t, point, _, _), values in zip(own, zip(on, np.mean(beside, 0))):
            squares.setdefault((t, point), []).append(values)
    shares = {}
    for key, values in squares.items():
        own, near = np.mean(values, 0) + line["noise"] ** 2
        shares[key] = np.sqrt(own / near)
    return mean_of_tracks(shares, len(fake))


def track_drift(fake, real, arrays, line):
    """Mean distance of each true track from the one along the flow estimated in the video, px."""
    true, _ = tracks(arrays["flow"].astype(float), line, arrays["occluded"])
    seen, _ = tracks(flows(fake), line)
    values = {
        key: np.mean([np.hypot(x - a, y - b) for (x, y), (a, b) in zip(places, seen[key])])
        for key, places in true.items()
        if places
    }
    return mean_of_tracks(values, len(fake))
