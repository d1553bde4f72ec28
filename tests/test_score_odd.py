"""`v2vbench score` of odd input: names, folders, sizes, lengths, options, a damaged cache and a full disk."""

import collections
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import sliding_clip
from made_videos import write_pictures, write_video
from test_score import noisy

from v2vbench.__main__ import main
from v2vbench.params import Fault
from v2vbench.results.comparison import Comparison
from v2vbench.scoring import run as run_module
from v2vbench.scoring import terminal
from v2vbench.scoring.run import score

SIZE, N_FRAMES = (32, 48), 6
FAST = ["psnr", "ssim"]
NAMES = [
    "with space",
    "动画 ünï",
    "<script>alert(1)<",
    "'quo\"te'",
    "a=b",
    "-dash",
    "[red]x",
    "back\\slash",
    "$HOME;`x`",
]
VOID = "area base br col embed hr img input link meta source track wbr".split()


class Page(HTMLParser):
    """The tags of a page: ids, tags that are not closed in order, and attributes that run code."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.wrong, self.handlers, self.n_scripts = [], [], [], 0
        self.ids: collections.Counter = collections.Counter()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.n_scripts += tag == "script"
        self.ids.update(value for name, value in attrs if name == "id")
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append((tag, self.getpos()))


@pytest.fixture(scope="module")
def frames() -> dict[str, np.ndarray]:
    return {f"clip{i}": sliding_clip(i, N_FRAMES, SIZE)["real"] for i in range(3)}


def write(folder, clips):
    for name, some in clips.items():
        path = folder / f"{name}.mkv"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, list(some))
    return folder


@pytest.fixture
def folders(frames, tmp_path):
    """Real videos, and the same with noise."""
    write(tmp_path / "real", frames)
    write(tmp_path / "mine", {name: noisy(some, 5, i) for i, (name, some) in enumerate(frames.items())})
    return tmp_path


def run(capsys, *words, cache="none") -> tuple[int, str, list[str]]:
    """Exit code, standard output, and the lines of standard error that are no progress."""
    code = main(["score", *map(str, words), "--cache", str(cache)])
    out, err = capsys.readouterr()
    progress = ("read ", "score:", "rows of", "report:", "--out FOLDER")
    return code, out, [line for line in err.splitlines() if not line.startswith(progress)]


def psnr(scores, run="fake"):
    return scores.runs[run].groups["clips"].scores["psnr"]


def test_odd_names_are_shown_as_they_are(frames, tmp_path, capsys):
    """On the terminal, in the tables and on the page, where none becomes markup."""
    clip = frames["clip0"]
    real = write(tmp_path / "real <i>", dict.fromkeys(NAMES, clip))
    mine = write(tmp_path / "[bold]m=1", dict.fromkeys(NAMES, noisy(clip, 5)))
    other = write(tmp_path / "-x <b>", dict.fromkeys(NAMES, noisy(clip, 9)))
    words = ["--real", real, "--fake", mine, "--fake", other, "--metrics", "psnr", "--out", tmp_path / "o <u>"]
    code, out, _ = run(capsys, *words)
    assert code == 0 and "[bold]m=1" in out and "-x <b>" in out and f"real <i>, {len(NAMES)} clips" in out
    table = pd.read_csv(tmp_path / "o <u>/clips.csv")
    assert set(table["clip"]) == set(NAMES) and len(table) == 3 * len(NAMES)
    text = (tmp_path / "o <u>/index.html").read_text()
    page = Page(text)
    assert not page.open and not page.wrong and not page.handlers and page.n_scripts == 1
    assert "<script>alert" not in text and "<b>," not in text and "real <i>" not in text


def test_methods_of_one_folder_name_are_told_apart_by_the_folder_above(folders, capsys):
    for name in ("a", "b"):
        shutil.copytree(folders / "mine", folders / name / "results/videos")
    both = ["--fake", folders / "a/results/videos", "--fake", folders / "b/results/videos"]
    code, out, _ = run(capsys, "--real", folders / "real", *both, "--metrics", "psnr")
    assert code == 0 and "a/results/videos" in out and "b/results/videos" in out
    code, _, err = run(capsys, "--real", folders / "real", *both[:2], *both[:2])
    assert code == 1 and len(err) == 1 and "is given twice" in err[0]
    (folders / "link").symlink_to("mine")  # another name of the same folder
    code, _, err = run(capsys, "--real", folders / "real", "--fake", folders / "mine", "--fake", folders / "link")
    assert code == 1 and len(err) == 1 and "is given twice" in err[0]


def test_links_are_followed_but_not_in_a_circle(folders, capsys):
    (folders / "links").mkdir()
    for path in (folders / "mine").iterdir():
        (folders / "links" / path.name).symlink_to(path)
    (folders / "real link").symlink_to("real")
    words = ["--real", folders / "real link", "--fake", folders / "links", "--metrics", "psnr"]
    assert run(capsys, *words)[0] == 0
    (folders / "links/loop").symlink_to(".")
    code, _, err = run(capsys, *words)
    assert code == 1 and len(err) == 1 and "links/loop: a link to a folder that it is in" in err[0]


def test_what_lies_beside_videos_is_left_out_or_named(folders, capsys):
    (folders / "mine/README").write_text("notes")
    (folders / "mine/.hidden.mkv").write_bytes(b"")
    (folders / "mine/empty/below").mkdir(parents=True)
    words = ["--real", folders / "real", "--fake", folders / "mine", "--metrics", "psnr"]
    code, out, err = run(capsys, *words)
    assert code == 0 and not err and "real, 3 clips" in out
    (folders / "mine/talk.key").write_bytes(b"slides")
    code, _, err = run(capsys, *words)
    assert code == 1 and len(err) == 1 and "talk.key: no known kind" in err[0]
    code, _, err = run(capsys, "--real", folders / "real", "--fake", folders / "mine/empty")
    assert code == 1 and len(err) == 1 and "mine/empty: no video in it" in err[0]


def test_a_file_beside_a_folder(folders, capsys):
    one = folders / "mine/clip1.mkv"
    code, _, err = run(capsys, "--real", folders / "real", "--fake", one, "--metrics", "psnr")
    assert code == 1 and len(err) == 1 and "no 'clip0'" in err[0] and "2 of 3 are missing" in err[0]
    code, out, _ = run(capsys, "--real", folders / "real", "--fake", one, "--metrics", "psnr", "--pair", "common")
    assert code == 0 and out.split("\n")[0].strip() == "real, 1 clip" and "2 of 3 clips left out (clip0, clip2)" in out


def test_a_side_against_itself_is_perfect(frames):
    """The values that are known without a computation, and no verdict between two that are alike."""
    scores = score(frames, {"a": frames, "b": frames}, metrics=[*FAST, "ked_frames", "flicker"], cache=None)
    for label, perfect in (("psnr", 100), ("ssim", 1), ("ked_frames", 0), ("flicker", 0)):
        rows = scores.group.metrics[label].rows
        assert rows["a"].value == rows["b"].value == pytest.approx(perfect, abs=1e-9), label
        assert rows["b"].verdict.word == "not distinguishable" and rows["b"].verdict.p == 1


@pytest.mark.parametrize("level", [0, 128, 255])
def test_constant_videos_have_the_values_that_are_defined(level):
    """The others say of which clip they have none; PSNR is that of a difference of 10 levels."""
    real = {f"c{i}": np.full((4, *SIZE, 3), level, np.uint8) for i in range(3)}
    fake = {name: some + np.uint8(10) if level < 200 else some - np.uint8(10) for name, some in real.items()}
    scores = score(real, fake, metrics=[*FAST, "sharpness_ratio", "motion_ratio", "tof"], cache=None)
    assert psnr(scores).value == pytest.approx(20 * np.log10(255 / 10), rel=1e-6)
    of = scores.runs["fake"].groups["clips"].scores
    assert of["tof"].value == 0
    for label in ("sharpness_ratio", "motion_ratio"):
        assert (
            of[label].value is None
            and "clip 'c0' of fake: nan" in of[label].note
            and of[label].note.endswith("(and 2 more)")
        )


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (8, 400)])
def test_small_and_narrow_frames(size):
    """PSNR as by its formula, and a reason where frames are smaller than a window."""
    real = {f"c{i}": sliding_clip(i, 4, size)["real"] for i in range(2)}
    fake = {name: noisy(some, 9) for name, some in real.items()}
    scores = score(real, fake, metrics=FAST, cache=None)
    mse = np.mean((real["c1"] / 255 - fake["c1"] / 255) ** 2, (1, 2, 3))
    assert psnr(scores).fake.per_clip[1] == pytest.approx(np.mean(-10 * np.log10(mse)), rel=1e-6)
    assert "window of 11" in scores.runs["fake"].groups["clips"].scores["ssim"].note


@pytest.mark.parametrize("size", [(17, 33), (8, 8), (96, 64)])
def test_resized_frames_are_the_same_on_both_sides(frames, size):
    scores = score(frames, frames, metrics=["psnr"], size=size, cache=None)
    assert psnr(scores).value == 100 and scores.real.read("clip0")["real"].shape == (N_FRAMES, *size, 3)


def test_grey_and_transparent_pictures(frames, tmp_path):
    """Grey is the same in all channels; opaque pixels stay, transparent ones are black."""
    clip, alpha = frames["clip0"], np.full((*SIZE, 1), 255, np.uint8)
    half = alpha.copy()
    half[:, 24:] = 0
    kinds = {
        "grey": [frame[..., 0] for frame in clip],
        "opaque": [np.concatenate([frame, alpha], -1) for frame in clip],
        "half": [np.concatenate([frame, half], -1) for frame in clip],
    }
    shown = {"grey": np.repeat(clip[..., :1], 3, -1), "opaque": clip, "half": np.where(half > 0, clip, 0)}
    for name, some in kinds.items():
        write_pictures(tmp_path / "files" / name, some)
    scores = score(shown, tmp_path / "files", metrics=["psnr"], cache=None)
    assert psnr(scores, "files").fake.per_clip == [100] * 3


def test_files_of_many_kinds_on_one_side(frames, tmp_path):
    write(tmp_path / "mine", {"clip0": frames["clip0"]})
    write_video(tmp_path / "mine/clip1.mp4", list(frames["clip1"]), codec="libx264", pix_fmt="yuv420p", fps=10)
    np.save(tmp_path / "mine/clip2.npy", frames["clip2"])
    scores = score(frames, tmp_path / "mine", metrics=["psnr"], cache=None)
    values = psnr(scores, "mine").fake.per_clip
    assert values[0] == values[2] == 100 and 10 < values[1] < 60
    assert scores.warnings()[:1] == [
        "mine: 1 of 3 clips are from lossy files (h264), and what compression did to them is scored with them."
    ]


@pytest.mark.parametrize("n", [2, 3])
def test_few_unpaired_clips(frames, n):
    """A distance from as many blocks as the smaller side has clips, without a verdict."""
    real = {f"r{i}": frames[f"clip{i}"] for i in range(n)}
    fake = {f"f{i}": noisy(frames[f"clip{i}"], 9) for i in range(n)}
    scores = score(real, {"a": fake, "b": fake}, metrics=["ked_frames", "fed_frames"], cache=None)
    assert scores.group.n_clusters == n and scores.group.cluster == "block"
    rows = scores.group.metrics["ked_frames"].rows
    assert rows["a"].value == rows["b"].value and scores.group.clusters_needed > n
    assert all(row.verdict is None or row.verdict.word == "not distinguishable" for row in rows.values())


@pytest.mark.parametrize(
    "words, message",
    [
        (["--cut", "7"], "no video has 7 frames (--cut)"),
        (["--cut", "4", "--skip", "3"], "no video has 4 frames (--cut)"),
        (["--skip", "3", "--max-frames", "3"], "--skip 3: clip 'clip0' has 3 frames, so none is left"),
        (["--fps", "nan"], "--fps: nan; it takes a number from 0.001 to 1000"),
        (["--fps", "0"], "--fps: 0.0; it takes a number from 0.001 to 1000"),
        (["--size", "7x7"], "at least 8 px"),
        (["--size", "999999x999999"], "GiB to score"),
        (["--pair", "none", "--metrics", "psnr"], "nothing that was asked for can be measured: psnr: compares a clip"),
        (["--metrics", "psnr,ssim"], "--metrics: no 'psnr,ssim'"),
        (["--fake", "x="], "--fake x=: no such file or folder"),
        (["--fake", "x=mine", "--fake", "x=real"], "--fake: two have the title 'x'"),
    ],
)
def test_wrong_options_are_one_line(words, message, folders, monkeypatch, capsys):
    monkeypatch.chdir(folders)
    code, out, err = run(capsys, "--real", "real", "--fake", "mine", *words)
    assert code == 1 and not out and len(err) == 1 and message in err[0], err


def test_metrics_given_twice_are_once(frames):
    once, twice = (
        score(frames, frames, metrics=some, cache=None).comparison for some in (FAST, [*FAST, "psnr", "psnr"])
    )
    assert once == twice


def test_a_single_frame_has_a_psnr(frames):
    """From each end of the clip."""
    fake = {name: noisy(some, 9, 1) for name, some in frames.items()}
    first = score(frames, fake, metrics=["psnr"], max_frames=1, cache=None)
    last = score(frames, fake, metrics=["psnr"], skip=N_FRAMES - 1, cache=None)
    for scores, t in ((first, 0), (last, -1)):
        mse = np.mean((frames["clip2"][t] / 255 - fake["clip2"][t] / 255) ** 2)
        assert psnr(scores).fake.per_clip[2] == pytest.approx(-10 * np.log10(mse), rel=1e-6)


def test_json_alone_beside_a_page(folders, capsys):
    words = ["--real", folders / "real", "--fake", folders / "mine", "--metrics", "psnr"]
    code, out, _ = run(capsys, *words, "--json", "-", "--out", folders / "out")
    assert code == 0 and json.loads(out) == json.loads((folders / "out/scores.json").read_text())
    before = (folders / "out/index.html").read_bytes()
    assert run(capsys, *words, "--out", folders / "out")[0] == 0  # over its own results
    assert (folders / "out/index.html").read_bytes() == before


@pytest.mark.parametrize("damage", ["empty", "cut", "junk", "a bit"])
def test_a_damaged_cache_is_made_anew(damage, folders):
    """What was seen of the files, rows of features, and scores, one kind after the other."""
    kept = {"metrics": [*FAST, "ked_frames"], "cache": folders / "cache"}
    sides = folders / "real", folders / "mine"
    clean = score(*sides, **kept).comparison
    for kind in ("examined", "rows", "scores"):
        paths = [path for path in (folders / "cache" / kind).rglob("*.*") if path.is_file()]
        assert len(paths) == {"examined": 6, "rows": 6, "scores": 3}[kind]
        for path in paths:
            path.write_bytes(damaged(path.read_bytes(), damage))
        assert score(*sides, **kept).comparison == clean, kind


def damaged(content: bytes, damage: str) -> bytes:
    half = len(content) // 2
    one_bit = content[:half] + bytes([content[half] ^ 128]) + content[half + 1 :]
    return {"empty": b"", "cut": content[:half], "junk": bytes(range(256)), "a bit": one_bit}[damage]


@pytest.mark.slow
def test_a_killed_run_goes_on(folders):
    """After an interrupt, which says so, and after a kill that leaves no time to tidy up."""
    words = [sys.executable, "-m", "v2vbench", "score", "--real", "real", "--fake", "mine", "--cache", "cache"]
    words += ["--metrics", "psnr", "flow_error", "--json", "scores.json"]
    for number in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(words, cwd=folders, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not any((folders / "cache").rglob("*.json")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        _, err = process.communicate()
        assert process.returncode in (130, -signal.SIGKILL) and "Traceback" not in err, err
        shutil.rmtree(folders / "cache/examined")
    sides, metrics = (folders / "real", folders / "mine"), ["psnr", "flow_error"]
    resumed = score(*sides, metrics=metrics, cache=folders / "cache").comparison
    assert resumed == score(*sides, metrics=metrics, cache=None).comparison


def test_a_full_disk_is_one_line(folders, monkeypatch, capsys):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    words = ["--real", folders / "real", "--fake", folders / "mine", "--metrics", "psnr"]
    for more, cache in ((["--out", folders / "out"], "none"), (["--json", folders / "x.json"], "none"), ([], folders)):
        code, _, err = run(capsys, *words, *more, cache=cache)
        assert code == 1 and len(err) == 1 and "No space left on device" in err[0]
    assert not (folders / "x.json").exists() and not (folders / "out/index.html").exists()


def test_many_methods_have_keys_of_their_own(folders, capsys):
    """Titles that differ in case or in signs alone; every one has its row in the tables and its name on the page."""
    titles = ["A", "a", "a_2", "<b>", '"q"', "é", "日本", "&amp;"]
    words = [word for title in titles for word in ("--fake", f"{title}={folders / 'mine'}")]
    code, _, _ = run(capsys, "--real", folders / "real", *words, "--metrics", "psnr", "--out", folders / "out")
    runs = Comparison.load(folders / "out/scores.json").runs
    assert code == 0 and sorted(run.title for run in runs.values()) == sorted(titles)
    assert len(pd.read_csv(folders / "out/scores.csv")) == len(titles)
    page = Page((folders / "out/index.html").read_text())
    assert not page.open and not page.wrong and page.n_scripts == 1


def test_what_python_may_give(folders, frames):
    """Paths, a generator and a title each; and arrays of any memory layout."""
    real, mine = folders / "real", folders / "mine"
    expected = psnr(score(real, str(mine), metrics=["psnr"], cache=None), "mine")
    for fake in (mine, [mine], (path for path in [mine]), {"mine": mine}):
        assert psnr(score(real, fake, metrics=["psnr"], cache=None), "mine") == expected
    arrays, noise = np.stack(list(frames.values())), np.stack([noisy(some, 5) for some in frames.values()])
    turned = [np.asfortranarray(some) for some in (arrays, noise)]
    straight, other = (psnr(score(*some, metrics=["psnr"], cache=None)) for some in ((arrays, noise), turned))
    assert straight == other


@pytest.mark.parametrize(
    "real, message",
    [
        (lambda a: a / 255, "real: clip '00000' is float64"),
        (lambda a: a.transpose(0, 1, 4, 2, 3), r"it takes uint8 \(T, H, W, 3\), time first"),
        (lambda a: a[0], r"real: clip '00000' is uint8 \(32, 48, 3\)"),
        (lambda a: a[:0], "real: has no clip"),
        (lambda a: a[:, :0], "real: clip '00000' has no frame"),
        (lambda a: {"x": "a path"}, "real: clip 'x' is str"),
    ],
)
def test_other_arrays_are_refused(real, message, frames):
    arrays = np.stack(list(frames.values()))
    with pytest.raises(Fault, match=message):
        score(real(arrays), arrays, metrics=["psnr"], cache=None)
    with pytest.raises(Fault, match="--fake: names nothing"):
        score(arrays, [], cache=None)


# what was once wrong


def test_two_methods_that_are_nearly_the_same_are_compared(frames):
    """Differences that are nearly equal on all clips have p of flips at the edge of what Student's t can tell."""
    real = {f"c{i}": frames["clip0"] for i in range(6)}
    fakes = {
        title: {name: some - np.uint8(level) for name, some in real.items()} for title, level in (("a", 3), ("b", 9))
    }
    result = score(real, fakes, metrics=["ssim", "psnr", "flicker"], cache=None)
    detectable = result.group.metrics["psnr"].rows["b"].verdict.detectable
    assert detectable is None or 0 <= detectable < 1e-6


