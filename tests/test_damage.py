"""Every ladder of damage: nothing at level 0, more at each rung, the same each time; reused frames are the same."""

import numpy as np
import pytest
from skimage.data import astronaut
from test_contracts import suites

from v2vbench.clips.damage import LADDERS, damaged
from v2vbench.params import Fault, coerce

RUNGS = {
    "blur": [0.5, 1, 3],
    "noise": [3, 12, 40],
    "jpeg": [85, 40, 5],
    "h264": [18, 30, 45],
    "colour": [4, 16, 60],
    "warp_space": [0.4, 1, 3],
    "warp_space_time": [0.4, 1, 3],
    "flicker": [3, 12, 40],
    "shuffle": [2, 4, 12],
    "freeze": [2, 4, 12],
    "drop": [6, 3, 2],
    "slow": [1.2, 2, 5],
    "fast": [1.2, 2, 3],
    "late": [1, 2, 5],
}
for suite in suites():  # what is not listed has the rungs of the first suite that names it
    RUNGS = suite.calibration["ladders"] | RUNGS


@pytest.fixture(scope="module")
def frames():
    """A view that pans over a photograph, 12 frames of 48 x 80: compressible as made-up textures are not."""
    photo = astronaut()
    return np.stack([photo[60 + t : 108 + t, 150 + 3 * t : 230 + 3 * t] for t in range(12)])


def spoil(frames, name, level, clip="a", seed=0):
    return damaged(frames, name, level, clip, seed)


def error(a, b):
    return ((a.astype(float) - b) ** 2).mean()


@pytest.mark.parametrize("name", LADDERS)
def test_ladder(name, frames):
    before, ladder = frames.copy(), LADDERS[name]
    assert np.array_equal(spoil(frames, name, 0), frames)
    rungs = [spoil(frames, name, level) for level in coerce(RUNGS[name], list[ladder.levels], name)]
    for made, level in zip(rungs, RUNGS[name]):
        assert made.shape == frames.shape and made.dtype == np.uint8 and not np.array_equal(made, frames)
        assert np.array_equal(made, spoil(frames, name, level))
    assert np.array_equal(frames, before)
    errors = [error(made, frames) for made in rungs]
    assert sorted(set(errors)) == errors or name in ("slow", "fast", "shuffle"), errors  # these: tested in closed form
    assert (ladder.kind == "time") == all((made[:, None] == frames[None]).all((2, 3, 4)).any(1).all() for made in rungs)
    assert (np.diff(RUNGS[name])[0] < 0) == (ladder.neutral is None) and ladder.unit.count("{}") == 1


@pytest.mark.parametrize("name", ["noise", "warp_space", "warp_space_time", "flicker", "shuffle"])
def test_what_is_drawn_depends_on_clip_and_seed_alone(name, frames):
    level = RUNGS[name][-1]
    made = spoil(frames, name, level)
    assert not np.array_equal(made, spoil(frames, name, level, clip="b")) and not np.array_equal(
        made, spoil(frames, name, level, seed=1)
    )


@pytest.mark.parametrize("name", LADDERS)
@pytest.mark.parametrize("shape", [(1, 48, 80), (2, 17, 33), (3, 5, 3)])
def test_one_frame_and_odd_sizes(name, shape, frames):
    few = frames[: shape[0], : shape[1], : shape[2]]
    for level in RUNGS[name]:
        assert spoil(few, name, level).shape == few.shape
    if shape[0] == 1 and LADDERS[name].kind == "time":
        assert np.array_equal(spoil(few, name, RUNGS[name][-1]), few)


@pytest.mark.parametrize(
    "name, level, order",
    [
        ("freeze", 3, [0, 0, 0, 3, 3, 3, 6]),
        ("drop", 3, [0, 1, 1, 3, 4, 4, 6]),
        ("drop", 2, [0, 0, 2, 2, 4, 4, 6]),
        ("slow", 2, [0, 0, 1, 1, 2, 2, 3]),
        ("slow", 1.5, [0, 0, 1, 2, 2, 3, 4]),
        ("fast", 2, [0, 2, 4, 6, 4, 2, 0]),
        ("fast", 1.5, [0, 1, 3, 4, 6, 5, 3]),
        ("fast", 13, [0, 1, 2, 3, 4, 5, 6]),
        ("late", 2, [0, 0, 0, 1, 2, 3, 4]),
        ("late", 9, [0] * 7),
    ],
)
def test_time(name, level, order, frames):
    assert np.array_equal(spoil(frames[:7], name, level), frames[:7][order])


@pytest.mark.parametrize("level", [2, 3, 5, 12])
def test_shuffle_keeps_to_its_blocks(level):
    frames = np.arange(11, dtype=np.uint8)[:, None, None, None] + np.zeros((4, 4, 3), np.uint8)
    order = spoil(frames, "shuffle", level)[:, 0, 0, 0]
    for start in range(0, 11, level):
        block = order[start : start + level].tolist()
        assert sorted(block) == list(range(start, min(start + level, 11)))
        assert len(block) == 1 or block != sorted(block)


def test_sizes_of_what_is_drawn():
    grey = np.full((40, 32, 64, 3), 128, np.uint8)
    assert (spoil(grey, "noise", 10) - 128.0).std() == pytest.approx(10, rel=0.01)
    offsets = spoil(grey, "flicker", 10) - 128.0
    assert (np.ptp(offsets, (1, 2, 3)) == 0).all() and offsets[:, 0, 0, 0].std() == pytest.approx(10, rel=0.3)
    assert (spoil(grey, "colour", 7)[..., :] - 128 == np.uint8([7, 0, -7 % 256])).all()
    ramp = np.broadcast_to(
        np.arange(0, 256, 4, dtype=np.uint8)[None, None, :, None], (6, 64, 64, 3)
    )  # 4 grey levels a px
    for name in ("warp_space", "warp_space_time"):
        moved = (spoil(ramp, name, 2)[:, :, 8:-8] - ramp[:, :, 8:-8].astype(float)) / 4
        assert moved.std() == pytest.approx(2, rel=0.25)
        assert (moved == moved[0]).all() == (name == "warp_space")


def test_the_two_warps_leave_single_frames_as_good_and_one_shakes(frames):
    still = np.repeat(frames[:1], 12, 0)
    steady, shaken = (spoil(still, name, 1) for name in ("warp_space", "warp_space_time"))
    assert error(shaken, still) == pytest.approx(error(steady, still), rel=0.25)
    assert (steady == steady[0]).all() and error(shaken[1:], shaken[:-1]) > error(shaken, still)


def test_colours_keep_their_places(frames):
    red = np.zeros((3, 16, 16, 3), np.uint8) + np.uint8([220, 20, 40])
    for name, level in (("jpeg", 95), ("h264", 10)):
        assert np.abs(spoil(red, name, level) - red.astype(int)).max() < 6


@pytest.mark.parametrize(
    "name, level",
    [("blur", 0.0), ("jpeg", 101), ("jpeg", 40.5), ("shuffle", 1), ("h264", 52), ("fast", 1.0), ("freeze", "2")],
)
def test_levels_out_of_range_are_refused(name, level):
    with pytest.raises(Fault, match="ladders"):
        coerce([level], list[LADDERS[name].levels], "ladders")
