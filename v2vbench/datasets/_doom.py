"""Maps of the game Doom and their exact view from a camera: a reader of WAD files and a ray caster.

World coordinates are the map's units, x east, y north, z up; angles are degrees counter-clockwise from east. A pose is
(x, y, z, angle): the camera does not tilt, so walls stay upright, and one ray per column gives all pixels of a column.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from v2vbench.params import Fault

LABELS = (
    "floor",
    "ceiling",
    "sky",
    "wall",
    "step",
    "door",
    "liquid",
    "monster",
    "item",
    "light",
    "decoration",
    "hazard",
)  # those of the map, those of sprites
FLOOR, CEILING, SKY, WALL, STEP, DOOR, LIQUID = range(7)
IGNORE = 255  # behind a masked texture (a grate), or outside the map
NEAR = 1e-3  # units; anything nearer counts as behind the camera
TALL = 56  # units, the walker's height: a higher rise of the floor is a wall, not a step
LIQUIDS = ("NUKAGE", "FWATER", "LAVA", "BLOOD", "SLIME0", "SWATER", "WATER")
# Special types of lines: whose door is the sector behind the line, whose doors are the sectors with the line's tag, and
# teleporters and exits.
DOORS_BEHIND = (1, 26, 27, 28, 31, 32, 33, 34, 117, 118)
DOORS_TAGGED = (2, 3, 4, 16, 29, 42, 46, 50, 61, 63, 75, 76, 86, 90, 99, 103, *range(105, 117), *range(133, 138))
LEAVES = (39, 52, 97, 124, 125, 126, 195, 197, 198)
SIDE = np.dtype([("offset", "<i2", 2), ("upper", "S8"), ("lower", "S8"), ("middle", "S8"), ("sector", "<u2")])
SECTOR = np.dtype(
    [
        ("floor", "<i2"),
        ("ceiling", "<i2"),
        ("floor_flat", "S8"),
        ("ceiling_flat", "S8"),
        ("light", "<i2"),
        ("special", "<i2"),
        ("tag", "<i2"),
    ]
)


@dataclass(frozen=True)
class World:
    """One map. L lines, S sectors."""

    a: np.ndarray  # (L, 2) units, start of each line
    b: np.ndarray  # (L, 2) units, end
    front: np.ndarray  # (L,) sector on the right of a -> b
    back: np.ndarray  # (L,) sector on the left, -1 = none
    grate: np.ndarray  # (L, 2) bool, a masked texture on the front, on the back
    barrier: np.ndarray  # (L,) bool, not to be crossed: flagged impassable, a teleporter or an exit
    floor: np.ndarray  # (S,) units, as the map starts
    ceiling: np.ndarray  # (S,) units
    liquid: np.ndarray  # (S,) bool
    sky: np.ndarray  # (S,) bool, the ceiling is the sky
    door: np.ndarray  # (S,) bool


@dataclass(frozen=True)
class Camera:
    """Pixel (x, y) looks along (1, (x + 0.5 - cx) / fx, (cy - y - 0.5) / fy): ahead, right, up."""

    height: int
    width: int
    fx: float
    fy: float
    cx: float
    cy: float


def camera(height: int, width: int) -> Camera:
    """The engine's camera at 16:9, cropped to `height`: 90 degrees over the middle 4:3, pixels 1.2 times as high."""
    fx = width / 2 / (4 / 3)
    return Camera(height, width, fx, 1.2 * fx, width / 2, height / 2)


def _text(names: np.ndarray) -> np.ndarray:
    return np.array([name.split(b"\0")[0].decode("latin1").upper() for name in names])


def lumps(path: Path, name: str) -> dict[str, bytes]:
    """The ten parts of one map of a WAD file, by name.

    name      "MAP01", "E1M1"
    raises    Fault if the file is no complete WAD or has no such map
    """
    content = Path(path).read_bytes()
    try:
        magic, n_lumps, start = struct.unpack_from("<4sii", content)
        table = [struct.unpack_from("<ii8s", content, start + 16 * i) for i in range(n_lumps)]
        names = [lump[2].rstrip(b"\0").decode("latin1").upper() for lump in table]
        if magic not in (b"IWAD", b"PWAD") or any(at + n > len(content) for at, n, _ in table):
            raise struct.error
    except struct.error:
        raise Fault(f"{path}: not a whole WAD file; install the package it came with again") from None
    if name not in names:
        maps = [here for here, following in pairwise(names) if following == "THINGS"]
        raise Fault(f"{path}: no map {name!r}; there are {', '.join(maps) or 'none'}")
    first = names.index(name) + 1
    return {lump: content[at : at + n] for lump, (at, n, _) in zip(names[first : first + 10], table[first:])}


