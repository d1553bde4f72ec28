import itertools
import struct

import numpy as np
import pytest

from v2vbench.datasets import _doom, _doom_truth, _doom_walk
from v2vbench.params import Fault

VIEW = _doom.camera(64, 128)


def write_wad(path, rooms, specials=()):
    """Write a map M of rectangular rooms, side by side or inside room 0.

    rooms       (x0, y0, x1, y1, floor, ceiling, floor flat, ceiling flat); an edge that two rooms share exactly is a
                two-sided line; a room whose ceiling flat is None is a pillar
    specials    {(room, room): (special, middle texture)} of shared edges
    """
    specials, vertices, lines, sides, sectors, numbers = dict(specials), [], [], [], [], {}
    for i, room in enumerate(rooms):
        if room[7] is not None:
            numbers[i] = len(sectors)
            sectors.append(struct.pack("<hh8s8shhh", *room[4:6], room[6].encode(), room[7].encode(), 200, 0, 0))

    def line(a, b, right, left):
        special, middle = specials.get((right, left), (0, "-"))
        number = len(sides)
        for side in (right, left):
            if side is not None:
                texture = b"W" if left is None else middle.encode()
                sides.append(struct.pack("<hh8s8s8sH", 0, 0, b"W", b"W", texture, numbers[side]))
        for point in (a, b):
            vertices.append(struct.pack("<hh", *point))
        n, other = len(vertices), 0xFFFF if left is None else number + 1
        lines.append(struct.pack("<7H", n - 2, n - 1, 0, special, 0, number, other))

    edges = {}
    for i, (x0, y0, x1, y1, *_) in enumerate(rooms):  # clockwise: the room is on the right
        corners = [(x0, y0), (x0, y1), (x1, y1), (x1, y0)]
        edges |= {(i, a, b): (a, b) for a, b in zip(corners, corners[1:] + corners[:1])}
    for i, a, b in edges:
        inside = [j for j, r in enumerate(rooms) if j != i and r[0] < rooms[i][0] and rooms[i][2] < r[2]]
        across = next((j for (j, c, d) in edges if j != i and (c, d) == (b, a)), inside[0] if inside else None)
        if i not in numbers:
            line(b, a, across, None)  # a pillar's face is seen from the room around it
        elif across is None or i < across or inside:
            line(a, b, i, across)
    lumps = [
        (b"M", b""),
        (b"THINGS", b""),
        (b"LINEDEFS", b"".join(lines)),
        (b"SIDEDEFS", b"".join(sides)),
        (b"VERTEXES", b"".join(vertices)),
        (b"SECTORS", b"".join(sectors)),
    ]
    starts = list(itertools.accumulate((len(data) for _, data in lumps), initial=12))
    table = b"".join(struct.pack("<ii8s", at, len(data), lump) for at, (lump, data) in zip(starts, lumps))
    path.write_bytes(
        struct.pack("<4sii", b"PWAD", len(lumps), starts[-1]) + b"".join(data for _, data in lumps) + table
    )
    return _doom.load(path, "M")


HALL = (-512, -512, 512, 512, 0, 128, "FLAT", "FLAT")


def see(world, poses, floors=None):
    poses = np.array(poses, float)
    floors = np.tile(world.floor, (len(poses), 1)) if floors is None else np.array(floors, float)
    seen = _doom.cast(world, VIEW, poses, floors, np.tile(world.ceiling, (len(poses), 1)))
    return seen, *_doom_truth.of_map(VIEW, poses, seen["depth"], seen["lift"])


def rays():
    x, y = np.arange(128) + 0.5 - 64, np.arange(64)[:, None] + 0.5 - 32
    return x, y, VIEW.fx, VIEW.fy


def test_room_has_the_depth_and_labels_of_its_walls(tmp_path):
    seen, *_ = see(write_wad(tmp_path / "w", [HALL]), [(-100, 30, 41, 0)])
    x, y, fx, fy = rays()
    with np.errstate(divide="ignore"):
        ahead = np.minimum(
            612, np.where(x > 0, 542, 482) / (abs(x) / fx)
        )  # the wall of each column: ahead or at a side
    flat = np.where(y > 0, 41, 87) * fy / abs(y)
    expected = np.where(flat < ahead, np.where(y > 0, _doom.FLOOR, _doom.CEILING), _doom.WALL)
    np.testing.assert_array_equal(seen["label"][0], expected)
    np.testing.assert_allclose(seen["depth"][0], np.minimum(flat, ahead), rtol=1e-5)
    assert not seen["grate"].any()


def test_flow_of_walking_and_of_turning_is_the_closed_form(tmp_path):
    world = write_wad(tmp_path / "w", [HALL])
    x, y, fx, _ = rays()
    seen, flow, before = see(
        world, [(-100, 0, 41, 0), (-88, 0, 41, 0)]
    )  # 12 units ahead: all shrinks back to the middle
    depth = seen["depth"][1]
    np.testing.assert_allclose(before[0], depth + 12, rtol=1e-5)
    np.testing.assert_allclose(flow[0, ..., 0], np.broadcast_to(-x * 12 / (depth + 12), depth.shape), atol=1e-3)
    np.testing.assert_allclose(flow[0, ..., 1], np.broadcast_to(-y * 12 / (depth + 12), depth.shape), atol=1e-3)
    _, flow, _ = see(world, [(0, 0, 41, 10), (0, 0, 41, 13)])  # turned 3 degrees to the left
    was = np.arctan(x / fx) - np.radians(3)
    np.testing.assert_allclose(flow[0, ..., 0], np.broadcast_to(fx * np.tan(was) - x, depth.shape), atol=1e-3)
    np.testing.assert_allclose(flow[0, ..., 1], y * np.cos(np.arctan(x / fx)) / np.cos(was) - y, atol=1e-3)


