"""Walks through the maps of Freedoom, rendered by the game's engine.

A ray caster in the same maps computes label, depth, flow and occlusion of every pixel.
Source: ViZDoom 1.3.2, whose package has the engine and both WAD files.
"""

# pyright: reportArgumentType=false, reportOptionalSubscript=false

import hashlib
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import numpy as np

from v2vbench.datasets import _doom, _doom_dress, _doom_truth, _doom_walk
from v2vbench.params import Count, Fault, Natural, Range, Share, Size, Weight

WADS = {
    "freedoom1": "7323bcc168c5a45ff10749b339960e98314740a734c30d4b9f3337001f9e703d",
    "freedoom2": "a8772e088847032510d97ba2312406a6998f21cbab44d4ff10696faa9c0ecd4b",
}
MAPS = [f"freedoom1:E{e}M{m}" for e in range(1, 5) for m in range(1, 10)]
MAPS += [f"freedoom2:MAP{m:02d}" for m in range(1, 33)]
HELD = {"all": (2, 8, 14), "validation": (5, 11)}  # positions in each 17 maps; training has the other 12
# A colour per label; any two differ by at least 15 (CIEDE2000), also for people without red, green or blue cones.
COLOURS = (
    (114, 102, 85),
    (43, 82, 88),
    (148, 206, 255),
    (147, 140, 167),
    (249, 211, 168),
    (70, 0, 150),
    (0, 106, 220),
    (198, 10, 0),
    (255, 255, 20),
    (233, 255, 247),
    (3, 167, 125),
    (233, 117, 4),
)
GROUPS = {"seen": "new walks through the training maps", "unseen": "maps never trained on"}  # of test clips
SOURCE = {"origin": "Freedoom, rendered by ViZDoom 1.3.2", "licence": "BSD-3-Clause"}


@dataclass(frozen=True, kw_only=True)
class Accept:
    """Thresholds that a walk must meet to become a clip."""

    luma: Annotated[float, Range(0, 255)]  # mean brightness, at least
    sprites: Share  # share of pixels that are sprites, at least
    flow: tuple[Weight, Weight]  # median length, px at a width of 256, from and to
    agreement: Share  # of ray caster and engine on flat or upright surfaces, at least
    unknown: Share  # share of pixels behind grates or outside the map, at most
    warp_error: Annotated[float, Range(0, 1)]  # of the real frames where visible, at most: lights flicker
    overlap: Share  # share of frames with a pose near one of another clip, at most


@dataclass(frozen=True, kw_only=True)
class Dress:
    """One texture for each label, in place of the map's textures."""

    looks: list[Literal["grey", "brown", "stone"]]  # each map has one of them, by its place in MAPS


def look_of(where: str, dress: Literal["none"] | Dress) -> str | None:
    """The look of a map, which does not depend on the other maps of a data set; None for a map as it is."""
    return None if dress == "none" else dress.looks[MAPS.index(where) % len(dress.looks)]


def wad_file(wad: str) -> Path:
    """The file freedoom1 or freedoom2 in the package of ViZDoom, after a check of its sha256; raises Fault."""
    package = find_spec("vizdoom")
    if package is None:
        raise Fault("freedoom: the package vizdoom, which renders the data set, is missing: pip install vizdoom==1.3.2")
    path = Path(package.submodule_search_locations[0], f"{wad}.wad")
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != WADS[wad]:
        raise Fault(
            f"{path}: {'altered' if path.is_file() else 'missing'}: "
            "pip install --force-reinstall --no-deps vizdoom==1.3.2"
        )
    return path


def overlap(poses: np.ndarray, others: list[np.ndarray]) -> float:
    """Share of frames whose pose is within 256 units and 45 degrees of that of a frame of another clip."""
    other = np.concatenate([np.zeros((0, 4)), *others])
    near = np.hypot(*(poses[:, None, :2] - other[:, :2]).transpose(2, 0, 1)) < 256
    return float((near & (abs((poses[:, None, 3] - other[:, 3] + 180) % 360 - 180) < 45)).any(1).mean())


