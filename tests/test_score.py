"""`v2vbench score`: videos in files against the pipeline, against torch-fidelity, and against what users do wrong."""

import json
import sys
from dataclasses import replace
from html import escape

import av
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import facts, sliding_clip
from PIL import Image
from scipy import stats

import v2vbench
from benchmarks import fid as bench_fid
from v2vbench import params
from v2vbench.__main__ import main
from v2vbench.clips.store import write_store
from v2vbench.params import Fault, Run
from v2vbench.results.comparison import Comparison
from v2vbench.scoring import clip_scores, pairing
from v2vbench.scoring.run import score
from v2vbench.scoring.settings import FILE, settings
from v2vbench.scoring.videos import Videos
from v2vbench.stages._scorer import Scorer
from v2vbench.stages.evaluate import evaluate

SIZE, N_CLIPS, N_FRAMES = (64, 96), 5, 12
FAST = ["psnr", "ssim", "sharpness_ratio", "ked_frames"]
SEES_NO_FLOW = ["psnr", "ssim", "tof", "flicker", "sharpness_ratio", "motion_ratio", "fed_windows", "ked_frames"]


def noisy(frames: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, frames.shape)
    return (frames + noise).round().clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def clips() -> dict[str, dict[str, np.ndarray]]:
    """{name: arrays of a clip store}."""
    return {f"clip{i}": sliding_clip(i, N_FRAMES, SIZE) for i in range(N_CLIPS)}


@pytest.fixture(scope="module")
def real(clips):
    return {name: arrays["real"] for name, arrays in clips.items()}


@pytest.fixture(scope="module")
def fakes(real):
    """Two methods: little noise, and much."""
    return {
        title: {name: noisy(frames, sigma, seed) for seed, (name, frames) in enumerate(real.items())}
        for title, sigma in (("mild", 4), ("strong", 25))
    }


@pytest.fixture(scope="module")
def stores(clips, fakes, tmp_path_factory):
    """A project with these clips as its data set and the mild method as its run."""
    root = tmp_path_factory.mktemp("project")
    about = facts(groups={"seen": "seen"}, size=SIZE)
    common = {"split": "seen", "origin": "made", "licence": "none"}
    write_store(root / "data/sliding.zip", about, (({"id": name} | common, arrays) for name, arrays in clips.items()))
    entries = (({"id": name, "given": 0} | common, {"fake": frames}) for name, frames in fakes["mild"].items())
    write_store(root / "runs/mild/clips.zip", replace(about, name="mild"), entries)
    return root


def write_pictures(folder, videos):
    for name, frames in videos.items():
        (folder / name).mkdir(parents=True)
        for t, frame in enumerate(frames):
            Image.fromarray(frame).save(folder / name / f"{t:04d}.png")
    return folder


def write_videos(folder, videos, ending="mkv", codec="ffv1", pix_fmt="bgr0", **options):
    folder.mkdir(parents=True, exist_ok=True)
    for name, frames in videos.items():
        path = folder / f"{name}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as file:
            stream = file.add_stream(codec, rate=25, options=options)
            stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pix_fmt
            for frame in frames:
                file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            file.mux(stream.encode())
    return folder


@pytest.fixture(scope="module")
def pipeline(stores):
    """What the pipeline says of the same frames, with the lines of score.yaml."""
    own = settings(None, skip=0, paired=True)
    line = Run(
        title="mild",
        dataset="sliding",
        model="copy_last",
        schedule="none",
        base="none",
        first_frames="none",
        seeds=[0],
        kwargs={},
    )
    return evaluate(replace(own, datasets={"sliding": {}}, runs={"mild": line}), "mild", stores)


def test_a_clip_store_scores_as_in_the_pipeline(stores, pipeline):
    """Every metric, value, interval and protocol id, to the bit."""
    result = score(stores / "data/sliding.zip", {"mild": stores / "runs/mild/clips.zip"}, flow="given", cache=None)
    own, theirs = result.runs["mild"], pipeline
    assert own.metrics == theirs.metrics
    scores = own.groups["clips"].scores
    assert scores == theirs.groups["seen"].scores
    assert {label for label, one in scores.items() if one.fake} >= {"psnr", "warp_error", "track_error", "ked_windows"}


