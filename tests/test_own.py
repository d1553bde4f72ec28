"""Videos of one's own: shots, clips that cross none, counts, splits, sources, and the suite written for them."""

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from test_fetch import fault

from v2vbench import params
from v2vbench.clips import video_files
from v2vbench.clips.motion import ESTIMATED
from v2vbench.clips.store import Store
from v2vbench.datasets import _clip_plan, _labels, _shots, _sources, carphone, own
from v2vbench.display import data as show
from v2vbench.runner import doctor, video_suite
from v2vbench.runner.check import check_references, check_signatures
from v2vbench.runner.duration import duration
from v2vbench.runner.suites import load_suite

ROOT = Path(__file__).parents[1]
SIZE = 32, 48
LINE = {
    key: value for key, value in load_suite(ROOT / "suites/own.yaml").datasets["own"].items() if key != "loader"
} | {"size": list(SIZE), "n_frames": 6, "stride": 6, "gap": 4, "fps": 20}


def world(seed: int, n_frames: int, size: tuple[int, int] = (40, 64)) -> np.ndarray:
    """(T, H, W, 3) uint8: a window that slides by 1 px a frame over a smooth picture, whose hue tells the seed."""
    rng = np.random.default_rng(seed)
    wide = cv2.resize(rng.integers(0, 90, (8, 16, 3)).astype(np.uint8), (size[1] + n_frames, size[0]))
    wide[..., seed % 3] += 120
    return np.stack([wide[:, t : t + size[1]] for t in range(n_frames)])


@pytest.fixture
def folder(tmp_path) -> Path:
    """Four videos: a has cuts at 20 and 24, b has one at 9, d is still; names with a space and a folder."""
    place = tmp_path / "videos"
    (place / "deep").mkdir(parents=True)
    np.save(place / "a.npy", np.concatenate([world(0, 20), world(1, 4), world(2, 16)]))
    np.save(place / "b b.npy", np.concatenate([world(4, 9), world(6, 15)]))
    np.save(place / "deep/c.npy", world(5, 20))
    np.save(place / "deep/d.npy", np.concatenate([world(7, 7), np.repeat(world(8, 1), 13, 0)]))
    return place


def prepare(place: Path, out: Path, **changes) -> Store:
    labels = changes.get("labels", "none")
    line = LINE | {"videos": str(place)} | changes
    if "sha256" not in changes:
        line["sha256"] = own.look(place, None if labels == "none" else Path(labels))[1]
    params.bind(own.prepare, line, "datasets.own", out=out / "own.zip", name="own", cache=out)
    return Store(out / "own.zip")


def test_shots_start_at_the_cuts():
    frames = np.concatenate([world(0, 20), world(1, 4), world(2, 16)])
    shots = _shots.find_shots(iter(frames), threshold=27)
    assert shots.starts == (0, 20, 24)
    assert shots.spans == [(0, 20), (20, 24), (24, 40)]
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(float) for frame in frames]
    np.testing.assert_allclose(shots.change[1:], [np.abs(b - a).mean() for a, b in zip(grey, grey[1:])])
    assert shots.change[0] == 0
    large = [cv2.resize(frame, (1280, 800)) for frame in frames]
    assert _shots.find_shots(large, threshold=27).starts == (0, 20, 24)
    assert _shots.find_shots(frames, threshold=255).starts == (0,)