def verdict(figures: dict, accept: Accept) -> str:
    """ "accepted", or why a walk is rejected."""
    wrong = {
        "bare": figures["sprites"] < accept.sprites,
        "unknown": figures["unknown"] > accept.unknown,
        "disagrees": figures["agreement"] < accept.agreement,
        "slow": figures["flow"] < accept.flow[0],
        "fast": figures["flow"] > accept.flow[1],
        "flickers": figures["warp_error"] > accept.warp_error,
    }
    return next((what for what, so in wrong.items() if so), "accepted")


def draw_clips(
    where: str,
    splits: list[str],
    folder: str,
    size: Size,
    n_frames: int,
    seed: int,
    n_draws: int,
    manner: _doom_walk.Walk,
    accept: Accept,
    look: str | None,
) -> tuple[list[tuple[dict, Path]], dict[str, int]]:
    """Walk through one map until each of `splits` has a clip, or n_draws walks were made.

    look       of a dressed map; None: the map as it is
    returns    [(clip, file of its arrays in folder)]; {reason: number} of the walks rejected after the last clip
    """
    wad, level = where.split(":")
    dressed = _doom_dress.dress(wad_file(wad), level, look, Path(folder, f"{wad}-{level}.wad")) if look else None
    world, view = _doom.load(dressed or wad_file(wad), level), _doom.camera(*size)
    done, paths, refused = [], [], {}
    game = _doom_walk.start_engine(wad_file(wad), level, size, dressed)
    try:
        for draw in range(seed, seed + n_draws):
            if len(done) == len(splits):
                break
            walk = _doom_walk.walk(game, world, size, n_frames, draw, manner, accept.luma)
            fate = walk if isinstance(walk, str) else "accepted"
            if fate == "accepted":
                poses = np.stack([frame["pose"] for frame in walk])
                fate = "overlaps" if overlap(poses, paths) > accept.overlap else fate
            if fate == "accepted":
                arrays, figures = _doom_truth.annotate(world, view, walk)
                fate = verdict(figures, accept)
            if fate != "accepted":
                refused[fate] = refused.get(fate, 0) + 1
                continue
            key = f"{wad}-{level.lower()}-{draw}"
            np.savez(Path(folder, key), **arrays)
            clip = {"id": key, "split": splits[len(done)], "cluster": where, "seed": draw, "figures": figures}
            clip |= {"look": look} if look else {}
            done.append((SOURCE | clip | {"refused": refused}, Path(folder, key + ".npz")))
            paths.append(poses)
            refused = {}
    finally:
        game.close()
    return done, refused