@pytest.mark.parametrize("write", [write_pictures, write_videos])
def test_lossless_files_score_as_in_the_pipeline(write, real, fakes, pipeline, tmp_path):
    """What rests on no flow, to the bit; what rests on it has another protocol id."""
    folders = write(tmp_path / "real", real), write(tmp_path / "mild", fakes["mild"])
    result = score(*folders, metrics=[*SEES_NO_FLOW, "warp_error"], cache=None)
    own, theirs = result.runs["mild"], pipeline
    for label in SEES_NO_FLOW:
        assert own.groups["clips"].scores[label] == theirs.groups["seen"].scores[label], label
        assert own.metrics[label] == theirs.metrics[label]
    protocol = own.metrics["warp_error"].protocol
    assert protocol == f"{theirs.metrics['warp_error'].protocol}:flow-dis-medium-at-2x"
    assert not result.warnings()


def test_lossy_files_are_named(real, tmp_path):
    write_videos(tmp_path / "real", real)
    write_videos(tmp_path / "mild", real, "mp4", "libx264", "yuv420p", crf="30")
    (warning,) = score(tmp_path / "real", tmp_path / "mild", metrics=["psnr"], cache=None).warnings()
    assert warning.startswith("mild: all clips are from lossy files (") and "h264" in warning


def test_fid_and_kid_of_folders_are_torch_fidelitys(real, fakes, tmp_path, monkeypatch):
    """With the same random weights; torch-fidelity takes all pictures in a folder and those below it."""
    import torch_fidelity
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.utils import create_feature_extractor

    path = bench_fid.random_weights(tmp_path / "weights.pth")
    dark = {name: fakes["strong"][name][:5] // 2 for name in ("clip0", "clip1")}  # far: a small KID has few digits
    few = {name: real[name][:5] for name in dark}
    folders = [write_pictures(tmp_path / name, videos) for name, videos in (("real", few), ("dark", dark))]
    with bench_fid.made_up(path):
        for module in (clip_scores.weights, sys.modules["v2vbench.stages._scorer"].weights):
            monkeypatch.setattr(module, "why_absent", lambda names: None)
            monkeypatch.setattr(module, "sha256", lambda name: "made up")
        result = score(*folders, metrics=["fid", "kid_all_pairs"], cache=None)
        theirs = torch_fidelity.calculate_metrics(
            input1=str(folders[1]),
            input2=str(folders[0]),
            samples_find_deep=True,
            fid=True,
            kid=True,
            kid_subsets=1,
            kid_subset_size=10,
            save_cpu_ram=True,
            **bench_fid.fidelity_settings(path),
        )
        network = create_feature_extractor("inception-v3-compat", ["2048"], **bench_fid.fidelity_settings(path))
        rows = [
            network(torch.from_numpy(np.concatenate(list(videos.values()))).permute(0, 3, 1, 2))[0].double()
            for videos in (dark, few)
        ]
        in_float64 = kid_features_to_metric(*rows, kid_subsets=1, kid_subset_size=10, verbose=False)
    scores = result.runs["dark"].groups["clips"].scores
    assert scores["fid"].value == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)
    own = scores["kid_all_pairs"].value / 1000
    assert own == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-5)  # in float32
    assert own == pytest.approx(in_float64["kernel_inception_distance_mean"], rel=1e-6)


def test_the_lines_are_those_of_the_suites():
    """So that a number of `score` is the number of a suite on the same frames."""
    own, mini = params.typed(params.parse(FILE.read_text(), "score.yaml"), "score.yaml"), params.load()
    for section in ("metrics", "features"):
        lines, theirs = getattr(own, section), getattr(mini, section)
        assert {label: lines[label] for label in lines if label in theirs} == {
            label: theirs[label] for label in theirs if label in lines
        }
        assert set(theirs) - set(lines) <= {"segmentation"}
    assert own.calibration["ladders"] == mini.calibration["ladders"]
    win = mini.preference["win"] | {"teachers": ["damages"]}  # of anybody's videos, nobody was asked
    assert own.preference == mini.preference | {"win": win}


def test_more_noise_is_worse_with_a_verdict(real, fakes):
    group = score(real, {"mild": fakes["mild"], "strong": fakes["strong"]}, metrics=["psnr"], cache=None).group
    row = group.metrics["psnr"].rows["strong"]
    assert row.verdict and row.verdict.p == 2 / 2**N_CLIPS  # all five clips say so
    assert group.clusters_needed == 6