def test_clips_cross_no_cut_and_every_frame_is_accounted_for(folder, tmp_path):
    store = prepare(folder, tmp_path)
    assert store.facts.standing == "benchmark" and store.facts.groups == {"test": "videos kept for testing"}
    assert store.facts.flow == ESTIMATED
    frames = {name: np.stack(list(video_files.frames(path))) for name, path in video_files.find(folder).items()}
    cuts = {"a": (20, 24), "b_b": (9,), "deep_c": (), "deep_d": (7,)}
    names = dict(zip(sorted(cuts), sorted(frames)))
    for key, clip in store.clips.items():
        slug, first = key.rsplit("-", 1)
        assert clip["cluster"] == slug and clip["n_frames"] == 6
        assert not [cut for cut in cuts[slug] if int(first) < cut < int(first) + 6]
        want = [video_files.fit(frame, SIZE) for frame in frames[names[slug]][int(first) : int(first) + 6]]
        read = store.read(key)
        np.testing.assert_array_equal(read["real"], want)
        assert np.abs(np.median(read["flow"][..., 0]) - 0.75).max() < 0.1  # 1 px, of 64 px that became 48
        assert read["flow"].dtype == np.float16 and read["occluded"].shape == (5, *SIZE)
    clusters = {split: {store.clips[key]["cluster"] for key in store.split(split)} for split in ("train", "test")}
    assert len(clusters["test"]) == 2 and not clusters["train"] & clusters["test"]  # two: for distances between sets
    assert {*clusters["train"], *clusters["test"]} == {*cuts}
    counts = next(iter(store.clips.values()))["counts"]
    assert (counts["videos"], counts["shots"], counts["frames"]) == (4, 8, 104)
    # a: 2 of its first shot, the second, 4 of the last; b: 3 and 3; c: 2; d: 1 and what is over of the still shot.
    assert counts["dropped"] == {_clip_plan.SHORT: 2 + 4 + 4 + 3 + 3 + 2 + 1 + 1, _clip_plan.STILL: 12}
    assert sum(clip["n_frames"] for clip in store.clips.values()) == 104 - 20 - 12
    shown = show.facts(store).data
    assert "104 frames of 4 videos with 8 shots" in shown and "nothing moves" in shown and "in 12 clips" in shown
    first = (tmp_path / "own.zip").read_bytes()
    prepare(folder, tmp_path)
    assert (tmp_path / "own.zip").read_bytes() == first


def test_few_clips_are_spread_over_videos_and_time(folder, tmp_path):
    store = prepare(folder, tmp_path, n_train=3, n_test=2, stride=7, n_frames=5)
    assert [len(store.split(split)) for split in ("train", "test")] == [3, 2]
    assert len({store.clips[key]["cluster"] for key in store.split("train")}) == 2
    assert len({store.clips[key]["cluster"] for key in store.split("test")}) == 2
    counts = next(iter(store.clips.values()))["counts"]
    assert 25 + sum(counts["dropped"].values()) == 104
    assert counts["dropped"][_clip_plan.BEYOND] % 5 == 0 and counts["dropped"][_clip_plan.BETWEEN] % 2 == 0
    other = {tuple(prepare(folder, tmp_path, seed=seed).split("test")) for seed in range(8)}
    assert len(other) > 1  # the seed chooses


def test_counts_add_up_for_any_videos():
    rng = np.random.default_rng(0)
    for _ in range(200):
        videos = {}
        for name in "abcde"[: rng.integers(1, 6)]:
            n = int(rng.integers(40, 200))
            starts = (0, *sorted({*rng.integers(1, n, rng.integers(0, 5)).tolist()}))
            videos[name] = _shots.Shots(n_frames=n, starts=starts, change=rng.random(n))
        n_frames = int(rng.integers(2, 9))
        settings = {
            "n_frames": n_frames,
            "stride": n_frames + int(rng.integers(0, 4)),
            "n_train": int(rng.integers(1, 30)),
            "n_test": int(rng.integers(1, 9)),
            "gap": int(rng.integers(0, 9)),
        }
        try:
            made = _clip_plan.plan(videos, **settings, test_share=0.3, still=0.3, seed=0)
        except params.Fault as error:
            assert "\n" not in str(error) and "no clip of" in str(error)
            continue
        used = {name: np.zeros(shots.n_frames, int) for name, shots in videos.items()}
        for piece in made.pieces:
            used[piece.video][piece.first : piece.first + n_frames] += 1
            assert any(a <= piece.first and piece.first + n_frames <= b for a, b in videos[piece.video].spans)
        assert max(n.max() for n in used.values()) == 1  # no frame is in two clips
        n_free = sum(int((n == 0).sum()) for n in used.values())
        assert n_free == sum(made.dropped.values()) and min(made.dropped.values(), default=1) > 0
        for split, most in (("train", settings["n_train"]), ("test", settings["n_test"])):
            assert 1 <= sum(piece.split == split for piece in made.pieces) <= most


