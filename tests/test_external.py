"""Videos that others made are scored as they are, or refused in one line; what they are given is what the store has."""

import dataclasses
import difflib
import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from conftest import facts, sliding_clip
from PIL import Image

from v2vbench import find, params
from v2vbench.clips import external as videos
from v2vbench.clips.store import Store, facts_of_run, write_store
from v2vbench.params import Fault
from v2vbench.runner import check
from v2vbench.runner.export import export
from v2vbench.runner.import_videos import import_videos
from v2vbench.stages.evaluate import evaluate
from v2vbench.stages.synthesize import synthesize
from v2vbench.stages.train import train

TINY = Path(__file__).parent / "tiny.yaml"


@pytest.fixture
def project(store_path, tmp_path, monkeypatch):
    """tests/tiny.yaml over the sliding planes, six test clips of 12 frames."""
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    os.link(store_path, root / "data/freedoom.zip")
    shutil.copy(TINY, root / "params.yaml")
    monkeypatch.chdir(root)
    return root


def clips_of(store: Store) -> list[str]:
    return [clip for group in store.facts.groups for clip in store.split(group)]


def real(store: Store, clip: str) -> np.ndarray:
    return store.read(clip, arrays=["real"])["real"]


def write_pngs(folder: Path, frames: np.ndarray, ending: str = "png") -> None:
    folder.mkdir(parents=True)
    for t, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{t:06d}.{ending}")


def write_ffv1(path: Path, frames: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "bgr0"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format="bgr0")))
        file.mux(stream.encode())


def copied(store: Store, folder: Path, change=lambda frames: frames) -> Path:
    """The real frames of every test clip as an author's videos."""
    for clip in clips_of(store):
        write_pngs(folder / clip, change(real(store, clip)))
    return folder


def bring(folder: Path, root: Path, name: str = "theirs", **more) -> str:
    return import_videos(folder, name, root, dataset="freedoom", **more)


# Export


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        return np.asarray(file)


def mode_of(path: Path) -> str:
    with Image.open(path) as file:
        return file.mode


def pictures(folder: Path) -> np.ndarray:
    paths = sorted(folder.iterdir())
    assert [path.name for path in paths] == [f"{t:06d}.png" for t in range(len(paths))]
    return np.stack([picture(path) for path in paths])


def test_an_export_reads_back_as_what_the_store_holds(project, store):
    said = export("freedoom", params.load(), project)
    out = project / "export/freedoom"
    assert said == f"{out}: 6 test clips of freedoom; README.txt there says what to make of them"
    about = json.loads((out / "clips.json").read_text())
    assert [clip["id"] for clip in about["clips"]] == clips_of(store)
    assert about["label_names"] == ["even", "odd", "square"] and about["skip_frames"] == 2
    for clip in about["clips"]:
        entry = store.clips[clip["id"]]
        assert {name: clip[name] for name in ("sha256", "split", "n_frames")} == {
            name: entry[name] for name in ("sha256", "split", "n_frames")
        }
        assert clip["size"] == [32, 64] and clip["fps"] == 10
        arrays, folder = store.read(clip["id"]), out / clip["id"]
        for name, array in (("source", "label"), ("instance", "instance")):
            back = pictures(folder / name)
            assert back.dtype in (np.uint8, np.uint16) and (back == arrays[array]).all()
        assert mode_of(folder / "source/000000.png") == "L"
        assert (pictures(folder / "first") == arrays["real"][:2]).all()
        assert picture(folder / "source_colours.png").shape == (32, 3 * 64, 3)
        assert {path.name for path in folder.iterdir()} == {"source", "instance", "first", "source_colours.png"}
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    assert about["files"] == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items() if name != "clips.json"
    }
    readme = (out / "README.txt").read_text()
    assert readme.count("\n") == 10 and "6 videos" in readme and "of 64x32 px" in readme
    assert not list(project.rglob("*.partial"))


