"""Poses: their drawing, the mannequin whose motion is known, and a film laid out as vid2vid's pose task has it."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from test_fetch import fault

from v2vbench import params
from v2vbench.clips.flow import warp
from v2vbench.clips.store import Store
from v2vbench.datasets import _poses, dance, mannequin

LINE = {
    "size": [64, 64],
    "n_train_clips": 2,
    "n_test_clips": 1,
    "n_frames": 10,
    "seed": 0,
    "height": 0.78,
    "period": [30, 50],
    "swing": 0.8,
    "sway": 0.08,
    "zoom": 0.15,
    "line_width": 1,
}
FILM = {
    "licence": "ours",
    "fps": 25,
    "size": [64, 64],
    "n_frames": 3,
    "keep_width": 0.5,
    "densepose": True,
    "threshold": 0.1,
    "line_width": 1,
}
LINES = {"line_width": 1, "threshold": 0.1}
N_DENSE = 3  # channels of the maps before the parts


def make(folder, **changes):
    params.bind(
        mannequin.prepare, LINE | changes, "datasets.mannequin", out=folder / "m.zip", name="mannequin", cache=folder
    )
    return Store(folder / "m.zip")


def load(folder, out, **changes):
    params.bind(
        dance.prepare,
        FILM | {"folder": str(folder)} | changes,
        "datasets.dance",
        out=out / "d.zip",
        name="dance",
        cache=out,
    )
    return Store(out / "d.zip")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make(tmp_path_factory.mktemp("mannequin"))


@pytest.fixture(scope="module")
def danced():
    """real, surface, motion, layer and poses of 6 frames."""
    rng, size = np.random.default_rng(3), (64, 64)
    where = mannequin.dance(rng, n_frames=6, size=size, height=0.78, period=(20, 20), swing=1.0, sway=0.05, zoom=0.2)
    return *mannequin.render(where, *mannequin.looks(rng, size)), mannequin.keypoints(where, size)


def warped(real, motion):
    moved = warp(
        torch.from_numpy(real[:-1]).permute(0, 3, 1, 2).float(), torch.from_numpy(motion).permute(0, 3, 1, 2).float()
    )
    return np.abs(moved.permute(0, 2, 3, 1).numpy() - real[1:]).max(-1)


def spoken(pose, **changes) -> dict:
    """A person as OpenPose writes one."""
    starts = np.cumsum([0, *_poses.ARRAYS.values()])
    return {name: pose[a:b].ravel().tolist() for name, a, b in zip(_poses.ARRAYS, starts, starts[1:])} | changes


def lay_out(folder, danced, *, enlarge=1):
    """Write the frames as a film, twice as wide and `enlarge` times as large, in the folders of the pose task.

    There are two sequences of 6 frames and one of 3.
    """
    real, surface, _, _, poses = danced
    for phase, sequence, n in (("train", "0001", 6), ("train", "0002", 6), ("test", "0001", 3)):
        for kind in ("img", "openpose", "densepose"):
            (folder / f"{phase}_{kind}" / sequence).mkdir(parents=True)
        for t in range(n):
            side = real.shape[2] // 2
            frame, dense = (
                np.pad(array[t], ((0, 0), (side, side), (0, 0)), constant_values=9)
                .repeat(enlarge, 0)
                .repeat(enlarge, 1)
                for array in (real, surface)
            )
            pose = poses[t] + (side, 0, 0)
            pose[:, :2] = (pose[:, :2] + 0.5) * enlarge - 0.5
            Image.fromarray(frame).save(folder / f"{phase}_img" / sequence / f"frame{t + 7}.png")
            Image.fromarray(np.ascontiguousarray(dense[..., ::-1])).save(
                folder / f"{phase}_densepose" / sequence / f"frame{t + 7}_IUV.png"
            )
            content = {"version": 1.3, "people": [spoken(pose * (0.5, 0.5, 1)), spoken(pose)]}
            (folder / f"{phase}_openpose" / sequence / f"frame{t + 7}_keypoints.json").write_text(json.dumps(content))
    return folder


def test_each_part_has_a_channel(danced):
    """Without its points a part is not drawn, and the others are as they were."""
    pose = danced[4][0]
    whole = _poses.draw(pose, size=(64, 64), **LINES)
    assert whole.shape == (64, 64, len(_poses.PARTS)) and whole.dtype == np.uint8 and (whole.max((0, 1)) > 200).all()
    for channel, part in enumerate(_poses.PARTS.values()):
        blank = pose.copy()
        blank[[*sum(part, ())], 2] = 0.09
        drawn = _poses.draw(blank, size=(64, 64), **LINES)
        assert drawn[..., channel].max() == 0
        apart = [c for c, other in enumerate(_poses.PARTS.values()) if not {*sum(part, ())} & {*sum(other, ())}]
        np.testing.assert_array_equal(drawn[..., apart], whole[..., apart])
    nothing = pose * (1, 1, 0)
    assert _poses.draw(nothing, size=(64, 64), line_width=1, threshold=0).max() == 0  # confidence 0 is: not found


def test_lines_lie_on_the_points():
    """An arm of 20 px and 10 px covers their length times their width; moved by whole pixels it is the same picture."""
    pose = np.zeros((_poses.N_POINTS, 3))
    pose[[2, 3, 4]] = (10.25, 20.5, 1), (30.25, 20.5, 1), (30.25, 30.5, 1)
    arm = list(_poses.PARTS).index("right arm")
    for line_width in (1, 2):
        drawn = _poses.draw(pose, size=(48, 64), line_width=line_width, threshold=0.1).astype(float) / 255
        area = (
            30 * line_width + (1.25 * np.pi - 1) * line_width**2 / 4
        )  # round ends and corner, less what is there twice
        assert drawn[..., arm].sum() == pytest.approx(area, rel=0.01) and drawn.sum() == drawn[..., arm].sum()
        y, x = np.nonzero(drawn[..., arm])
        assert (x.min(), x.max(), y.min(), y.max()) == pytest.approx(
            (10.25, 30.25, 20.5, 30.5), abs=0.5 + line_width / 2 + 0.25
        )
        moved = _poses.draw(pose + (7, -5, 0), size=(48, 64), line_width=line_width, threshold=0.1)
        np.testing.assert_array_equal(moved / 255, np.roll(drawn, (-5, 7), (0, 1)))
    assert _poses.draw(pose + (500, 0, 0), size=(48, 64), **LINES).max() == 0


def test_maps(danced):
    """Part ids fill the range; parts and surface agree on where limbs are, and right limbs are on the left side."""
    _, surface, _, _, poses = danced
    for t in range(6):
        maps = _poses.encode(surface[t], poses[t], **LINES)
        assert maps.shape == (64, 64, len(_poses.CHANNELS)) and len(_poses.COLOURS) == len(_poses.CHANNELS)
        np.testing.assert_array_equal(np.rint(maps[..., 0] * (24 / 255)), surface[t, ..., 0])
        on = {part: maps[..., N_DENSE + c] > 200 for c, part in enumerate(_poses.PARTS)}
        for part, ids in {
            "right arm": (18, 22, 3),
            "right leg": (9, 13, 6),
            "left leg": (10, 14, 5),
            "face": (24,),
        }.items():
            seen = surface[t, ..., 0][on[part]]
            assert np.isin(seen, (2, *ids)).mean() > 0.7 and np.isin(ids, seen).any()  # the torso hides the hips
        columns = np.arange(64)
        for pair in (("right leg", "left leg"), ("right arm", "left arm")):
            right, left = (np.average(columns, weights=on[part].sum(0)) for part in pair)
            assert right < left
        assert set(np.unique(surface[t, ..., 0])) <= {0, 2, 24, 17, 18, 21, 22, 3, 4, 9, 10, 13, 14, 5, 6}


def test_mannequin_store(store, tmp_path):
    store.verify()
    facts = store.facts
    assert {key: (clip["split"], clip["n_frames"]) for key, clip in store.clips.items()} == {
        "train-000": ("train", 10),
        "train-001": ("train", 10),
        "same-000": ("same", 10),
    }
    assert (
        facts.standing == "sanity" and facts.label_names == _poses.CHANNELS and facts.droppable == tuple(_poses.PARTS)
    )
    clip = store.read("same-000")
    assert {name: array.shape for name, array in clip.items()} == {
        "real": (10, 64, 64, 3),
        "maps": (10, 64, 64, 12),
        "keypoints": (10, 25, 3),
        "flow": (9, 64, 64, 2),
        "occluded": (9, 64, 64),
    }
    again = make(tmp_path)
    assert (tmp_path / "m.zip").read_bytes() == store.path.read_bytes()
    more = make(tmp_path, n_train_clips=3)
    assert {key: clip["sha256"] for key, clip in again.clips.items()}.items() <= {
        k: c["sha256"] for k, c in more.clips.items()
    }.items()
    other = make(tmp_path, seed=1)
    assert not {clip["sha256"] for clip in other.clips.values()} & {clip["sha256"] for clip in store.clips.values()}
    behind = [s.read("train-000")["real"][0, :8] for s in (store, other)]  # another seed is another wall too
    assert (behind[0] != behind[1]).any() and (clip["real"][0, :8] == behind[0]).all()


def test_motion_is_exact(store):
    """Warping gives the next frame up to interpolation: on the body within 2.5 of 255 on average and 24 at most.

    A tenth of what a warp reads may be another limb. Warping fails where `occluded` is 1, and along the reversed flow.
    """
    for key in store.clips:
        clip = store.read(key)
        real, motion, seen = clip["real"], clip["flow"], clip["occluded"] == 0
        body = clip["maps"][1:, ..., 0] > 0
        error, back, still = warped(real, motion), warped(real, -motion), warped(real, 0 * motion)
        assert error[seen].max() < 24 and error[seen & body].mean() < 2.5 and error[seen & ~body].max() < 0.01
        mean, turned, left = (array[seen & body].mean() for array in (error, back, still))
        assert error[~seen].mean() > 20 and turned > 4 * mean and left > 2 * mean
        assert 0.02 < (~seen).mean() < 0.08 and 0.1 < (~seen & body).sum() / body.sum() < 0.4
        assert np.abs(motion[body]).max() > 1 and (motion[~body] == 0).all()


def test_motion_inside_limbs(danced, monkeypatch):
    """Where nothing else is read only the texture is interpolated: 14 of 255 at most."""
    real, _, motion, layer, _ = danced
    monkeypatch.setattr(mannequin, "SAME", 0.999)
    seen = mannequin.hidden(motion, layer) == 0
    assert warped(real, motion)[seen].max() < 14 and (seen & (layer[1:] > 0)).sum() > 500


def test_hidden():
    """A limb that came 3 px from the left: what it uncovered is occluded, itself is not, nor is what it covers now."""
    layer = np.zeros((2, 16, 24), int)
    layer[0, 4:12, 4:10] = layer[1, 4:12, 7:13] = 5
    motion = np.where(layer[1:, ..., None] == 5, (-3, 0), (0, 0)).astype(np.float16)
    hidden = np.zeros((1, 16, 24))
    hidden[0, 4:12, 4:7] = 1
    np.testing.assert_array_equal(mannequin.hidden(motion, layer), hidden)
    edge = np.full((2, 16, 24), 5)  # all of it moves: the first three columns come from outside
    np.testing.assert_array_equal(
        mannequin.hidden(np.full((1, 16, 24, 2), (-3, 0), np.float16), edge)[0].sum(0), [16] * 3 + [0] * 21
    )


def test_dances(danced):
    """Periodic, on the floor, limbs rigid: lengths keep their ratios."""
    size = (64, 64)
    where = mannequin.dance(
        np.random.default_rng(0), n_frames=41, size=size, height=0.78, period=(20, 20), swing=1.0, sway=0.05, zoom=0.2
    )
    poses = mannequin.keypoints(where, size)
    np.testing.assert_allclose(poses[0], poses[40], atol=1e-9)
    assert np.abs(np.diff(poses[..., :2], axis=0)).max() < 12
    lower, upper = (np.linalg.norm(poses[:, a, :2] - poses[:, b, :2], axis=-1) for a, b in ((10, 11), (9, 10)))
    np.testing.assert_allclose(lower / upper, 0.21 / 0.22, rtol=1e-9)
    assert (
        poses.shape == (41, _poses.N_POINTS, 3)
        and 0.95 < upper.max() / (0.78 * 64 * 0.22) <= 1
        and upper.min() < 0.95 * upper.max()
    )
    feet = poses[:, [11, 14], 1].max(1)
    assert (feet > 0.8 * 64).all() and (feet < mannequin.FLOOR * 64).all()


@pytest.mark.parametrize("enlarge", [1, 2])
def test_real_layout(danced, tmp_path, enlarge):
    """The mannequin filmed, written as the pose task's files and read again is the mannequin."""
    real, surface, _, _, poses = danced
    film = load(lay_out(tmp_path / "film", danced, enlarge=enlarge), tmp_path)
    film.verify()
    assert film.split("train") == ["train-0001-000000", "train-0001-000003", "train-0002-000000", "train-0002-000003"]
    assert film.split("test") == ["test-0001-000000"] and film.facts.droppable == tuple(_poses.PARTS)
    assert (
        film.facts.fps == 25
        and film.facts.licence == "ours"
        and str(tmp_path) not in json.dumps(list(film.clips.values()))
    )
    for first, key in ((0, "train-0001-000000"), (3, "train-0002-000003")):
        clip = film.read(key)
        drawn = np.stack([_poses.encode(surface[t], poses[t], **LINES) for t in range(first, first + 3)])
        np.testing.assert_array_equal(clip["real"], real[first : first + 3])
        np.testing.assert_allclose(
            clip["maps"].astype(int), drawn, atol=64
        )  # a point on the edge of a sixty-fourth of a pixel
        assert (clip["maps"] == drawn).mean() > 0.999 and (clip["maps"][..., :N_DENSE] == drawn[..., :N_DENSE]).all()
        np.testing.assert_allclose(clip["keypoints"], poses[first : first + 3, :25], atol=1e-3)
        assert clip["flow"].shape == (2, 64, 64, 2) and clip["occluded"].shape == (2, 64, 64)
    shutil.rmtree(tmp_path / "film" / "train_densepose")
    lines = load(tmp_path / "film", tmp_path, densepose=False).read("train-0001-000000")["maps"]
    assert (
        lines[..., :N_DENSE].max() == 0
        and (lines[..., N_DENSE:] == film.read("train-0001-000000")["maps"][..., N_DENSE:]).all()
    )