def test_one_video_is_split_by_time_with_a_gap_and_is_a_sanity_check(tmp_path):
    np.save(tmp_path / "one.npy", world(0, 60))
    store = prepare(tmp_path / "one.npy", tmp_path)
    assert store.facts.standing == "sanity" and "sanity check" in store.facts.about
    assert store.facts.groups == {"test": "the end of the same video"}
    first = {split: [int(key.rsplit("-", 1)[1]) for key in store.split(split)] for split in ("train", "test")}
    assert first == {"train": [0, 6, 12, 18, 24, 30, 36], "test": [46, 52]}  # 14 of 56 frames, after 42 and a gap of 4
    dropped = next(iter(store.clips.values()))["counts"]["dropped"]
    assert dropped == {_clip_plan.SHORT: 2, _clip_plan.GAP: 4}
    np.save(tmp_path / "one.npy", world(0, 20))
    assert "no clip of 6 moving frames for testing: the longest shot has 20 frames, and 4" in fault(
        prepare, tmp_path / "one.npy", tmp_path
    )


def test_edges_are_those_of_the_frames(folder, tmp_path):
    store = prepare(folder, tmp_path, canny=[20, 60])
    assert (store.facts.source, store.facts.label_names) == ("maps", ("edges",))
    share = []
    for key in store.clips:
        read = store.read(key)
        assert read["maps"].shape == (6, *SIZE, 1) and set(np.unique(read["maps"])) <= {0, 255}
        grey = cv2.GaussianBlur(cv2.cvtColor(read["real"][3], cv2.COLOR_RGB2GRAY), (0, 0), 1)
        np.testing.assert_array_equal(read["maps"][3, ..., 0], cv2.Canny(grey, 20, 60))
        share.append((read["maps"] > 0).mean())
    assert 0 < np.mean(share) < 0.5


def test_labels_lie_on_their_frames(tmp_path):
    """Each label has one colour: after the same crop and resize a frame's colours tell its labels."""
    colours, rng = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8), np.random.default_rng(0)
    for name in "ab":
        ids = np.repeat(np.repeat(rng.integers(0, 4, (70, 4, 7)), 12, 1), 10, 2)  # 48 x 70 px, the crop is 48 x 64
        ids = np.stack([np.roll(of_frame, t, 1) for t, of_frame in enumerate(np.repeat(ids[:1], 70, 0))])
        (tmp_path / "maps" / name).mkdir(parents=True)
        (tmp_path / "videos").mkdir(exist_ok=True)
        np.save(tmp_path / "videos" / f"{name}.npy", colours[ids])
        for t, of_frame in enumerate(ids):
            void = np.where((np.arange(70) == 35)[None] & (np.arange(48) == 24)[:, None], 255, of_frame)
            Image.fromarray(void.astype(np.uint8)).save(tmp_path / "maps" / name / f"{t}.png")
    line = {"source": "labels", "labels": str(tmp_path / "maps"), "size": [48, 64]}
    store = prepare(tmp_path / "videos", tmp_path, **line)
    assert (store.facts.source, store.facts.label_names) == ("labels", ("0", "1", "2", "3"))
    assert len({*store.facts.label_colours}) == 4
    for key in store.clips:
        read = store.read(key)
        void = read["label"] == 255
        assert void.reshape(6, -1).sum(1).tolist() == [1] * 6
        np.testing.assert_array_equal(colours[read["label"][~void]], read["real"][~void])
    small = prepare(tmp_path / "videos", tmp_path, **line | {"size": [24, 32]})
    read = small.read(next(iter(small.clips)))
    near = np.abs(read["real"].astype(int) - colours[np.where(read["label"] == 255, 0, read["label"])]).max(-1)
    assert read["label"].shape == (6, 24, 32) and (near < 130).mean() > 0.95

    names = tmp_path / "maps/names.txt"
    names.write_text("sky\nroad\ncar\n")
    assert "names.txt: needs 4 names or more" in fault(prepare, tmp_path / "videos", tmp_path, **line)
    names.write_text("sky\nroad\ncar\ntree\n")
    assert prepare(tmp_path / "videos", tmp_path, **line).facts.label_names == ("sky", "road", "car", "tree")
    said = own.look(tmp_path / "videos", tmp_path / "maps")[1]
    names.write_text("sky\nroad\ncar\nbush\n")
    assert "changed since" in fault(prepare, tmp_path / "videos", tmp_path, **line, sha256=said)
    assert "`source: labels`" in fault(
        prepare, tmp_path / "videos", tmp_path, source="edges", labels="there", sha256=""
    )
    Image.fromarray(np.zeros((48, 70, 3), np.uint8)).save(tmp_path / "maps/b/5.png")
    assert "maps/b/5.png: is RGB" in fault(prepare, tmp_path / "videos", tmp_path, **line)
    Image.fromarray(np.zeros((48, 71), np.uint8)).save(tmp_path / "maps/b/5.png")
    assert "maps/b/5.png: [48, 71] px" in fault(prepare, tmp_path / "videos", tmp_path, **line)
    Image.fromarray(np.full((48, 70), 256, np.uint16)).save(tmp_path / "maps/b/5.png")
    assert "maps/b/5.png: id 256" in fault(prepare, tmp_path / "videos", tmp_path, **line)
    (tmp_path / "maps/b/5.png").unlink()
    assert "maps/b: 69 label maps (PNG) for the 70 frames" in fault(prepare, tmp_path / "videos", tmp_path, **line)