def test_training_clips_come_with_all_their_real_frames(project, store, tmp_path):
    out = tmp_path / "there" / "new"
    assert "6 test clips and 4 for training" in export("freedoom", params.load(), project, out, train=True, video=True)
    for clip, entry in store.clips.items():
        is_test = entry["split"] != "train"
        assert (out / clip / "first").exists() == is_test and (out / clip / "real").exists() != is_test
        with av.open(str(out / clip / "source_colours.mp4")) as file:
            shown = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        assert len(shown) == 12
        colours = np.array(store.facts.label_colours)[store.read(clip, arrays=["label"])["label"]]
        assert abs(np.stack(shown) - colours).mean() < 12  # to look at: H.264 with half the colour
    assert (pictures(out / "slide-0/real") == real(store, "slide-0")).all()


@pytest.mark.parametrize("n_maps, mode", [(1, "L"), (2, "RGB"), (3, "RGB"), (5, None)])
def test_maps_are_exported_without_loss(project, tmp_path, n_maps, mode):
    maps = np.random.default_rng(0).integers(0, 256, (9, 31, 63, n_maps), np.uint8)
    names, colours = tuple("abcde"[:n_maps]), ((200, 10, 10),) * n_maps
    about = facts(source="maps", label_names=names, label_colours=colours, size=(31, 63))
    clip = {"id": "drive 3/a.b", "split": "seen"}
    path = project / "data/freedoom.zip"
    path.unlink()
    write_store(path, about, [(clip, {"real": maps[..., :1].repeat(3, -1), "maps": maps})])
    export("freedoom", params.load(), project, tmp_path / "out", video=True)
    folder = tmp_path / "out/drive 3/a.b"
    if mode is None:
        assert (np.load(folder / "source.npy") == maps).all()
    else:
        back = pictures(folder / "source").reshape(9, 31, 63, -1)
        assert (back[..., :n_maps] == maps).all() and not back[..., n_maps:].any()
        assert mode_of(folder / "source/000000.png") == mode
    with av.open(str(folder / "source_colours.mp4")) as file:  # whose sides are even
        assert (file.streams.video[0].height, file.streams.video[0].width) == (32, 64)