def load(path: Path, name: str) -> World:
    """Read one map of a WAD file; name and faults as in `lumps`."""
    raw = lumps(path, name)
    points = np.frombuffer(raw["VERTEXES"], "<i2").reshape(-1, 2).astype(float)
    start, end, flags, special, tag, right, left = np.frombuffer(raw["LINEDEFS"], "<u2").reshape(-1, 7).T
    sides, sectors = np.frombuffer(raw["SIDEDEFS"], SIDE), np.frombuffer(raw["SECTORS"], SECTOR)
    two = left != 0xFFFF
    left = np.where(two, left, 0)
    back = np.where(two, sides["sector"][left].astype(int), -1)
    door = np.isin(sectors["tag"], tag[np.isin(special, DOORS_TAGGED) & (tag > 0)])
    door[back[np.isin(special, DOORS_BEHIND) & two]] = True
    middle = _text(sides["middle"])
    return World(
        a=points[start],
        b=points[end],
        front=sides["sector"][right].astype(int),
        back=back,
        grate=two[:, None] & (np.stack([middle[right], middle[left]], 1) != "-"),
        barrier=(flags & 1 > 0) | np.isin(special, LEAVES),
        floor=sectors["floor"].astype(float),
        ceiling=sectors["ceiling"].astype(float),
        liquid=np.array([flat.startswith(LIQUIDS) for flat in _text(sectors["floor_flat"])]),
        sky=_text(sectors["ceiling_flat"]) == "F_SKY1",
        door=door,
    )


def crossings(world: World, view: Camera, poses: np.ndarray) -> tuple[np.ndarray, ...]:
    """Every crossing of a column's ray with a line, sorted by ray, then from near to far.

    poses      (T, 4)    x, y, z, angle
    returns    four arrays (P,): ray = t * width + column; line; depth along the optical axis; whether the ray meets the
               line's front
    """
    x, y, _, angle = poses.T[:, :, None]
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    ends = []
    for point in (world.a, world.b):
        dx, dy = point[:, 0] - x, point[:, 1] - y  # (T, L)
        ends += [dx * cos + dy * sin, dx * sin - dy * cos]  # ahead, right
    da, ra, db, rb = ends
    matters = (world.front != world.back) | world.grate.any(1)
    t, line = np.nonzero(((da > NEAR) | (db > NEAR)) & matters)
    da, ra, db, rb = da[t, line], ra[t, line], db[t, line], rb[t, line]
    with np.errstate(divide="ignore", invalid="ignore"):
        cut = (NEAR - da) / (db - da)  # where a line passes behind the camera
        r_cut = ra + cut * (rb - ra)
        xa = np.where(da > NEAR, ra / da, r_cut / NEAR) * view.fx + view.cx
        xb = np.where(db > NEAR, rb / db, r_cut / NEAR) * view.fx + view.cx
    # Half-open in pixel centres: lines that share a vertex share its rounding, so no ray slips between them.
    first, last = (np.ceil(np.clip(v, -1, view.width + 1) - 0.5).astype(int).clip(0, view.width) for v in (xa, xb))
    front = first < last
    start, n = np.minimum(first, last), abs(last - first)
    k = np.repeat(np.arange(len(n)), n)
    column = np.arange(len(k)) - np.repeat(np.cumsum(n) - n, n) + start[k]
    u = (column + 0.5 - view.cx) / view.fx
    q = (u * da[k] - ra[k]) / (rb[k] - ra[k] - u * (db[k] - da[k]))
    depth = np.maximum(da[k] + q * (db[k] - da[k]), NEAR)
    ray = t[k] * view.width + column
    order = np.lexsort((depth, ray))
    k = k[order]
    return ray[order], line[k], depth[order], front[k]