def test_reads_the_tallest(danced, tmp_path):
    pose, path = danced[4][0], tmp_path / "a.json"
    far = pose * (0.5, 0.5, 1)
    far[0] = 0, -900, 0  # not found, so it makes nobody tall
    people = [spoken(far), spoken(pose, face_keypoints_2d=[], hand_left_keypoints_2d=[]), spoken(pose * 0)]
    path.write_text(json.dumps({"people": people}))
    read = _poses.read(path)
    np.testing.assert_array_equal(read[:25], pose[:25])
    assert (read[25 : _poses.RIGHT_HAND] == 0).all() and (read[_poses.RIGHT_HAND :] == pose[_poses.RIGHT_HAND :]).all()


def test_faults_of_files(danced, tmp_path):
    pose, path = danced[4][0], tmp_path / "a.json"
    assert "a.json: No such file" in fault(_poses.read, path)
    for told, content in {
        "holds no person": {"people": []},
        "a.json: holds no person": {"people": [spoken(pose * 0)]},
        "no 'people'": {"version": 1},
        "not OpenPose's": [1],
        "no 'pose_keypoints_2d'": {"people": [{"pose_keypoints": []}]},
        "pose_keypoints_2d: expected 75": {"people": [spoken(pose, pose_keypoints_2d=[0.0] * 54)]},
        "hand_right_keypoints_2d: expected 63": {"people": [spoken(pose, hand_right_keypoints_2d=[1e300] * 63)]},
        "could not convert": {"people": [spoken(pose, face_keypoints_2d=["x"] * 210)]},
        "BODY_25": {"people": 3},
        "inhomogeneous": {"people": [spoken(pose, pose_keypoints_2d=[[1], [1, 2]])]},
        "JSON": {"people": [None]},
    }.items():
        path.write_text(json.dumps(content))
        message = fault(_poses.read, path)
        assert told in message and "a.json" in message
    for content in (b'{"people": [', b"\xff\xfe", b'{"people": [{"pose_keypoints_2d": [NaN]}]}'):
        path.write_bytes(content)
        assert "a.json: not OpenPose's JSON" in fault(_poses.read, path)


