"""Poses by BlazePose: anchors, boxes, squares and joints in closed form, missing packages, and real networks."""

import math
from importlib.machinery import ModuleSpec
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_fetch import fault
from test_own import LINE, folder, prepare, project, world  # noqa: F401

from v2vbench import params
from v2vbench.datasets import _blazepose, _poses, _sources, carphone, own
from v2vbench.params import Fault
from v2vbench.runner import doctor, video_suite


def test_anchors_are_two_at_each_cell_of_five_grids():
    centres = _blazepose.anchors()
    sides = [math.ceil(224 / stride) for stride in (8, 16, 32, 32, 32)]
    assert centres.shape == (2 * sum(side * side for side in sides), 2) == (2254, 2)
    np.testing.assert_allclose(centres[:4], [[0.5 / 28] * 2] * 2 + [[1.5 / 28, 0.5 / 28]] * 2)
    np.testing.assert_allclose(centres[2 * 28 * 3 + 10], [5.5 / 28, 3.5 / 28])  # fourth row, sixth cell
    np.testing.assert_allclose(centres[2 * 28 * 28 + 2 * 14], [0.5 / 14, 1.5 / 14])
    np.testing.assert_allclose(centres[-6:], [[6.5 / 7] * 2] * 6)


def test_a_box_is_decoded_from_its_anchor():
    raw, logits = np.zeros((2254, 12), np.float32), np.full((2254, 1), -1000, np.float32)
    raw[-1], logits[-1] = [11.2, -22.4, 44.8, 67.2, 0, 0, 0, -112, 22.4, 0, 0, 1.12], math.log(3)
    boxes, scores = _blazepose.decode(raw, logits)
    at = 6.5 / 7
    want = [[at + 0.05, at - 0.1], [0.2, 0.3], [at, at], [at, at - 0.5], [at + 0.1, at], [at, at + 0.005]]
    np.testing.assert_allclose(boxes[-1], want, atol=1e-6)
    assert scores[-1] == pytest.approx(0.75) and scores[:-1].max() < 1e-40
    np.testing.assert_allclose(_blazepose.person(boxes, scores), boxes[-1])
    assert _blazepose.person(boxes, np.minimum(scores, 0.49)) is None


def test_the_largest_person_is_the_mean_of_its_boxes():
    def box(x: float, radius: float) -> list:
        return [[x, 0.5], [0.2, 0.2], [x, 0.7], [x, 0.7 - radius], [x, 0.5], [x, 0.5]]

    small, one, two = box(0.2, 0.3), box(0.6, 0.6), box(0.65, 0.5)
    got = _blazepose.person(np.array([small, one, two, box(0.61, 0.9)]), np.array([0.95, 0.6, 0.9, 0.4]))
    np.testing.assert_allclose(got, np.array(one) * 0.4 + np.array(two) * 0.6)


def test_a_square_is_around_its_centre_and_turned_to_its_top():
    where = _blazepose.square(np.array([50.0, 40]), np.array([50.0, 10]))
    corners = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0]])
    np.testing.assert_allclose(_blazepose.place(corners, where), [[20, 10], [80, 10], [80, 70], [20, 70], [50, 10]])
    for angle in np.linspace(0, 2 * np.pi, 9):
        up = 30 * np.array([math.sin(angle), -math.cos(angle)])  # clockwise from upright
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        got = _blazepose.place(corners, _blazepose.square(np.array([50.0, 40]), np.array([50, 40]) + up))
        np.testing.assert_allclose(got, (corners - 0.5) * 60 @ turn.T + (50, 40), atol=1e-9)


