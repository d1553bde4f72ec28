"""KITTI-STEP on its true layout: small drives, packed as published, served from this machine."""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_fetch import fault, serving
from test_unpack import tarred, zipped

from v2vbench import params
from v2vbench.clips.store import Store
from v2vbench.datasets import kitti_step
from v2vbench.download import archives
from v2vbench.runner import check
from v2vbench.runner.suites import load_suite

H, W, SIZE = 24, 72, (16, 48)  # scale 2/3; the label map is made of 12 px squares
DRIVES = {"train": {0: 7, 4: 3}, "val": {2: 6}}  # split: {drive: frames}


def png(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "png")
    return stream.getvalue()


def panoptic(frame: int) -> np.ndarray:
    """Squares of road, car 300, road, void, person 2, a wall that wears an id too; they move a square a frame."""
    label = np.zeros((H, W, 3), np.uint8)
    label[:, 12:24] = 13, 300 // 256, 300 % 256
    label[:, 36:48] = 255, 0, 0
    label[:, 48:60] = 11, 0, 2
    label[:, 60:] = 3, 0, 2
    return np.roll(label, 12 * frame, axis=1)


@pytest.fixture(scope="module")
def layout() -> dict[str, bytes]:
    rng, files = np.random.default_rng(0), {}
    for split, drives in DRIVES.items():
        for drive, n_frames in drives.items():
            for t in range(n_frames):
                image = rng.integers(0, 256, (H, W, 3)).astype(np.uint8)
                files[f"training/image_02/{drive:04d}/{t:06d}.png"] = png(image)
                files[f"kitti-step/panoptic_maps/{split}/{drive:04d}/{t:06d}.png"] = png(panoptic(t))
    files["testing/image_02/0000/000000.png"] = files["training/image_02/0000/000000.png"]
    return files


@pytest.fixture(autouse=True)
def no_copy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("V2VBENCH_DATA", raising=False)


def prepare(folder, url="http://127.0.0.1:9", **changes):
    line = {
        "size": list(SIZE),
        "n_frames": 3,
        "train": [0, 4],
        "val": [2],
        "images": {"url": f"{url}/data_tracking_image_2.zip", "sha256": None, "size": None},
        "labels": {"url": f"{url}/kitti-step.tar.gz", "sha256": None, "size": None},
    } | changes
    params.bind(
        kitti_step.prepare,
        line,
        "datasets.kitti_step",
        out=folder / "kitti_step.zip",
        name="kitti_step",
        cache=folder / "cache",
    )
    return Store(folder / "kitti_step.zip")


