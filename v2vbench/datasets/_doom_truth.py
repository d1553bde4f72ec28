"""Exact annotations of the frames of a walk: label, instance, depth, flow and occlusion of every pixel."""

import numpy as np

from v2vbench.datasets._doom import CEILING, FLOOR, IGNORE, LABELS, LIQUID, NEAR, Camera, World, cast
from v2vbench.datasets._doom_walk import SPRITES

SAME = 0.5  # a pixel is visible if more than this share of the pixels that warping reads is of the same surface
NEARLY = 0.05  # and its 1/depth is within this share of the expected one


def of_map(view: Camera, poses: np.ndarray, depth: np.ndarray, lift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flow of the map's surfaces from frames 1..T-1 back to the frame before; the sky moves only as the camera turns.

    depth, lift   (T, H, W)         from `cast`
    returns       flow (T-1, H, W, 2) px (dx, dy); depth of the same points in the frame before, (T-1, H, W)
    """
    before, now = poses[:-1, :, None, None], poses[1:, :, None, None]
    column, row = np.arange(view.width) + 0.5, np.arange(view.height)[:, None] + 0.5
    u, up = (column - view.cx) / view.fx, (view.cy - row) / view.fy
    sky = np.isinf(depth[1:])
    d = np.where(sky, 1e6, depth[1:].astype(float))
    cos, sin = np.cos(np.radians(now[:, 3])), np.sin(np.radians(now[:, 3]))
    x = np.where(sky, 0, now[:, 0] - before[:, 0]) + d * (cos + u * sin)
    y = np.where(sky, 0, now[:, 1] - before[:, 1]) + d * (sin - u * cos)
    z = now[:, 2] - before[:, 2] + d * up - lift[1:]
    cos, sin = np.cos(np.radians(before[:, 3])), np.sin(np.radians(before[:, 3]))
    ahead, right = x * cos + y * sin, x * sin - y * cos
    safe = np.maximum(ahead, NEAR)
    dx = view.cx + view.fx * right / safe - column
    dy = np.where(sky, 0, view.cy - view.fy * z / safe - row)
    return np.stack([dx, dy], -1), np.where(sky, np.inf, ahead)


def taps(flow: np.ndarray):
    """The four pixels that a bilinear warp along `flow` reads: weights (T-1, H, W) and indices into (T, H, W)."""
    n, height, width = flow.shape[:3]
    x = (np.arange(width, dtype=np.float32) + flow[..., 0]).clip(0, width - 1)
    y = (np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]).clip(0, height - 1)
    x0, y0 = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    t = np.arange(n)[:, None, None]
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        yield abs(1 - i - (y - y0)) * abs(1 - j - (x - x0)), (t, y0 + i, x0 + j)


def occlusion(flow: np.ndarray, depth_there: np.ndarray, depth: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """Where warping the frame before along `flow` reads another surface, so that the pixel is occluded there.

    flow          (T-1, H, W, 2)
    depth_there   (T-1, H, W)     of the pixel's point in the frame before
    depth         (T, H, W)       of every frame
    surface       (T, H, W)       int, id of the surface; negative = unknown, always occluded
    returns       (T-1, H, W) bool
    """
    height, width = depth.shape[1:]
    x, y = np.arange(width) + flow[..., 0], np.arange(height)[:, None] + flow[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1) & (depth_there > NEAR)
    inverse = 1 / np.maximum(depth, NEAR)
    weight, seen = np.zeros((2, *depth_there.shape), np.float32)
    for w, tap in taps(flow):
        w = w * (surface[tap] == surface[1:])
        weight += w
        seen += w * inverse[tap]
    there = 1 / np.maximum(depth_there, NEAR)
    same = abs(seen / np.maximum(weight, 1e-9) - there) <= NEARLY * there  # 1/depth is linear in the image of a plane
    return ~(inside & (surface[1:] >= 0) & (weight > SAME) & same)


def _project(view: Camera, poses: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Project points (T, H, W, 3) to the camera at poses (T, 4): depth, and x and y in px."""
    pose = poses[:, None, None]
    dx, dy, dz = np.moveaxis(position - pose[..., :3], -1, 0)
    cos, sin = np.cos(np.radians(pose[..., 3])), np.sin(np.radians(pose[..., 3]))
    depth = dx * cos + dy * sin
    safe = np.where(depth > NEAR, depth, np.nan)
    return depth, view.cx + view.fx * (dx * sin - dy * cos) / safe, view.cy - view.fy * dz / safe


def of_sprites(view: Camera, poses: np.ndarray, place: np.ndarray, place_before: np.ndarray) -> tuple[np.ndarray, ...]:
    """Flow of sprites back to the frame before: a sprite faces the camera and is scaled about its position.

    place, place_before   (T, H, W, 3)        position of the sprite's object, now and in the frame before; NaN = none
    returns               flow (T-1, H, W, 2) px, depth (T, H, W), depth before (T, H, W); NaN where there is none
    """
    depth, x, y = _project(view, poses, place)
    depth_before, x_before, y_before = _project(view, poses[np.maximum(np.arange(len(poses)) - 1, 0)], place_before)
    column, row = np.arange(view.width) + 0.5, np.arange(view.height)[:, None] + 0.5
    grown = depth / depth_before
    flow = np.stack([x_before + (column - x) * grown - column, y_before + (row - y) * grown - row], -1)
    return flow[1:], depth, depth_before


def annotate(world: World, view: Camera, frames: list[dict]) -> tuple[dict, dict]:
    """The arrays of a walk, as in clips.store.KINDS, and the figures by which it is accepted. Sprites cover the map.

    depth       units along the optical axis, inf at the sky
    instance    1 + the engine's number of the object
    flow        of a sprite: by its position and size in the image; of a liquid: of its surface, not of its texture
    """
    poses, value, real = (np.stack([frame[key] for frame in frames]) for key in ("pose", "value", "real"))
    seen = cast(world, view, poses, *(np.stack([frame[key] for frame in frames]) for key in ("floor", "ceiling")))
    n, lut = len(frames), np.arange(len(frames))[:, None, None]
    kinds, numbers = np.full((n, 256), -1), np.zeros((n, 256), np.uint16)  # of each value of each frame
    places, places_before = np.full((2, n, 256, 3), np.nan)
    for t, frame in enumerate(frames):
        before = {number: place for number, _, place in frames[t - 1]["sprites"].values()} if t else {}
        for v, (number, category, place) in frame["sprites"].items():
            known = category in SPRITES
            kinds[t, v] = LABELS.index(SPRITES[category]) if known else IGNORE
            numbers[t, v], places[t, v], places_before[t, v] = 1 + number % 65535, place, before.get(number, np.nan)
    sprite, instance = kinds[lut, value] >= 0, numbers[lut, value]
    label = np.where(sprite, kinds[lut, value], np.where(seen["grate"], IGNORE, seen["label"])).astype(np.uint8)

    moved, far, far_before = of_sprites(view, poses, places[lut, value], places_before[lut, value])
    flow, depth_before = of_map(view, poses, seen["depth"], seen["lift"])
    flow = np.where(sprite[1:, ..., None], moved, flow)
    new = np.isnan(flow).any(-1)  # a sprite that is not in the frame before
    flow = np.nan_to_num(flow).clip(-view.width, view.width).astype(np.float16)
    depth = np.where(sprite, far, seen["depth"])
    depth_before = np.where(sprite[1:], far_before[1:], depth_before)
    surface = np.where(label == IGNORE, -1, np.where(sprite, 256 + instance.astype(int), label))
    occluded = new | occlusion(flow, depth_before, depth, surface)

    shown, sure = ~occluded, ~sprite & (label != IGNORE)
    bright = real.astype(np.float32) / 255
    warped = sum(weight[..., None] * bright[tap] for weight, tap in taps(flow))
    flat = np.isin(label, (FLOOR, CEILING, LIQUID))
    figures = {
        "luma": real.mean(),
        "sprites": sprite.mean(),
        "unknown": (label == IGNORE).mean(),
        "occluded": occluded.mean(),
        "flow": np.median(np.hypot(*flow[shown].T.astype(np.float32))) * 256 / view.width,
        "agreement": (flat == (value == 1))[sure].mean(),
        "warp_error": ((warped - bright[1:])[shown] ** 2).mean(),
        "still_error": ((bright[:-1] - bright[1:])[shown] ** 2).mean(),
    }
    arrays = {
        "real": real,
        "label": label,
        "instance": instance,
        "depth": depth.astype(np.float16),
        "flow": flow,
        "occluded": occluded.astype(np.uint8),
    }
    return arrays, {name: float(f"{figure:.6g}") for name, figure in figures.items()}