def test_ids_are_cropped_as_frames_are():
    rng = np.random.default_rng(0)
    for shape, size in (((50, 70), (16, 24)), ((37, 91), (48, 64)), ((64, 64), (64, 64)), ((33, 40), (32, 40))):
        mask = np.kron(rng.integers(0, 2, (8, 8)), np.ones((12, 12), int))[: shape[0], : shape[1]]
        mask = np.pad(mask, [(0, n - m) for n, m in zip(shape, mask.shape)]).astype(np.uint8)
        frame = video_files.fit(np.repeat(mask[..., None] * np.uint8(255), 3, -1), size)[..., 0]
        ids = _labels.fit_ids(mask, size)
        clear = (frame < 40) | (frame > 215)  # not a pixel that an edge runs through
        assert clear.mean() > 0.5
        assert (ids[clear] == (frame[clear] > 127)).mean() > 0.99


@pytest.mark.slow
def test_landmarks_of_a_real_face(tmp_path):
    if not find_spec("dlib") or not find_spec("face_recognition_models"):
        pytest.skip("dlib and its models, 100 MB, are not here: pip install 'v2vbench[faces]'")
    np.save(tmp_path / "man.npy", carphone.video()[:24, :, 2:-2])
    store = prepare(tmp_path / "man.npy", tmp_path, source="landmarks", size=[96, 112], cut=60, test_share=0.5)
    read = store.read(store.split("train")[0])
    assert read["maps"].shape == (6, 96, 112, 15) and read["keypoints"].shape == (6, 68, 2)
    want = (carphone.read_landmarks(carphone.LANDMARKS)[0][:6] - (2, 0) + 0.5) * (96 / 144) - 0.5
    assert np.median(np.linalg.norm(read["keypoints"] - (want - ((172 - 168) / 2 * 96 / 144, 0)), axis=-1)) < 1.5
    np.save(tmp_path / "man.npy", world(0, 60))
    assert "no face found in any clip of test" in fault(
        prepare, tmp_path / "man.npy", tmp_path, source="landmarks", size=[96, 112]
    )


def test_faults(folder, tmp_path, monkeypatch):
    assert "`v2vbench use own --videos PATH`" in fault(prepare, folder, tmp_path, videos="", sha256="")
    assert "changed since `v2vbench use own`" in fault(prepare, folder, tmp_path, sha256="0")
    assert "multiples of 8" in fault(prepare, folder, tmp_path, size=[30, 48])
    assert "stride: 5 is less than n_frames, 6" in fault(prepare, folder, tmp_path, stride=5)
    assert "no clip of 60 moving frames for training" in fault(prepare, folder, tmp_path, n_frames=60, stride=60)
    assert "is not one of 'edges', 'labels', 'landmarks', 'pose'" in fault(prepare, folder, tmp_path, source="dreams")
    assert "none: no such" in fault(own.look, folder, tmp_path / "none")
    assert "nowhere" in fault(own.look, tmp_path / "nowhere", None)
    monkeypatch.setattr(_sources, "find_spec", lambda name: None)
    assert "pip install 'v2vbench[faces]'" in fault(prepare, folder, tmp_path, source="landmarks")
    shutil.copy(folder / "a.npy", folder / "twin.npy")
    assert "'twin' and 'a' are the same video" in fault(own.look, folder, None)
    assert not (tmp_path / "own.zip").exists()