def lay_out(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_downloads_and_decodes(layout, tmp_path, capsys):
    served = {
        "/data_tracking_image_2.zip": zipped({k: v for k, v in layout.items() if "image_02" in k}),
        "/kitti-step.tar.gz": tarred({k: v for k, v in layout.items() if "panoptic" in k}),
    }
    with serving(served) as server:
        store = prepare(tmp_path, server.url)
        sha256 = hashlib.sha256(served["/kitti-step.tar.gz"]).hexdigest()
        assert f"kitti-step.tar.gz: sha256 {sha256}" in capsys.readouterr().err
        known = {"url": f"{server.url}/kitti-step.tar.gz", "sha256": "0" * 64, "size": None}
        assert "sha256 is" in fault(prepare, tmp_path, server.url, labels=known)
        assert len(server.seen) == 2  # the wrong hash was found on the file that was here
    store.verify()
    assert not list((tmp_path / "cache").rglob("testing"))
    assert store.split("train") == ["0000-000000", "0000-000003", "0004-000000"]  # drive 0 has 7 frames
    assert store.split("val") == ["0002-000000", "0002-000003"]
    assert store.clips["0002-000003"]["labels_sha256"] == sha256
    assert store.facts.standing == "benchmark"
    clip = store.read("0002-000003")
    assert clip["flow"].shape == (2, *SIZE, 2)
    assert clip["occluded"].shape == (2, *SIZE)
    for t in range(3):
        columns = np.roll(np.repeat([0, 13, 0, 255, 11, 3], 8), 8 * (3 + t))
        instances = np.roll(np.repeat([0, 300, 0, 0, 2, 0], 8), 8 * (3 + t))
        np.testing.assert_array_equal(clip["label"][t], np.broadcast_to(columns, SIZE))
        np.testing.assert_array_equal(clip["instance"][t], np.broadcast_to(instances, SIZE))
        image = np.asarray(Image.open(io.BytesIO(layout[f"training/image_02/0002/{3 + t:06d}.png"]))).astype(float)
        means = image.reshape(8, 3, 24, 3, 3).mean((1, 3))  # a 3 x 3 square becomes 2 x 2 px, whose mean it keeps
        np.testing.assert_allclose(clip["real"][t].reshape(8, 2, 24, 2, 3).mean((1, 3)), means, atol=0.6)


def test_labels_are_never_mixed(tmp_path):
    ids = np.random.default_rng(0).choice([0, 18, 255], (H, W)).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(png(np.repeat(ids[..., None], 3, 2)))
    rows, columns = (((np.arange(n) + 0.5) * 1.5).astype(int) for n in SIZE)
    label = kitti_step.read(tmp_path / "a.png", tmp_path / "a.png", SIZE)[1]
    np.testing.assert_array_equal(label, ids[rows][:, columns])


def test_cuts_the_middle(tmp_path):
    """Square pixels: a wider frame loses its sides, by the same number of pixels, in image and labels."""
    image = np.zeros((16, 60, 3), np.uint8)
    image[:, :6], image[:, -6:], image[:, 6:-6] = 9, 9, (11, 0, 7)
    (tmp_path / "a.png").write_bytes(png(image))
    real, label, instance = kitti_step.read(tmp_path / "a.png", tmp_path / "a.png", SIZE)
    assert (real == (11, 0, 7)).all()
    assert (label == 11).all()
    assert (instance == 7).all()


def test_own_copy(layout, tmp_path, monkeypatch):
    own = lay_out(tmp_path / "own", layout)
    monkeypatch.setenv("V2VBENCH_DATA", str(own))
    first = prepare(tmp_path / "1")  # nothing listens at its url
    assert first.clips["0004-000000"]["images_sha256"] == "own copy"
    deeper = {
        f"kitti/{name}".replace("kitti-step/", "").replace("training/image_02/0002", "images/val/0002"): content
        for name, content in layout.items()
    }
    monkeypatch.setenv("V2VBENCH_DATA", str(lay_out(tmp_path / "deeper", deeper)))
    second = prepare(tmp_path / "2")
    assert [clip["sha256"] for clip in second.clips.values()] == [clip["sha256"] for clip in first.clips.values()]
    monkeypatch.setenv("V2VBENCH_DATA", str(tmp_path / "nowhere"))
    assert "no such folder" in fault(prepare, tmp_path)
    monkeypatch.setenv("V2VBENCH_DATA", str(tmp_path / "1"))
    assert "training/image_02/0000" in fault(prepare, tmp_path)


def test_faults(layout, tmp_path, monkeypatch):
    own = lay_out(tmp_path / "own", layout)
    monkeypatch.setenv("V2VBENCH_DATA", str(own))
    assert "no drive of val has 7 frames" in fault(prepare, tmp_path, n_frames=7)
    assert "multiples of 8" in fault(prepare, tmp_path, size=[15, 48])
    label = own / "kitti-step/panoptic_maps/train/0000/000004.png"
    image = own / "training/image_02/0000/000004.png"
    damages = {
        "cannot identify": b"no png",
        "truncated": layout["training/image_02/0000/000000.png"][:900],
        "(8, 8) px": png(np.zeros((8, 8, 3), np.uint8)),
        "is L": png(np.zeros((H, W), np.uint8)),
        "label 19 is none": png(np.full((H, W, 3), 19, np.uint8)),
    }
    for told, change in damages.items():
        label.write_bytes(change)
        message = fault(prepare, tmp_path)
        assert told in message
        assert "000004.png" in message
    assert not (tmp_path / "kitti_step.zip").exists()
    for path in (label, image):  # missing among the labels, then among both
        path.unlink()
        assert f"{path}: missing" in fault(prepare, tmp_path)


def test_no_network(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "PAUSE_S", 0.001)
    assert "data_tracking_image_2.zip: no connection" in fault(prepare, tmp_path)
    assert os.listdir(tmp_path) == ["cache"]


def test_suite():
    """Every line of the suite binds, and the split is the published one: 12 drives and 9."""
    suite = load_suite(Path(__file__).parents[1] / "suites/kitti_step.yaml")
    check.check_references(suite, "kitti_step.yaml")
    check.check_signatures(suite, "kitti_step.yaml")
    line = suite.datasets["kitti_step"]
    assert (len(line["train"]), len(line["val"])) == (12, 9)
    assert sorted(line["train"] + line["val"]) == list(range(21))