def test_other_files_in_the_folder_of_results_stay(frames, tmp_path):
    score(frames, frames, metrics=["psnr"], out=tmp_path / "out", cache=None)
    mine = tmp_path / "out/media/mine.mkv"
    mine.write_bytes(b"a video")
    again = score(frames, frames, metrics=["psnr"], out=tmp_path / "out", cache=None)
    assert mine.read_bytes() == b"a video"
    (tmp_path / "full").mkdir()
    (tmp_path / "full/scores.json").write_text("of another program")
    for folder in (tmp_path / "full", tmp_path / "full/scores.json"):
        with pytest.raises(Fault, match="holds other files|is a file"):
            again.save(folder)


def test_a_replaced_file_of_the_same_time_and_size_is_noticed(frames, tmp_path):
    """And one that is replaced while it is scored leaves nothing in the cache."""
    for side in ("real", "fake"):
        (tmp_path / side).mkdir()
        for name, some in frames.items():
            np.save(tmp_path / side / f"{name}.npy", some)
    folders, cache = (tmp_path / "real", tmp_path / "fake"), tmp_path / "cache"
    assert psnr(score(*folders, metrics=["psnr"], cache=cache)).value == 100
    path = tmp_path / "fake/clip1.npy"
    before = path.stat()
    np.save(path, 255 - frames["clip1"])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert psnr(score(*folders, metrics=["psnr"], cache=cache)).value < 99