@pytest.mark.parametrize("length", [20.0, 70.0])
def test_what_is_found_in_a_crop_is_placed_where_it_is_in_the_frame(length):
    dots = np.array([[60.0, 50], [75, 62], [52, 71], [66, 38]])
    for angle in (0.0, 0.4, -1.1, 2.5):
        where = _blazepose.square(np.array([63.0, 55]), np.array([63, 55]) + _turned(length, angle))
        for dot in dots:
            y, x = np.mgrid[:120, :130]
            blob = 255 * np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / 8)
            crop = _blazepose.crop(np.repeat(blob[..., None], 3, -1).astype(np.uint8), where, 64)[..., 0].astype(float)
            rows, columns = np.mgrid[:64, :64] + 0.5
            middle = np.array([(crop * columns).sum(), (crop * rows).sum()]) / crop.sum() / 64
            if (np.abs(middle - 0.5) < 0.3).all():  # the whole blob is in the crop
                np.testing.assert_allclose(_blazepose.place(middle[None], where)[0], dot, atol=0.15)
            else:
                assert length == 20


def _turned(length: float, angle: float) -> np.ndarray:
    return length * np.array([math.sin(angle), -math.cos(angle)])


def test_outside_the_frame_is_black():
    crop = _blazepose.crop(
        np.full((20, 20, 3), 200, np.uint8), _blazepose.square(np.full(2, 9.5), np.array([9.5, -10.5])), 40
    )
    assert (crop[11:29, 11:29] == 200).all() and not crop[:9].any() and not crop[:, 31:].any()


def test_points_move_to_the_heat_that_is_near_and_hot():
    heat = np.zeros((64, 64, 5))
    heat[20, 30:32, 0] = 0.9
    heat[40, 30, 1] = 0.9  # farther than three cells
    heat[20, 30, 2] = 0.4  # cold
    heat[0, 0, 3] = 0.5  # at the edge
    points = np.array([[31.5, 21.5]] * 3 + [[1.5, 1.5], [70, 20]]) / 64
    got = _blazepose.refine(points, heat) * 64
    np.testing.assert_allclose(got, [[30.5, 20], [31.5, 21.5], [31.5, 21.5], [0, 0], [70, 20]], atol=1e-12)


def test_joints_keep_their_side_and_means_the_lesser_confidence():
    marks = np.random.default_rng(0).uniform(0.1, 1, (39, 3))
    pose = _blazepose.body(marks)
    same = {0: 0, 2: 12, 5: 11, 4: 16, 7: 15, 9: 24, 12: 23, 11: 28, 14: 27, 15: 5, 16: 2, 17: 8, 18: 7, 22: 32, 21: 29}
    for point, mark in same.items():
        np.testing.assert_array_equal(pose[point], marks[mark])
    np.testing.assert_allclose(pose[1], [*(marks[11, :2] + marks[12, :2]) / 2, marks[11:13, 2].min()])
    np.testing.assert_allclose(pose[8], [*(marks[23, :2] + marks[24, :2]) / 2, marks[23:25, 2].min()])
    assert np.flatnonzero(pose[:, 2] == 0).tolist() == [20, 23]  # small toes


def test_a_frame_is_looked_at_in_the_squares_of_its_neighbours():
    circles = np.full((9, 2, 2), np.nan)
    for t in (0, 1, 2, 3):
        circles[t] = [[10 + t, 50], [10 + t, 10]]
    circles[2] += (200, 0)  # someone else
    assert _blazepose.around(circles, 1)[:, 0, 0].tolist() == [10, 11, 13]
    assert len(_blazepose.around(circles, 5)) == 1 and len(_blazepose.around(circles, 6)) == 0


def test_maps_have_a_channel_for_each_limb():
    assert _blazepose.PARTS == ("head", "torso", "right arm", "left arm", "right leg", "left leg")
    assert _blazepose.COLOURS == tuple(_poses.COLOURS[_poses.CHANNELS.index(part)] for part in _blazepose.PARTS)
    pose = np.zeros((25, 3))
    pose[[5, 6]] = [[10, 10, 0.6], [30, 10, 0.5]]  # left arm
    pose[7] = [30, 30, 0.4]  # unseen
    maps = _blazepose.draw(pose, size=(40, 48), line_width=2)
    assert maps.shape == (40, 48, 6) and not maps[..., [0, 1, 2, 4, 5]].any()
    assert (maps[10, 10:31, 3] > 100).all() and not maps[14:, :, 3].any()