def test_sky_turns_and_has_no_parallax(tmp_path):
    world = write_wad(tmp_path / "w", [(*HALL[:7], "F_SKY1")])
    seen, flow, before = see(world, [(-100, 0, 41, 0), (-60, 7, 41, 0)])
    sky = seen["label"][1] == _doom.SKY
    assert sky.mean() > 0.2 and np.isinf(seen["depth"][1][sky]).all() and np.isfinite(seen["depth"][1][~sky]).all()
    np.testing.assert_allclose(flow[0][sky], 0, atol=1e-6)
    occluded = _doom_truth.occlusion(flow, before, seen["depth"], seen["label"])[0]
    np.testing.assert_array_equal(occluded[sky], (seen["label"][0] != _doom.SKY)[sky])


def test_steps_walls_doors_liquids_and_grates(tmp_path):
    def ahead(floor, ceiling, flat="FLAT", special=(0, "-")):
        rooms = [HALL, (512, -512, 900, 512, floor, ceiling, flat, "FLAT")]
        seen, *_ = see(write_wad(tmp_path / "w", rooms, {(0, 1): special}), [(0, 0, 41, 0)])
        return seen["label"][0, :, 64], seen["depth"][0, :, 64], seen["grate"][0, :, 64]

    assert _doom.STEP in ahead(24, 128)[0] and _doom.STEP not in ahead(0, 128)[0]
    assert _doom.STEP not in ahead(64, 128)[0] and ahead(64, 128)[1][31] == pytest.approx(512)  # too high for a step
    assert ahead(24, 128)[1][32] == pytest.approx(900)  # over the step, the far wall
    assert ahead(0, 0, special=(1, "-"))[0][31] == _doom.DOOR and ahead(0, 0)[0][31] == _doom.WALL
    assert _doom.LIQUID in ahead(-24, 128, "FWATER1")[0]
    label, _, grate = ahead(24, 96, special=(0, "BARS"))
    assert grate.any() and not grate[label == _doom.STEP].any() and not ahead(24, 96)[2].any()


def test_a_rising_floor_carries_its_pixels(tmp_path):
    rooms = [HALL, (512, -512, 900, 512, 10, 128, "FLAT", "FLAT")]
    seen, flow, _ = see(write_wad(tmp_path / "w", rooms), [(0, 0, 41, 0)] * 2, [[0, 10], [0, 14]])
    step = seen["label"][1] == _doom.STEP
    assert step.any() and (seen["lift"][1][step] == 4).all()
    np.testing.assert_allclose(flow[0, ..., 1][step], VIEW.fy * 4 / 512, rtol=1e-5)  # it stood lower
    np.testing.assert_allclose(flow[0][seen["label"][1] == _doom.CEILING], 0, atol=1e-9)


def test_occlusion_is_what_a_pillar_hid(tmp_path):
    world = write_wad(tmp_path / "w", [HALL, (100, -30, 160, 30, 0, 128, "FLAT", None)])
    before, now = (-100, 10, 41, 0), (-94, -14, 41, 0)
    seen, flow, there = see(world, [before, now])
    occluded = _doom_truth.occlusion(flow, there, seen["depth"], seen["label"])[0]
    x, _, fx, _ = rays()
    depth = seen["depth"][1]
    to = np.stack(np.broadcast_arrays(now[0] + depth, now[1] - depth * x / fx), -1)  # what a pixel shows
    hidden = np.zeros(depth.shape, bool)
    for share in np.linspace(0, 0.999, 400):  # was the pillar in between?
        at = np.array(before[:2]) * (1 - share) + to * share
        hidden |= (at[..., 0] > 100.01) & (at[..., 0] < 159.99) & (abs(at[..., 1]) < 29.99)
    column, row = np.arange(128) + flow[0, ..., 0], np.arange(64)[:, None] + flow[0, ..., 1]
    expected = hidden | (column < 0) | (column > 127) | (row < 0) | (row > 63)
    assert expected.mean() > 0.03 and (occluded & expected).sum() / (occluded | expected).sum() > 0.85
    assert (occluded != expected).mean() < 0.02  # the pixels that mix both sides of an edge


def test_walker_reaches_until_a_line_or_a_post(tmp_path):
    world = write_wad(tmp_path / "w", [HALL])
    lines = _doom_walk.obstacles(world, world.floor, world.ceiling)
    room = _doom_walk.reach(lines, np.array([[0.0, 200.0]]), np.zeros(2), np.array([0.0, 90.0, 180.0, 45.0]), 800)
    np.testing.assert_allclose(room, [512, 160, 512, (512 - 20 / 2**0.5) * 2**0.5], atol=0.5)


def test_a_truncated_wad_or_an_unknown_map_is_a_fault(tmp_path):
    write_wad(tmp_path / "w", [HALL])
    whole = (tmp_path / "w").read_bytes()
    with pytest.raises(Fault, match="no map 'MAP01'; there are M$"):
        _doom.load(tmp_path / "w", "MAP01")
    for n in (5, 100, len(whole) - 1):
        (tmp_path / "w").write_bytes(whole[:n])
        with pytest.raises(Fault, match="not a whole WAD"):
            _doom.load(tmp_path / "w", "M")