def test_a_file_that_changes_while_it_is_scored_is_named(frames, tmp_path, monkeypatch):
    (tmp_path / "fake").mkdir()
    for name, some in frames.items():
        np.save(tmp_path / "fake" / f"{name}.npy", some)
    build = run_module.Scorer.real_side

    def replaced(self, *args):
        np.save(tmp_path / "fake/clip1.npy", 255 - frames["clip1"])
        return build(self, *args)

    monkeypatch.setattr(run_module.Scorer, "real_side", replaced)
    with pytest.raises(Fault, match="clip1 changed while it was scored; run the command again"):
        score(frames, tmp_path / "fake", metrics=["psnr"], cache=tmp_path / "cache")


def test_equal_clips_on_many_threads_share_a_cache(frames, tmp_path):
    real = {f"c{i:02d}": frames["clip0"][:2] for i in range(40)}
    threads = torch.get_num_threads()
    torch.set_num_threads(8)
    try:
        assert psnr(score(real, real, metrics=["psnr"], cache=tmp_path / "cache")).value == 100
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("size", [(33, 65), (17, 33)])
def test_pages_of_odd_frames_and_of_odd_names(frames, size, tmp_path):
    """Players can be loaded from a page: names are no part of an address that a browser reads otherwise."""
    some = {f"drive{i}/a#{i}?%20": sliding_clip(i, 4, size)["real"] for i in range(2)}
    score(some, some, metrics=["psnr"], out=tmp_path / "out", cache=None)
    page = (tmp_path / "out/index.html").read_text()
    addresses = set(re.findall(r'src="(media/[^"]*)"', page))
    assert addresses and all((tmp_path / "out" / unquote(address)).is_file() for address in addresses)
    assert not any(sign in address for address in addresses for sign in "#?% ")
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_clips_of_one_frame(frames, tmp_path):
    one = {name: some[:1] for name, some in frames.items()}
    result = score(one, one, out=tmp_path / "out", cache=None)
    scores = result.runs["fake"].groups["clips"].scores
    assert psnr(result).value == 100 and "1 frame" in scores["warp_error"].note + scores["flicker"].note