def test_an_interrupted_run_goes_on(real, fakes, tmp_path, monkeypatch):
    """The clips that were scored before are not scored again, and the result is the same."""
    done, build = [], Scorer.score

    def counted(self, arrays, where, **kwargs):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(where)
        return build(self, arrays, where, **kwargs)

    monkeypatch.setattr(Scorer, "score", counted)
    monkeypatch.setattr(clip_scores, "AT_ONCE", 1)
    folders = write_videos(tmp_path / "real", real), write_videos(tmp_path / "mild", fakes["mild"])
    with pytest.raises(KeyboardInterrupt):
        score(*folders, metrics=FAST, cache=tmp_path / "cache")
    first, again = list(done), []
    monkeypatch.setattr(Scorer, "score", lambda self, *args, **kw: again.append(args[1]) or build(self, *args, **kw))
    resumed = score(*folders, metrics=FAST, cache=tmp_path / "cache")
    assert len(first) == 3 and len(again) == N_CLIPS - 3 and not set(first) & set(again)
    monkeypatch.undo()
    assert resumed.comparison == score(*folders, metrics=FAST, cache=None).comparison


def test_nothing_known_is_decoded_again_but_another_file_is(real, fakes, tmp_path, monkeypatch):
    folders = write_videos(tmp_path / "real", real), write_videos(tmp_path / "mild", fakes["mild"])
    read, decoded = Videos.read, []
    monkeypatch.setattr(Videos, "read", lambda self, clip, *args: decoded.append(clip) or read(self, clip, *args))
    values = [score(*folders, metrics=FAST, cache=tmp_path / "cache").frame() for _ in range(2)]
    assert values[0].equals(values[1]) and len(decoded) == 2 * N_CLIPS
    write_videos(tmp_path / "mild", {"clip3": real["clip3"]})
    changed = score(*folders, metrics=FAST, cache=tmp_path / "cache").runs["mild"].groups["clips"].scores["psnr"]
    assert decoded[2 * N_CLIPS :] == ["clip3"] * 2 and changed.fake.per_clip[3] == 100
    kept = next((tmp_path / "cache/scores").rglob("*.npz"))
    kept.write_bytes(kept.read_bytes()[:100])  # cut short: made anew
    assert (
        score(*folders, metrics=FAST, cache=tmp_path / "cache").runs["mild"].groups["clips"].scores["psnr"] == changed
    )


def test_clips_at_hand_alone_are_in_memory(real, tmp_path, monkeypatch):
    """However many clips there are: those that the threads are at, and no others."""
    import weakref

    many = {f"{i:02d}": real["clip0"][:2] for i in range(24)}
    alive, most, read = [], 0, Videos.read

    def tracked(self, clip, *args):
        nonlocal most
        result = read(self, clip, *args)
        alive.extend(weakref.ref(array) for array in result.values())
        most = max(most, sum(ref() is not None for ref in alive))
        return result

    monkeypatch.setattr(Videos, "read", tracked)
    monkeypatch.setattr(clip_scores, "AT_ONCE", 1)
    score(write_videos(tmp_path / "real", many), write_videos(tmp_path / "fake", many), metrics=["psnr"], cache=None)
    assert len(alive) == 24 * 2 and most <= 3


def test_clusters_are_the_folders_that_clips_lie_in(real, fakes, tmp_path):
    alike = {"drive1/a": "clip0", "drive1/b": "clip1", "drive2/c": "clip2", "drive3/d": "clip3"}
    folders = [
        write_videos(tmp_path / title, {name: videos[clip] for name, clip in alike.items()})
        for title, videos in (("real", real), ("mild", fakes["mild"]))
    ]
    group = score(*folders, metrics=["psnr"], cache=None).group
    assert group.clusters == ["drive1", "drive1", "drive2", "drive3"] and group.cluster == "folder"


def test_of_many_clips_blocks_are_left_out(real):
    """A mean over clips keeps its value, and its interval is that of 50 means of blocks."""
    rng = np.random.default_rng(0)
    many = {f"{i:03d}": rng.integers(0, 256, (2, 16, 16, 3), np.uint8) for i in range(110)}
    fake = {name: noisy(frames, 5 + i % 7) for i, (name, frames) in enumerate(many.items())}
    result = score(many, fake, metrics=["psnr"], cache=None)
    row, values = (
        result.group.metrics["psnr"].rows["fake"],
        np.array(result.runs["fake"].groups["clips"].scores["psnr"].fake.per_clip),
    )
    assert result.group.n_clusters == 50 and result.group.cluster == "block" and "110 clips" in result.warnings()[0]
    assert row.value == pytest.approx(values.mean())
    block = np.arange(110) % 50
    means, sizes = np.bincount(block, values) / np.bincount(block), np.bincount(block)
    h = 110 / sizes  # Busing et al. 1999, eq. 6: of a mean, the pseudo-values are the means of blocks
    error = np.sqrt(((means - values.mean()) ** 2 / (h - 1)).mean())
    assert row.high - row.value == pytest.approx(stats.t.ppf(0.975, 49) * error)


