"""Pose to person: a jointed mannequin that dances in front of a still wall, rendered in seconds. A sanity check."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import cv2
import numpy as np
import torch

from v2vbench.clips.flow import warp
from v2vbench.clips.store import Facts, write_store
from v2vbench.datasets import _poses
from v2vbench.params import Count, Fault, Natural, Range, Share, Size
from v2vbench.progress import progress


class Limb(NamedTuple):
    """A rigid part of the body: a rod whose radius changes linearly.

    Lengths are shares of the body's height. The axis `along` points to the limb's end; `across` is a quarter turn
    clockwise from it.
    """

    parent: str | None
    start: tuple[float, float]  # along and across the parent limb
    length: float
    radii: tuple[float, float]  # at the start and at the end
    turn: float  # degrees clockwise from the parent's direction, at rest
    swing: float  # largest deviation from `turn`, degrees
    surface: int  # DensePose's part id; one of the two if front and back differ
    colour: tuple[int, int, int]


RED, BLUE, SKIN, SHOE = (186, 72, 60), (62, 88, 165), (214, 166, 134), (70, 58, 62)
LIMBS = {
    "torso": Limb(None, (0, 0), 0.28, (0.080, 0.095), -90, 9, 2, RED),
    "head": Limb("torso", (0.355, 0), 0.075, (0.072, 0.080), 0, 14, 24, SKIN),
    "right upper arm": Limb("torso", (0.265, -0.105), 0.16, (0.048, 0.044), 235, 60, 18, RED),
    "right lower arm": Limb("right upper arm", (0.16, 0), 0.14, (0.044, 0.038), 35, 60, 22, SKIN),
    "right hand": Limb("right lower arm", (0.15, 0), 0.06, (0.038, 0.034), 0, 20, 3, SKIN),
    "right upper leg": Limb("torso", (-0.01, -0.052), 0.22, (0.062, 0.054), 190, 20, 9, BLUE),
    "right lower leg": Limb("right upper leg", (0.22, 0), 0.20, (0.052, 0.042), -6, 14, 13, BLUE),
    "right foot": Limb("right lower leg", (0.21, 0), 0.07, (0.042, 0.032), 50, 8, 6, SHOE),
}
LIMBS |= {
    name.replace("right", "left"): limb._replace(  # the mirror image; from the front, right is on our left
        parent=limb.parent.replace("right", "left"),  # pyright: ignore[reportOptionalMemberAccess]
        start=(limb.start[0], -limb.start[1]),
        turn=-limb.turn,
        surface=limb.surface + (1 if limb.surface in (3, 9, 13) else -1),
    )
    for name, limb in LIMBS.items()
    if "right" in name
}
LAYERS = [
    *(f"left {name}" for name in ("upper arm", "lower arm", "hand", "foot", "lower leg", "upper leg")),
    "right foot",
    "right lower leg",
    "right upper leg",
    "torso",
    "head",
    "right upper arm",
    "right lower arm",
    "right hand",
]
EYES, MOUTH = ((0.055, -0.03), (0.055, 0.03)), (-0.005, 0)  # along and across the head
FLOOR = 0.94  # of the frame's height: where the lower foot stands
SAME = 0.9  # a pixel is visible if this share of the pixels that warping reads is of the same limb
LICENCE = "Apache-2.0"
Frames = Annotated[float, Range(2)]


def arc(along: float, across: float, height: float, width: float, first: float, last: float, n: int) -> list:
    """Points of the head on an ellipse, by degrees: 0 is on our right, 90 above."""
    return [
        ("head", along + height * np.sin(a), across + width * np.cos(a))
        for a in np.radians(np.linspace(first, last, n))
    ]


def fan(hand: str, thumb: int) -> list:
    """Points of a hand: the wrist, then four per finger, thumb first; `thumb` is the sign of `across` at the thumb."""
    return [
        (hand, 0, 0),
        *(
            (hand, r * np.cos(a), thumb * r * np.sin(a))
            for a in np.radians(np.linspace(45, -35, 5))
            for r in (0.03, 0.05, 0.065, 0.08)
        ),
    ]


POINTS = [  # limb, along, across: the 137 points of _poses
    ("head", 0.03, 0),
    ("torso", 0.28, 0),
    *((f"{side} {limb}", 0, 0) for side in ("right", "left") for limb in ("upper arm", "lower arm", "hand")),
    ("torso", 0, 0),
    *((f"{side} {limb}", 0, 0) for side in ("right", "left") for limb in ("upper leg", "lower leg", "foot")),
    *(("head", *at) for at in (*EYES, (0.045, -0.075), (0.045, 0.075))),
    *(
        (f"{side} foot", along, sign * across)
        for side, sign in (("left", -1), ("right", 1))
        for along, across in ((0.09, -0.015), (0.085, 0.02), (-0.03, -0.02))
    ),
    *arc(0.04, 0, 0.08, 0.068, 180, 360, 17),
    *arc(0.07, -0.03, 0.012, 0.018, 160, 20, 5),
    *arc(0.07, 0.03, 0.012, 0.018, 160, 20, 5),
    *arc(0.04, 0, 0.015, 0, 90, -90, 4),
    *arc(0.022, 0, 0.006, 0.014, 180, 360, 5),
    *arc(*EYES[0], 0.008, 0.013, 180, -120, 6),
    *arc(*EYES[1], 0.008, 0.013, 180, -120, 6),
    *arc(*MOUTH, 0.012, 0.028, 180, -150, 12),
    *arc(*MOUTH, 0.006, 0.022, 180, -135, 8),
    *(("head", *at) for at in EYES),
    *fan("left hand", -1),
    *fan("right hand", 1),
]


def dance(
    rng: np.random.Generator,
    *,
    n_frames: int,
    size: Size,
    height: float,
    period: tuple[float, float],
    swing: float,
    sway: float,
    zoom: float,
) -> dict[str, np.ndarray]:
    """The pose of each limb: {limb: (T, 2, 3) float64}, matrices from (along, across, 1) to (x, y) in px.

    Every joint swings about its angle at rest: a random mix of one period and two harmonics. So do position and size.
    The lower foot stands on the floor. For the arguments see `prepare`.
    """
    H, W = size
    at = 2 * np.pi * np.arange(n_frames) / rng.uniform(*period)

    def wave() -> np.ndarray:  # (T,) within -1..1
        share, first, second = rng.uniform(0.5, 0.8), *rng.uniform(0, 2 * np.pi, 2)
        return share * np.sin(at + first) + (1 - share) * np.sin(2 * at + second)

    scale = height * H * (1 + zoom * (wave() - 1) / 2)  # px
    x, angles, where = W / 2 + sway * W * wave(), {}, {}
    for name, limb in LIMBS.items():
        angles[name] = angles.get(limb.parent, 0) + np.radians(limb.turn + swing * limb.swing * wave())
        along, across = scale * np.cos(angles[name]), scale * np.sin(angles[name])
        start = where[limb.parent] @ (*limb.start, 1) if limb.parent else np.stack([x, np.zeros(n_frames)], -1)
        where[name] = np.stack([np.stack([along, across], -1), np.stack([-across, along], -1), start], -1)
    lowest = [
        (where[f"{side} foot"] @ (end, 0, 1))[:, 1] + scale * 0.04 for side in ("right", "left") for end in (0, 0.07)
    ]
    for place in where.values():
        place[:, 1, 2] += FLOOR * H - np.max(lowest, 0)
    return where


def keypoints(where: dict[str, np.ndarray], size: Size) -> np.ndarray:
    """The pose of every frame, as in _poses, (T, 137, 3): confidence is 1, or 0 outside the frame."""
    at = np.stack([where[limb] @ (along, across, 1) for limb, along, across in POINTS], 1)
    inside = ((at >= 0) & (at <= (size[1] - 1, size[0] - 1))).all(-1, keepdims=True)
    return np.concatenate([at, inside], -1)


def looks(rng: np.random.Generator, size: Size) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The background and the textures of limbs.

    returns    wall and floor, (H, W, 3) float64 in 0..255; {limb: (2, 6)}, two waves: cycles per body height along and
               across the limb, phase, RGB in 0..255
    """
    (H, W), n = size, (2, len(LIMBS), 1)
    rough, fine = (
        cv2.resize(rng.normal(0, 1, (k, k * W // H + 1)), (W, H), interpolation=cv2.INTER_CUBIC) for k in (5, 24)
    )
    ground = np.arange(H)[:, None, None] > (FLOOR - 0.1) * H
    wall = np.where(ground, (124.0, 102, 82), (152.0, 164, 156)) + (16 * rough + 9 * fine)[..., None]
    way, cycles, phase, amount = (rng.uniform(*ends, n) for ends in ((0, 2 * np.pi), (3, 5), (0, 2 * np.pi), (12, 24)))
    waves = np.concatenate(
        [cycles * np.cos(way), cycles * np.sin(way), phase, amount * rng.uniform(0.6, 1.4, (*n[:2], 3))], -1
    )
    return wall, dict(zip(LIMBS, waves.swapaxes(0, 1)))


def paint(name: str, along: np.ndarray, across: np.ndarray, waves: np.ndarray) -> np.ndarray:
    """The colour (n, 3) of points (n,) of a limb; smooth, so that warping by a fraction of a pixel loses little."""
    colour = LIMBS[name].colour - 45 * (across / max(LIMBS[name].radii))[:, None] ** 2
    for a, b, phase, *amount in waves:
        colour = colour + np.sin(2 * np.pi * (a * along + b * across) + phase)[:, None] * amount
    if name == "head":
        for up, aside in (*EYES, MOUTH):
            colour = colour - 75 * np.exp(-((along - up) ** 2 + (across - aside) ** 2) / (2 * 0.024**2))[:, None]
        colour = colour - 100 / (1 + np.exp((0.1 - along) / 0.014))[:, None]  # hair
    return colour


def render(
    where: dict[str, np.ndarray], wall: np.ndarray, textures: dict
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Render the mannequin in the poses from `dance`; limbs that are drawn later cover earlier ones.

    returns    real (T, H, W, 3) uint8; surface (T, H, W, 3) uint8: DensePose's part, u along and v across it;
               motion (T-1, H, W, 2) float16 px, back to the frame before; layer (T, H, W) int, 0 = the wall
    """
    T, (H, W, _) = len(where["torso"]), wall.shape
    real, surface = np.tile(wall, (T, 1, 1, 1)), np.zeros((T, H, W, 3))
    motion, layer = np.zeros((T, H, W, 2)), np.zeros((T, H, W), int)
    at = np.stack(np.meshgrid(np.arange(W), np.arange(H)), -1)  # (H, W, 2) px
    for t in range(T):
        for number, name in enumerate(LAYERS, 1):
            place, before, (first, last), length = (
                where[name][t],
                where[name][t - 1],
                LIMBS[name].radii,
                LIMBS[name].length,
            )
            along, across = np.moveaxis((at - place[:, 2]) @ np.linalg.inv(place[:, :2]).T, -1, 0)
            share = (along / length).clip(0, 1)
            radius = first + share * (last - first)
            inside = np.hypot(along - share * length, across) < radius
            along, across, radius = along[inside], across[inside], radius[inside]
            u, v = (along + first) / (first + length + last), (across / radius + 1) / 2
            layer[t, inside], real[t, inside] = number, paint(name, along, across, textures[name])
            surface[t, inside] = np.stack([np.full(len(u), LIMBS[name].surface), 255 * u, 255 * v], -1)
            motion[t, inside] = np.stack([along, across, np.ones(len(u))], -1) @ before.T - at[inside]
    real, surface = (np.rint(array.clip(0, 255)).astype(np.uint8) for array in (real, surface))
    return real, surface, motion[1:].astype(np.float16), layer


def hidden(motion: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Occlusion (T-1, H, W) uint8: 1 where warping would read another limb, the wall, or outside the frame."""
    back, same = torch.from_numpy(motion).permute(0, 3, 1, 2), np.zeros(motion.shape[:3])
    for number in np.unique(layer):
        seen = warp(torch.from_numpy(layer[:-1] == number)[:, None].float(), back)[:, 0].numpy()
        same += seen * (layer[1:] == number)
    H, W = layer.shape[1:]
    x, y = np.arange(W) + motion[..., 0], np.arange(H)[:, None] + motion[..., 1]
    return ((same < SAME) | (x < 0) | (x > W - 1) | (y < 0) | (y > H - 1)).astype(np.uint8)


def prepare(
    out: Path,
    *,
    name: str,
    cache: Path,
    size: Size,
    n_train_clips: Count,
    n_test_clips: Count,
    n_frames: Annotated[int, Range(2)],
    seed: Natural,
    height: Annotated[float, Range(0.1, 1)],
    period: tuple[Frames, Frames],
    swing: Share,
    sway: Share,
    zoom: Annotated[float, Range(0, 0.9)],
    line_width: Annotated[float, Range(0.25, 8)],
) -> None:
    """Render the dances and write the clip store: the same dancer in front of the same wall in all clips.

    cache         not used: nothing is downloaded
    seed          of the textures and of every dance; with more clips the earlier ones stay the same
    height        largest height of the mannequin, a share of the frame's; raised arms reach a fifth higher
    period        frames until a dance repeats: smallest and largest, drawn for each clip
    swing         of each joint, a share of its largest deviation
    sway          to either side, a share of the frame's width
    zoom          largest decrease of the mannequin's height, a share of it
    line_width    px, of the lines in the maps
    raises        Fault
    """
    if size[0] % 8 or size[1] % 8 or period[0] > period[1]:
        raise Fault(
            f"datasets.{name}: size {list(size)} must be multiples of 8, "
            f"and period {list(period)} go from least to most"
        )
    wall, textures = looks(np.random.default_rng(seed), size)
    splits = {"train": n_train_clips, "same": n_test_clips}
    wanted = [
        (split, i, np.random.default_rng([seed, k, i]))
        for k, split in enumerate(splits, 1)
        for i in range(splits[split])
    ]

    def make() -> Iterator[tuple[dict, dict]]:
        for split, i, rng in progress(wanted, f"make {name}", unit="frame", scale=n_frames):
            where = dance(
                rng, n_frames=n_frames, size=size, height=height, period=period, swing=swing, sway=sway, zoom=zoom
            )
            real, surface, motion, layer = render(where, wall, textures)
            poses = keypoints(where, size)
            maps = np.stack([_poses.encode(*pair, line_width=line_width, threshold=1) for pair in zip(surface, poses)])
            clip = {
                "id": f"{split}-{i:03d}",
                "split": split,
                "licence": LICENCE,
                "origin": f"v2vbench, seed {seed}, {split} {i}",
            }
            yield (
                clip,
                {
                    "real": real,
                    "maps": maps,
                    "keypoints": poses[:, : _poses.N_BODY].astype(np.float32),
                    "flow": motion,
                    "occluded": hidden(motion, layer),
                },
            )

    facts = Facts(
        name=name,
        title="Mannequin",
        standing="sanity",
        fps=25.0,
        source="maps",
        size=size,
        about=f"A drawn mannequin dances before a still wall, {n_train_clips} dances for training: "
        "made from its keypoints and from the surface of its limbs. Motion and occlusion are exact.",
        label_names=_poses.CHANNELS,
        label_colours=_poses.COLOURS,
        groups={"same": "new dances of the dancer it is trained on"},
        origin="made by v2vbench",
        licence=LICENCE,
        droppable=tuple(_poses.PARTS),
    )
    write_store(out, facts, make())