def test_faults_of_the_layout(danced, tmp_path):
    message = fault(load, tmp_path / "nowhere", tmp_path)
    assert "datasets.dance.folder" in message and "nowhere" in message and "{train,test}_img/<sequence>" in message
    film = lay_out(tmp_path / "film", danced)
    assert "datasets.dance.size" in fault(load, film, tmp_path, size=[60, 64])
    assert "no sequence has 4 frames" in fault(load, film, tmp_path, n_frames=4) and "test_img" in fault(
        load, film, tmp_path, n_frames=4
    )
    pose = film / "train_openpose/0002/frame8_keypoints.json"
    content = pose.read_text()
    pose.write_text("{")
    assert "0002/frame8_keypoints.json" in fault(load, film, tmp_path)
    pose.unlink()
    message = fault(load, film, tmp_path)
    assert "0002 of train: 6 in train_img, 5 in train_openpose, 6 in train_densepose" in message
    pose.write_text(content)
    dense = film / "train_densepose/0001/frame9_IUV.png"
    for told, picture in {
        "expected RGB": np.zeros((64, 128), np.uint8),
        "[8, 8] px": np.zeros((8, 8, 3), np.uint8),
        "part 25 in the third channel": np.full((64, 128, 3), 25, np.uint8),
    }.items():
        Image.fromarray(picture).save(dense)
        assert told in (message := fault(load, film, tmp_path)) and "0001/frame9_IUV.png" in message
    dense.write_bytes(b"no png")
    assert "cannot identify" in fault(load, film, tmp_path) and not (tmp_path / "d.zip").exists()
    (film / "test_img/0001").rename(film / "test_img/a b")
    assert "a b: a sequence's name" in fault(load, film, tmp_path)
    (film / "test_img/a b").rename(film / "elsewhere")
    assert "test_img: no folders of sequences" in fault(load, film, tmp_path)
    shutil.rmtree(film / "test_densepose")
    assert "no folder" in (message := fault(load, film, tmp_path)) and "test_densepose" in message


def test_faults_of_the_line(tmp_path):
    assert "multiples of 8" in fault(make, tmp_path, size=[60, 64])
    assert "least to most" in fault(make, tmp_path, period=[50, 30])
    for change in ({"height": 2}, {"period": [1, 30]}, {"n_frames": 1}, {"zoom": 1}):
        assert "out of range" in fault(make, tmp_path, **change)
