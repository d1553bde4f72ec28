"""A world at constant velocity is predicted exactly; what is uncovered or meets is filled or averaged as stated."""

import numpy as np
import pytest
import torch
from conftest import facts

from v2vbench.clips.tensors import to_tensors
from v2vbench.models.flow_extrapolation import Model, extrapolate
from v2vbench.params import Fault

SIZE, N_FUTURE = (32, 64), 4


def constant(dx, dy):
    return torch.tensor([dx, dy], dtype=torch.float32).view(2, 1, 1).expand(2, *SIZE).clone()


def predict(real, n_future):
    """The future that the model predicts of frames (T, 3, H, W)."""
    return Model(facts()).predict({"real": real[None]}, n_future, torch.Generator())[0]


@pytest.mark.parametrize("dx, dy", [(0, 0), (2, 1), (-3, 0)])
def test_a_picture_that_slides_is_rolled_and_its_edge_is_repeated(dx, dy):
    """Content that moves by (dx, dy) a frame has the flow (-dx, -dy) back."""
    frame = torch.rand(3, *SIZE)
    for step, future in enumerate(extrapolate(frame, -constant(dx, dy), N_FUTURE), 1):
        y, x = (torch.arange(n) - step * d for n, d in zip(SIZE, (dy, dx)))
        expected = frame[:, y.clamp(0, SIZE[0] - 1)][:, :, x.clamp(0, SIZE[1] - 1)]
        assert torch.equal(future, expected)


def test_half_a_pixel_is_the_mean_of_two():
    frame = torch.rand(3, *SIZE)
    future = extrapolate(frame, constant(-0.5, 0), 1)[0]
    assert torch.allclose(future[..., 1:], (frame[..., 1:] + frame[..., :-1]) / 2, atol=1e-6)


def test_a_square_takes_its_velocity_along_and_what_it_leaves_is_filled_from_around():
    """It crosses a black background; what is black there and what the square covers are averaged."""
    frame, flow = torch.zeros(3, *SIZE), torch.zeros(2, *SIZE)
    square = torch.rand(3, 8, 8) + 1
    frame[:, 12:20, 8:16], flow[0, 12:20, 8:16] = square, -3
    for step, future in enumerate(extrapolate(frame, flow, 2), 1):
        expected, at = torch.zeros(3, *SIZE), 8 + 3 * step
        expected[:, 12:20, at : at + 8] = square
        expected[:, 12:20, 16 : at + 8] /= 2  # of pixels that were never the square's, the background comes too
        outside_hole = torch.ones(SIZE, dtype=torch.bool)
        outside_hole[12:20, 8:at] = False
        assert torch.equal(future[:, outside_hole], expected[:, outside_hole])
        assert torch.equal(future[:, 12:20, 8], torch.zeros(3, 8))  # the nearest known pixel is the background's


def test_a_square_in_front_of_a_background_of_its_velocity_is_exact():
    """All moves alike by whole pixels, so nothing is hidden: the interior is the real future."""
    rng = np.random.default_rng(0)
    world = torch.from_numpy(rng.random((3, 64, 128)).astype(np.float32))
    frames = [world[:, 16 - t : 48 - t, 32 - 2 * t : 96 - 2 * t] for t in range(N_FUTURE + 1)]  # moves by (2, 1)
    futures = extrapolate(frames[0], -constant(2, 1), N_FUTURE)
    for step, (future, real) in enumerate(zip(futures, frames[1:]), 1):
        assert torch.equal(future[:, step:, 2 * step :], real[:, step:, 2 * step :])


def test_the_sliding_world_is_exact_where_nothing_is_hidden(store):
    """Its background slides under a square that stands still: where neither is in the way all is known."""
    clip, n_known = to_tensors(store.read(store.split("seen")[0])), 0
    last, flow = clip["real"][4], clip["flow"][3]
    still = (flow == 0).all(0)  # the square
    dx, dy = flow[:, 0, 0].int().tolist()
    for step, (future, real) in enumerate(zip(extrapolate(last, flow, 3), clip["real"][5:]), 1):
        known = torch.zeros(SIZE, dtype=torch.bool)
        known[step * max(-dy, 0) : SIZE[0] - step * max(dy, 0), step * max(-dx, 0) : SIZE[1] - step * max(dx, 0)] = True
        known &= ~still & ~still.roll((-step * dy, -step * dx), (0, 1))  # not under the square, nor from under it
        n_known += int(known.sum())
        assert torch.equal(future[:, known], real[:, known])
    assert n_known > 3 * 0.7 * SIZE[0] * SIZE[1]


def test_what_has_left_the_frame_leaves_the_last_frame_that_had_something():
    frame = torch.rand(3, *SIZE)
    futures = extrapolate(frame, constant(-40, 0), 3)
    assert torch.equal(futures[0][..., 40:], frame[..., :24]) and torch.equal(futures[1], futures[0])
    assert torch.equal(extrapolate(frame, constant(-90, 0), 1)[0], frame)


def smooth(shift):
    """A picture (3, H, W) in [-1, 1] of slow waves, shifted to the right, px."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    waves = [np.sin((x - shift) * a + y * b + a) for a, b in ((0.3, 0.2), (0.25, -0.3), (0.4, 0.1))]
    return torch.from_numpy(0.8 * np.stack(waves)).float()


def test_estimated_motion_is_continued_and_copying_the_last_frame_errs_by_the_displacement():
    """The picture moves 1 px a frame: a copy of the last frame is off by the mean |sin a - sin b| of such a shift."""
    real = torch.stack([smooth(t) for t in range(3 + N_FUTURE)])
    inner = np.s_[..., 4:-4, 8:-8]
    errors = (predict(real[:3], N_FUTURE) - real[3:])[inner].abs().mean((1, 2, 3))
    frozen = (real[2] - real[3:])[inner].abs().mean((1, 2, 3))
    for step, error in enumerate(frozen, 1):  # |sin a - sin(a - d)| is 2 sin(d / 2) |cos|, with mean |cos| = 2 / pi
        expected = np.mean([0.8 * 2 * abs(np.sin(step * a / 2)) * 2 / np.pi for a in (0.3, 0.25, 0.4)])
        assert float(error) == pytest.approx(expected, rel=0.15)
    assert (errors < frozen / 3).all()


def test_the_past_alone_decides_and_its_last_two_frames_of_it():
    real = torch.stack([smooth(t) for t in range(4)])
    assert torch.equal(predict(real, 2), predict(real[2:], 2))
    assert predict(real, 2).shape == (2, 3, *SIZE) and predict(real, 2).abs().max() <= 1
    assert Model.SEES == ("real",) and not Model(facts()).parts()


def test_one_frame_has_no_motion():
    with pytest.raises(Fault, match="n_past: flow_extrapolation needs 2"):
        predict(torch.zeros(1, 3, *SIZE), 1)
