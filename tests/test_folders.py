"""Folders in the layouts of vid2vid's code and of imaginaire's, as they are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_fetch import fault

from v2vbench import params
from v2vbench.clips.motion import ESTIMATED
from v2vbench.clips.store import Store
from v2vbench.datasets import folders

H, W = 24, 40  # the crop of the aspect ratio of 24 x 32 is 4 columns narrower on each side
COLOURS = np.array([[20, 20, 20], [250, 0, 0], [0, 250, 0]], np.uint8)
LINE = {
    "licence": "mine",
    "fps": 10,
    "size": [24, 32],
    "n_frames": 4,
    "n_labels": 3,
    "label_names": [],
    "instances": False,
}


def ids(seed: int, t: int) -> np.ndarray:
    """(H, W) uint8: labels 0 to 2 in blocks, which move by a pixel a frame."""
    blocks = np.kron(np.random.default_rng(seed).integers(0, 3, (3, 8)), np.ones((8, 8), int))
    return blocks[:, t : t + W].astype(np.uint8)


def lay_out(root: Path, layout: str, *, rgb: bool = False, n_frames: int = 9) -> Path:
    """Two sequences for training and one for testing, frame names without leading zeros."""
    for split, kinds in folders.LAYOUTS[layout].items():
        for seed, sequence in enumerate(("one", "two") if split == "train" else ("one",)):
            for kind in kinds:
                (root / kind / sequence).mkdir(parents=True)
            for t in range(n_frames):
                label = ids(seed + 2 * (split == "test"), t)
                Image.fromarray(COLOURS[label]).save(root / kinds[0] / sequence / f"frame{t}.png")
                Image.fromarray(COLOURS[label][..., ::-1] if rgb else label).save(
                    root / kinds[1] / sequence / f"map_{t}.png"
                )
                Image.fromarray(label.astype(np.uint16) * 1000).save(root / kinds[2] / sequence / f"{t}.png")
    return root


def prepare(root: Path, out: Path, layout: str, **changes) -> Store:
    line = LINE | {"folder": str(root), "layout": layout} | changes
    params.bind(folders.prepare, line, "datasets.f", out=out / "f.zip", name="f", cache=out)
    return Store(out / "f.zip")


@pytest.mark.parametrize("layout", folders.LAYOUTS)
def test_frames_and_labels_are_read_in_order(layout, tmp_path):
    store = prepare(lay_out(tmp_path / "data", layout, n_frames=11), tmp_path, layout, instances=True)
    assert store.split("train") == [f"train-{name}-{first:06d}" for name in ("one", "two") for first in (0, 4)]
    assert store.split("test") == ["test-one-000000", "test-one-000004"]
    assert {store.clips[key]["cluster"] for key in store.split("train")} == {"train-one", "train-two"}
    facts = store.facts
    assert (facts.source, facts.label_names, facts.flow) == ("labels", ("0", "1", "2"), ESTIMATED)
    assert facts.groups == {"test": "sequences kept for testing"} and facts.standing == "benchmark"
    for key in store.clips:
        read, first = store.read(key), int(key[-6:])
        seed = {"train-one": 0, "train-two": 1, "test-one": 2}[key[:-7]]
        want = np.stack([ids(seed, first + t) for t in range(4)])[:, :, 4:-4]  # frame 10 follows frame 9, not frame 1
        np.testing.assert_array_equal(read["label"], want)
        np.testing.assert_array_equal(read["real"], COLOURS[want])
        np.testing.assert_array_equal(read["instance"], want.astype(np.uint16) * 1000)
        assert read["flow"].shape == (3, 24, 32, 2) and read["occluded"].max() <= 1
    before = (tmp_path / "f.zip").read_bytes()
    prepare(tmp_path / "data", tmp_path, layout, instances=True)
    assert (tmp_path / "f.zip").read_bytes() == before


def test_maps_in_colours(tmp_path):
    root = lay_out(tmp_path / "data", "vid2vid", rgb=True)
    store = prepare(root, tmp_path, "vid2vid", n_labels=0)
    assert (store.facts.source, store.facts.label_names) == ("maps", ("red", "green", "blue"))
    read = store.read("train-one-000000")
    np.testing.assert_array_equal(read["maps"], read["real"][..., ::-1])
    message = fault(prepare, root, tmp_path, "vid2vid")
    assert message.endswith("map_0.png: is RGB, not a picture of one channel whose pixels are ids; write ids")


def test_names_of_labels(tmp_path):
    root = lay_out(tmp_path / "data", "vid2vid")
    names = ["sky", "road", "car"]
    assert prepare(root, tmp_path, "vid2vid", label_names=names).facts.label_names == ("sky", "road", "car")
    assert "2 names for 3 labels" in fault(prepare, root, tmp_path, "vid2vid", label_names=names[:2])
    assert "3 names for 3 labels; give each one, once" in fault(
        prepare, root, tmp_path, "vid2vid", label_names=["sky", "sky", "car"]
    )


def test_what_is_wrong_is_one_line(tmp_path):
    root = lay_out(tmp_path / "data", "vid2vid")
    assert "datasets.f.folder: no folder" in fault(prepare, tmp_path / "nowhere", tmp_path, "vid2vid")
    assert "multiples of 8" in fault(prepare, root, tmp_path, "vid2vid", size=[24, 30])
    assert "train_B: no sequence has 10 frames" in fault(prepare, root, tmp_path, "vid2vid", n_frames=10)
    assert "label 2 is none of 0 to 1 and 255" in fault(prepare, root, tmp_path, "vid2vid", n_labels=2)
    assert "no folder train/images; the layout imaginaire has train/images, train/seg_maps, val/images" in fault(
        prepare, root, tmp_path, "imaginaire"
    )
    path = root / "test_A/one/map_3.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    assert str(path) in fault(prepare, root, tmp_path, "vid2vid")
    Image.fromarray(np.zeros((H, W + 1), np.uint8)).save(path)
    assert "map_3.png: [24, 41] px, its frame frame3.png has [24, 40]" in fault(prepare, root, tmp_path, "vid2vid")
    path.unlink()
    assert "sequence one: 9 in test_B, 8 in test_A; there must be" in fault(prepare, root, tmp_path, "vid2vid")
    (root / "test_A/one").rename(root / "test_A/three")
    assert "test_B/three: no such folder, and there is test_A/three" in fault(prepare, root, tmp_path, "vid2vid")
    (root / "test_A/three").rename(root / "three")
    assert "test_A/one: no such folder, and there is test_B/one" in fault(prepare, root, tmp_path, "vid2vid")
    (root / "test_B/one").rename(root / "one")
    assert "test_B: no folders of sequences in it" in fault(prepare, root, tmp_path, "vid2vid")
    (root / "test_A").rmdir()
    assert "no folder test_A; the layout vid2vid has train_B" in fault(prepare, root, tmp_path, "vid2vid")
    assert not (tmp_path / "f.zip").exists()


def test_imaginaire_without_splits_or_as_lmdb(tmp_path):
    root = lay_out(tmp_path / "data", "imaginaire")
    message = fault(prepare, root / "train", tmp_path, "imaginaire")
    assert "move images and seg_maps into train, and those for testing into val" in message
    (tmp_path / "packed/train/images").mkdir(parents=True)
    (tmp_path / "packed/train/images/data.mdb").write_bytes(b"")
    message = fault(prepare, tmp_path / "packed", tmp_path, "imaginaire")
    assert message.endswith("this is LMDB: give the folders of pictures that it was built from")