def test_unpaired_clips_have_distances_between_sets_alone(real, fakes, tmp_path):
    other = {f"other{i}": frames for i, frames in enumerate(fakes["mild"].values())}
    folders = write_videos(tmp_path / "real", real), write_videos(tmp_path / "mild", other)
    result = score(*folders, cache=None, out=tmp_path / "out")
    scores = result.runs["mild"].groups["clips"].scores
    assert scores["ked_frames"].value is not None and scores["psnr"].value is None
    assert "'clip0' in real, 'other0' in mild" in scores["psnr"].note
    assert result.runs["mild"].metrics["ked_frames"].protocol.endswith(":unpaired")
    assert "Only distances between sets" in (tmp_path / "out/index.html").read_text()
    assert result.group.metrics["ked_frames"].rows["mild"].low is not None
    with pytest.raises(Fault, match="--calibrate: .* no clip has the name of a real one"):
        score(*folders, cache=None, calibrate=True)


def test_clips_without_a_partner(real, fakes, tmp_path):
    few = {name: fakes["mild"][name] for name in ("clip0", "clip1", "clip2")}
    with pytest.raises(Fault, match=r"fake: no 'clip3', which real has \(2 of 5 are missing\): .* --pair common"):
        score(real, few, cache=None)
    result = score(real, few, metrics=["psnr"], pair="common", cache=None)
    assert result.group.n_clips == 3 and result.warnings() == ["real: 2 of 5 clips left out (clip3, clip4)."]


def test_pairs_of_other_lengths_and_sizes_are_refused(real):
    short = real | {"clip1": real["clip1"][:9]}
    with pytest.raises(Fault, match="'clip1' has 9 frames, and 12 in real; --max-frames 9 takes the first of both"):
        score(real, short, cache=None)
    assert score(real, short, metrics=["psnr"], max_frames=9, cache=None).runs["fake"].groups["clips"].n_frames == 9
    small = real | {"clip2": real["clip2"][:, ::2, ::2]}
    with pytest.raises(Fault, match="'clip2' is 48 x 32 px, and 96 x 64 px in real; --size WxH resizes both"):
        score(real, small, cache=None)
    assert score(real, small, metrics=["psnr"], size=(32, 48), cache=None).real.facts.size == (32, 48)


def test_a_single_video_is_cut_into_parts(tmp_path):
    """So that something can be said of it, which the page and the terminal say is of this video alone."""
    frames = sliding_clip(0, 120, (32, 48))["real"]
    write_videos(tmp_path, {"film": frames, "copy": noisy(frames, 5), "bad": noisy(frames, 20)})
    result = score(tmp_path / "film.mkv", [tmp_path / "copy.mkv", tmp_path / "bad.mkv"], metrics=["psnr"], cache=None)
    assert result.group.n_clusters == pairing.PARTS and result.group.cluster == "part"
    assert result.group.metrics["psnr"].rows["bad"].verdict.word == "worse"
    assert "copy is held against film" in result.warnings()[0] and "say nothing of other videos" in result.warnings()[2]
    two = {"a": frames, "b": frames}
    whole = score(two, two | {"a": noisy(frames, 5)}, metrics=["psnr"], cut=50, cache=None)
    assert whole.group.clips == ["a 0-49", "a 50-99", "b 0-49", "b 50-99"] and whole.group.n_clusters == 2
    assert "40 of 240 frames, at the end of 2 videos, are fewer than a part of 50" in whole.warnings()[0]


def test_parts_are_the_frames_of_their_video(tmp_path):
    frames = sliding_clip(0, 30, (32, 48))["real"]
    write_videos(tmp_path / "real", {"a": frames, "b": frames[::-1]})
    result = score(tmp_path / "real", tmp_path / "real", metrics=["psnr"], cut=7, cache=None)
    for clip, entry in result.sides.real.clips.items():
        whole = frames if entry.video == "a" else frames[::-1]
        assert np.array_equal(result.real.read(clip, 2, 6, ["real"])["real"], whole[entry.start + 2 : entry.start + 6])
    assert np.array_equal(result.real.read("a 0-6", arrays=["real"])["real"], frames[:7])  # back to the start