def test_names_become_parts_of_file_names():
    assert _labels.slugs(["a b", "a/b", "a-b", "ü", "../x", "a_b-2"]) == {
        "a b": "a_b",
        "a/b": "a_b-2",
        "a-b": "a-b",
        "ü": "video",
        "../x": "x",
        "a_b-2": "a_b-2-2",
    }
    assert len({*_labels.slugs(f"{'x' * 90}{i}" for i in range(12)).values()}) == 12


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project in git with params.yaml and two suites: the one that is written, and the one that it extends."""
    root = tmp_path / "project"
    (root / "suites").mkdir(parents=True)
    for name in ("mini", "own"):
        shutil.copy(ROOT / f"suites/{name}.yaml", root / "suites")
    shutil.copy(ROOT / "tests/tiny.yaml", root / "params.yaml")
    monkeypatch.chdir(root)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run(git + words, check=True)
    return root


def test_use_writes_params_for_the_videos(project, folder, tmp_path, capsys):
    place = folder.rename(folder.with_name('my "videos" # ü'))
    video_suite.use_videos("own", place, False, project, licence="mine: all of it")
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("a: 40 frames of 64x40 px") and "4 videos; `make repro` runs it, about" in said[-1]
    written = params.load(project / "params.yaml")
    line = written.datasets["own"]
    assert (line["videos"], line["licence"], line["source"]) == (str(place), "mine: all of it", "edges")
    assert (line["size"], line["n_frames"]) == ([88, 144], 16) and line["sha256"] == own.look(place, None)[1]
    check_references(written, "params.yaml")
    check_signatures(written, "params.yaml")
    text = (project / "params.yaml").read_text()
    assert "# height, width in pixels" in text and "of 9 frames" not in text
    assert [row for row in doctor.experiments(project) if row.what == "params.yaml" and "minutes on two" in row.state]
    store = params.bind(
        own.prepare,
        {key: value for key, value in line.items() if key != "loader"} | {"n_frames": 6, "stride": 6, "size": [32, 48]},
        "datasets.own",
        out=tmp_path / "own.zip",
        name="own",
        cache=tmp_path,
    )
    assert store is None and len(Store(tmp_path / "own.zip").clips) == 12

    (place / "a.npy").unlink()  # the videos changed: what it wrote itself is no change to lose
    video_suite.use_videos("own", place, False, project, size=(48, 64))
    assert params.load(project / "params.yaml").datasets["own"]["size"] == [48, 64]
    (project / "params.yaml").write_text(text.replace("cut: 27 ", "cut: 30 "))
    assert "holds changes that git does not have" in fault(video_suite.use_videos, "own", place, False, project)
    inside = shutil.copytree(place, project / "mine")
    video_suite.use_videos("own", inside, True, project)
    line = params.load(project / "params.yaml").datasets["own"]
    assert (line["videos"], line["cut"]) == ("mine", 27)


def test_use_says_what_is_wrong_in_one_line(project, folder, tmp_path):
    def says(videos=folder, suite="own", **settings) -> str:
        return fault(video_suite.use_videos, suite, videos, False, project, **settings)

    before = (project / "params.yaml").read_bytes()
    assert "--videos goes with the suite own, not with 'mini'" in says(suite="mini")
    assert "--labels FOLDER goes with --source labels" in says(source="labels")
    assert "multiples of 8" in says(size=[50, 64])
    assert "'dreams' is not one of" in says(source="dreams")
    assert "nowhere" in says(tmp_path / "nowhere")
    np.save(tmp_path / "short.npy", world(0, 40))
    assert "the longest video has 40 frames" in says(tmp_path / "short.npy")
    (tmp_path / "maps").mkdir()
    assert "maps/a: 0 label maps" in says(source="labels", labels=tmp_path / "maps")
    assert (project / "params.yaml").read_bytes() == before


def test_a_run_takes_longer_with_more_frames_pixels_and_steps():
    written = load_suite(ROOT / "suites/own.yaml")
    minutes = int(duration(written).split()[3])
    assert 5 < minutes < 30
    written.datasets["own"]["size"] = [192, 256]
    assert int(duration(written).split()[3]) == pytest.approx(4 * minutes, rel=0.2)
    written.runs.clear()
    assert int(duration(written).split()[3]) < 2 * minutes


def test_the_size_follows_the_first_video():
    for size in ((720, 1280), (1920, 1080), (144, 176), (272, 640), (64, 64)):
        H, W = video_suite.default_size(size)
        assert H % 8 == 0 and W % 8 == 0 and 0.8 < H * W / video_suite.PX < 1.25
        assert abs(np.log(H / W) - np.log(size[0] / size[1])) < 0.1