def test_a_calibration_leaves_out_what_has_no_value_and_is_kept(tmp_path, monkeypatch):
    real = {f"c{i}": np.full((4, *SIZE, 3), 60 + i, np.uint8) for i in range(3)}
    args = dict(metrics=["psnr", "sharpness_ratio"], calibrate=True, cache=tmp_path / "cache")
    result = score(real, {name: some + np.uint8(9) for name, some in real.items()}, **args)
    assert "blurred" in result.group.metrics["psnr"].controls and not result.group.metrics["sharpness_ratio"].controls

    def nothing(*given):
        raise AssertionError("calibrated again")

    monkeypatch.setattr(run_module.calibration, "calibrated_group", nothing)
    again = score(real, {name: some + np.uint8(5) for name, some in real.items()}, **args)
    assert again.group.metrics["psnr"].controls.keys() == result.group.metrics["psnr"].controls.keys()


def test_frame_rates_that_differ_are_told(frames, tmp_path):
    for side, fps in (("real", 10), ("mine", 25)):
        (tmp_path / side).mkdir()
        for name, some in frames.items():
            write_video(tmp_path / side / f"{name}.mkv", some, codec="ffv1", pix_fmt="bgr0", fps=fps)
    warnings = score(tmp_path / "real", tmp_path / "mine", metrics=["psnr"], cache=None).warnings()
    assert warnings == ["frame rates differ (10, 25 frames a second), and clips are compared frame by frame."]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_name_and_number_is_in_the_table(frames, width, capsys, monkeypatch):
    monkeypatch.setattr(terminal, "NOT_A_TERMINAL", width)
    fakes = {
        f"a method with a long name {i}": {name: noisy(some, 3 * i + 3) for name, some in frames.items()}
        for i in range(5)
    }
    result = score(frames, fakes, metrics=["psnr"], cache=None)
    terminal.show(result, sys.stdout)
    shown = capsys.readouterr().out
    for run, row in result.group.metrics["psnr"].rows.items():
        assert any(f"{row.value:.{digits}f}" in shown for digits in (1, 2, 3)), run
    assert shown.count("PSNR") >= 1 and "…" in shown and max(map(len, shown.splitlines())) <= width
    terminal.show(result, None)  # standard output is closed