def test_metrics_that_cannot_be_computed_say_why_and_lose_nothing(real, fakes, tmp_path):
    result = score(real, fakes["mild"], max_frames=4, cache=None)
    scores = result.runs["fake"].groups["clips"].scores
    assert scores["ked_windows"].note == "compares 8 frames at once, and clip 'clip0' has 4"
    assert scores["psnr"].value is not None and scores["ked_frames"].value is not None
    tiny = {name: frames[:, :16, :16] for name, frames in real.items()}
    scores = score(tiny, tiny, metrics=["ms_ssim", "psnr"], cache=None).runs["fake"].groups["clips"].scores
    assert scores["ms_ssim"].value is None and "16" in scores["ms_ssim"].note and scores["psnr"].value == 100


def test_calibration_finds_what_a_metric_responds_to(real, fakes):
    clips = {name: frames[:8] for name, frames in list(real.items())[:3]}
    mild = {name: fakes["mild"][name][:8] for name in clips}
    result = score(clips, mild, metrics=["psnr", "flicker"], calibrate=True, cache=None)
    metric = result.group.metrics["psnr"]
    assert set(metric.controls) == {"frozen", "flow_carried", "blurred", "averaged"}
    assert metric.rows["fake"].equivalent and "blurred" in metric.fooled_by  # noise of no structure: blur is nearer
    noise = result.group.damage["noise"]  # of the same strength as the fakes' at its first level
    assert noise.levels[1] == 4 and noise.values["psnr"][1] == pytest.approx(metric.rows["fake"].value, abs=0.1)


@pytest.fixture(scope="module")
def written(real, fakes, tmp_path_factory):
    """What the command writes of folders with an odd name."""
    root = tmp_path_factory.mktemp("command")
    write_videos(root / "real", real)
    write_videos(root / "<script>", fakes["mild"])
    write_videos(root / "strong", fakes["strong"])
    args = ["score", "--real", str(root / "real"), "--fake", str(root / "<script>"), "--fake", str(root / "strong")]
    assert main([*args, "--out", str(root / "out"), "--metrics", *FAST, "--cache", str(root / "cache")]) == 0
    return root / "out"


def test_the_command_writes_typed_results_tables_and_a_page(written, fakes, real):
    result = Comparison.load(written / "scores.json")
    assert [run.title for run in result.runs.values()] == ["<script>", "strong"]
    table, clips = pd.read_csv(written / "scores.csv"), pd.read_csv(written / "clips.csv")
    assert set(table["metric"]) == set(FAST) and len(clips) == 3 * N_CLIPS  # counts in, counts out
    mse = np.mean((fakes["strong"]["clip1"] / 255 - real["clip1"] / 255) ** 2, (1, 2, 3))
    row = clips[(clips["side"] == "strong") & (clips["clip"] == "clip1")].iloc[0]
    assert row["psnr"] == pytest.approx(np.mean(-10 * np.log10(mse)), rel=1e-6) and row["codec"] == "ffv1"


def test_the_page_needs_nothing_from_outside_and_runs_no_name(written):
    page = (written / "index.html").read_text()
    assert "<script>alert" not in page and escape("<script>") in page
    assert page.count("<script>") == 1  # its own
    media = {path.name for path in (written / "media").iterdir()}
    assert sum(name.endswith(".mp4") for name in media) == 5 and all(name in page for name in media)
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    for words in ("The files", "ffv1", "v2vbench score --real"):
        assert words in page
    assert "Trained on" not in page and "make repro" not in page


def test_json_alone_on_standard_output(real, tmp_path, capsys):
    write_videos(tmp_path / "real", real)
    args = ["score", "--real", str(tmp_path / "real"), "--fake", f"mine={tmp_path / 'real'}", "--metrics", "psnr"]
    assert main([*args, "--json", "-", "--cache", "none"]) == 0
    out, err = capsys.readouterr()
    content = json.loads(out)
    assert content["schema"] == Comparison.SCHEMA and content["runs"]["mine"]["title"] == "mine"
    assert "PSNR" in err and "100 ±0" in err