def test_frames_without_a_source_are_exported_alone(project, tmp_path):
    path = project / "data/freedoom.zip"
    path.unlink()
    frames = sliding_clip(0, 9)["real"]
    write_store(path, facts(source="none"), [({"id": "a", "split": "seen"}, {"real": frames})])
    export("freedoom", params.load(), project, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out/a").iterdir()] == ["first"]


def test_an_export_is_whole_or_not_there(project, tmp_path, store):
    own = tmp_path / "mine"
    own.mkdir()
    (own / "a.txt").write_text("mine")
    with pytest.raises(Fault, match="mine: there is something already; name an empty folder"):
        export("freedoom", params.load(), project, own)
    assert (own / "a.txt").read_text() == "mine"
    with pytest.raises(Fault, match="export: no 'freedom'; there are freedoom"):
        export("freedom", params.load(), project)
    path = project / "data/freedoom.zip"
    content = bytearray(path.read_bytes())
    path.unlink()  # a link
    at = content.rfind(b"\x28\xb5\x2f\xfd", 0, len(content) * 2 // 3)  # a block of zstd in the middle
    content[at : at + 64] = bytes(64)
    path.write_bytes(content)
    (tmp_path / "empty").mkdir()
    with pytest.raises(Fault, match=r"freedoom.zip: clip slide-\d, "):
        export("freedoom", params.load(), project, tmp_path / "empty")
    assert not list((tmp_path / "empty").iterdir()) and not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("name", ["../a", "/a", "a//b", ".a", "a/.b", "a\nb", ""])
def test_an_id_that_can_be_no_folder_is_refused(project, tmp_path, name):
    path = project / "data/freedoom.zip"
    path.unlink()
    write_store(path, facts(), [({"id": name, "split": "seen"}, sliding_clip(0, 4))])
    with pytest.raises(Fault, match="the id of clip .* can be no folder below another") as fault:
        export("freedoom", params.load(), project, tmp_path / "out")
    assert "\n" not in str(fault.value)


# Import, synthesis, scores


def made(root: Path, name: str = "theirs") -> Store:
    own = params.load()
    train(own, name, root)
    return Store(synthesize(own, name, root))


def test_videos_are_scored_as_they_are(project, store, tmp_path, capsys):
    """From an export to scores: pictures or FFV1, the same bytes; real frames score as real frames do."""
    said = bring(copied(store, tmp_path / "pngs"), project)
    assert said == "theirs: 6 videos fit the test clips of freedoom, params.yaml has the run; `dvc repro` scores it"
    assert "lossy" not in capsys.readouterr().err
    clips = made(project)
    assert clips.facts == facts_of_run(store.facts, "theirs", "theirs")
    for clip in clips_of(store):
        assert (clips.read(clip)["fake"] == real(store, clip)).all()
        assert clips.clips[clip]["given"] == 0
        assert clips.clips[clip]["real_sha256"] == store.clips[clip]["sha256"]
    assert len(np.unique(real(store, "slide-4"))) == 256  # no level is changed on its way
    first = clips.path.read_bytes()
    for clip in clips_of(store):
        write_ffv1(tmp_path / "ffv1" / f"{clip}.mkv", real(store, clip))
    bring(tmp_path / "ffv1", project)
    assert made(project).path.read_bytes() == first

    own = params.load()
    own = dataclasses.replace(own, metrics={key: own.metrics[key] for key in ("psnr", "warp_error")}, judges={})
    scores = evaluate(own, "theirs", project)
    assert scores.first_frames == "none"
    for group in scores.groups.values():
        assert group.scores["psnr"].fake.value == own.metrics["psnr"]["cap_db"]
        assert group.scores["warp_error"].fake.per_clip == group.scores["warp_error"].real.per_clip


def test_worse_videos_score_worse(project, store, tmp_path):
    bring(copied(store, tmp_path / "noisy", lambda frames: frames ^ 16), project)
    made(project)
    own = params.load()
    own = dataclasses.replace(own, metrics={"psnr": own.metrics["psnr"]}, judges={})
    for group in evaluate(own, "theirs", project).groups.values():
        assert group.scores["psnr"].fake.value == pytest.approx(20 * np.log10(255 / 16), abs=1e-3)


def test_lossy_videos_are_named(project, store, tmp_path, capsys):
    for clip in clips_of(store):
        write_pngs(tmp_path / "some" / clip, real(store, clip), "jpg" if clip in ("slide-4", "slide-9") else "png")
    bring(tmp_path / "some", project)
    remark = "some: 2 of 6 videos lossy (jpeg: 2): scores include what the compression changed"
    assert remark in capsys.readouterr().err
    made(project)
    assert remark in capsys.readouterr().err


def without(clip: str):
    return lambda folder: shutil.rmtree(folder / clip)


def one_more(folder: Path) -> None:
    shutil.copytree(folder / "slide-4", folder / "slide-0")


def renamed(folder: Path) -> None:
    (folder / "slide-5").rename(folder / "slide_5")


def shortened(folder: Path) -> None:
    (folder / "slide-5/000011.png").unlink()


def lengthened(folder: Path) -> None:
    shutil.copy(folder / "slide-5/000011.png", folder / "slide-5/000012.png")


def resized(folder: Path) -> None:
    for clip in ("slide-6", "slide-8"):
        for path in (folder / clip).iterdir():
            Image.fromarray(picture(path)[:, :32]).save(path)
    (folder / "slide-6/000011.png").unlink()


def cut(folder: Path) -> None:
    path = folder / "slide-7/000003.png"
    path.write_bytes(path.read_bytes()[:-300])


FAULTS = {
    "missing": (without("slide-7"), r"no video of slide-7 \(1 of 6 test clips have none\); it takes one video"),
    "surplus": (one_more, r"slide-0 is no test clip of freedoom.zip \(1 such video\)"),
    "renamed": (renamed, r"no video of slide-5 .*, and slide_5 is no test clip of freedoom.zip"),
    "short": (shortened, r"clip slide-5: .*slide-5: 11 frames, not 12, as .* \(1 of 6 clips wrong\)"),
    "long": (lengthened, r"clip slide-5: .*slide-5: 13 frames, not 12, as"),
    "resized": (
        resized,
        r"clip slide-6: .*: 11 frames, not 12 and frames of 32x32 px, not 64x32, .*resized \(2 of 6 clips wrong\)",
    ),
    "damaged": (cut, r"clip slide-7: .*000003.png.*damaged.* \(1 of 6 clips wrong\)"),
    "nothing": (shutil.rmtree, "no such file or folder"),
}


@pytest.mark.parametrize("change, says", FAULTS.values(), ids=FAULTS)
def test_videos_that_do_not_fit_are_refused_by_name(project, store, tmp_path, change, says):
    folder = copied(store, tmp_path / "theirs")
    change(folder)
    before = (project / "params.yaml").read_bytes()
    with pytest.raises(Fault, match=says) as fault:
        bring(folder, project)
    assert "\n" not in str(fault.value)
    assert (project / "params.yaml").read_bytes() == before and not list(project.rglob("*.partial"))


def test_videos_that_no_longer_fit_the_data_are_refused(project, store, tmp_path):
    """The same videos, after the data set was made again with other clips."""
    bring(copied(store, tmp_path / "theirs"), project)
    train(params.load(), "theirs", project)
    path = project / "data/freedoom.zip"
    path.unlink()
    splits = {clip: store.clips[clip]["split"] for clip in clips_of(store)}
    clips = [({"id": clip, "split": split}, sliding_clip(0, 11)) for clip, split in splits.items()]
    write_store(path, store.facts, clips)
    with pytest.raises(Fault, match=r"slide-4: 12 frames, not 11, as freedoom.zip has them.*\(6 of 6 clips wrong\)"):
        synthesize(params.load(), "theirs", project)
    assert not (project / "runs/theirs/clips.zip").exists()


def test_a_changed_video_is_noticed_by_check_and_synthesis(project, store, tmp_path, monkeypatch):
    folder = copied(store, project / "videos")
    bring(folder, project)
    assert params.load().runs["theirs"].kwargs["folder"] == "videos"
    check.load_checked(project)
    train(params.load(), "theirs", project)
    (folder / "notes.txt").write_text("no video")
    hashed = videos.videos_sha256
    monkeypatch.setattr(videos, "videos_sha256", lambda folder: pytest.fail("hashed again, though no file changed"))
    check.load_checked(project)
    monkeypatch.setattr(videos, "videos_sha256", hashed)
    path = folder / "slide-8/000009.png"
    pixels = picture(path).copy()
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(path)
    for act in (check.load_checked, lambda root: synthesize(params.load(), "theirs", root)):
        with pytest.raises(
            Fault, match="videos.* changed since they were imported; run `v2vbench import-videos` again"
        ):
            act(project)
    bring(folder, project)
    check.load_checked(project)
    assert (made(project).read("slide-8", 9, 10)["fake"][0] == pixels).all()
    folder.rename(project / "elsewhere")
    with pytest.raises(Fault, match=r"runs.theirs.kwargs.folder: no .*videos; bring it back"):
        check.load_checked(project)


def test_the_digest_is_of_names_and_content(tmp_path):
    black, white = np.zeros((2, 4, 4, 3), np.uint8), np.full((2, 4, 4, 3), 255, np.uint8)
    for folder, (a, b) in {"one": (black, white), "two": (white, black), "three": (black, white)}.items():
        write_pngs(tmp_path / folder / "a", a)
        write_pngs(tmp_path / folder / "b", b)
    one, two, three = (videos.videos_sha256(tmp_path / folder) for folder in ("one", "two", "three"))
    assert one == three != two


# params.yaml


def rows(before: str, after: str, sign: str) -> list[str]:
    return [row[2:].strip() for row in difflib.ndiff(before.splitlines(), after.splitlines()) if row[0] == sign]


def test_the_line_is_added_and_all_else_stays(project, store, tmp_path):
    before = (project / "params.yaml").read_text() + "# the end\n"
    (project / "params.yaml").write_text(before)
    bring(copied(store, tmp_path / "a b: #c"), project, title="Theirs: 2")
    after = (project / "params.yaml").read_text()
    assert rows(before, after, "-") == []
    own = params.load()
    assert own.runs["theirs"] == params.Run(
        title="Theirs: 2",
        dataset="freedoom",
        model="external",
        schedule="imported",
        base="none",
        first_frames="none",
        seeds=[0],
        kwargs={"folder": str(tmp_path / "a b: #c"), "sha256": videos.videos_sha256(tmp_path / "a b: #c")},
    )
    assert own.schedules["imported"].steps == 0
    check.load_checked(project)


def test_an_import_again_changes_the_values_alone(project, store, tmp_path):
    bring(copied(store, tmp_path / "first"), project)
    file = project / "params.yaml"
    before = re.sub(r"(folder: .*first)\n", r"\1   # of Tuesday\n", file.read_text())
    file.write_text(before)
    copied(store, project / "second", lambda frames: 255 - frames)
    assert "params.yaml has the new files" in bring(project / "second", project)
    after = file.read_text()
    assert rows(before, after, "+") == [
        "folder: second   # of Tuesday",
        f"sha256: {videos.videos_sha256(project / 'second')}",
    ]
    assert params.load().runs["theirs"].title == "theirs"
    bring(project / "second", project, title="new: title")
    assert rows(after, file.read_text(), "+") == ['title: "new: title"']
    last = file.read_bytes()
    bring(project / "second", project)
    assert file.read_bytes() == last


def test_a_line_in_braces_is_changed_as_well(project, store, tmp_path):
    bring(copied(store, tmp_path / "first"), project)
    file = project / "params.yaml"
    text, kwargs = file.read_text(), params.load().runs["theirs"].kwargs
    block = text[text.index("kwargs:\n      folder:") : text.index(kwargs["sha256"]) + 64]
    file.write_text(
        text.replace(block, f"kwargs: {{folder: '{kwargs['folder']}', sha256: {kwargs['sha256']}}}  # kept")
    )
    bring(copied(store, tmp_path / "x, y}"), project)
    assert params.load().runs["theirs"].kwargs["folder"] == str(tmp_path / "x, y}")
    assert "  # kept" in file.read_text()


def test_a_line_that_shares_its_values_is_not_changed(project, store, tmp_path):
    bring(copied(store, tmp_path / "first"), project)
    file = project / "params.yaml"
    text = file.read_text().replace("kwargs:\n      folder:", "kwargs: &shared\n      folder:")
    lines = "  other:\n    title: other\n    dataset: freedoom\n    model: external\n    schedule: imported\n"
    lines += "    base: none\n    first_frames: none\n    seeds: [0]\n    kwargs: *shared\n"
    file.write_text(text.replace("\npredictors:", f"\n{lines}\npredictors:"))
    assert params.load().runs["other"].kwargs == params.load().runs["theirs"].kwargs
    before = file.read_bytes()
    copied(store, tmp_path / "second")
    with pytest.raises(Fault, match="its runs are not plain lines"):
        bring(tmp_path / "second", project, "other")
    merged = file.read_text().replace("kwargs: *shared", "kwargs: {<<: *shared}")
    file.write_text(merged)
    with pytest.raises(Fault, match="runs.other.kwargs.folder is not written in the run's line"):
        bring(tmp_path / "second", project, "other")
    file.write_bytes(before)


NAMES = {
    "no key": ("A b", "import-videos: a run cannot be called 'A b'"),
    "a word": ("none", "import-videos: a run cannot be called 'none'"),
    "a run": ("copy_last", "copy_last is in params.yaml already, and shows no videos"),
    "a judge": ("reader", "reader is in params.yaml already"),
    "a predictor": ("forecast", "forecast is in params.yaml already"),
}


@pytest.mark.parametrize("name, says", NAMES.values(), ids=NAMES)
def test_a_name_that_is_taken_is_refused(project, tmp_path, name, says):
    with pytest.raises(Fault, match=says):
        bring(tmp_path, project, name)


def test_a_title_that_is_taken_and_unknown_data_are_refused(project, store, tmp_path):
    copied(store, tmp_path / "theirs")
    with pytest.raises(Fault, match="runs.theirs.title: 'vid2vid' is the title of vid2vid as well"):
        bring(tmp_path / "theirs", project, title="vid2vid")
    with pytest.raises(Fault, match="import-videos: --dataset: no 'nowhere'; there are freedoom"):
        import_videos(tmp_path / "theirs", "theirs", project, dataset="nowhere")
    assert (project / "params.yaml").read_text() == TINY.read_text()


USES = {
    "first frames": (
        lambda own: {"runs": own.runs | {"vid2vid": dataclasses.replace(own.runs["vid2vid"], first_frames="theirs")}},
        "runs.vid2vid.first_frames: theirs shows videos that were made elsewhere",
    ),
    "a future": (
        lambda own: {"futures": {"freedoom": dataclasses.replace(own.futures["freedoom"], video="theirs")}},
        "futures.freedoom.video: theirs shows videos that were made elsewhere",
    ),
    "seeds": (
        lambda own: {"runs": own.runs | {"theirs": dataclasses.replace(own.runs["theirs"], seeds=[0, 1])}},
        r"runs.theirs.seeds: \[0, 1\]; its videos are of one training",
    ),
}


@pytest.mark.parametrize("change, says", USES.values(), ids=USES)
def test_other_uses_of_such_a_run_are_refused(project, change, says):
    own = params.load()
    kwargs = {"folder": "videos", "sha256": "0"}
    theirs = dataclasses.replace(
        own.runs["copy_last"], model="external", title="theirs", first_frames="none", kwargs=kwargs
    )
    own = dataclasses.replace(own, runs=own.runs | {"theirs": theirs})
    check.check_signatures(own, "params.yaml")
    with pytest.raises(Fault, match=says):
        check.check_signatures(dataclasses.replace(own, **change(own)), "params.yaml")


# The contract


def test_a_model_is_told_which_clip_it_makes(project, store, monkeypatch):
    """At its start the memory of each clip holds the store's entry, and nothing of another clip."""
    kind, starts = find("models", "copy_last").Model, []
    generate = kind.generate

    def watched(self, clip, past, memory):
        if "seen" not in memory:
            starts.append(dict(memory))
        memory["seen"] = True
        return generate(self, clip, past, memory)

    monkeypatch.setattr(kind, "generate", watched)
    made(project, "copy_last")
    assert starts == [{"clip": store.clips[clip]} for clip in clips_of(store)]


def test_no_frame_is_made_of_anything_but_a_test_clip():
    model = find("models", "external").Model(facts(), folder="videos", sha256="0")
    assert model.parts() == {} and not model.n_past and not model.from_nothing
    for memory in ({}, {"clip": {"id": "slide-4"}}):
        with pytest.raises(Fault, match="videos: holds videos of test clips; no other frames can be made from it"):
            model.generate({}, torch.zeros(1, 0, 3, 32, 64), memory)