@pytest.mark.parametrize(
    "real, fake, more",
    [
        (None, "x", {}),
        (b"bytes", "x", {}),
        ({"a": 3}, "x", {}),
        ("REAL", 7, {}),
        ("REAL", [], {}),
        ("REAL", {}, {}),
        ("REAL", [np.zeros((2, 8, 8, 3), np.uint8)], {}),
        ("REAL", torch.zeros(1, 2, 8, 8, 3), {}),
        ("REAL", "REAL", {"size": 16}),
        ("REAL", "REAL", {"skip": None}),
        ("REAL", "REAL", {"skip": 1.5}),
        ("REAL", "REAL", {"cut": "2"}),
        ("REAL", "REAL", {"fps": "5"}),
        ("REAL", "REAL", {"metrics": 3}),
        ("REAL", "REAL", {"metrics": [""]}),
        ("REAL", "REAL", {"cache": 3}),
        ("REAL", "REAL", {"out": 3}),
        ("REAL", "REAL", {"pair": "nmaes"}),
        ("REAL", "", {}),
    ],
)
def test_wrong_arguments_from_python_are_one_line(real, fake, more, frames):
    given = [frames if isinstance(side, str) and side == "REAL" else side for side in (real, fake)]
    with pytest.raises(Fault) as caught:
        score(*given, **more)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_clips(tmp_path):
    """What the heap holds after four times as many clips, in a process of its own."""
    code = """
import sys
import numpy as np
from v2vbench.scoring.run import score

n = int(sys.argv[1])
real = {f"{i:03d}": np.broadcast_to(np.uint8(i % 250), (32, 128, 128, 3)) for i in range(n)}
score(real, real, metrics=["psnr", "ssim"], cache=None)
status = dict(line.split(":") for line in open("/proc/self/status"))
print(int(status["RssAnon"].split()[0]) // 1024)
"""
    held = [
        int(subprocess.run([sys.executable, "-c", code, str(n)], capture_output=True, check=True, text=True).stdout)
        for n in (100, 400)
    ]
    assert held[1] - held[0] < 100, held  # MB; the pixels of 300 clips are 470
