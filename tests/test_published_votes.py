"""Published votes: made-up folders in the exact layouts, what is read of them, and what is learned."""

import json
import re
import tarfile
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_videos import moving_square, write_video
from PIL import Image
from scipy.stats import norm

from v2vbench import params
from v2vbench.people import learn as learning
from v2vbench.people.published import bapps, bvi_vfi, folders, named, scores
from v2vbench.results.proxy import Proxy
from v2vbench.statistics.cost import cost
from v2vbench.statistics.win_probability import probability

LINES = ("psnr", "ssim", "sharpness_ratio", "flicker", "warp_error", "ked_frames", "lpips")
PARAMS = params.load(Path(__file__).parents[1] / "params.yaml")
PARAMS = replace(
    PARAMS,
    metrics={label: PARAMS.metrics[label] for label in LINES},
    preference=PARAMS.preference | {"win": PARAMS.preference["win"] | {"ridge": 1e-4}},
)
SIDE = 48


def patch(seed):
    """(SIDE, SIDE, 3) uint8 with detail at several scales."""
    rng = np.random.default_rng(seed)
    whole = sum(cv2.resize(rng.normal(0, 25, (SIDE // n, SIDE // n, 3)), (SIDE, SIDE)) for n in (1, 4, 12))
    return np.clip(128 + whole, 0, 255).astype(np.uint8)


def blurred(frame, sigma):
    return cv2.GaussianBlur(frame, (0, 0), sigma)


def write_bapps(folder, n=12, subsets=("val/cnn", "val/frameinterp"), share=0.8):
    """Triplets of which one patch is blurred more; of the judges `share` choose the other. The sides take turns."""
    for subset in subsets:
        for part in ("ref", "p0", "p1", "judge"):
            (folder / subset / part).mkdir(parents=True)
        for i in range(n):
            ref = patch(i)
            mild, bad = blurred(ref, 0.6 + 0.02 * i), blurred(ref, 2)
            sides = (mild, bad) if i % 2 else (bad, mild)
            for part, image in zip(("ref", "p0", "p1"), (ref, *sides)):
                Image.fromarray(image).save(folder / subset / part / f"{i:06d}.png")
            np.save(folder / subset / "judge" / f"{i:06d}.npy", np.float64(1 - share if i % 2 else share).reshape(1))
    return folder


def only(*labels):
    """The parameters with these metrics alone."""
    return replace(PARAMS, metrics={label: PARAMS.metrics[label] for label in labels})


def learned(folder, root, name="bapps", settings=PARAMS, **more):
    text = learning.learn(name, str(folder), settings, root, **more)
    return text, Proxy.load(Proxy.path(root, name))


@pytest.fixture(autouse=True)
def own_data(monkeypatch):
    monkeypatch.delenv("V2VBENCH_DATA", raising=False)


def test_sets_name_their_licence_and_how_to_get_them():
    for name in ("bapps", "bvi_vfi"):
        votes = named(name)
        assert all((votes.TITLE, votes.LICENCE, votes.CITATION, votes.PAGE, votes.ACCESS, votes.SPLIT))
    with pytest.raises(params.Fault, match="there are bapps, bvi_vfi"):
        named("tid2013")


def test_bapps_as_it_is_laid_out(tmp_path):
    folder = write_bapps(tmp_path / "dataset" / "2afc", 3, ("val/cnn", "train/mix"))
    for given in (folder, folder.parent, folder / "val", folder / "val" / "cnn"):
        assert "val/cnn" in bapps.subsets(given)
    assert bapps.subsets(folder) == ["train/mix", "val/cnn"]
    val, train = (list(bapps.pairs(folder, subset)) for subset in ("val/cnn", "train/mix"))
    assert [pair.votes for pair in val + train] == 3 * [5] + 3 * [2]
    assert [pair.votes_a for pair in val] == pytest.approx([1, 4, 1])  # the share of p1 is 0.8, 0.2, 0.8
    first = val[0]
    assert (first.a.key, first.b.key, first.source) == ("val/cnn/p0/000000.png", "val/cnn/p1/000000.png", "val/cnn/0")
    (frame,) = first.reference.read()
    np.testing.assert_array_equal(frame, patch(0))
    assert frame.dtype == np.uint8
    assert len({pair.source for pair in val + train}) == 2


def test_blocks_of_files_are_sources(tmp_path, monkeypatch):
    monkeypatch.setattr(bapps, "BLOCK", 2)
    sources = [pair.source for pair in bapps.pairs(write_bapps(tmp_path, 5, ("val/cnn",)), "val/cnn")]
    assert sources == ["val/cnn/0", "val/cnn/0", "val/cnn/1", "val/cnn/1", "val/cnn/2"]


def cut(path, n=40):
    path.write_bytes(path.read_bytes()[:n])


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda f: (f / "p1/000001.png").unlink(), "000001 is not in p1"),
        (lambda f: (f / "judge/000001.npy").unlink(), "000001 is not in judge"),
        (lambda f: cut(f / "judge/000001.npy", 9), "judge/000001.npy: not a NumPy array"),
        (lambda f: np.save(f / "judge/000001.npy", [1.5]), "has \\[1.5\\]"),
        (lambda f: np.save(f / "judge/000001.npy", [0.2, 0.4]), "expected one share"),
        (lambda f: np.save(f / "judge/000001.npy", np.array([{}], object)), "not a NumPy array"),
        (lambda f: (f / "ref/notes.txt").write_text("x"), "notes.txt: expected one file a number"),
        (lambda f: cut(f / "p0/000002.png"), "p0/000002.png"),
        (lambda f: Image.new("RGB", (9, 9)).save(f / "p0/000002.png"), "is 9x9 px, and its reference 48x48"),
    ],
)
def test_a_damaged_bapps_is_refused_in_one_line(tmp_path, harm, why):
    folder = write_bapps(tmp_path / "2afc", 4, ("val/cnn",))
    harm(folder / "val/cnn")
    with pytest.raises(params.Fault, match=why) as fault:
        learned(folder, tmp_path)
    assert "\n" not in str(fault.value)
    assert not Proxy.path(tmp_path, "bapps").exists()


def test_another_folder_is_no_bapps(tmp_path):
    for folder, why in (("empty", "has no folder judge"), ("x/cnn/judge", "has no folder ref")):
        (tmp_path / folder).mkdir(parents=True)
        with pytest.raises(params.Fault, match=why):
            bapps.subsets(tmp_path / folder.split("/")[0])
    for part in ("ref", "p0", "p1"):
        (tmp_path / "x/cnn" / part).mkdir()
    with pytest.raises(params.Fault, match="not in a folder train or val"):
        bapps.subsets(tmp_path / "x")
    with pytest.raises(params.Fault, match="no such folder"):
        learned(tmp_path / "none", tmp_path)


def test_what_bapps_teaches(tmp_path):
    folder = write_bapps(tmp_path / "2afc")
    text, proxy = learned(folder, tmp_path)
    assert "24 pairs of BAPPS 2AFC" in text
    model = proxy.models[0]
    assert sum(model.weights.values()) > 0.5  # blur loses
    assert set(model.better) == {"psnr", "ssim", "sharpness_ratio"}
    assert [set(one.better) for one in proxy.models[1:]] == [{"psnr", "ssim"}]  # of fidelity
    mild, bad = typical(folder)
    difference = [cost(bad[label], how) - cost(mild[label], how) for label, how in model.better.items()]
    assert probability(model, np.array([difference]))[0] == pytest.approx(0.8, abs=0.03)  # the judges' share
    assert model.learned_from == "votes of BAPPS"
    assert proxy.protocols["psnr"].startswith("psnr/1:")
    assert proxy.left_out["flicker"].endswith("1 frame, and it takes 2")
    assert "needs flow and occluded" in proxy.left_out["warp_error"]
    assert "weights absent" in proxy.left_out["lpips"]
    assert "ked_frames" not in proxy.left_out  # of sets, not of clips
    assert (proxy.n_pairs, proxy.n_votes, proxy.n_unscored, proxy.limit) == (24, 120, 0, None)
    assert proxy.subsets == {"val/cnn": 12, "val/frameinterp": 12}
    assert proxy.sizes == {"48x48": 24}
    assert (proxy.source, proxy.archives) == ("folder", {})
    assert str(tmp_path) not in Proxy.path(tmp_path, "bapps").read_text()
    assert model.cross_validation["algorithm"].n_folds == 2
    assert model.cross_validation["source"].accuracy.value == pytest.approx(0.8)
    assert Proxy.path(tmp_path, "bapps").stat().st_size < 50_000
    alone = learned(folder, tmp_path, settings=only("psnr"))[1].models
    assert len(alone) == 1
    assert alone[0].weights["psnr"] > 1
    turned = write_bapps(tmp_path / "turned", share=0.2)
    assert learned(turned, tmp_path, settings=only("psnr"))[1].models[0].weights["psnr"] == 0  # never below


def typical(folder):
    """The metrics of a mild and of a bad patch, halfway through the files."""
    pair = list(bapps.pairs(folder, "val/cnn"))[6]
    metrics, _ = learning.computable(PARAMS, folder)
    bad, mild = (scores.score(metrics, pair.reference, one).values for one in (pair.a, pair.b))
    return mild, bad


def test_a_quick_try_is_marked_and_spread(tmp_path):
    _, proxy = learned(write_bapps(tmp_path / "2afc"), tmp_path, limit=7)
    assert proxy.limit == 7
    assert proxy.subsets == {"val/cnn": 3, "val/frameinterp": 4}
    _, proxy = learned(tmp_path / "2afc", tmp_path, subsets=["val/frameinterp"])
    assert proxy.subsets == {"val/frameinterp": 12}
    assert proxy.limit is None
    with pytest.raises(params.Fault, match="--subset: no 'val/color'; there are val/cnn, val/frameinterp"):
        learned(tmp_path / "2afc", tmp_path, subsets=["val/color"])
    with pytest.raises(params.Fault, match="--limit 0"):
        learned(tmp_path / "2afc", tmp_path, limit=0)


def test_what_was_scored_is_kept_and_a_cut_line_made_anew(tmp_path, monkeypatch):
    folder, counted = write_bapps(tmp_path / "2afc", 4), []
    _, first = learned(folder, tmp_path)
    content = Proxy.path(tmp_path, "bapps").read_bytes()
    score = scores.score
    monkeypatch.setattr(scores, "score", lambda *given: counted.append(given[2].key) or score(*given))
    learned(folder, tmp_path)
    assert counted == []
    (kept,) = (tmp_path / ".cache/published").glob("bapps-*.jsonl")
    kept.write_bytes(kept.read_bytes()[:-40])  # the last line, as a kill leaves it
    learned(folder, tmp_path)
    assert len(counted) == 1 or len(counted) == 2  # equal content in two subsets, side by side
    assert Proxy.path(tmp_path, "bapps").read_bytes() == content
    changed = folder / "val/cnn/p0/000000.png"
    Image.fromarray(blurred(patch(0), 3)).save(changed)
    _, again = learned(folder, tmp_path)
    assert counted[-1] == "val/cnn/p0/000000.png"
    assert again.inputs_sha256 != first.inputs_sha256


def test_the_archive_is_fetched_and_its_hash_recorded(tmp_path):
    write_bapps(tmp_path / "made", 4, ("val/cnn",))
    served = tmp_path / "served"
    served.mkdir()
    with tarfile.open(served / "twoafc_val.tar.gz", "w:gz") as file:
        file.add(tmp_path / "made" / "val", "val")
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/twoafc_val.tar.gz"
        _, proxy = learned(url, tmp_path)
    finally:
        server.shutdown()
        server.server_close()
    assert proxy.source == url
    assert re.fullmatch("[0-9a-f]{64}", proxy.archives[url])
    assert proxy.subsets == {"val/cnn": 4}
    with pytest.raises(params.Fault, match="cannot be downloaded; its authors send"):
        folders(bvi_vfi, "download", tmp_path)


SEQUENCES = ("cyclist", "water_fall", "tunnel")
ALGORITHMS = {"Average": 1.5, "QVI": 0.8, "STMFNet": 0.4}


def write_bvi(folder, table=None):
    """Videos of three sequences at two frame rates, blurred by each algorithm, and ratings by four people."""
    folder.mkdir(parents=True)
    lines = ["video,rater,score"]
    for i, sequence in enumerate(SEQUENCES):
        for fps in ("30fps", "60fps"):
            name = f"{sequence}_96x64_{fps}"
            frames = [np.ascontiguousarray(frame) for frame in moving_square(5 + i, (64, 96))]
            write_video(folder / f"{name}_GT.mp4", frames, codec="libx264rgb", pix_fmt="rgb24", options={"crf": "0"})
            for algorithm, sigma in ALGORITHMS.items():
                made = [blurred(frame, sigma + 0.05 * i) for frame in frames]
                file = folder / f"{name}_{algorithm}.mp4"
                write_video(file, made, codec="libx264rgb", pix_fmt="rgb24", options={"crf": "0"})
                for rater in range(4):
                    score = 80 - 20 * sigma + (rater == 3) * 40 * sigma  # the fourth likes blur
                    lines.append(f"{file.name},r{rater},{score}")
    (folder / "scores.csv").write_text(table or "\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def bvi(tmp_path_factory):
    return write_bvi(tmp_path_factory.mktemp("bvi") / "set")


def test_bvi_vfi_as_it_is_named(bvi):
    assert bvi_vfi.subsets(bvi) == ["96x64"]
    pairs = list(bvi_vfi.pairs(bvi, "96x64"))
    assert len(pairs) == 3 * 2 * 3
    assert {pair.source for pair in pairs} == set(SEQUENCES)
    first = pairs[0]
    assert first.algorithms == ("Average", "QVI")
    assert (first.votes_a, first.votes) == (1, 4)  # the one who likes blur
    for pair in pairs:  # same sequence, same rate
        assert len({one.key.rsplit("_", 1)[0] for one in (pair.reference, pair.a, pair.b)}) == 1
    frames = list(first.reference.read())
    np.testing.assert_array_equal(frames, moving_square(5, (64, 96)))


def table(bvi, tmp_path, text):
    """A folder with the same videos and another table."""
    folder = tmp_path / "other"
    folder.mkdir()
    for path in bvi.glob("*.mp4"):
        (folder / path.name).symlink_to(path)
    (folder / "scores.csv").write_text(text)
    return folder


def test_only_raters_of_both_vote_and_equal_ratings_are_half(bvi, tmp_path):
    name = "cyclist_96x64_30fps"
    lines = [f"{name}_QVI,x,3", f"{name}_QVI,y,2", f"{name}_QVI,z,1", f"{name}_Average.mp4,y,2", f"{name}_Average,x,1"]
    (pair,) = bvi_vfi.pairs(table(bvi, tmp_path, "\n".join(["video,rater,score", *lines])), "96x64")
    assert pair.algorithms == ("Average", "QVI")
    assert (pair.votes_a, pair.votes) == (0.5, 2)


def test_means_vote_as_normal_ratings_do(bvi, tmp_path):
    name = "cyclist_96x64_30fps"
    means = [f"{name}_Average,20,50,12", f"{name}_QVI,18,57,9", f"{name}_STMFNet,20,57,0"]
    lines = ["video,raters,mean,deviation", *means]
    pairs = {pair.algorithms: pair for pair in bvi_vfi.pairs(table(bvi, tmp_path, "\n".join(lines)), "96x64")}
    assert pairs["Average", "QVI"].votes == 18
    assert pairs["Average", "QVI"].votes_a == pytest.approx(18 * norm.cdf(-7 / 15))
    assert pairs["QVI", "STMFNet"].votes_a == pytest.approx(9)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("video,score\n", "it takes video, rater, score"),
        ("video,rater,score\nnone_96x64_30fps_QVI,x,1\n", "line 2: no distorted video"),
        ("video,rater,score\ncyclist_96x64_30fps_GT,x,1\n", "line 2: no distorted video"),
        ("video,rater,score\ncyclist_96x64_30fps_QVI,x,good\n", "line 2: score: 'good' is no number"),
        ("video,rater,score\ncyclist_96x64_30fps_QVI,x,nan\n", "'nan' is no number"),
        ("video,rater,score\ncyclist_96x64_30fps_QVI,x\n", "line 2: 2 cells, and 3 columns"),
        ("video,rater,score\n" + 2 * "cyclist_96x64_30fps_QVI,x,1\n", "line 3: 'x' rated cyclist_96x64_30fps_QVI"),
        ("video,mean,deviation,raters\ncyclist_96x64_30fps_QVI,1,-1,3\n", "line 2: deviation is at least 0"),
        ("", "not a table|has columns"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(bvi, tmp_path, text, why):
    with pytest.raises(params.Fault, match=why) as fault:
        list(bvi_vfi.pairs(table(bvi, tmp_path, text), "96x64"))
    assert "\n" not in str(fault.value)


def test_wrong_videos_are_refused_in_one_line(bvi, tmp_path):
    folder = table(bvi, tmp_path, (bvi / "scores.csv").read_text())
    (folder / "cyclist_96x64_30fps_GT.mp4").unlink()
    with pytest.raises(params.Fault, match=r"no cyclist_96x64_30fps_GT\.mp4"):
        list(bvi_vfi.pairs(folder, "96x64"))
    (folder / "cyclist_96x64_30fps_GT.mp4").symlink_to(bvi / "tunnel_96x64_30fps_GT.mp4")
    with pytest.raises(params.Fault, match="another number of frames than its reference"):
        learned(folder, tmp_path, "bvi_vfi")
    (folder / "cyclist_96x64_30fps_GT.mp4").unlink()
    (folder / "cyclist_96x64_30fps_GT.mp4").write_bytes(b"no video")
    with pytest.raises(params.Fault, match=r"cyclist_96x64_30fps_GT\.mp4"):
        learned(folder, tmp_path, "bvi_vfi")
    (folder / "holiday.mp4").write_bytes(b"")
    with pytest.raises(params.Fault, match=r"holiday\.mp4: not named <sequence>"):
        bvi_vfi.subsets(folder)
    (tmp_path / "bare").mkdir()
    with pytest.raises(params.Fault, match="fill in the form"):
        bvi_vfi.subsets(tmp_path / "bare")


def test_what_bvi_vfi_teaches(bvi, tmp_path):
    _, proxy = learned(bvi, tmp_path, "bvi_vfi")
    model = proxy.models[0]
    assert "flicker" in model.better
    assert proxy.algorithms == sorted(ALGORITHMS)
    assert proxy.n_sources == 3
    assert model.cross_validation["source"].folds == pytest.approx(dict.fromkeys(SEQUENCES, 0.75))
    assert model.cross_validation["algorithm"].n_folds == 3
    assert model.without.keys() == set(SEQUENCES)
    assert proxy.n_frames == {"64x96": 16}
    assert learned(bvi, tmp_path, "bvi_vfi", only("psnr"))[1].models[0].weights["psnr"] > 0.5


def test_nothing_that_is_left_out_is_learned_from(bvi, tmp_path):
    pairs = list(bvi_vfi.pairs(bvi, "96x64"))
    metrics, _ = learning.computable(replace(PARAMS, metrics={"psnr": PARAMS.metrics["psnr"]}), tmp_path)
    scored = scores.scores("bvi_vfi", metrics, PARAMS, pairs, scores.Hashes(), tmp_path)
    made = learning.ordered_pairs(pairs, scored, {"psnr": metrics[0]}, "x")
    sources, algorithms = made.left_out["source"], made.left_out["algorithm"]
    assert np.sum(list(sources.values()), 0).tolist() == len(pairs) * [1]  # a partition
    for name, mask in sources.items():
        assert {pair.source for pair, out in zip(pairs, mask) if out} == {name}
        assert name not in {pair.source for pair, out in zip(pairs, mask) if not out}
    for name, mask in algorithms.items():
        assert mask.any()
        assert not any(name in pair.algorithms for pair, out in zip(pairs, mask) if not out)
    np.testing.assert_array_equal(made.outcome, [pair.votes_a / 4 for pair in pairs])
    psnr = scored[pairs[0].reference.key, pairs[0].a.key].values["psnr"]
    other = scored[pairs[0].reference.key, pairs[0].b.key].values["psnr"]
    assert made.difference[0, 0] == pytest.approx(psnr - other)  # the worse first: below 0
    assert made.difference[0, 0] < 0


def test_many_sources_are_left_out_in_folds_of_neighbours(tmp_path, monkeypatch):
    monkeypatch.setattr(bapps, "BLOCK", 1)
    monkeypatch.setattr(learning, "MOST_FOLDS", 3)
    _, proxy = learned(write_bapps(tmp_path / "2afc", 7, ("val/cnn",)), tmp_path)
    folds = sorted(proxy.models[0].without)
    assert folds == ["val/cnn/0 to val/cnn/2", "val/cnn/3 to val/cnn/4", "val/cnn/5 to val/cnn/6"]


def test_a_long_video_is_scored_in_parts(bvi, monkeypatch):
    """The mean over parts of 2 frames; the last frame fills no part."""
    (pair, *_) = bvi_vfi.pairs(bvi, "96x64")  # 5 frames
    metrics, _ = learning.computable(PARAMS, bvi)
    psnr = next(metric for metric in metrics if metric.label == "psnr")
    monkeypatch.setattr(scores, "N_FRAMES", 2)
    frames = [np.stack(list(one.read())).astype(float) for one in (pair.reference, pair.a)]
    by_frame = 10 * np.log10(255**2 / ((frames[0] - frames[1]) ** 2).mean((1, 2, 3)))
    assert scores.score([psnr], pair.reference, pair.a).values["psnr"] == pytest.approx(by_frame[:4].mean(), rel=1e-6)
    assert scores.frames_at_once((2160, 3840)) == 2


def test_a_damaged_file_of_what_was_learned_is_refused_in_one_line(tmp_path):
    learned(write_bapps(tmp_path / "2afc", 4), tmp_path)
    path = Proxy.path(tmp_path, "bapps")
    whole = json.loads(path.read_text())
    for text, why in (
        (path.read_text()[:-30], "not whole"),
        (json.dumps(whole | {"schema": "v2vbench/proxy/9"}), "of schema 'v2vbench/proxy/9'"),
        (json.dumps({key: value for key, value in whole.items() if key != "licence"}), "missing licence"),
    ):
        path.write_text(text)
        with pytest.raises(params.Fault, match=why) as fault:
            Proxy.load(path)
        assert "study learn bapps" in str(fault.value)
        assert "\n" not in str(fault.value)
