"""A study's folder shows what its key says, tells nothing, and is written whole or not at all."""

import dataclasses
import hashlib
import json
import re
import shutil
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import SIZE, facts, sliding_clip

from v2vbench import __main__ as command
from v2vbench import params
from v2vbench.clips.store import Store, facts_of_run, write_store
from v2vbench.params import Fault
from v2vbench.people.make import make
from v2vbench.people.records import Rules, Study, identify
from v2vbench.people.videos import pad

TINY = Path(__file__).parent / "tiny.yaml"
RULES = Rules(failed_catches=0, hurried_ms=300, one_side=0.9, answered=0.5)
GIVEN = {"vid2vid": 2, "styled": 0, "copy_last": 1}  # real frames at the start of a run's clips
FACTOR = 6  # 64 px become 384
MADE = {
    "vid2vid": lambda real: real // 2,
    "styled": lambda real: 255 - real,
    "copy_last": lambda real: np.repeat(real[:1], len(real), 0),
}


def write_run(root: Path, run: str, **changes) -> None:
    """The clips of a run as `synthesize` writes them."""
    store = Store(root / "data/freedoom.zip")

    def clips():
        for group in store.facts.groups:
            for clip in store.split(group):
                about = {name: store.clips[clip][name] for name in ("id", "split", "cluster", "licence", "origin")}
                about |= {"given": GIVEN[run], "real_sha256": store.clips[clip]["sha256"]} | changes
                yield about, {"fake": MADE[run](store.read(clip, arrays=["real"])["real"])}

    write_store(root / "runs" / run / "clips.zip", facts_of_run(store.facts, run, run), clips())


@pytest.fixture(scope="module")
def folder(store_path, tmp_path_factory):
    """A project with data and clips of three runs; tests change nothing that is in it."""
    root = tmp_path_factory.mktemp("made") / "project"
    (root / "data").mkdir(parents=True)
    shutil.copy(store_path, root / "data/freedoom.zip")
    shutil.copy(TINY, root / "params.yaml")
    for run in MADE:
        write_run(root, run)
    return root


@pytest.fixture
def project(folder, tmp_path):
    """A copy of it, for tests that do."""
    return Path(shutil.copytree(folder, tmp_path / "project", ignore=shutil.ignore_patterns("studies")))


def made(root: Path, out: Path, **more) -> tuple[str, Study]:
    """The message of `make`, and the key that it wrote."""
    keys = set((root / "studies").glob("*.json"))
    how = dict(dataset="freedoom", group="unseen", runs=[], question="look", n_raters=4, n_trials=None, seed=7)
    how |= dict(consent=None, post=None, simulated=False, rules=RULES) | more
    message = make(params.load(root / "params.yaml"), root, out=out, **how)
    (key,) = set((root / "studies").glob("*.json")) - keys
    return message, Study.load(key)


@pytest.fixture(scope="module")
def study(folder, tmp_path_factory):
    """A study of three runs that asks for the source: its folder, its key and the message."""
    out = tmp_path_factory.mktemp("out") / "study"
    message, key = made(folder, out, question="fit", n_raters=6)
    return out, key, message


def frames_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray(format="rgb24", src_colorspace="ITU709") for frame in file.decode(video=0)])