@pytest.mark.parametrize(
    "words, message",
    [
        (["--metrics", "psnrr"], "--metrics: no 'psnrr'; there are all, psnr, ssim"),
        (["--size", "64"], "--size '64': it takes a width and a height in px: 256x128"),
        (["--skip", "12"], "--skip 12: clip 'clip0' has 12 frames, so none is left"),
        (["--max-frames", "0"], "--max-frames: 0; it takes a whole number, 1 or more"),
        (["--flow", "given"], "--flow given: needs a clip store with flow as --real"),
        (["--flow", "raft"], "weights absent: raft_large"),
        (["--cut", "50"], "no video has 50 frames (--cut)"),
        (["--metrics", "fid"], "nothing that was asked for can be measured: fid: weights absent: inception2015"),
        (["--metrics", "all", "psnr"], "all stands alone"),
    ],
)
def test_a_wrong_argument_is_one_line(words, message, real, tmp_path, capsys):
    write_videos(tmp_path / "real", {"clip0": real["clip0"], "clip1": real["clip1"]})
    args = ["score", "--real", str(tmp_path / "real"), "--fake", str(tmp_path / "real"), "--cache", "none", *words]
    code, (_, err) = main(args), capsys.readouterr()
    lines = [line for line in err.splitlines() if not line.startswith("read ")]
    assert code == 1 and len(lines) == 1 and message in lines[0], err


def test_wrong_files_are_named(real, tmp_path, capsys):
    write_videos(tmp_path / "real", real)
    write_videos(tmp_path / "fake", real)
    broken = tmp_path / "fake/clip2.mkv"
    broken.write_bytes(broken.read_bytes()[:2000])
    assert main(["score", "--real", str(tmp_path / "real"), "--fake", str(tmp_path / "fake"), "--cache", "none"]) == 1
    assert str(broken) in capsys.readouterr().err.splitlines()[-1]
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.txt").write_text("mine")
    args = [
        "score",
        "--real",
        str(tmp_path / "real"),
        "--fake",
        str(tmp_path / "real"),
        "--out",
        str(tmp_path / "full"),
    ]
    assert main(args) == 1 and "holds other files" in capsys.readouterr().err
    assert main(["score", "--real", str(tmp_path / "none"), "--fake", str(tmp_path / "real")]) == 1
    assert str(tmp_path / "none") in capsys.readouterr().err


def test_a_clip_that_memory_cannot_hold_is_refused_before_it_is_scored(real, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 2**20})())
    with pytest.raises(Fault, match="clip 'clip0': 12 frames of 96 x 64 px take about 0.0 GiB .* --size and --max"):
        score(real, real, cache=None)


def test_a_store_that_begins_with_real_frames_must_be_skipped(clips, tmp_path):
    common = {"split": "seen", "origin": "made", "licence": "none"}
    entries = (({"id": name, "given": 2} | common, {"fake": arrays["real"]}) for name, arrays in clips.items())
    write_store(tmp_path / "clips.zip", facts(groups={"seen": "seen"}, size=SIZE), entries)
    real = {name: arrays["real"] for name, arrays in clips.items()}
    with pytest.raises(Fault, match="clips begin with 2 real frames, which are not scored: --skip 2"):
        score(real, tmp_path / "clips.zip", metrics=["psnr"], cache=None)
    assert score(real, tmp_path / "clips.zip", metrics=["psnr"], skip=2, cache=None).group.n_frames == 10


def test_arrays_from_python(real, fakes):
    """`v2vbench.score` is the door; a notebook shows the table and a player."""
    both = np.stack(list(real.values())), np.stack(list(fakes["mild"].values()))
    result = v2vbench.score(*both, metrics=["psnr"], cache=None)
    shown = result._repr_html_()
    assert "<table" in shown and "<video" in shown and "PSNR" in shown
    assert result.frame().columns.tolist() == ["metric", "run", "value", "low", "high", "verdict", "p"]
    assert [result.player(clip).data.count("<video") for clip in ("00000", None)] == [1, 1]
    with pytest.raises(Fault, match="real: clip '00000' is float64 .*; it takes uint8"):
        score(both[0] / 255, both[1], cache=None)


def test_a_score_imports_no_torch_before_it_is_called(tmp_path):
    """`import v2vbench` stays fast, and `v2vbench score --help` too."""
    import subprocess

    code = "import sys, v2vbench; assert 'torch' not in sys.modules; v2vbench.score; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