def fake(monkeypatch, circles: list, score: float = 0.9) -> None:
    """Networks that find these circles, in this order, and marks in a row in each square."""
    monkeypatch.setattr(_blazepose, "files", lambda: [Path("a"), Path("b")])
    monkeypatch.setattr(_blazepose, "_Network", lambda path: path)
    seen = iter(circles)
    monkeypatch.setattr(_blazepose, "detect", lambda network, frame: np.array(next(seen), float))

    def look(network, frame, circle):
        return np.concatenate([circle[:1] + np.arange(39)[:, None], np.ones((39, 1))], 1), score

    monkeypatch.setattr(_blazepose, "look", look)


def test_a_pose_is_the_mean_of_looks_that_see_a_person(monkeypatch):
    nobody = [[np.nan] * 2] * 2
    some = [[[10 + t, 50], [10 + t, 10]] for t in range(3)]
    frames = np.zeros((9, 64, 36, 3), np.uint8)
    fake(monkeypatch, some + [nobody] * 6)
    pose = _blazepose.poses(frames)
    np.testing.assert_allclose(pose[:, 0, 0], [11, 11, 11, 11.5, 12, 0, 0, 0, 0])  # of three, three, three, two, one
    assert pose[..., 2].any(1).tolist() == [True] * 5 + [False] * 4 and not pose[5:].any()
    seen = (pose[0, :, :2] <= (35.5, 63.5)).all(-1) & (pose[0, :, 0] > 0)  # within the frame, and no small toe
    assert pose[0, :, 2].tolist() == seen.astype(float).tolist() and 5 < seen.sum() < 23
    fake(monkeypatch, some + [nobody] * 6, score=0.49)
    assert not _blazepose.poses(frames).any()


def test_a_clip_without_a_person_in_a_tenth_of_its_frames_is_dropped(monkeypatch, tmp_path):
    monkeypatch.setattr(_blazepose, "files", lambda: [])

    def poses(frames):  # a person where the frames are green, in px of large frames
        assert frames.shape[1] == 480
        out = np.zeros((len(frames), 25, 3))
        out[frames.mean((1, 2)).argmax(-1) == 1] = [149.5, 299.5, 1]
        return out

    monkeypatch.setattr(_blazepose, "poses", poses)
    np.save(tmp_path / "a.npy", np.concatenate([world(seed, 20) for seed in (1, 4, 0, 7)]))
    store = prepare(tmp_path / "a.npy", tmp_path, source="pose", test_share=0.4)
    facts, read = store.facts, store.read(next(iter(store.clips)))
    assert facts.label_names == facts.droppable == _blazepose.PARTS and facts.label_colours == _blazepose.COLOURS
    assert read["keypoints"].shape == (6, 25, 3) and read["maps"].shape == (6, 32, 48, 6)
    np.testing.assert_allclose(
        read["keypoints"], np.broadcast_to([149.5 / 15 - 7 / 15, 299.5 / 15 - 7 / 15, 1], (6, 25, 3))
    )
    counts = next(clip["counts"] for clip in store.clips.values() if "counts" in clip)
    assert counts["dropped"]["no person found"] > 0
    monkeypatch.setattr(_blazepose, "poses", lambda frames: np.zeros((len(frames), 25, 3)))
    (tmp_path / "own.zip").unlink()
    assert "no person found in any clip of test" in fault(prepare, tmp_path / "a.npy", tmp_path, source="pose")