def boxes(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the boxes of an MP4 file, or of one of its boxes."""
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        yield content[at + 4 : at + 8].decode("latin-1"), content[at + 8 : at + size]
        at += size
    assert at == len(content)


def page_data(out: Path) -> dict:
    text = (out / "index.html").read_text(encoding="utf-8")
    found = re.search(r'<script[^>]*id="data"[^>]*>(.*?)</script>', text, re.S)
    assert found is not None
    return json.loads(found[1])


# What the folder holds


def test_the_folder_and_the_key_agree(folder, study):
    out, key, _ = study
    assert {path.name for path in out.iterdir()} == {"index.html", "videos"}
    assert {path.name for path in (out / "videos").iterdir()} == {f"{name}.mp4" for name in key.videos}
    assert all(re.fullmatch("[0-9a-f]{12}", name) for name in key.videos)
    data, fps = page_data(out), 10
    assert data["id"] == key.id == identify(key)
    assert data["raters"] == {
        rater: [[trial.left, trial.right, trial.source] for trial in own] for rater, own in key.raters.items()
    }
    assert data["ms"] == {name: video.ms for name, video in key.videos.items()}
    assert (data["width"], data["height"], data["fps"]) == (SIZE[1] * FACTOR, SIZE[0] * FACTOR, fps)
    assert data["break_after"] == 5
    store, runs = Store(folder / "data/freedoom.zip"), {run: Store(folder / f"runs/{run}/clips.zip") for run in MADE}
    assert {video.shows for video in key.videos.values()} == {*MADE, "real", "frozen", "source"}
    for name, video in key.videos.items():
        file = out / "videos" / f"{name}.mp4"
        assert video.file_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        assert video.sha256 == (runs[video.shows].clips[video.clip]["sha256"] if video.shows in runs else None)
        with av.open(str(file)) as opened:
            (stream,) = opened.streams
            assert (stream.codec_context.name, stream.format.name) == ("h264", "yuv420p")
            assert (stream.width, stream.height) == (SIZE[1] * FACTOR, SIZE[0] * FACTOR)
            assert stream.average_rate == Fraction(fps)
            assert stream.frames == 10  # of 12: the first two are real frames in one run
        assert video.ms == 1000
    for trial in (trial for own in key.raters.values() for trial in own):
        shown = {key.videos[name].shows for name in (trial.left, trial.right)}
        assert {key.videos[name].clip for name in (trial.left, trial.right, trial.source)} == {trial.clip}
        assert shown == {"real", "frozen"} if trial.kind == "catch" else shown < set(MADE)
        assert key.videos[trial.source].shows == "source"
        assert (store.clips[trial.clip]["split"] == "unseen") == (trial.kind != "catch")


def test_each_file_shows_what_the_key_says(folder, study):
    out, key, _ = study
    store, colours = Store(folder / "data/freedoom.zip"), np.array(facts().label_colours, np.uint8)
    for name, video in key.videos.items():
        arrays = store.read(video.clip)
        real = arrays["real"]
        whole = {"real": real, "frozen": np.repeat(real[2:3], 12, 0), "source": colours[arrays["label"]]} | {
            run: MADE[run](real) for run in MADE
        }
        decoded = frames_of(out / "videos" / f"{name}.mp4").astype(float)
        small = decoded.reshape(10, SIZE[0], FACTOR, SIZE[1], FACTOR, 3).mean((2, 4))
        wrong = {shows: np.abs(small - frames[2:]).mean() for shows, frames in whole.items()}
        assert min(wrong, key=lambda shows: wrong[shows]) == video.shows
        assert wrong[video.shows] < 12  # of 255; noise of single pixels in colour, at half the resolution
        shifted = np.abs(small[1:] - whole[video.shows][2:-1]).mean()
        if video.shows in ("real", "vid2vid", "styled"):  # which move: they are in time to a frame
            assert shifted > 2 * wrong[video.shows]


def test_nothing_in_the_folder_tells_a_method(folder, study):
    out, key, _ = study
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len({path.stat().st_size for path in (out / "videos").iterdir()}) == 1
    lines = params.load(folder / "params.yaml").runs
    words = {
        *MADE,
        *(lines[run].title for run in MADE),
        "vid2vid",
        "pix2pix",
        "freedoom",
        "unseen",
        "frozen",
        "blurred",
    }
    words |= {
        "Sliding planes",
        str(folder),
        out.parent.name,
        "slide-",
        *(video.sha256 for video in key.videos.values() if video.sha256),
    }
    for path in files:
        content = path.read_bytes()
        assert not [word for word in words if word.encode() in content]
    for path in (out / "videos").iterdir():
        content = path.read_bytes()
        assert content.index(b"moov") < content.index(b"mdat")
        parts = list(boxes(content))
        assert parts[-1][0] == "free"
        assert len(zlib.compress(parts[-1][1])) >= len(parts[-1][1])  # or the sizes in a zip would tell
        assert b"\xa9nam" not in content
        head = dict(boxes(dict(parts)["moov"]))
        track = dict(boxes(head["trak"]))
        media = dict(boxes(track["mdia"]))
        for box in (head["mvhd"], track["tkhd"], media["mdhd"]):
            assert box[4:12] == bytes(8)  # neither created nor modified at any time
    times = [path.stat().st_mtime_ns for path in sorted((out / "videos").iterdir())]
    assert times == sorted(times)  # by name, and so by chance


def test_padded_files_have_one_size_and_the_same_frames(tmp_path):
    from v2vbench.display.mp4 import write_mp4

    files = [tmp_path / f"{i}.mp4" for i in range(3)]
    for i, file in enumerate(files):
        write_mp4(file, sliding_clip(i, 4 + 3 * i)["real"], 10, crf="14")
    files.append(tmp_path / "near.mp4")  # a few bytes shorter than the largest: less than the header of a box
    files[3].write_bytes(files[2].read_bytes())
    with open(files[2], "ab") as file:
        file.write((11).to_bytes(4, "big") + b"free" + bytes(3))
    before = [frames_of(file) for file in files]
    pad(files, 0)
    assert len({file.stat().st_size for file in files}) == 1
    for file, frames in zip(files, before):
        assert np.array_equal(frames_of(file), frames)
        assert [name for name, _ in boxes(file.read_bytes())][-1] == "free"


@pytest.mark.slow
def test_a_seed_is_a_study_and_another_is_another(folder, study, tmp_path):
    out, key, _ = study
    _, other = made(folder, tmp_path / "other", question="fit", n_raters=6, seed=8)
    assert other.id != key.id
    assert not set(other.videos) & set(key.videos)
    Study.path(folder, key.id).unlink()
    _, again = made(folder, tmp_path / "again", question="fit", n_raters=6)
    assert again == key
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        assert (tmp_path / "again" / path.relative_to(out)).read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_the_question_look_has_both_damages_and_no_source_and_a_seed_is_drawn(folder, tmp_path):
    _, key = made(folder, tmp_path / "one", runs=["styled", "vid2vid"], seed=None)
    _, second = made(folder, tmp_path / "two", runs=["styled", "vid2vid"], seed=None)
    assert key.seed != second.seed
    assert {video.shows for video in key.videos.values()} == {"styled", "vid2vid", "real", "frozen", "blurred"}
    assert {trial.source for own in key.raters.values() for trial in own} == {None}
    for name, video in key.videos.items():
        if video.shows == "blurred":
            real = Store(folder / "data/freedoom.zip").read(video.clip, arrays=["real"])["real"][2:]
            sharp, blurred = (
                np.abs(np.diff(frames.astype(float), axis=2)).mean()
                for frames in (real, frames_of(tmp_path / "one/videos" / f"{name}.mp4")[:, ::FACTOR, ::FACTOR])
            )
            assert blurred < sharp / 5


# What is said


@pytest.mark.slow
def test_the_message_says_where_what_and_how_often(study, folder, tmp_path):
    out, key, message = study
    assert str(out) in message
    assert str(Study.path(folder, key.id)) in message
    assert "index.html#01 to index.html#06" in message
    assert "6 raters, 9 trials each (3 votes, 3 catches, 3 repeats)" in message
    assert "87.5% of those who toss a coin" in message  # 1 - 1/2^3
    assert "4.4% of attentive raters" in message  # 1 - 0.985^3
    assert "A rater takes about 3 minutes" in message  # 2, and 9 trials of 2 loops of a second and 2 s
    assert "Warning: the page has no consent text" in message
    text = tmp_path / "consent.txt"
    text.write_text("We are <the lab> & ask.\nStill the first.\n\n  \nYou may stop.\n", encoding="utf-8")
    rules = dataclasses.replace(RULES, failed_catches=1)
    message, key = made(folder, tmp_path / "other", consent=text, rules=rules, simulated=True)
    assert "Warning" not in message
    assert "50.0% of those who toss a coin" in message  # 1 - 4/8
    assert "0.1% of attentive raters" in message
    assert "a rehearsal with simulated raters" in message
    assert key.simulated is True
    assert page_data(tmp_path / "other")["simulated"] is True
    page = (tmp_path / "other/index.html").read_text(encoding="utf-8")
    assert "We are &lt;the lab&gt; &amp; ask. Still the first.</p>" in page
    assert key.rules == rules
    assert "Note" not in study[2]  # two raters for each
    assert "Note: 1.3 raters see each pair of methods on each clip" in message  # 4 raters, 3 votes, 3 pairs, 3 clips


def test_the_command_takes_what_it_says(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    asked = "study make --dataset freedoom --group unseen --runs vid2vid styled --question motion --raters 2 --trials 9"
    more = "--seed 3 --out study --failed-catches 1 --hurried-ms 200 --one-side 0.8 --answered 0.6"
    assert command.main([*asked.split(), *more.split()]) == 0
    (path,) = (project / "studies").glob("*.json")
    key = Study.load(path)
    assert (key.question, key.seed, key.runs, list(key.raters)) == ("motion", 3, ["vid2vid", "styled"], ["01", "02"])
    assert key.rules == Rules(failed_catches=1, hurried_ms=200, one_side=0.8, answered=0.6)
    assert f"study {key.id}" in capsys.readouterr().out
    assert command.main([*asked.split(), *more.split()]) == 1
    assert "a study is there; name another folder, or replace it with --force" in capsys.readouterr().err


# What is refused

WRONG = {
    "data set": (dict(dataset="nowhere"), "--dataset: no 'nowhere'; there are freedoom"),
    "group": (dict(group="third"), "--group: no 'third'; there are seen, unseen"),
    "run": (dict(runs=["vid2vid", "own"]), "--runs: no 'own'; there are vid2vid, styled, copy_last"),
    "one run": (dict(runs=["vid2vid", "vid2vid"]), "--runs vid2vid: it takes two runs or more of freedoom"),
    "trials": (dict(n_trials=10), "a rater votes on a clip once, and there are 3; .* 9 trials are the most"),
    "raters": (dict(n_raters=0), "--raters 0: takes 1 to 2000"),
    "seed": (dict(seed=-1), "--seed -1: takes 0 or more"),
    "post": (dict(post="ftp://lab.example/x"), "ftp://lab.example/x"),
    "catches": (dict(rules=dataclasses.replace(RULES, failed_catches=4)), "--failed-catches 4: takes 0 to 3"),
    "side": (dict(rules=dataclasses.replace(RULES, one_side=float("nan"))), "--one-side nan: takes 0.5 to 1"),
    "consent": (dict(consent=Path("nowhere.txt")), "--consent nowhere.txt: cannot be read"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_argument_is_one_line_and_nothing_is_written(folder, tmp_path, wrong):
    changes, says = WRONG[wrong]
    keys = set((folder / "studies").glob("*"))
    with pytest.raises(Fault, match=says) as fault:
        made(folder, tmp_path / "study", **changes)
    assert "\n" not in str(fault.value)
    assert not list(tmp_path.iterdir())
    assert set((folder / "studies").glob("*")) == keys


def test_an_empty_consent_is_refused(folder, tmp_path):
    (tmp_path / "consent.txt").write_text(" \n\n")
    with pytest.raises(Fault, match="consent.txt: is empty; write what raters agree to"):
        made(folder, tmp_path / "study", consent=tmp_path / "consent.txt")


def test_clips_that_are_missing_stale_or_of_another_data_set_are_refused(project, tmp_path):
    write_run(project, "styled", real_sha256="0" * 64)
    with pytest.raises(
        Fault, match="styled/clips.zip: clip .* was made from another clip .*; synthesize the run again"
    ):
        made(project, tmp_path / "study")
    (project / "runs/styled/clips.zip").unlink()
    with pytest.raises(Fault, match="styled/clips.zip: no such clip store; `dvc repro` makes it"):
        made(project, tmp_path / "study")
    line = params.load(project / "params.yaml")
    other = dataclasses.replace(line.runs["styled"], dataset="other")
    wrong = dataclasses.replace(line, runs=dict(line.runs) | {"styled": other})
    with pytest.raises(Fault, match="--runs styled: is a run of other, not of freedoom; a study compares runs of one"):
        make(
            wrong, project, dataset="freedoom", group="unseen", runs=["vid2vid", "styled"], question="look",
            n_raters=2, n_trials=None, seed=0, out=tmp_path / "study", consent=None, post=None, simulated=False,
            rules=RULES,
        )  # fmt: skip


def test_fit_needs_a_source(project, tmp_path):
    def clips():
        for i, split in enumerate(["train", "unseen", "unseen", "unseen", "seen"]):
            yield dict(id=f"slide-{i}", split=split, origin="", licence=""), {"real": sliding_clip(i, 12)["real"]}

    bare = facts(source="none", label_names=(), label_colours=())
    write_store(project / "data/freedoom.zip", bare, clips())
    for run in MADE:
        write_run(project, run)
    with pytest.raises(Fault, match="--question fit: the clips of freedoom have no source; ask look or motion"):
        made(project, tmp_path / "study", question="fit")
    _, key = made(project, tmp_path / "study", question="motion")
    assert {video.shows for video in key.videos.values()} == {*MADE, "real", "frozen"}


def test_no_folder_of_others_is_touched_and_a_study_only_by_force(project, tmp_path):
    out = tmp_path / "study"
    out.mkdir()
    _, first = made(project, out)  # an empty folder is taken
    with pytest.raises(Fault, match="a study is there; name another folder, or replace it with --force"):
        made(project, out, seed=8)
    _, second = made(project, out, seed=8, force=True)
    assert {path.stem for path in (out / "videos").iterdir()} == set(second.videos)
    assert Study.path(project, first.id).is_file()  # its answers can still be read
    assert [path.name for path in tmp_path.iterdir() if "study" in path.name] == ["study"]
    (out / "notes.txt").write_text("mine")
    with pytest.raises(Fault, match="there is something that is no study; name an empty folder"):
        made(project, out, seed=9, force=True)
    (out / "notes.txt").rename(out / "videos/notes.txt")
    with pytest.raises(Fault, match="there is something that is no study"):
        made(project, out, seed=9, force=True)
    assert (out / "videos/notes.txt").read_text() == "mine"
    with pytest.raises(Fault, match="keys of studies are there, and must not be published"):
        made(project, project / "studies/page", seed=9)


def test_a_study_that_fails_halfway_leaves_nothing(project, tmp_path):
    with open(project / "runs/styled/clips.zip", "r+b") as file:
        file.seek(400)
        file.write(bytes(20_000))  # over the frames of the first clip
    with pytest.raises(Fault, match="styled/clips.zip: clip slide-4, fake.*; delete the file and run `dvc repro`"):
        made(project, tmp_path / "study", group="seen")
    assert [path.name for path in tmp_path.iterdir()] == ["project"]
    assert not (project / "studies").exists()