def prepare(
    out: Path,
    *,
    name: str,
    cache: Path,
    size: Size,
    train_maps: list[str] | Literal["all"],
    unseen_maps: list[str] | Literal["all", "validation"],
    n_train_clips: Count,
    n_test_clips: Natural,
    n_unseen_clips: Natural,
    n_frames: Annotated[int, Range(2)],
    seed: Natural,
    n_draws: Count,
    walk: _doom_walk.Walk,
    accept: Accept,
    dress: Literal["none"] | Dress,
) -> None:
    """Render and write the clip store. Equal parameters give equal bytes on machines of one kind.

    cache                  not used: nothing is downloaded
    size                   H, W: 32, 64; 64, 128; 128, 256; or 256, 512
    train_maps             "freedoom2:MAP01", ...; "all": of the 68 maps, 12 of each 17 in order
    unseen_maps            likewise; "all": 3 others of each 17; "validation": the remaining 2, for tuning
    n_train_clips, ...     per map: for training; held out of the training maps, group "seen"; of other maps, group
                           "unseen"; 0: the data set has no such group. If n_draws walks give fewer, the map has fewer
                           clips, and a message names it
    dress                  "none": the maps as they are; looks: one texture for each label, a look for each map
    seed, n_draws          first seed of a map, and the largest number of seeds tried
    raises                 Fault
    """
    from v2vbench.clips.store import Facts, write_store
    from v2vbench.progress import progress, say

    where = f"datasets.{name}"
    if size[1] not in _doom_walk.ENGINE or size[1] != 2 * size[0]:
        sizes = ", ".join(str([width // 2, width]) for width in _doom_walk.ENGINE)
        raise Fault(f"{where}.size: {list(size)} is not one of {sizes}")
    train, unseen = train_maps, unseen_maps
    if train_maps == "all":
        train = [m for i, m in enumerate(MAPS) if i % 17 not in sum(HELD.values(), ())]
    if isinstance(unseen_maps, str):
        unseen = [m for i, m in enumerate(MAPS) if i % 17 in HELD[unseen_maps]]
    maps = [*train, *unseen]
    if wrong := [m for m in maps if m not in MAPS]:
        raise Fault(f"{where}: no map {wrong[0]!r}; there are freedoom1:E1M1 to E4M9 and freedoom2:MAP01 to MAP32")
    if not n_test_clips + n_unseen_clips:
        raise Fault(f"{where}: n_test_clips and n_unseen_clips are both 0: nothing to test on")
    if twice := [m for i, m in enumerate(maps) if m in maps[:i]]:
        raise Fault(f"{where}: {twice[0]} stands twice in train_maps and unseen_maps")
    if dress != "none" and not dress.looks:
        raise Fault(f"{where}.dress.looks: at least one of {', '.join(_doom_dress.LOOKS)}")
    for wad in sorted({m.split(":")[0] for m in maps}):
        wad_file(wad)
    # Held-out clips are drawn first, so that another number of training clips does not change the test clips.
    splits = dict.fromkeys(train, ["seen"] * n_test_clips + ["train"] * n_train_clips)
    splits |= dict.fromkeys(unseen, ["unseen"] * n_unseen_clips)

    def render():
        found, refused = Counter(), Counter()
        with TemporaryDirectory() as folder:
            cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count())
            n = min(len(maps), len(cores))
            pool = ProcessPoolExecutor(n, get_context("spawn"), _doom_walk.follow_parent, (folder,))
            try:
                settings = folder, size, n_frames, seed, n_draws, walk, accept
                drawn = [pool.submit(draw_clips, m, splits[m], *settings, look_of(m, dress)) for m in maps]
                for m, future in zip(maps, drawn):
                    done, left = future.result()
                    refused.update(left)
                    if len(done) < len(splits[m]):
                        say(f"{m}: {len(done)} of {len(splits[m])} clips in {n_draws} walks; the last refused: {left}")
                    for clip, file in done:
                        with np.load(file) as arrays:
                            yield clip, dict(arrays)
                        file.unlink()
                        found[clip["split"]] += 1
                        refused.update(clip["refused"])
            except BrokenProcessPool:
                raise Fault(f"{where}: a rendering process was killed, perhaps for want of memory; try again") from None
            except Exception as error:
                if not type(error).__module__.startswith("vizdoom"):
                    raise
                raise Fault(f"{where}: {m}: the engine that renders failed ({error}); try again") from None
            finally:
                pool.shutdown(cancel_futures=True)
        walks = f"walks accepted {found.total()}, refused {dict(sorted(refused.items()))}"
        if empty := sorted({split for m in maps for split in splits[m]} - found.keys()):
            raise Fault(f"{where}: no clip for {', '.join(empty)}: {walks}; allow more n_draws or other maps")
        say(f"prepare {name}: {walks}")

    facts = Facts(
        name=name,
        title="Freedoom",
        about="Walks through the maps of a game; labels, motion and occlusion are exact."
        + (" A dressed map has one texture for each label." if dress != "none" else ""),
        standing="benchmark",
        fps=35 / _doom_walk.TICS,
        source="labels",
        label_names=_doom.LABELS,
        cluster="map",
        label_colours=COLOURS,
        size=size,
        **SOURCE,
        groups={group: about for group, about in GROUPS.items() if any(group in own for own in splits.values())},
    )
    total = sum(map(len, splits.values()))
    with closing(render()) as rendered:
        write_store(out, facts, progress(rendered, f"prepare {name}", unit="clip", total=total))