def cast(world: World, view: Camera, poses: np.ndarray, floors: np.ndarray, ceilings: np.ndarray) -> dict:
    """Label, depth and motion of every pixel of a clip.

    Each ray goes from line to line. Every line closes rows of the ray's column from above (ceiling, then lintel) and
    from below (floor, then sill), until no row is open.

    poses              (T, 4)
    floors, ceilings   (T, S)    heights of the sectors at each frame
    returns            (T, H, W) each: label uint8, IGNORE outside the map; depth float32, along the optical axis, inf
                       at the sky; lift float32, units that the surface rose in one frame; grate bool, behind a grate
    """
    n_frames, height, width = len(poses), view.height, view.width
    ray, line, depth, front = crossings(world, view, poses)
    near, far = np.where(front, (world.front[line], world.back[line]), (world.back[line], world.front[line]))
    kept = near >= 0  # without lines met from their empty side
    ray, line, depth, front, near, far = (v[kept] for v in (ray, line, depth, front, near, far))
    grate = world.grate[line, np.where(front, 0, 1)]
    n_rays = n_frames * width
    head, tail = np.searchsorted(ray, np.arange(n_rays + 1))[[np.arange(n_rays), np.arange(1, n_rays + 1)]]
    floor_rose, ceiling_rose = (np.diff(h, axis=0, prepend=h[:1]) for h in (floors, ceilings))
    top, bottom = np.zeros(n_rays, int), np.full(n_rays, height)  # open: top <= row < bottom
    veil = np.zeros((2, n_rays), int)  # rows seen through the ray's first grate
    above, below = [], []  # closed rows, downward and upward

    def close(spans, n_rows, label, depth, plane, lift):  # upright: a depth; flat: a height
        spans.append([v[n_rows > 0] for v in np.broadcast_arrays(live, n_rows, label, depth, plane, lift)])

    def rows_above(plane):  # the row where the line's face meets a height
        return np.ceil(np.clip(view.cy - view.fy * (plane - eye) / d, -1, height + 1) - 0.5).astype(int)

    live, step = np.arange(n_rays), 0
    while len(live := live[(head[live] + step < tail[live]) & (top[live] < bottom[live])]):
        at = head[live] + step
        d, here, there, wall = depth[at], near[at], np.where(far[at] < 0, near[at], far[at]), far[at] < 0
        t = live // width
        eye, roof, ground = poses[t, 2], ceilings[t, here], floors[t, here]
        ceiling = np.where(roof > eye, rows_above(roof), 0).clip(top[live], bottom[live])
        floor = np.where(ground < eye, rows_above(ground), height).clip(ceiling, bottom[live])
        lintel = np.where(wall, floor, rows_above(ceilings[t, there])).clip(ceiling, floor)
        sill = np.where(wall, floor, rows_above(floors[t, there])).clip(lintel, floor)
        hidden = world.sky[here] & world.sky[there] & ~wall  # between two skies the lintel is sky too
        upright = np.where(hidden, SKY, np.where(world.door[there] & ~wall, DOOR, WALL))
        rise = np.where(floors[t, there] - ground > TALL, WALL, STEP)
        above_is = np.where(world.sky[here], SKY, CEILING)
        close(above, ceiling - top[live], above_is, np.nan, roof - eye, ceiling_rose[t, here])
        close(above, lintel - ceiling, upright, d, np.nan, np.where(wall, 0, ceiling_rose[t, there]))
        below_is = np.where(world.liquid[here], LIQUID, FLOOR)
        close(below, bottom[live] - floor, below_is, np.nan, ground - eye, floor_rose[t, here])
        close(below, floor - sill, rise, d, np.nan, floor_rose[t, there])
        veiled = grate[at] & (veil[1, live] == 0)
        veil[:, live[veiled]] = lintel[veiled], sill[veiled]
        top[live], bottom[live], step = lintel, sill, step + 1
    live = np.arange(n_rays)
    close(above, bottom - top, IGNORE, np.inf, np.nan, 0)  # rays that left the map
    spans = above + [[v[::-1] for v in span] for span in below[::-1]]  # now all downward
    rays, n_rows, label, depth, plane, lift = map(np.concatenate, zip(*spans))
    order = np.argsort(rays, kind="stable")
    span = np.repeat(order, n_rows[order]).reshape(n_frames, width, height).transpose(0, 2, 1)
    rows = np.arange(height)[:, None]
    up = (view.cy - rows - 0.5) / view.fy
    label, depth = label.astype(np.uint8)[span], depth[span]
    depth = np.where(label == SKY, np.inf, np.where(np.isnan(depth), plane[span] / up, depth))
    veil = veil.reshape(2, n_frames, 1, width)
    return {
        "label": label,
        "depth": depth.astype(np.float32),
        "lift": lift[span].astype(np.float32),
        "grate": (rows >= veil[0]) & (rows < veil[1]),
    }