def test_missing_packages_are_said_in_one_line(monkeypatch, tmp_path):
    mine = ModuleSpec("mediapipe", None, is_package=True)
    mine.submodule_search_locations = [str(tmp_path)]
    there = {"ai_edge_litert": mine, "mediapipe": mine}
    monkeypatch.setattr(_blazepose, "find_spec", lambda name: there.get(name))
    place = tmp_path / "modules/pose_detection/pose_detection.tflite"
    assert fault(_blazepose.files) == f"{place}: not the network of mediapipe 0.10.14: {_blazepose.INSTALL}"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"of another version")
    assert fault(_blazepose.files).startswith(str(place))
    del there["mediapipe"]
    says = "poses need mediapipe: pip install ai-edge-litert && pip install --no-deps mediapipe==0.10.14"
    assert fault(_blazepose.files) == says
    np.save(tmp_path / "a.npy", world(0, 60))
    assert fault(prepare, tmp_path / "a.npy", tmp_path, source="pose") == says
    there.clear()
    assert fault(_blazepose.files).startswith("poses need ai-edge-litert and mediapipe: pip")
    row = doctor.poses()
    assert not row.good and not row.needed and row.cost.startswith("poses need ai-edge-litert and mediapipe: pip")


def test_use_says_before_it_reads_videos_that_packages_are_missing(project, folder, monkeypatch):  # noqa: F811
    monkeypatch.setattr(_blazepose, "find_spec", lambda name: None)
    monkeypatch.setattr(own, "look", None)
    said = fault(video_suite.use_videos, "own", folder, False, project, source="pose")
    assert said.startswith("poses need ai-edge-litert and mediapipe: pip install")


def test_use_writes_the_source(project, folder, monkeypatch):  # noqa: F811
    monkeypatch.setattr(_blazepose, "files", lambda: [])
    video_suite.use_videos("own", folder, False, project, source="pose")
    assert params.load(project / "params.yaml").datasets["own"]["source"] == "pose"


@pytest.mark.slow
def test_the_pose_of_a_real_man():
    try:
        _blazepose.files()
    except Fault as absent:
        pytest.skip(str(absent))
    frames = carphone.video()[:60:3]
    large = np.stack([cv2.resize(frame, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC) for frame in frames])
    pose = _blazepose.poses(large)
    np.testing.assert_array_equal(pose, _blazepose.poses(large))
    pose[..., :2] = (pose[..., :2] + 0.5) / 3 - 0.5
    sure = pose[..., 2] >= _blazepose.SURE
    assert sure[:, [0, 1, 2, 5, 15, 16, 17, 18]].all()  # head and shoulders
    assert not sure[:, [3, 6, *range(8, 15), *range(19, 25)]].any()  # below the frame
    by_eye = {0: (91, 70), 1: (98, 111), 2: (50, 121), 5: (145, 104), 15: (79, 61), 16: (97, 55)}  # of the first frame
    for point, at in by_eye.items():
        assert np.linalg.norm(pose[0, point, :2] - at) < (10 if point in (2, 5) else 6), point
    marks = carphone.read_landmarks(carphone.LANDMARKS)[0][:60:3]
    dlib = np.stack([marks[:, 30], marks[:, 36:42].mean(1), marks[:, 42:48].mean(1)], 1)
    assert np.linalg.norm(pose[:, [0, 15, 16], :2] - dlib, axis=-1).mean() < 3.5  # px; the eyes are 22 px apart
    maps = _blazepose.draw(pose[0], size=frames.shape[1:3], line_width=1)
    assert maps[..., :2].any((0, 1)).all() and not maps[..., 2:].any()


@pytest.mark.slow
def test_grey_frames_show_nobody():
    try:
        _blazepose.files()
    except Fault as absent:
        pytest.skip(str(absent))
    assert not _blazepose.poses(np.full((3, 120, 160, 3), 127, np.uint8)).any()
    assert (
        _sources.Pose((96, 128), 1)("a", 0, np.zeros((2, 96, 128, 3), np.uint8), np.zeros((2, 480, 640, 3), np.uint8))
        is None
    )
